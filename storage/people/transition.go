package people

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/wire"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/record"
)

// Cause is why somebody entered or left an audience.
type Cause byte

// The causes, as they stand in entries.
const (
	CauseEvent      Cause = 1 // something that the person did
	CauseTime       Cause = 2 // a window moved on
	CauseDefinition Cause = 3 // the audience, or a trait that it reads, was defined anew since the person was judged last
	CauseIdentity   Cause = 4 // who belongs to the person changed
	CauseErasure    Cause = 5 // the person was erased
)

var causeNames = [...]string{CauseEvent: "event", CauseTime: "time", CauseDefinition: "definition", CauseIdentity: "identity", CauseErasure: "erasure"}

func (c Cause) String() string {
	if int(c) < len(causeNames) && c != 0 {
		return causeNames[c]
	}
	return fmt.Sprintf("Cause(%d)", byte(c))
}

// Transition is one change of who is in an audience, as the log has it.
type Transition struct {
	Seq      uint64 // its entry
	ID       id.ID  // who represented the person
	Audience uint32
	Name     string // of the audience at that time
	Entered  bool   // false: left
	At       int64  // ms since 1970: when it became so, which for CauseTime may be long before it was written
	Cause    Cause
}

const transitionVersion = 1

func (t *Transition) append(dst []byte) []byte {
	dst = wire.AppendText(append(dst, entryTransition, transitionVersion), t.ID.Type)
	dst = wire.AppendText(dst, t.ID.Value)
	dst = wire.AppendText(wire.AppendUint(dst, uint64(t.Audience)), t.Name)
	return wire.AppendInt(append(dst, flag(t.Entered), byte(t.Cause)), t.At)
}

func parseTransition(record string) (t Transition, err error) {
	r := wire.NewReader(record)
	version := r.Byte()
	t.ID.Type, t.ID.Value = r.Text(), r.Text()
	audience := r.Uint()
	t.Name = r.Text()
	entered := r.Byte()
	t.Entered, t.Cause, t.Audience = entered == 1, Cause(r.Byte()), uint32(audience)
	t.At = r.Int()
	if !r.Done() || version != transitionVersion || audience != uint64(t.Audience) || entered > 1 || t.Cause < CauseEvent || t.Cause > CauseErasure || t.ID.IsZero() {
		return t, errors.New("an audience's transition is corrupt")
	}
	return t, nil
}

// ReadTransition reads the entry of which ReadEntry said SaidTransition. Its texts
// are windows into a copy of the entry.
func ReadTransition(entry []byte) (Transition, error) {
	if len(entry) == 0 || entry[0] != entryTransition {
		return Transition{}, errors.New("is no audience's transition")
	}
	return parseTransition(string(entry[1:]))
}

// Transitions gives up to most of what audiences the person that x belongs to in a
// view entered and left, newest first, from before a place on; a zero Place begins at
// the end. They are those of all identifiers that are the person's now. next is where
// to go on, zero when there is nothing more.
func (s *Store) Transitions(x id.ID, v id.View, before Place, most int) (list []Transition, next Place, err error) {
	var members []id.ID
	err = s.see(func(w *want) error {
		if n := w.node(x); n != nil {
			if c := s.cluster(w, n, v); c != nil {
				members = c.Members
			}
		}
		return nil
	})
	if err != nil {
		return nil, Place{}, err
	}
	if _, full := s.o.DB.Full(); !full { // else what has been indexed must do
		if err := s.Checkpoint(); err != nil {
			return nil, Place{}, err
		}
	}
	list, err = s.transitionsOf(members, before, most+1)
	if err != nil {
		return nil, Place{}, err
	}
	if len(list) > most {
		list = list[:most]
		next = list[most-1].place()
	}
	return list, next, nil
}

func (t *Transition) place() Place { return Place{t.At, t.Seq} }

