//go:build !race

package pageurl

// Allocations are counted in builds without the race detector: with it,
// sync.Pool forgets on purpose.

import (
	"testing"

	"github.com/reuna/reuna/identity/event"
)

func TestNothingIsAllocatedForWhatIsClean(t *testing.T) {
	c := cleaner(t, Options{Drop: []string{"x"}})
	ev := sent()
	escaped := event.Event{Type: event.Track, Properties: `{"url":"https:\/\/a.example\/b","title":"a \"b\" \u00e9"}`}
	for name, f := range map[string]func(){
		"url":     func() { c.URL("https://shop.example/search?q=red%20shoes&page=2&gclid=" + gclid) },
		"idn":     func() { c.URL("https://xn--mnchen-3ya.example/p/550e8400-e29b-41d4-a716-446655440000#!/x") },
		"text":    func() { Text("The Silent Harbour – The Reading Room, 2,019 pages") },
		"event":   func() { c.Event(&ev) },
		"escaped": func() { c.Event(&escaped) },
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if ev != sent() {
		t.Error("a clean event was changed")
	}
}
