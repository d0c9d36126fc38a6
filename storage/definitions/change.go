package definitions

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

// Bounds of what is kept.
const (
	MaxBody = 256 << 10 // of a definition's body, bytes
	maxText = 512       // of a name, an actor or a fingerprint, bytes
	maxIDs  = 4096      // of a job
)

// Change is several changes that become true together. It belongs to the
// function that Store.Change was given.
type Change struct {
	s *Store
	state
	b   *engine.Batch
	any bool

	reserved map[uint32]bool // in this Change
}

// Change has fn make changes, which are on the disk and seen by everybody once
// it returns nil; after an error nothing has changed. One Change is made at a
// time. fn reads what it has made so far through its Change.
func (s *Store) Change(fn func(c *Change) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	now := s.now.Load()
	c := &Change{s: s, b: s.db.NewBatch(), state: state{
		latest: maps.Clone(now.latest), series: maps.Clone(now.series), audiences: maps.Clone(now.audiences),
		jobs: maps.Clone(now.jobs), counters: now.counters,
	}}
	defer c.b.Discard()
	if err := fn(c); err != nil {
		return err
	}
	if !c.any {
		return nil
	}
	if err := c.b.Commit(true); err != nil {
		return fmt.Errorf("definitions: %w", err)
	}
	s.now.Store(&c.state)
	return nil
}

func (c *Change) set(kind byte, rest, plain []byte) {
	key := keyspace.AppendDefinition(nil, kind, rest)
	c.b.Set(key, c.s.seal(key, plain))
	c.any = true
}

func (c *Change) delete(kind byte, rest []byte) {
	c.b.Delete(keyspace.AppendDefinition(nil, kind, rest))
	c.any = true
}

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// Put adds a version of a definition: its Number is given here, and Deleted
// must be false. When the newest version says the same and has the same source,
// it stands, and is given back.
func (c *Change) Put(v Version) (Version, error) {
	if v.Deleted || len(v.Body) == 0 || len(v.Body) > MaxBody {
		return v, fmt.Errorf("definitions: %s %q has a body of %d bytes; expected 1 to %d", v.Kind, v.Name, len(v.Body), MaxBody)
	}
	if !json.Valid(v.Body) {
		return v, fmt.Errorf("definitions: %s %q has a body that is no JSON", v.Kind, v.Name)
	}
	last := c.latest[ref{v.Kind, v.Name}]
	if last.Number > 0 && !last.Deleted && last.Source == v.Source && bytes.Equal(last.Body, v.Body) {
		return last, nil
	}
	v.Body = slices.Clone(v.Body)
	return c.add(v, last)
}

// Delete ends a definition, as a version of its own; v says which, when and by
// whom. It gives an error when there is none.
func (c *Change) Delete(v Version) (Version, error) {
	last := c.latest[ref{v.Kind, v.Name}]
	if last.Number == 0 || last.Deleted {
		return v, fmt.Errorf("definitions: there is no %s %q", v.Kind, v.Name)
	}
	v.Body, v.Deleted = nil, true
	return c.add(v, last)
}

func (c *Change) add(v, last Version) (Version, error) {
	switch v.Kind {
	case Trait, Segment, Placement:
	default:
		return v, fmt.Errorf("definitions: kind %q; expected %s, %s or %s", v.Kind, Trait, Segment, Placement)
	}
	if v.Name == "" || len(v.Name) > maxText || len(v.Actor) > maxText || v.Source != File && v.Source != API {
		return v, fmt.Errorf("definitions: a %s with a name of %d bytes, an actor of %d and source %q; expected a name, at most %d bytes each, and source %s or %s",
			v.Kind, len(v.Name), len(v.Actor), v.Source, maxText, File, API)
	}
	if last.Number == math.MaxUint32 {
		return v, fmt.Errorf("definitions: %s %q has had all versions that can be numbered", v.Kind, v.Name)
	}
	v.Number = last.Number + 1
	c.set(keyspace.DefinitionVersion, append(c.s.versionPrefix(v.Kind, v.Name), number(v.Number)...), v.append(nil))
	c.latest[ref{v.Kind, v.Name}] = v
	return v, nil
}

