package people

import (
	"slices"

	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
)

// Meet brings into memory what taking the items will ask for, and says whether
// they claim anything that their device has not claimed before. Of such a claim
// nobody is to learn from the time it takes whether the one it names is known:
// somebody who is has records to read, a stranger has none. What takes the items
// goes on at a time that does not depend on that; from then on the two are alike.
//
// visitor and fresh are as in Begin. Items that claim nothing cost nothing here.
func (s *Store) Meet(items []Item, visitor string, fresh bool) (news bool, err error) {
	any := false
	for i := range items {
		any = any || items[i].claims()
	}
	if !any {
		return false, nil
	}
	err = s.see(func(w *want) error {
		if fresh {
			s.newNode(id.ID{Type: id.AnonymousID, Value: visitor})
		}
		news = false
		for i := range items {
			w.item(&items[i])
			news = news || items[i].claims() && !s.said(&items[i])
		}
		return nil
	})
	return news, err
}

// claims says that the item names somebody, and that nothing proves it.
func (it *Item) claims() bool {
	return it.Event.Trust == id.Claimed && (it.key.UserID != "" || len(it.Links) > 0)
}

// said says that the item's device has said to be its user before, and that the
// item says nothing else about anybody.
func (s *Store) said(it *Item) bool {
	a, b := id.ID{Type: id.AnonymousID, Value: it.key.AnonymousID}, id.ID{Type: id.UserID, Value: it.key.UserID}
	n := s.nodes[a]
	return n != nil && n.hasFacet(it.hash) && !slices.ContainsFunc(it.Links, func(e graph.Evidence) bool {
		return e.A != a && e.A != b || e.B != a && e.B != b
	})
}
