package people_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/id"
)

// TestRefusedMessagesThatNameSomebody: those that an erasure would take away are
// found, in the tail and settled, however few are looked at in one go.
func TestRefusedMessagesThatNameSomebody(t *testing.T) {
	clock := int64(1_700_000_000_000)
	w := openAt(t, vfs.NewMem(), 0, &clock)
	defer func() { w.close() }()
	ada := []id.ID{user("ada"), {Type: id.Email, Value: "ada@x.fi"}}
	var want []string
	for i := range 40 {
		raw := fmt.Sprintf(`{"type":"nonsense","userId":"u%d"}`, i)
		switch i % 10 {
		case 2:
			raw = fmt.Sprintf(`{"traits":{"email":" ADA@x.fi"},"n":%d`, i) // and is no JSON either
		case 7:
			raw = fmt.Sprintf(`{"n":%d,"who":["\u0061da"]}`, i)
		}
		if i%5 == 2 {
			want = append(want, raw)
		}
		w.refuse(raw)
		if atomic.AddInt64(&clock, 1000); i == 25 {
			w.settle()
		}
	}
	slices.Reverse(want)
	for _, most := range []int{1, 3, 40, 1000} {
		var got []string
		for before, rounds := uint64(0), 0; ; rounds++ {
			list, next, err := w.RefusedNaming(ada, before, most)
			w.must(err)
			for _, x := range list {
				got = append(got, x.Raw)
			}
			if before = next; next == 0 {
				if rounds != (40-1)/most {
					t.Errorf("%d at a time: %d rounds", most, rounds)
				}
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d at a time: %s\nwant %s", most, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if list, _, err := w.RefusedNaming([]id.ID{user("bob")}, 0, 1000); err != nil || len(list) != 0 {
		t.Errorf("somebody else is named in %v, %v", list, err)
	}
	w.send(msg(1, 1, "a1", "ada"))
	if e := w.erase(user("ada")); e.Counts.Refused != 4 { // the address is not hers in any event
		t.Errorf("%d refused messages went", e.Counts.Refused)
	}
	if list, _, err := w.RefusedNaming(ada, 0, 1000); err != nil || len(list) != 4 {
		t.Errorf("%v, %v", list, err)
	}
}