// Reserve gives the series with a fingerprint; a new one, Reserved, when there
// is none.
//
// A new series goes so: Reserve it; have people take rules that contribute to
// it (people.Between), which says after which entry they do; Begin it with that
// entry; fill; Finish. What ends before Begin, by a crash or otherwise, leaves it
// Reserved, and facets may hold contributions of which nobody knows any more
// where they begin: so one that an earlier Change reserved is dropped, and gets
// another number.
func (c *Change) Reserve(fingerprint string) (Series, error) {
	if x, ok := c.seriesOf(fingerprint); ok {
		if x.State != Reserved || c.reserved[x.ID] {
			return x, nil
		}
		c.Drop(x.ID)
	}
	if fingerprint == "" || len(fingerprint) > maxText {
		return Series{}, fmt.Errorf("definitions: a fingerprint of %d bytes; expected 1 to %d", len(fingerprint), maxText)
	}
	if c.counters.series == math.MaxUint32 {
		return Series{}, fmt.Errorf("definitions: all 2^32 numbers of series were given")
	}
	c.counters.series++
	c.set(keyspace.DefinitionCounters, nil, c.counters.append(nil))
	x := Series{ID: c.counters.series, Fingerprint: fingerprint, State: Reserved}
	c.putSeries(x)
	if c.reserved == nil {
		c.reserved = map[uint32]bool{}
	}
	c.reserved[x.ID] = true
	return x, nil
}

func (c *Change) putSeries(x Series) {
	c.set(keyspace.DefinitionSeries, number(x.ID), x.append(nil))
	c.series[x.ID] = x
}

// Begin says from behind which entry on Reserved series are contributed to.
func (c *Change) Begin(since uint64, ids ...uint32) error {
	return c.move(Reserved, Filling, ids, func(x *Series) { x.Since = since })
}

// Finish says that Filling series are whole.
func (c *Change) Finish(ids ...uint32) error { return c.move(Filling, Ready, ids, func(*Series) {}) }

func (c *Change) move(from, to State, ids []uint32, also func(*Series)) error {
	for _, id := range ids {
		x, ok := c.series[id]
		if !ok || x.State != from {
			return fmt.Errorf("definitions: series %d is to become %v and is %v; expected %v", id, to, x.State, from)
		}
		x.State = to
		also(&x)
		c.putSeries(x)
	}
	return nil
}

// Drop forgets series that nothing is defined by any more. Their numbers are
// never given again.
func (c *Change) Drop(ids ...uint32) {
	for _, id := range ids {
		if _, ok := c.series[id]; ok {
			delete(c.series, id)
			c.delete(keyspace.DefinitionSeries, number(id))
		}
	}
}

// Audience gives the audience of a name, with a new number when there is none.
func (c *Change) Audience(name string) (Audience, error) {
	if x, ok := c.audiences[name]; ok {
		return x, nil
	}
	if name == "" || len(name) > maxText {
		return Audience{}, fmt.Errorf("definitions: an audience's name has %d bytes; expected 1 to %d", len(name), maxText)
	}
	if c.counters.audience == math.MaxUint32 {
		return Audience{}, fmt.Errorf("definitions: all 2^32 numbers of audiences were given")
	}
	c.counters.audience++
	c.set(keyspace.DefinitionCounters, nil, c.counters.append(nil))
	x := Audience{ID: c.counters.audience, Name: name}
	c.putAudience(x)
	return x, nil
}

func (c *Change) putAudience(x Audience) {
	c.set(keyspace.DefinitionAudience, number(x.ID), x.append(nil))
	c.audiences[x.Name] = x
}

// Swept notes by which rules everybody was judged for an audience.
func (c *Change) Swept(name, fingerprint string) error {
	x, ok := c.audiences[name]
	if !ok || len(fingerprint) > maxText {
		return fmt.Errorf("definitions: audience %q, known: %t, was swept by rules with a fingerprint of %d bytes; expected one that is known, and at most %d", name, ok, len(fingerprint), maxText)
	}
	x.Swept = fingerprint
	c.putAudience(x)
	return nil
}

// Retire forgets an audience. Its number is never given again.
func (c *Change) Retire(name string) {
	if x, ok := c.audiences[name]; ok {
		delete(c.audiences, name)
		c.delete(keyspace.DefinitionAudience, number(x.ID))
	}
}

// Note keeps how far a job is, in the place of what was noted of it before.
func (c *Change) Note(j Job) error {
	if j.Name == "" || len(j.Name) > maxText || len(j.IDs) > maxIDs {
		return fmt.Errorf("definitions: a job with a name of %d bytes and %d numbers; expected 1 to %d, and at most %d", len(j.Name), len(j.IDs), maxText, maxIDs)
	}
	j.IDs = slices.Clone(j.IDs)
	c.set(keyspace.DefinitionJob, c.s.jobKey(j.Name), j.append(nil))
	c.jobs[j.Name] = j
	return nil
}

// End forgets a job.
func (c *Change) End(name string) {
	if _, ok := c.jobs[name]; ok {
		delete(c.jobs, name)
		c.delete(keyspace.DefinitionJob, c.s.jobKey(name))
	}
}

func (s *Store) jobKey(name string) []byte {
	h := s.keys.HashKey("definition job", name)
	return h[:]
}
