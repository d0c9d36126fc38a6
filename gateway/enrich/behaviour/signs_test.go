package behaviour

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/reuna/reuna/identity/event"
)

// grown is a site that is known: 60 new visitors who show no sign, at addresses
// of their own.
func grown(t *testing.T, o Options) *Watch {
	t.Helper()
	w := New(o)
	for i := range 60 {
		s := person(fmt.Sprint("early", i), begin+int64(i)*second)
		s.Client = netip.AddrFrom4([4]byte{91, 1, 1, byte(i)})
		w.Fetched(s.Client, s.Agent, at(s.Now))
		s.Fresh = true
		if got, is := w.Judge(&s); is {
			t.Fatalf("an early visitor: %s", got)
		}
	}
	return w
}

func TestTwoSoftSignsDecide(t *testing.T) {
	change := []struct {
		sign  string
		apply func(*Sighting)
	}{
		{"sent from a data centre", func(s *Sighting) { s.DataCentre = true }},
		{"never fetched the tag's script", nil},
		{"no Accept-Language, which every browser sends", func(s *Sighting) { s.Language = "" }},
		{"no client hints, which the browser it claims to be sends", func(s *Sighting) { s.HasHints = false }},
	}
	for set := range 1 << len(change) {
		w := grown(t, defaults)
		s := person("somebody", begin+10*minute)
		s.Fresh = true
		var want []string
		for i, c := range change {
			if set&(1<<i) == 0 {
				continue
			}
			want = append(want, c.sign)
			if c.apply != nil {
				c.apply(&s)
			}
		}
		if set&2 == 0 {
			w.Fetched(s.Client, s.Agent, at(s.Now-second))
		}
		if len(want) < 2 {
			want = nil
		}
		got, is := w.Judge(&s)
		if got != strings.Join(want, "; ") || is != (want != nil) {
			t.Errorf("%04b: %q, want %q", set, got, want)
		}
		// It holds for the visitor's later events, half an hour from the last sign, and
		// for nobody else at that address.
		later := person("somebody", begin+39*minute)
		if got, is := w.Judge(&later); is != (want != nil) || got != strings.Join(want, "; ") {
			t.Errorf("%04b, later: %q", set, got)
		}
		other := person("somebody else", begin+39*minute)
		if got, is := w.Judge(&other); is {
			t.Errorf("%04b, another visitor: %q", set, got)
		}
		forgotten := person("somebody", begin+41*minute)
		if got, is := w.Judge(&forgotten); is {
			t.Errorf("%04b, much later: %q", set, got)
		}
	}
}

func TestASignRenewsAVerdict(t *testing.T) {
	w := grown(t, defaults)
	for i := range 10 { // every 20 minutes, all but the first with one sign only
		s := person("robot", begin+10*minute+int64(i)*20*minute)
		s.DataCentre = true
		if i == 0 {
			s.Language = ""
		}
		if got, is := w.Judge(&s); !is || got != "sent from a data centre; no Accept-Language, which every browser sends" {
			t.Errorf("event %d: %q", i, got)
		}
	}
}

func TestWhoIsNotJudged(t *testing.T) {
	robot := func(i int) Sighting { // shows everything
		s := person(fmt.Sprint("robot", i), begin+10*minute+int64(i)*5*second)
		s.Fresh, s.DataCentre, s.Language, s.HasHints = true, true, "", false
		return s
	}
	count := func(change func(*Sighting)) (flagged int, reasons string) {
		w := grown(t, defaults)
		for i := range 100 {
			s := robot(i)
			change(&s)
			if got, is := w.Judge(&s); is {
				flagged++
				reasons = got
			}
		}
		return flagged, reasons
	}
	if n, _ := count(func(*Sighting) {}); n != 100 {
		t.Errorf("%d of 100 robots found", n)
	}
	// The pixel stands in mails and where there are no scripts: no cookie is kept
	// there, and no script fetched.
	for name, c := range map[string]struct {
		change func(*Sighting)
		want   string
	}{
		"all signs":      {func(*Sighting) {}, "sent from a data centre; no Accept-Language, which every browser sends; no client hints, which the browser it claims to be sends"},
		"a mail program": {func(s *Sighting) { s.DataCentre, s.HasHints = false, true }, ""},
		"no scripts":     {func(s *Sighting) { s.DataCentre, s.HasHints, s.Language = true, true, "fi" }, ""},
	} {
		if n, got := count(func(s *Sighting) { c.change(s); s.Source = event.FromPixel }); got != c.want || (n == 0) != (c.want == "") {
			t.Errorf("pixel, %s: %d of 100 found, %q", name, n, got)
		}
	}
	for src := range event.Source(16) {
		if src == event.FromTag || src == event.FromPixel {
			continue
		}
		if n, got := count(func(s *Sighting) { s.Source = src }); n != 0 {
			t.Errorf("source %d is judged: %q", src, got)
		}
	}
	// By a proxy's address nobody is judged: what is left are the request's own
	// signs, until most who come through the proxy show them.
	for _, hidden := range []string{"10.0.0.1", "192.168.1.1", "::1", "fd00::1", "::ffff:127.0.0.1", "100.64.0.9"} {
		n, got := count(func(s *Sighting) { s.Client = netip.MustParseAddr(hidden) })
		if n < 20 || got != "no Accept-Language, which every browser sends; no client hints, which the browser it claims to be sends" {
			t.Errorf("%s: %d, %q", hidden, n, got)
		}
		if n, got := count(func(s *Sighting) {
			s.Client, s.Language = netip.MustParseAddr(hidden), "fi"
		}); n != 0 {
			t.Errorf("%s: %d judged by the address: %q", hidden, n, got)
		}
	}
	if n, _ := count(func(s *Sighting) { s.Client = netip.Addr{} }); n < 20 {
		t.Errorf("no address at all: %d", n)
	}
}

