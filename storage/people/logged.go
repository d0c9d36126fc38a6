package people

import (
	"fmt"
	"unsafe"

	"github.com/reuna/reuna/identity/event"
)

// Said is what an entry of the log says to readers behind it.
type Said uint8

const (
	SaidNothing Said = iota // erased, or about identities and sessions alone
	SaidEvent
	SaidRefused
	SaidTransition // see ReadTransitions
)

// EntryReader reads entries in turn, each into the memory of the one before. The zero
// EntryReader is ready for use.
type EntryReader struct {
	Event   event.Event
	Refused Refused
	room    []byte
}

// Read is ReadEntry into r.Event or r.Refused, whose texts are windows into the entry and
// into r: they last until the next Read, and no longer than the entry.
func (r *EntryReader) Read(entry []byte) (said Said, err error) {
	if len(entry) < 2 || entry[0] != entryEvent && entry[0] != entryExcluded {
		return ReadEntry(entry, &r.Event, &r.Refused)
	}
	record := entry[2:] // behind its kind and how it joins
	r.room, err = event.DecodeInto(&r.Event, unsafe.String(unsafe.SliceData(record), len(record)), r.room[:0])
	return SaidEvent, err
}

// ReadEntry reads an entry as eventlog gives it into e or x, whichever it is
// about. Both are windows into a copy of the entry.
func ReadEntry(entry []byte, e *event.Event, x *Refused) (Said, error) {
	if len(entry) == 0 {
		return SaidNothing, errEmpty
	}
	switch entry[0] {
	case entryEvent, entryExcluded:
		_, err := decodeEvent(e, string(entry[1:]))
		return SaidEvent, err
	case entryRefused:
		var err error
		*x, err = parseRefused(string(entry[1:]))
		return SaidRefused, err
	case entryTransition:
		var few [8]Transition
		_, err := parseTransitions(few[:0], string(entry[1:]))
		return SaidTransition, err
	case entryErased, entrySession, entryEvidence, entryErasure:
		return SaidNothing, nil
	}
	return SaidNothing, fmt.Errorf("has kind %d, which this program does not know: it was written by a newer one", entry[0])
}