// transitionsOf gives the newest transitions of identifiers before a place, newest first.
func (s *Store) transitionsOf(ids []id.ID, before Place, most int) (list []Transition, err error) {
	for range settleRetries {
		if list, err = s.readTransitions(ids, before, most); err == nil {
			break
		}
		var trimmed *eventlog.TrimmedError
		if !errors.As(err, &trimmed) {
			return nil, err
		} // settled between the look at the index and that at the log
	}
	return list, err
}

func (s *Store) readTransitions(ids []id.ID, before Place, most int) (list []Transition, err error) {
	var scratch record.Scratch
	for _, x := range ids {
		h := s.hashID(x)
		// The index before the histories: what settles meanwhile is seen twice.
		if list, err = s.transitionsInTail(list, h, before, most); err == nil {
			list, err = s.transitionsSettled(list, h, before, most, &scratch)
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b Transition) int { return b.place().compare(a.place()) })
	list = slices.CompactFunc(list, func(a, b Transition) bool { return a.Seq == b.Seq })
	return list[:min(len(list), most)], nil
}

// tailStep is how many entries of an identifier are looked at in one go: sessions and
// evidence are among them.
const tailStep = 256

// transitionsInTail adds an identifier's newest transitions that the log has.
func (s *Store) transitionsInTail(list []Transition, h Hash, before Place, most int) ([]Transition, error) {
	for n := 0; n < most; {
		places, err := s.places(h, before, tailStep)
		if err != nil {
			return nil, err
		}
		seqs := make([]uint64, len(places))
		for i, p := range places {
			seqs[i] = p.Seq
		}
		slices.Sort(seqs)
		err = s.o.Log.GetMany(seqs, func(seq uint64, _ int64, entry []byte) (bool, error) {
			if len(entry) == 0 || entry[0] != entryTransition {
				return true, nil
			}
			t, err := parseTransition(string(entry[1:]))
			t.Seq = seq
			list, n = append(list, t), n+1
			return true, err
		})
		if err != nil {
			return nil, err
		}
		if len(places) < tailStep {
			break
		}
		before = places[tailStep-1]
	}
	return list, nil
}

// transitionsSettled adds those of an identifier's history, as many as are needed.
func (s *Store) transitionsSettled(list []Transition, h Hash, before Place, most int, scratch *record.Scratch) ([]Transition, error) {
	chunks, err := s.chunks(h)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(chunks, func(a, b chunk) int { return Place{b.h.MaxTime, b.h.Last}.compare(Place{a.h.MaxTime, a.h.Last}) })
	var times []int64 // of those found here
	for i := range chunks {
		c := &chunks[i]
		if before != (Place{}) && c.h.MinTime > before.Time {
			continue
		}
		if slices.SortFunc(times, func(a, b int64) int { return cmp.Compare(b, a) }); len(times) >= most && c.h.MaxTime < times[most-1] {
			break
		}
		err := s.eachSettled(h, c, scratch, func(seq uint64, _, _ int64, entry []byte) error {
			if len(entry) == 0 || entry[0] != entryTransition {
				return nil
			}
			t, err := parseTransition(string(entry[1:]))
			t.Seq = seq
			if err == nil && (before == (Place{}) || t.place().compare(before) < 0) {
				list, times = append(list, t), append(times, t.At)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Names of the events as which a timeline shows transitions; their properties are
// audience, the name, and cause.
const (
	AudienceEntered = "Audience Entered"
	AudienceExited  = "Audience Exited"
)

// event makes of a transition what a timeline shows.
func (t *Transition) event() *event.Event {
	e := &event.Event{Type: event.Track, Name: AudienceExited, MessageID: "audience-" + strconv.FormatUint(t.Seq, 10), Timestamp: t.At, ReceivedAt: t.At, Trust: id.Verified}
	if t.Entered {
		e.Name = AudienceEntered
	}
	e.Properties = event.Value(fmt.Sprintf(`{"audience":%s,"cause":%q}`, event.Quote(t.Name), t.Cause.String()))
	return e
}