// Whoever comes back over IPv6, or through another address that stands for
// the same one, is the same client.
func TestClientsAreNetworks(t *testing.T) {
	for name, addrs := range map[string][2]string{
		"mapped": {"84.20.1.2", "::ffff:84.20.1.2"}, "translated": {"84.20.1.2", "64:ff9b::5414:102"},
		"one /64": {"2a00:1450:400f:80c::1", "2a00:1450:400f:80c:ffff::2"},
	} {
		w := grown(t, defaults)
		w.Fetched(netip.MustParseAddr(addrs[0]), chromeWindows, at(begin+10*minute))
		s := person("v", begin+10*minute)
		s.Fresh, s.Language, s.Client = true, "", netip.MustParseAddr(addrs[1])
		if got, is := w.Judge(&s); is {
			t.Errorf("%s: %q", name, got)
		}
	}
	w := grown(t, defaults)
	w.Fetched(netip.MustParseAddr("2a00:1450:400f:80c::1"), chromeWindows, at(begin+10*minute))
	s := person("v", begin+10*minute)
	s.Fresh, s.Language, s.Client = true, "", netip.MustParseAddr("2a00:1450:400f:80d::1")
	if _, is := w.Judge(&s); !is {
		t.Error("another /64 is the same client")
	}
}

func TestScriptCountsForAnHour(t *testing.T) {
	for ago, want := range map[int64]bool{0: false, 59 * minute: false, 61 * minute: true} {
		w := grown(t, defaults)
		now := begin + 120*minute
		s := person("v", now)
		w.Fetched(s.Client, s.Agent, at(now-ago))
		s.Fresh, s.Language = true, ""
		if got, is := w.Judge(&s); is != want {
			t.Errorf("fetched %v ago: %q", time.Duration(ago)*time.Millisecond, got)
		}
	}
}

// A sign that a site's own visitors show is held against nobody, and one that
// they stop showing is, in time.
func TestHabitsAreLearnt(t *testing.T) {
	w, n := New(defaults), 0
	visit := func(change func(*Sighting)) (string, bool) {
		n++
		s := person(fmt.Sprint("v", n), begin+int64(n)*minute)
		s.Client, s.Fresh = netip.AddrFrom4([4]byte{91, 1, byte(n >> 8), byte(n)}), true
		change(&s)
		return w.Judge(&s)
	}
	bare := func(s *Sighting) { s.Language, s.HasHints = "", false }
	for range 200 { // a proxy drops the headers
		if got, is := visit(bare); is {
			t.Fatalf("behind a proxy, visitor %d: %q", n, got)
		}
	}
	for range 300 { // it no longer does
		visit(func(*Sighting) {})
	}
	if _, is := visit(bare); !is {
		t.Error("nothing learnt from 300 visitors")
	}
	// One robot with many cookies is one that is learnt from, not many.
	for i := range 500 {
		s := person(fmt.Sprint("robot", i), begin+int64(n)*minute+int64(i))
		s.Fresh = true
		bare(&s)
		if _, is := w.Judge(&s); !is {
			t.Fatalf("after %d of its events the robot is what is usual here", i)
		}
	}
	// Another site knows nothing of it.
	if got, is := visit(func(s *Sighting) { bare(s); s.Site = "new" }); is {
		t.Errorf("a new site: %q", got)
	}
}

