// Package definitions keeps what operators defined, trait, audience or
// placement, version by version, and what the gateway has to remember of it:
// which series a definition's values stand in, which number an audience goes
// by, and how far a fill or a sweep is. All of it is sealed, small, in memory,
// and changed by one synced batch at a time.
package definitions

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

// Hash is a keyed hash as it stands in the store's keys.
type Hash = keyspace.Hash

// Kinds of definitions.
const (
	Trait     = "trait"
	Segment   = "segment"
	Placement = "placement"
)

// Sources of definitions.
const (
	File = "file" // the configuration
	API  = "api"
)

// Version is one version of a definition. Versions of one kind and name are
// numbered from 1 without a gap, through deletions too, and kept for ever.
type Version struct {
	Kind, Name string
	Number     uint32
	At         int64  // when it was put or deleted, ms since 1970 UTC
	Actor      string // who did, as the activity log names them
	Source     string // File or API
	Body       json.RawMessage
	Deleted    bool // the definition ended here; Body is nil
}

// State is how far a series is.
type State uint8

// The states, in their order.
const (
	Reserved State = iota + 1 // has its number; nothing contributes to it yet
	Filling                   // entries after Since contribute as they come; those before are being added
	Ready                     // whole
)

var stateNames = [...]string{"", "reserved", "filling", "ready"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Series is what facets keep for one fingerprint, by a number that no other
// series ever has.
type Series struct {
	ID          uint32
	Fingerprint string // of all that its content depends on
	State       State
	Since       uint64 // once it is Filling: entries after this one contribute as they come
}

// Audience is the number that an audience goes by in standings. One that was
// deleted and comes back has another number.
type Audience struct {
	ID    uint32
	Name  string
	Swept string // the fingerprint of the rules by which everybody was judged last; "" when never
}

// Job is work behind the traffic and how far it is, so that a restart goes on
// with it.
type Job struct {
	Name        string
	IDs         []uint32 // of what it works on: series, audiences
	UpTo        uint64   // the last entry that it takes; 0 when that does not matter
	Position    Hash     // everybody before it is done
	Events      int64    // that were read so far
	Share       float64  // of the whole that is done, 0 to 1
	Begun, Seen int64    // when it began, and when this was noted; ms since 1970 UTC
}

// FillJob is the name of the job that fills series from earlier events.
const FillJob = "fill"

// Keys is what the store needs of the vault.
type Keys interface {
	Subkey(name string) []byte                            // 32 bytes for one use
	HashKey(domain string, parts ...string) keyspace.Hash // keyed
}

// Store keeps definitions. All its methods may be called at the same time.
//
// Invariants:
//   - What a reader sees is on the disk: memory changes after the batch was synced.
//   - A number of a series or an audience is given once in the life of the
//     folder: the counters are in the batch that gives it.
type Store struct {
	db   *engine.DB
	keys Keys
	aead cipher.AEAD

	writing sync.Mutex // one Change at a time
	now     atomic.Pointer[state]
}

// state is everything but older versions. It is never changed once it is now.
type state struct {
	latest    map[ref]Version
	series    map[uint32]Series
	audiences map[string]Audience
	jobs      map[string]Job
	counters  counters
}

type ref struct{ kind, name string }

// counters are the numbers given last.
type counters struct{ series, audience uint32 }

// Open reads the store.
func Open(db *engine.DB, keys Keys) (*Store, error) {
	block, err := aes.NewCipher(keys.Subkey("definitions"))
	if err != nil {
		return nil, fmt.Errorf("definitions: %w", err)
	}
	s := &Store{db: db, keys: keys}
	if s.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("definitions: %w", err)
	}
	x := &state{latest: map[ref]Version{}, series: map[uint32]Series{}, audiences: map[string]Audience{}, jobs: map[string]Job{}}
	if err := s.load(x); err != nil {
		return nil, fmt.Errorf("definitions: %w", err)
	}
	s.now.Store(x)
	return s, nil
}

func (s *Store) load(x *state) error {
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Definition))
	return s.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		kind, rest, err := keyspace.ParseDefinition(k)
		if err != nil {
			return false, err
		}
		plain, err := s.open(k, v)
		if err == nil {
			err = s.take(x, kind, rest, plain)
		}
		if err != nil {
			return false, fmt.Errorf("record %x: %w", k, err)
		}
		return true, nil
	})
}

