package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

func TestRobotsAreCountedByClass(t *testing.T) {
	var b Bots
	b.count("search", true)
	b.count("search", true)
	b.count("other", true)
	b.count("a class to come", true)
	b.count("other", false) // found out by what it does
	got := map[string]int64{}
	b.Each(func(class string, n *atomic.Int64) { got[class] = n.Load() })
	if len(got) != 10 || got["search"] != 2 || got["other"] != 2 || got["behaviour"] != 1 || got["headless"] != 0 || b.All() != 5 {
		t.Errorf("%v, %d in all", got, b.All())
	}
}

// TestScreening: wherever robots' messages stand among people's and malformed
// ones, the rejections name their places in the batch, in order.
func TestScreening(t *testing.T) {
	p := New(Options{Sites: map[string]Site{"open": {}, "closed": {Bots: RefuseBots}}})
	for _, c := range []struct{ sent, left, rejected string }{
		{"h", "0", ""}, {"", "", ""}, {"hxh", "02", "1x"}, {"x", "", "0x"},
		{"b", "-", ""}, {"bb", "-", ""}, {"xb", "-", ""}, {"bx", "-", ""},
		{"hb", "0", "1b"}, {"bh", "1", "0b"}, {"xbhxxbhb", "26", "0x 1b 3x 4x 5b 7b"}, {"bxxbhbxx", "4", "0b 1x 2x 3b 5b 6x 7x"},
	} {
		for _, site := range []string{"open", "closed"} {
			b := &event.Batch{}
			for i, kind := range c.sent {
				if kind == 'x' {
					b.Rejected = append(b.Rejected, event.Rejection{Index: i, Code: event.CodeMissingField})
				} else {
					b.Events = append(b.Events, event.Event{MessageID: fmt.Sprint(i), Bot: event.Bot{Is: kind == 'b'}})
				}
			}
			events, rejected := len(b.Events), len(b.Rejected)
			j := p.get(&Request{Site: site, Batch: b})
			err := p.screen(j)
			p.put(j)
			if site == "open" || !strings.Contains(c.sent, "b") {
				if err != nil || len(b.Events) != events || len(b.Rejected) != rejected {
					t.Errorf("%s on the %s site: %v, %+v", c.sent, site, err, b)
				}
				continue
			}
			if refused := errors.Is(err, ErrAutomated); refused != (c.left == "-") || (err != nil) != refused {
				t.Errorf("%s: %v", c.sent, err)
			} else if refused {
				continue
			}
			left := ""
			for _, e := range b.Events {
				left += e.MessageID
			}
			var list []string
			for _, r := range b.Rejected {
				list = append(list, fmt.Sprint(r.Index, map[event.Code]string{event.CodeMissingField: "x", event.CodeAutomated: "b"}[r.Code]))
			}
			if got := strings.Join(list, " "); left != c.left || got != c.rejected {
				t.Errorf("%s: left %s and rejected %q, want %s and %q", c.sent, left, got, c.left, c.rejected)
			}
		}
	}
}
