package people

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
	"unsafe"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/storage/eventlog"
)

// Contributor is what fills of new definitions contribute (trait.Set).
type Contributor interface {
	Contribute(e *event.Event, seq uint64, add func(*facet.Contribution))
	// Wants says that an event of that type, and name if it is a track event, may
	// contribute anything.
	Wants(t event.Type, name string) bool
	// Reach is how far back contributions matter; 0 is for ever.
	Reach() time.Duration
}

// FillOptions say what is filled. Traits, IDs and UpTo are required.
type FillOptions struct {
	// Traits has the definitions to fill and no others. They must contribute
	// entries up to UpTo: their Since is 0 here.
	Traits Contributor
	// IDs are those of their series.
	IDs []uint32
	// UpTo is the last entry that did not contribute when it came (Between).
	UpTo uint64
	// From is where an earlier run had come; zero begins at the beginning.
	From Hash
	// Share is for programs that may not use the whole machine (aside): how much of
	// one processor the fill may use while others wait for one, above 0 and up to 1; 0
	// means DefaultFillShare. What nobody waits for it uses besides, up to a whole one:
	// one half to read, one to write, never at the same moment. Elsewhere it uses up to
	// two, one to read and one to write, as far as nobody else wants them.
	Share float64
	// TailBytes bounds what is held of the log's tail at a time; 0 means 64 MiB. With
	// more than that in it the tail is read several times.
	TailBytes int
	// Progress, if it is not nil, hears now and then, and at the end, what is safe:
	// a run that begins at that hash leaves nothing out, once what follows is synced
	// (as storage/definitions does). events were read since this run began, and
	// share of all of the fill, 0 to 1, is done. An error ends the run.
	Progress func(at Hash, events int64, share float64) error
	// Every is how often; 0 means two seconds.
	Every time.Duration
	// Slice is for how long erasing and settling may have to wait for the fill; 0
	// means 40 ms.
	Slice time.Duration
}

// DefaultFillShare reads some 70,000 events a second where one processor is left to
// others.
const DefaultFillShare = 0.35

const (
	fillTail   = 64 << 20
	fillSlice  = 40 * time.Millisecond
	fillTell   = 2 * time.Second
	fillLook   = 50_000 // entries of the tail that are read in one go
	fillPut    = 64     // facets that are written together
	fillTries  = 5
	fillBehind = 20 * time.Millisecond // between two looks whether checkpoints have caught up
)

// Fill adds to every facet what its events up to an entry give to new series,
// from histories and from the log's tail, while everything else goes on.
//
// It is exact, since each event is in one of two parts: entries after UpTo
// contributed when they came, and those up to it are added here, once: the
// facet's record says which of its series are filled, and says it in the same
// write that fills them. So a fill may be broken off at any time and begun again
// at any earlier place. Facets that nothing is added to are not written.
//
// Series, and so profiles, that are half filled must not be read by anybody:
// filled ones are whole only when Fill has returned nil.
//
// Erasing and settling wait for a slice of it, and it never adds what an erasure
// took: it knows the erasures that came after it read the tail.
func (s *Store) Fill(ctx context.Context, o FillOptions) error {
	o.TailBytes, o.Share = cmp.Or(o.TailBytes, fillTail), cmp.Or(o.Share, DefaultFillShare)
	o.Every, o.Slice = cmp.Or(o.Every, fillTell), cmp.Or(o.Slice, fillSlice)
	if o.Share < 0 || o.Share > 1 {
		return fmt.Errorf("people: a fill may use %v of a processor; expected more than 0, up to 1", o.Share)
	}
	x := &fill{s: s, o: o, at: o.From, oldest: math.MinInt64, pace: newPace(o.Share / 2), wants: map[string]bool{}, told: time.Now()}
	x.writing = writing{x: x, pace: newPace(o.Share / 2)}
	turn := new(sync.Mutex)
	x.pace.turn, x.writing.pace.turn = turn, turn
	x.add = func(c *facet.Contribution) { x.partial.Add(c) }
	if reach := o.Traits.Reach(); reach > 0 {
		// Coarse parts of a series count whole: a little more than it looks back.
		x.oldest = s.o.Now().Add(-reach - reach/24 - time.Minute).UnixMilli()
	}
	x.writing.start()
	defer x.writing.stop()
	if err := aside(func() error { return x.run(ctx) }); err != nil {
		return fmt.Errorf("people: filling: %w", err)
	}
	return nil
}

