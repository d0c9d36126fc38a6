// Package verify reads a data folder record by record and checks that what it
// finds agrees: the log with its cursors and keys, histories with the log, and
// people with both. It is written from the rules of FORMAT.md and shares no code
// with the packages that write (people, eventlog), so that a mistake of theirs
// cannot hide itself.
package verify

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/vault"
)

// Hash is a keyed hash as it stands in the store's keys.
type Hash = keyspace.Hash

// Options say what to read. DB and Vault are required. Nobody may write to DB
// meanwhile: what is compared is read one after the other. Open it read-only,
// or close what writes.
type Options struct {
	DB    *engine.DB
	Vault *vault.Vault
	// Types are the install's identifier types. Which links an event states
	// follows from them; without them evidence is compared side by side only,
	// and not with the events.
	Types *id.Types
	// DedupeWindow is how long a message id is remembered; 0 means 7 days.
	DedupeWindow time.Duration
	Now          time.Time // zero means time.Now()
	// NoAudit leaves out whether the audit log's numbers have a gap, for callers who
	// run audit's own check: it knows which entries a restore has cost.
	NoAudit   bool
	MaxFaults int // how many faults, and warnings, are told; 0 means 100. All are counted
	// MaxFacts is how much of what entries say is held in memory at a time, at
	// about 200 bytes each; 0 means 1,000,000. A larger store is read several times.
	MaxFacts int
	// Progress, when it is not nil, hears now and then how many records of a
	// step are done. total is 0 while it is not known.
	Progress func(step string, done, total uint64)
}

// Fault is one thing that is wrong. It names a record, and nobody's data.
type Fault struct {
	Space keyspace.Space
	Key   string // in hexadecimal; "" when the fault is no single record's
	What  string
}

func (f Fault) String() string {
	if f.Key == "" {
		return fmt.Sprintf("%s: %s", SpaceName(f.Space), f.What)
	}
	return fmt.Sprintf("%s %s: %s", SpaceName(f.Space), f.Key, f.What)
}

// Report is what was found.
type Report struct {
	Survey
	Events      uint64 // entries of events, in the tail and in histories
	Tail        uint64 // entries in the log
	Settled     uint64 // entries in histories
	Checked     uint64 // facets whose events were counted one by one
	Uncertain   uint64 // facets that have events which were deleted by age: their counts are bounded only
	Erasures    uint64 // that have a record,
	Unfinished  uint64 // and those of them that are not shredded yet
	FaultCount  int
	Faults      []Fault // the first of them
	WarnCount   int
	Warnings    []Fault // harmless: what a crash or an interrupted step leaves and the next start mends
	Passes      int     // how often the log and the histories were read
	NotVerified []string
}

// OK says that nothing is wrong.
func (r *Report) OK() bool { return r.FaultCount == 0 }

// Err is nil when nothing is wrong, and otherwise names the first faults.
func (r *Report) Err() error {
	if r.OK() {
		return nil
	}
	list := make([]error, 0, len(r.Faults))
	for _, f := range r.Faults {
		list = append(list, errors.New(f.String()))
	}
	return fmt.Errorf("verify: %d faults:\n%w", r.FaultCount, errors.Join(list...))
}

const (
	defaultMaxFaults = 100
	defaultMaxFacts  = 1_000_000
	defaultWindow    = 7 * 24 * time.Hour
	maxPasses        = 1 << 12
)

// Run checks everything. An error says that the check itself could not go on;
// what is wrong with the records is in the report, also then.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.DedupeWindow == 0 {
		o.DedupeWindow = defaultWindow
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.MaxFaults == 0 {
		o.MaxFaults = defaultMaxFaults
	}
	if o.MaxFacts == 0 {
		o.MaxFacts = defaultMaxFacts
	}
	c := &checker{o: o, ctx: ctx, ids: map[id.ID]Hash{}}
	var err error
	if c.blocks, err = record.NewCodec(); err != nil {
		return c.report, err
	}
	defer c.blocks.Close()
	if c.chunks, err = record.NewChunkCodec(); err != nil {
		return c.report, err
	}
	defer c.chunks.Close()
	if c.packer, err = record.NewPacker(); err != nil {
		return c.report, err
	}
	defer c.packer.Close()
	if c.at, err = o.DB.NewSeeker(nil, nil); err != nil {
		return c.report, fmt.Errorf("verify: %w", err)
	}
	if err := errors.Join(c.run(), c.at.Close()); err != nil {
		return c.report, fmt.Errorf("verify: %w", err)
	}
	return c.report, nil
}

// checker is one run.
type checker struct {
	o      Options
	ctx    context.Context
	report Report

	at     *engine.Seeker // for keys here and there: to open the tables for each takes longer than all else
	blocks *record.Codec
	chunks *record.ChunkCodec
	packer *record.Packer
	block  record.Scratch
	chunk  record.Scratch
	ids    map[id.ID]Hash // a bounded memory of identifiers' hashes

	people, history uint64 // the cursors
	expired         int64  // what was received before it may have been deleted by age, ms; 0: nothing
	erased          erased
	wraps           map[uint32]bool
}