// take reads one record into x. Versions come in the order of their numbers.
func (s *Store) take(x *state, kind byte, rest, plain []byte) error {
	switch kind {
	case keyspace.DefinitionVersion:
		v, err := decodeVersion(plain)
		if err != nil {
			return err
		}
		at := ref{v.Kind, v.Name}
		if want := x.latest[at].Number + 1; v.Number != want {
			return fmt.Errorf("version %d where %d should follow: one is missing; restore the data folder from a backup", v.Number, want)
		}
		x.latest[at] = v
	case keyspace.DefinitionSeries:
		v, err := decodeSeries(plain)
		if err != nil {
			return err
		}
		x.series[v.ID] = v
	case keyspace.DefinitionAudience:
		v, err := decodeAudience(plain)
		if err != nil {
			return err
		}
		x.audiences[v.Name] = v
	case keyspace.DefinitionJob:
		v, err := decodeJob(plain)
		if err != nil {
			return err
		}
		x.jobs[v.Name] = v
	case keyspace.DefinitionCounters:
		var err error
		x.counters, err = decodeCounters(plain)
		return err
	}
	return nil
}

// Get gives the newest version of a definition; ok is false when there never
// was one. It may be Deleted.
func (s *Store) Get(kind, name string) (v Version, ok bool) {
	v, ok = s.now.Load().latest[ref{kind, name}]
	return v, ok
}

// Latest gives the definitions of a kind that there are now, by name.
func (s *Store) Latest(kind string) (list []Version) {
	for at, v := range s.now.Load().latest {
		if at.kind == kind && !v.Deleted {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, byName)
	return list
}

func byName(a, b Version) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
}

// History gives every version of a definition, newest first.
func (s *Store) History(kind, name string) (list []Version, err error) {
	lower, upper := keyspace.Bounds(keyspace.AppendDefinition(nil, keyspace.DefinitionVersion, s.versionPrefix(kind, name)))
	err = s.db.IterReverse(lower, upper, func(k, v []byte) (bool, error) {
		plain, err := s.open(k, v)
		if err != nil {
			return false, err
		}
		x, err := decodeVersion(plain)
		list = append(list, x)
		return true, err
	})
	if err != nil {
		return nil, fmt.Errorf("definitions: versions of %s %q: %w", kind, name, err)
	}
	return list, nil
}

// At gives the definitions of all kinds that there were at a time, ms since
// 1970 UTC, by kind and name: of each the version with the highest number that
// was put by then.
func (s *Store) At(ms int64) (list []Version, err error) {
	found := map[ref]Version{}
	lower, upper := keyspace.Bounds(keyspace.AppendDefinition(nil, keyspace.DefinitionVersion, nil))
	err = s.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		plain, err := s.open(k, v)
		if err != nil {
			return false, err
		}
		x, err := decodeVersion(plain)
		if err == nil && x.At <= ms {
			found[ref{x.Kind, x.Name}] = x
		}
		return true, err
	})
	if err != nil {
		return nil, fmt.Errorf("definitions: those of %d: %w", ms, err)
	}
	for _, v := range found {
		if !v.Deleted {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, byName)
	return list, nil
}

// Series gives every series, by number.
func (s *Store) Series() []Series {
	return slices.SortedFunc(maps.Values(s.now.Load().series), func(a, b Series) int { return cmp.Compare(a.ID, b.ID) })
}

// Has says that there is a series of that number.
func (s *Store) Has(id uint32) bool {
	_, ok := s.now.Load().series[id]
	return ok
}

// SeriesOf finds the series with a fingerprint.
func (s *Store) SeriesOf(fingerprint string) (x Series, ok bool) {
	return s.now.Load().seriesOf(fingerprint)
}

func (x *state) seriesOf(fingerprint string) (Series, bool) {
	for _, v := range x.series {
		if v.Fingerprint == fingerprint {
			return v, true
		}
	}
	return Series{}, false
}

// Audiences gives every audience, by number.
func (s *Store) Audiences() []Audience {
	return slices.SortedFunc(maps.Values(s.now.Load().audiences), func(a, b Audience) int { return cmp.Compare(a.ID, b.ID) })
}

// Jobs gives all work that is under way, by name.
func (s *Store) Jobs() (list []Job) {
	list = slices.SortedFunc(maps.Values(s.now.Load().jobs), func(a, b Job) int { return strings.Compare(a.Name, b.Name) })
	for i := range list {
		list[i].IDs = slices.Clone(list[i].IDs)
	}
	return list
}

// Job finds work by its name.
func (s *Store) Job(name string) (j Job, ok bool) {
	j, ok = s.now.Load().jobs[name]
	j.IDs = slices.Clone(j.IDs)
	return j, ok
}

// versionPrefix is what the keys of one definition's versions begin with. Names
// do not stand in keys, where they would be read without the master key.
func (s *Store) versionPrefix(kind, name string) []byte {
	h := s.keys.HashKey("definition", kind, name)
	return h[:]
}
