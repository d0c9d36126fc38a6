package people

import (
	"cmp"
	"errors"
	"fmt"
	"math"
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

// Transition is one change of who is in an audience, as the log has it. An entry has all
// that one judging of a person brought at one time; they differ in Nth, Audience, Name and
// Entered alone.
type Transition struct {
	Seq      uint64 // its entry
	Nth      uint32 // of its entry's, from 0
	ID       id.ID  // who represented the person
	Audience uint32
	Name     string // of the audience at that time
	Entered  bool   // false: left
	At       int64  // ms since 1970: when it became so, which for CauseTime may be long before it was written
	Cause    Cause
}

const (
	transitionAlone    = 1 // one to an entry; read, and not written any more
	transitionTogether = 2
	// mostTogether is how many an entry may have. What a judging brings beyond is another's.
	mostTogether = 4096
)

// appendTransitions makes the entry of a list that has one person, time and cause: those
// who leave first, then those who enter, by ascending audience each.
func appendTransitions(dst []byte, list []Transition) []byte {
	t := &list[0]
	dst = wire.AppendText(append(dst, entryTransition, transitionTogether), t.ID.Type)
	dst = wire.AppendText(dst, t.ID.Value)
	dst = wire.AppendInt(append(dst, byte(t.Cause)), t.At)
	left, entered := apart(list)
	for _, some := range [...][]Transition{left, entered} {
		dst = wire.AppendUint(dst, uint64(len(some)))
		audience := uint32(0)
		for i := range some {
			dst = wire.AppendUint(dst, uint64(some[i].Audience-audience)) // to the one before
			dst = wire.AppendText(dst, some[i].Name)
			audience = some[i].Audience
		}
	}
	return dst
}

var errTransition = errors.New("an audience's transition is corrupt")

// parseTransitions adds an entry's transitions to list, without their Seq.
func parseTransitions(list []Transition, record string) ([]Transition, error) {
	r := wire.NewReader(record)
	begin := len(list)
	switch r.Byte() {
	case transitionAlone:
		t := Transition{ID: id.ID{Type: r.Text(), Value: r.Text()}}
		t.Audience, t.Name = readAudience(r, 0), r.Text()
		entered := r.Byte()
		t.Entered, t.Cause = entered == 1, Cause(r.Byte())
		t.At = r.Int()
		if entered > 1 {
			r.Fail()
		}
		list = append(list, t)
	case transitionTogether:
		t := Transition{ID: id.ID{Type: r.Text(), Value: r.Text()}}
		t.Cause = Cause(r.Byte())
		t.At = r.Int()
		for _, t.Entered = range [...]bool{false, true} {
			t.Audience = 0
			n := r.Count()
			for i := 0; i < n && !r.Bad(); i++ {
				before := t.Audience
				t.Audience, t.Name = readAudience(r, before), r.Text()
				if i > 0 && t.Audience == before || t.Nth == mostTogether {
					r.Fail()
				}
				list = append(list, t)
				t.Nth++
			}
		}
	default:
		r.Fail()
	}
	some := list[begin:]
	if !r.Done() || len(some) == 0 || some[0].Cause < CauseEvent || some[0].Cause > CauseErasure || some[0].ID.IsZero() || contradict(some) {
		return list[:begin], errTransition
	}
	return list, nil
}

// readAudience takes an audience that is written as its difference to the one before.
func readAudience(r *wire.Reader, before uint32) uint32 {
	d := r.Uint()
	if d > uint64(math.MaxUint32-before) {
		r.Fail()
		return 0
	}
	return before + uint32(d)
}

// contradict says that somebody left an audience and entered it at once.
func contradict(list []Transition) bool {
	left, entered := apart(list)
	for len(left) > 0 && len(entered) > 0 {
		switch a, b := left[0].Audience, entered[0].Audience; {
		case a < b:
			left = left[1:]
		case a > b:
			entered = entered[1:]
		default:
			return true
		}
	}
	return false
}

// apart gives those who left, whom an entry has first, and those who entered.
func apart(list []Transition) (left, entered []Transition) {
	n := 0
	for n < len(list) && !list[n].Entered {
		n++
	}
	return list[:n], list[n:]
}

// ReadTransitions reads the entry of which ReadEntry said SaidTransition: one or more, of
// one person, time and cause, those who left first. Their texts are windows into a copy of
// the entry, which does not say its Seq.
func ReadTransitions(entry []byte) ([]Transition, error) {
	if len(entry) == 0 || entry[0] != entryTransition {
		return nil, errors.New("is no audience's transition")
	}
	return parseTransitions(nil, string(entry[1:]))
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

func (t *Transition) place() Place { return Place{t.At, t.Seq, t.Nth} }

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
	list = slices.CompactFunc(list, func(a, b Transition) bool { return a.place() == b.place() })
	return list[:min(len(list), most)], nil
}

// tailStep is how many entries of an identifier are looked at in one go: sessions and
// evidence are among them.
const tailStep = 256

// transitionsInTail adds an identifier's newest transitions that the log has.
func (s *Store) transitionsInTail(list []Transition, h Hash, before Place, most int) ([]Transition, error) {
	for from, begin := before, len(list); len(list)-begin < most; {
		places, err := s.places(h, from, tailStep)
		if err != nil {
			return nil, err
		}
		seqs := make([]uint64, len(places))
		for i, p := range places {
			seqs[i] = p.Seq
		}
		slices.Sort(seqs)
		err = s.o.Log.GetMany(seqs, func(seq uint64, _ int64, entry []byte) (bool, error) {
			list, err = addTransitions(list, seq, entry, before)
			return true, err
		})
		if err != nil {
			return nil, err
		}
		if len(places) < tailStep {
			break
		}
		from = places[tailStep-1]
	}
	return list, nil
}

// addTransitions adds those of an entry that stand before a place, if it has any.
func addTransitions(list []Transition, seq uint64, entry []byte, before Place) ([]Transition, error) {
	if len(entry) == 0 || entry[0] != entryTransition {
		return list, nil
	}
	begin := len(list)
	list, err := parseTransitions(list, string(entry[1:]))
	for i := begin; i < len(list); i++ {
		if list[i].Seq = seq; before != (Place{}) && list[i].place().compare(before) >= 0 {
			return list[:i], err // as are the rest
		}
	}
	return list, err
}

// transitionsSettled adds those of an identifier's history, as many as are needed.
func (s *Store) transitionsSettled(list []Transition, h Hash, before Place, most int, scratch *record.Scratch) ([]Transition, error) {
	chunks, err := s.chunks(h)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(chunks, func(a, b chunk) int { return b.newest().compare(a.newest()) })
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
			begin := len(list)
			list, err = addTransitions(list, seq, entry, before)
			for _, t := range list[begin:] {
				times = append(times, t.At)
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

// event makes of a transition what a timeline shows. Its message is named for its entry,
// and for its number among that one's behind the first.
func (t *Transition) event() *event.Event {
	message := "audience-" + strconv.FormatUint(t.Seq, 10)
	if t.Nth > 0 {
		message += "-" + strconv.FormatUint(uint64(t.Nth), 10)
	}
	e := &event.Event{Type: event.Track, Name: AudienceExited, MessageID: message, Timestamp: t.At, ReceivedAt: t.At, Trust: id.Verified}
	if t.Entered {
		e.Name = AudienceEntered
	}
	e.Properties = event.Value(fmt.Sprintf(`{"audience":%s,"cause":%q}`, event.Quote(t.Name), t.Cause.String()))
	return e
}
