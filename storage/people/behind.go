package people

import (
	"fmt"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
)

// What readers behind the log ask, beside ReadEntry: what an entry is about
// without decoding it, whom an event is about, and who is to be forgotten.

// PeekEvent looks at the front of an entry that is an event which counts; ok is
// false for all others, events that are kept out of profiles among them.
func PeekEvent(entry []byte) (p event.Peeked, ok bool, err error) {
	if len(entry) < 2 || entry[0] != entryEvent {
		return event.Peeked{}, false, nil
	}
	if p, err = event.Peek(entry[2:]); err != nil {
		return event.Peeked{}, false, fmt.Errorf("people: an event in the log: %w", err)
	}
	return p, true, nil
}

// ErasedIn gives the identifiers that an entry says were erased, by their hashes;
// none when it is about something else.
func ErasedIn(entry []byte) ([]Hash, error) {
	if len(entry) == 0 || entry[0] != entryErasure {
		return nil, nil
	}
	x, err := parseErasure(string(entry[1:]))
	return x.identifiers, err
}

// Whose appends the hashes of the identifiers of the person whom an event counts
// for in the verified view, as they are known now: the representative first, no
// more than most in all. None for an event that names nobody.
func (s *Store) Whose(dst []Hash, e *event.Event, most int) ([]Hash, error) {
	k := facet.KeyOf(e, 0)
	from := len(dst)
	err := s.see(func(w *want) error {
		dst = dst[:from]
		cut := false
		if k.AnonymousID != "" && k.UserID != "" {
			n := w.node(id.ID{Type: id.UserID, Value: k.UserID})
			if n == nil {
				return nil
			}
			cut = s.isCut(n, k, id.VerifiedView)
		}
		owner := k.Owner(id.VerifiedView, cut)
		if owner == (id.ID{}) {
			return nil
		}
		n := w.node(owner)
		if n == nil {
			return nil
		}
		c := s.cluster(w, n, id.VerifiedView)
		if c == nil {
			return nil
		}
		dst = append(dst, s.hashID(c.Representative))
		for _, m := range c.Members {
			if m != c.Representative && len(dst)-from < most {
				dst = append(dst, s.hashID(m))
			}
		}
		return nil
	})
	return dst, err
}