// fill is one run.
type fill struct {
	s      *Store
	o      FillOptions
	oldest int64 // ms; what happened before does not matter
	pace   pace

	at     Hash  // everybody before it is filled, in memory at least
	end    bool  // at is behind the last
	events int64 // that were read
	told   time.Time
	first  float64 // share of the work that reading the tail is

	tail tail
	walk walk

	wants   map[string]bool // by the first byte's type, and name
	event   event.Event
	room    []byte        // of its ids
	partial facet.Partial // of the facet at hand
	add     func(*facet.Contribution)
	ready   []filled // that wait to be written,
	writing writing  // and those that are
}

func (x *fill) run(ctx context.Context) error {
	if err := x.s.o.Log.Barrier().Wait(); err != nil {
		return err
	}
	if end := x.s.o.Log.Durable(); x.o.UpTo > end {
		return fmt.Errorf("up to entry %d, but the log ends at %d", x.o.UpTo, end)
	}
	for !x.end {
		x.pace.begin()
		err := x.readTail(ctx)
		if x.pace.end(); err != nil {
			return err
		}
		for !x.end && x.before(x.tail.until) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := x.slice(); err != nil {
				return err
			}
			if err := x.catchUp(ctx); err != nil {
				return err
			}
			if err := x.tell(false); err != nil {
				return err
			}
		}
	}
	return x.tell(true)
}

// before says that the run has not come to a hash yet; nil is the end of all.
func (x *fill) before(until *Hash) bool {
	return until == nil || bytes.Compare(x.at[:], until[:]) < 0
}

// tell calls Progress when it is time, with what is on the disk.
func (x *fill) tell(last bool) error {
	if !last && time.Since(x.told) < x.o.Every {
		return nil
	}
	if x.writing.warm { // nothing is being written between two slices
		if err := x.s.Checkpoint(); err != nil {
			return err
		}
		x.writing.warm = false
	}
	x.told = time.Now()
	if x.o.Progress == nil {
		return nil
	}
	share := 1.0
	if !last {
		share = x.first + (1-x.first)*(float64(binary.BigEndian.Uint64(x.at[:]))/math.MaxUint64)
	}
	return x.o.Progress(x.at, x.events, min(share, 1))
}

// catchUp waits while more than a part of what memory may hold unsaved waits
// for the disk: the room is for requests.
func (x *fill) catchUp(ctx context.Context) error {
	for {
		var failed error
		unsaved := 0
		x.s.locked(func() { failed, unsaved = x.s.failed, len(x.s.dirtyFacets) })
		if failed != nil {
			return failed
		}
		if unsaved <= max(x.s.o.Hold, fillPut) {
			return nil
		}
		select {
		case x.s.wake <- struct{}{}:
		default: // a checkpoint is due already
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-x.s.stop:
			return eventlog.ErrClosed
		case <-time.After(fillBehind):
		}
	}
}

// wanted peeks at an entry: only an event that may contribute is worth decoding.
func (x *fill) wanted(entry []byte, at int64) (bool, error) {
	if len(entry) == 0 {
		return false, errEmpty
	}
	if entry[0] != entryEvent {
		return false, nil
	}
	if len(entry) < 2 {
		return false, event.ErrCorrupt
	}
	x.events++
	if at < x.oldest {
		return false, nil
	}
	p, err := event.Peek(entry[2:])
	if err != nil {
		return false, err
	}
	name := p.Name
	if p.Type != event.Track {
		name = nil
	}
	var key [64]byte // names longer than that are asked for each time
	k := append(append(key[:0], byte(p.Type)), name...)
	if w, known := x.wants[string(k)]; known {
		return w, nil
	}
	w := x.o.Traits.Wants(p.Type, string(p.Name))
	if len(x.wants) < fillNames {
		x.wants[string(k)] = w
	}
	return w, nil
}

// fillNames bounds the names of events that the answer is remembered for.
const fillNames = 10_000

// contribute adds what a wanted entry gives to the facet at hand. The event's texts are
// windows into the entry and room, as those of a request are into its body: a
// contribution is copied where it is kept.
func (x *fill) contribute(seq uint64, entry []byte) (err error) {
	record := entry[2:] // behind its kind and how it joins, which wanted has seen
	x.room, err = event.DecodeInto(&x.event, unsafe.String(unsafe.SliceData(record), len(record)), x.room[:0])
	if err != nil {
		return err
	}
	x.o.Traits.Contribute(&x.event, seq, x.add)
	return nil
}

// settledMeanwhile says that what was about to be read was given up by the log.
func settledMeanwhile(err error) bool {
	var trimmed *eventlog.TrimmedError
	return errors.As(err, &trimmed)
}