func TestClaimsHints(t *testing.T) {
	const mozilla = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
	for agent, want := range map[string]bool{
		chromeWindows: true, androidChrome: true, firefox: false, "": false, "Chrome/": false, "Chrome/131": false,
		mozilla + "Chrome/89.0.4389.90 Safari/537.36":                                                                                                         true,
		mozilla + "Chrome/88.0.4324.150 Safari/537.36":                                                                                                        false,
		mozilla + "Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0":                                                                                              true,
		mozilla + "Chrome/131.0.0.0 Safari/537.36 OPR/115.0.0.0":                                                                                              false,
		mozilla + "Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0 Foo/1":                                                                                        false,
		mozilla + "HeadlessChrome/131.0.0.0 Safari/537.36":                                                                                                    true,
		mozilla + "Chrome/99999999999999999999.0 Safari/537.36":                                                                                               false,
		mozilla + "SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36":                                                                                 true,
		"Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36":               false,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.0.0 Mobile/15E148 Safari/604.1":          false,
		"Mozilla/5.0 (Linux; Android 13; SM-S901B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 [FBAN/EMA;FBLC/fi_FI;FBAV/1]": false,
	} {
		if got := claimsHints(agent); got != want {
			t.Errorf("%s: %v", agent, got)
		}
	}
}

func TestOneHitDevicesWithReturns(t *testing.T) {
	for _, c := range []struct {
		name     string
		n        int
		back     int // of a hundred come back within a minute
		pageless int // of a hundred begin without a page view
		fetches  int // of a hundred fetch the script before
		want     bool
	}{
		{"none comes back", 60, 0, 0, 0, true},
		{"one in twenty comes back", 100, 5, 0, 0, true},
		{"one in eight comes back", 100, 12, 0, 0, false},
		{"a browser that refuses cookies", 60, 0, 50, 20, false},
		{"and has its script from elsewhere", 60, 0, 50, 0, false},
		{"and sends nothing but page views, with a cache", 60, 0, 0, 20, false},
		{"a robot that only tracks", 60, 0, 100, 0, true},
		{"a robot with a browser", 60, 0, 0, 100, true},
		{"few", 15, 0, 0, 0, false},
	} {
		w := New(defaults)
		found := false
		for i := range c.n { // six a minute
			s := person(fmt.Sprint("v", i), begin+int64(i)*10*second)
			if i*7%100 < c.fetches {
				w.Fetched(s.Client, s.Agent, at(s.Now))
			}
			s.Fresh, s.Page = true, i*13%100 >= c.pageless
			_, is := w.Judge(&s)
			found = found || is
			if i*11%100 < c.back {
				s.Fresh, s.Now = false, s.Now+9*second
				w.Judge(&s)
			}
		}
		if found != c.want {
			t.Errorf("%s: found is %v", c.name, found)
		}
	}
}

func TestMemoryIsFixed(t *testing.T) {
	// The layout that the tables' comments promise.
	if n := unsafe.Sizeof(visitor{}); n%64 != 0 {
		t.Errorf("a visitor has %d bytes", n)
	}
	if n := unsafe.Sizeof(client{}); n%64 != 0 {
		t.Errorf("a client has %d bytes", n)
	}
	if n := unsafe.Offsetof(set[visitor]{}.all); n != 64 {
		t.Errorf("a set's head has %d bytes", n)
	}
	w := New(Options{PageViewsPerMinute: 60, DevicesPerAddress: 20, Visitors: 64, Clients: 64})
	sightings := make([]Sighting, 5000)
	for i := range sightings {
		s := person(fmt.Sprint("v", i), begin+int64(i)*second)
		s.Client = netip.AddrFrom4([4]byte{91, 2, byte(i >> 8), byte(i)})
		s.Fresh = i%2 == 0
		sightings[i] = s
	}
	if n := testing.AllocsPerRun(3, func() {
		for i := range sightings {
			w.Judge(&sightings[i])
		}
	}); n != 0 {
		t.Errorf("%v allocations for 5,000 visitors in a table of 64", n)
	}
	for i := range maxSites + 100 {
		s := person("v", begin)
		s.Site = fmt.Sprint("site", i)
		w.Judge(&s)
	}
	if n := len(*w.sites.known.Load()); n > maxSites+1 {
		t.Errorf("%d sites are remembered", n)
	}
}
