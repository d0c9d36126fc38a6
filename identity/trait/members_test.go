package trait

import (
	"fmt"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

func TestMembersAreWhatGetFinds(t *testing.T) {
	long, limit := "{", "{"
	for i := range maxSplit + 1 {
		long += fmt.Sprintf(`"k%d":%d,`, i, i)
		if i < maxSplit-1 {
			limit += fmt.Sprintf(`"k%d":%d,`, i, i)
		}
	}
	var m members
	for _, text := range []event.Value{"", "{}", "[1]", "null", `{"k1":1,"":{"k2":3},"k\u0032":"x"}`, `{ "k1" : [1, 2] , "k1" : 2 }`, event.Value(limit + `"last":1}`), event.Value(long + `"last":1}`)} {
		for range 2 {
			for _, key := range []string{"k1", "k2", "", "last", "k31", "k32", "none"} {
				if got, want := m.get(text, key), text.Get(key); got != want {
					t.Errorf("%.40s: %s is %s, want %s", text, key, got, want)
				}
			}
		}
		m.reset()
	}
	if m != (members{}) {
		t.Errorf("kept %+v", m)
	}
}