func (c *checker) run() error {
	survey, err := c.survey()
	if err != nil {
		return err
	}
	c.report.Survey = survey
	for _, step := range []func() error{c.checkPlaces, c.checkKeyTable, c.loadErased} {
		if err := step(); err != nil {
			return err
		}
	}
	passes := 1
	for c.facts()/passes > c.o.MaxFacts && passes < maxPasses {
		passes *= 2
	}
	c.report.Passes = passes
	for n := range passes {
		if err := c.pass(n, passes); err != nil {
			return err
		}
	}
	steps := []func() error{c.checkEdges, c.checkMembers, c.checkDedupe, c.checkReaders, c.checkDefinitions}
	if !c.o.NoAudit {
		steps = append(steps, c.checkAudit)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	if c.o.Types == nil {
		c.report.NotVerified = append(c.report.NotVerified, "evidence was not compared with the events: that needs the install's identifier types")
	}
	return nil
}

// facts estimates how much a single pass would hold.
func (c *checker) facts() int {
	s := &c.report.Survey
	n := s.space(keyspace.Facet).Records + s.space(keyspace.Pair).Records/2 + s.space(keyspace.VaultKey).Records + 2*s.space(keyspace.Member).Records
	if s.Last >= s.Head {
		n += s.Last - s.Head + 1
	}
	return int(n)
}

// pass collects what the entries say of a part of all owners, and compares the
// part's records with it.
func (c *checker) pass(n, of int) error {
	p := newPart(n, of)
	for _, step := range []func(*part) error{
		c.scanLog, c.scanHistory, c.checkIndex, c.checkFacets, c.checkPairs, c.checkSessions, c.checkStandings, c.checkQuarantine, c.checkKeys,
	} {
		if err := step(p); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) fault(key []byte, format string, args ...any) {
	c.report.FaultCount++
	if len(c.report.Faults) < c.o.MaxFaults {
		c.report.Faults = append(c.report.Faults, named(key, format, args...))
	}
}

func (c *checker) warn(key []byte, format string, args ...any) {
	c.report.WarnCount++
	if len(c.report.Warnings) < c.o.MaxFaults {
		c.report.Warnings = append(c.report.Warnings, named(key, format, args...))
	}
}

// named makes a Fault of a record's key; a key of one byte stands for its space.
func named(key []byte, format string, args ...any) Fault {
	f := Fault{What: fmt.Sprintf(format, args...)}
	if len(key) > 0 {
		f.Space = keyspace.Space(key[0])
	}
	if len(key) > 1 {
		f.Key = hex.EncodeToString(key)
	}
	return f
}

func spaceKey(s keyspace.Space) []byte { return []byte{byte(s)} }

// walk gives fn the records of a range. What the engine cannot read is a fault,
// and ends the walk of that range alone.
func (c *checker) walk(step string, lower, upper []byte, total uint64, fn func(k, v []byte)) error {
	done := uint64(0)
	tell := func() {
		if c.o.Progress != nil {
			c.o.Progress(step, done, max(done, total))
		}
	}
	err := c.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		if done%1024 == 0 {
			if err := c.ctx.Err(); err != nil {
				return false, err
			}
			tell()
		}
		done++
		fn(k, v)
		return true, nil
	})
	if errors.Is(err, engine.ErrDamaged) {
		c.fault(lower[:min(1, len(lower))], "%s: after %d records: %v", step, done, err)
		return nil
	}
	tell()
	return err
}

// walkSpace is walk over one space.
func (c *checker) walkSpace(step string, s keyspace.Space, fn func(k, v []byte)) error {
	lower, upper := keyspace.Bounds(spaceKey(s))
	return c.walk(step, lower, upper, c.report.space(s).Records, fn)
}

// has says that a key is there.
func (c *checker) has(key []byte) bool {
	found, err := c.at.Get(key, func([]byte) error { return nil })
	if err != nil {
		c.fault(key, "cannot be read: %v", err)
		return true // one fault is enough
	}
	return found
}

// hashID is an identifier's hash. The memory of them spares most of the sums:
// entries that follow each other are often one visitor's.
func (c *checker) hashID(x id.ID) Hash {
	if h, ok := c.ids[x]; ok {
		return h
	}
	if len(c.ids) >= 1<<16 {
		clear(c.ids)
	}
	h := c.o.Vault.Hash(x.Type, x.Value)
	c.ids[x] = h
	return h
}

// unseal opens a record that is sealed under owner's key and bound to its own key.
func (c *checker) unseal(owner Hash, key, v []byte) ([]byte, error) {
	k, err := c.o.Vault.FacetKey(owner, false, nil)
	if err != nil {
		return nil, err
	}
	return k.Open(nil, v, key)
}
