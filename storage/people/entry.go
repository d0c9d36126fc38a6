package people

import (
	"fmt"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/wire"
)

// Kinds of log entries: the first byte of each. Everything the store knows
// follows from them. (storage/FORMAT.md)
const (
	entryErased   = 0 // what stood here was erased
	entryEvent    = 1 // event.AppendBinary
	entryRefused  = 2 // a message that was refused, for the quarantine
	entrySession  = 3 // a session began or ended
	entryEvidence = 4 // an operator linked or cut two identifiers, or lifted a cut
	entryErasure  = 5 // a person was erased
	entryExcluded = 6 // an event that is kept out of profiles; as entryEvent
	// Somebody entered an audience, or left it.
	entryTransition = 7
)

func readHash(r *wire.Reader, h *Hash) {
	for i := range h {
		h[i] = r.Byte()
	}
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// Refused is a message that was turned away, as the quarantine keeps it.
type Refused struct {
	Seq        uint64
	Site       string
	Source     event.Source
	ReceivedAt int64
	Code       event.Code
	Field      string
	Message    string
	Raw        string // the message's own text, as it was sent
	Run        string // its batch's context.run, which the text does not have; "" when there was none
}

const (
	refusedWithoutRun = 1
	refusedWithRun    = 2
)

func (x *Refused) append(dst []byte) []byte {
	version := byte(refusedWithoutRun)
	if x.Run != "" {
		version = refusedWithRun
	}
	dst = append(dst, entryRefused, version, byte(x.Source))
	dst = wire.AppendInt(dst, x.ReceivedAt)
	for _, s := range [...]string{x.Site, string(x.Code), x.Field, x.Message, x.Raw} {
		dst = wire.AppendText(dst, s)
	}
	if x.Run != "" {
		dst = wire.AppendText(dst, x.Run)
	}
	return dst
}

func parseRefused(record string) (x Refused, err error) {
	r := wire.NewReader(record)
	version := r.Byte()
	x.Source, x.ReceivedAt, x.Site = event.Source(r.Byte()), r.Int(), r.Text()
	x.Code, x.Field, x.Message, x.Raw = event.Code(r.Text()), r.Text(), r.Text(), r.Text()
	if version == refusedWithRun {
		x.Run = r.Text()
	}
	if !r.Done() || version < refusedWithoutRun || version > refusedWithRun {
		return x, fmt.Errorf("a refused message's record is corrupt")
	}
	return x, nil
}

func appendEvidence(dst []byte, e *graph.Evidence) []byte {
	dst = append(dst, entryEvidence, 1, byte(e.Kind), byte(e.Trust))
	for _, s := range [...]string{e.A.Type, e.A.Value, e.B.Type, e.B.Value} {
		dst = wire.AppendText(dst, s)
	}
	dst = wire.AppendInt(dst, e.Time)
	dst = append(dst, e.ID[:]...)
	dst = append(dst, e.Lifts[:]...)
	return wire.AppendText(dst, e.Reason)
}

func parseEvidence(record string) (e graph.Evidence, err error) {
	r := wire.NewReader(record)
	version := r.Byte()
	e.Kind, e.Trust = graph.Kind(r.Byte()), id.Trust(r.Byte())
	e.A.Type, e.A.Value, e.B.Type, e.B.Value = r.Text(), r.Text(), r.Text(), r.Text()
	e.Time = r.Int()
	readHash(r, (*Hash)(&e.ID))
	readHash(r, (*Hash)(&e.Lifts))
	e.Reason = r.Text()
	if !r.Done() || version != 1 || e.Kind < graph.Link || e.Kind > graph.Lift || e.Trust > id.Admin || e.A.IsZero() || e.B.IsZero() {
		return e, fmt.Errorf("an operator's evidence is corrupt")
	}
	return e, nil
}

// erasure is what the log says of one: whose it was stands in it as keyed
// hashes alone, which lead nowhere once it is done.
type erasure struct {
	at          int64 // ms; what is older and comes later is dropped
	identifiers []Hash
	facets      []Hash
	EraseRequest
}

// EraseRequest is what an erasure keeps of the request for it.
type EraseRequest struct {
	View      id.View // in which the person was put together
	Requested int64   // ms since 1970
	Reason    string  // a code or a ticket; never who it is
}

func (x *erasure) append(dst []byte) []byte {
	dst = wire.AppendInt(append(dst, entryErasure, 1), x.at)
	for _, list := range [...][]Hash{x.identifiers, x.facets} {
		dst = wire.AppendUint(dst, uint64(len(list)))
		for _, h := range list {
			dst = append(dst, h[:]...)
		}
	}
	return x.EraseRequest.append(dst)
}

func (x *EraseRequest) append(dst []byte) []byte {
	dst = wire.AppendInt(append(dst, byte(x.View)), x.Requested)
	return wire.AppendText(dst, x.Reason)
}

func (x *EraseRequest) read(r *wire.Reader) {
	x.View, x.Requested, x.Reason = id.View(r.Byte()), r.Int(), r.Text()
}

func parseErasure(record string) (x erasure, err error) {
	r := wire.NewReader(record)
	version := r.Byte()
	x.at = r.Int()
	for _, list := range [...]*[]Hash{&x.identifiers, &x.facets} {
		*list = make([]Hash, r.Count())
		for i := range *list {
			readHash(r, &(*list)[i])
		}
	}
	x.read(r)
	if !r.Done() || version != 1 {
		return x, fmt.Errorf("an erasure's record is corrupt")
	}
	return x, nil
}
