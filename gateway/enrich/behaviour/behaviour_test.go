package behaviour

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
)

const (
	chromeWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
	firefox       = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
	begin         = int64(1_700_000_000_000)
	second        = int64(1000)
	minute        = 60 * second
)

var defaults = Options{PageViewsPerMinute: 60, DevicesPerAddress: 20}

// person is a browser's event that shows no sign.
func person(visitor string, now int64) Sighting {
	return Sighting{
		Site: "shop", Visitor: visitor, Client: netip.MustParseAddr("84.20.1.2"), Agent: chromeWindows,
		Language: "fi-FI,fi;q=0.9", HasHints: true, Secure: true, Page: true, Source: event.FromTag, At: now, Now: now,
	}
}

func at(ms int64) time.Time { return time.UnixMilli(ms) }

func TestPageViewRate(t *testing.T) {
	for _, c := range []struct {
		name   string
		views  int
		every  int64  // ms between views
		arrive string // live, queued
		limit  int
		want   string // the last view's verdict
	}{
		{"a robot, two a second", 130, second / 2, "live", 60, "page views within a minute"},
		{"a robot in one instant", 60, 0, "live", 60, "60 page views within a minute"},
		{"almost too many at once", 59, 0, "live", 60, ""},
		{"somebody quick, one every 1.2 seconds for ten minutes", 500, 1200, "live", 60, ""},
		{"a tenth faster than the bound", 200, 900, "live", 60, "page views within a minute"},
		{"an offline queue of a day that arrives at once", 500, 20 * second, "queued", 60, ""},
		{"a robot's log that arrives at once", 500, second / 4, "queued", 60, "page views within a minute"},
		{"the sign is off", 1000, 0, "live", 0, ""},
		{"a higher bound", 200, 500, "live", 300, ""},
	} {
		w := New(Options{PageViewsPerMinute: c.limit})
		var got string
		for i := range c.views {
			s := person("v", begin+int64(i)*c.every)
			if c.arrive == "queued" {
				s.Now = begin + int64(c.views)*c.every
			}
			got, _ = w.Judge(&s)
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestVerdictHoldsAndIsForgotten(t *testing.T) {
	w := New(defaults)
	for i := range 72 {
		s := person("robot", begin+int64(i)*100)
		w.Judge(&s)
	}
	for _, c := range []struct {
		after int64
		want  string
	}{{minute, "72 page views within a minute"}, {29 * minute, "72 page views within a minute"}, {31 * minute, ""}} {
		s := person("robot", begin+c.after)
		s.Page = false
		if got, is := w.Judge(&s); got != c.want || is != (c.want != "") {
			t.Errorf("%d minutes later: %q, want %q", c.after/minute, got, c.want)
		}
		s.Visitor = "somebody else at that address"
		if got, is := w.Judge(&s); is {
			t.Errorf("another visitor: %q", got)
		}
	}
}

func TestOneHitDevices(t *testing.T) {
	w := New(defaults)
	flagged, first := 0, -1
	for i := range 120 { // six a minute for twenty minutes
		s := person(fmt.Sprint("robot", i), begin+int64(i)*10*second)
		s.Fresh = true
		if got, is := w.Judge(&s); is {
			if first < 0 {
				first = i
			}
			flagged++
			if !strings.Contains(got, "new devices from one address in 10 minutes, none seen again") {
				t.Fatalf("reasons %q", got)
			}
		}
	}
	t.Logf("%d of 120 flagged, from the %dth on", flagged, first)
	if first < 20 || first > 36 { // 20 that had two minutes to come back
		t.Errorf("the first was the %dth", first)
	}
	if flagged != 120-first {
		t.Errorf("%d of the %d after it", flagged, 120-first)
	}
	// Somebody who has their cookie is none of these, nor is another agent.
	s := person("of yesterday", begin+21*minute)
	if got, is := w.Judge(&s); is {
		t.Errorf("who comes back: %q", got)
	}
	s = person("another agent", begin+21*minute)
	s.Agent, s.Fresh, s.HasHints = firefox, true, false
	if got, is := w.Judge(&s); is {
		t.Errorf("another agent: %q", got)
	}
	s = person("new", begin+21*minute)
	s.Fresh = true
	if _, is := w.Judge(&s); !is {
		t.Error("the next one of the robot's is a person")
	}
	s = person("much later", begin+52*minute)
	s.Fresh = true
	if got, is := w.Judge(&s); is {
		t.Errorf("half an hour after: %q", got)
	}
}
