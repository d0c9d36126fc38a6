package behaviour

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
)

// Many at once: nothing is lost that a single one would count, and nothing
// races (run with -race).
func TestConcurrently(t *testing.T) {
	w := New(Options{PageViewsPerMinute: 400, DevicesPerAddress: 20})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 50 { // of one visitor, all within a second
				s := person("shared", begin+int64(i))
				w.Judge(&s)
				w.Fetched(s.Client, s.Agent, at(s.Now))
				s = person(fmt.Sprint("v", g, i), begin)
				s.Site, s.Fresh = fmt.Sprint("site", i%5), true
				w.Judge(&s)
				s.Fresh, s.Now = false, s.Now+second
				w.Judge(&s)
			}
		})
	}
	all.Wait()
	s := person("shared", begin+60)
	s.Page = false
	if got, is := w.Judge(&s); got != "400 page views within a minute" || !is {
		t.Errorf("after 400 page views from eight at once: %q", got)
	}
}

// What a client may choose makes no panic, no stall, and no reasons that are
// more than a line.
func FuzzJudge(f *testing.F) {
	f.Add("v", chromeWindows, "fi", begin, begin, int64(0), true, uint8(1))
	f.Add("", "Chrome/"+strings.Repeat("9", 400), "", int64(math.MinInt64), int64(math.MaxInt64), int64(-5), false, uint8(0xFF))
	f.Add(strings.Repeat("v", 1<<10), strings.Repeat("Chrome/131 ", 1<<6), strings.Repeat("x", 1<<10), int64(math.MaxInt64), int64(0), int64(math.MinInt64), true, uint8(7))
	w := New(Options{PageViewsPerMinute: 20, DevicesPerAddress: 10, Visitors: 16, Clients: 16})
	f.Fuzz(func(t *testing.T, visitor, agent, language string, ms, now, step int64, fresh bool, bits uint8) {
		s := Sighting{
			Site: "shop", Visitor: visitor, Agent: agent, Language: language, Fresh: fresh, Source: event.FromTag, At: ms, Now: now,
			Client: netip.AddrFrom4([4]byte{84, bits, 1, 1}), Page: bits&1 != 0, HasHints: bits&2 != 0, Secure: bits&4 != 0, DataCentre: bits&8 != 0,
		}
		for range 30 {
			w.Fetched(s.Client, s.Agent, time.UnixMilli(s.Now))
			reasons, is := w.Judge(&s)
			if is != (reasons != "") || len(reasons) > 400 || strings.ContainsRune(reasons, '\n') {
				t.Fatalf("%v, %q", is, reasons)
			}
			s.At, s.Now = s.At+step, s.Now+step
		}
	})
}

// A clock that is set back makes nobody a robot.
func TestClockSetBack(t *testing.T) {
	w := grown(t, defaults)
	for i := range 200 {
		s := person(fmt.Sprint("v", i%10), begin+60*minute-int64(i)*30*second)
		if got, is := w.Judge(&s); is {
			t.Fatalf("%d: %q", i, got)
		}
	}
	// What was decided before it was set back is still forgotten in time.
	for i := range 60 {
		s := person("robot", begin+100*minute+int64(i))
		w.Judge(&s)
	}
	s := person("robot", begin)
	s.Page = false
	if _, is := w.Judge(&s); !is {
		t.Error("forgotten because the clock was set back")
	}
}

func TestHugeTextsEndQuickly(t *testing.T) {
	w := New(defaults)
	s := person(strings.Repeat("v", 1<<20), begin)
	s.Agent = strings.Repeat("Chrome/131.0.0.0 Safari/537.36 ", 1<<15)
	s.HasHints = false
	start := time.Now()
	for range 1000 {
		s.At += minute
		s.Now = s.At
		w.Judge(&s)
		w.Fetched(s.Client, s.Agent, at(s.Now))
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("1,000 events of a megabyte each took %v", took)
	}
}
