package app_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
)

var visits = flag.Int("visits", 24, "how many pages TestLossIsTheTrueOne visits")

const phoneAgent = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36"

// TestLossIsTheTrueOne visits pages with real browsers and ends the visits in
// every way, behind a network that refuses, loses and delays, with the gateway
// restarted in the middle. Then: no event is in the store twice; all that left a
// page's memory, because the page was left in order or its disk had it, is there;
// and what the gateway says was lost is what the pages made and the store has not,
// in all and by browser and page.
//
// Nobody can know of a number that was on no disk when its whole browser was killed.
// The test counts those, from what the disk had right after.
func TestLossIsTheTrueOne(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f := newFaultyFront(seed)
	t.Cleanup(f.Close)
	config := strings.Replace(shopAlone, "write_key:", fmt.Sprintf("origins: [%q]\n    write_key:", f.URL), 1) +
		"behaviour: {page_views_per_minute: 0}\n" // the visits follow each other faster than a person's
	g := start(t, config)
	_, site := g.desk("sites/shop")
	f.shows(at(site, "tag", "snippet").(string))
	f.stands(g.SiteURL())

	x := newTruth()
	var count atomic.Int64
	middle := make(chan struct{})
	next := func() int {
		n := int(count.Add(1))
		if n == *visits/2+1 {
			close(middle)
		}
		if n > *visits {
			return 0
		}
		return n
	}
	var profiles []*profile
	for n, agent := range []string{"", phoneAgent} {
		p := &profile{t: t, n: n, dir: t.TempDir(), agent: agent, front: f, truth: x, rand: rand.New(rand.NewPCG(seed, uint64(n))), next: next}
		p.launch()
		t.Cleanup(func() { p.stop() })
		profiles = append(profiles, p)
	}
	var all sync.WaitGroup
	for _, p := range profiles {
		all.Go(p.live)
	}
	<-middle
	f.stands("")
	g.stop()
	g.run(config)
	f.stands(g.SiteURL())
	all.Wait()
	f.heal()
	for i, p := range profiles {
		all.Go(func() { p.drain(1 + i*100) })
	}
	all.Wait()
	f.Close()

	shown := g.figures("shop")
	g.stop()
	stored := readStore(t, g.dir)
	judge(t, g.dir)
	settleUp(t, x, stored, shown, f.history)
	t.Logf("fates of requests: %v", f.fates)
	for _, bad := range f.history[""] {
		t.Errorf("a request that is no JSON %s", bad)
	}
}

// figures waits until the log is counted and reads what the desk says.
func (g *gateway) figures(site string) (shown map[[2]string][2]int) {
	g.t.Helper()
	var answer struct {
		Delivery struct {
			Counted struct{ Behind, NotJudged int }
			Day     struct {
				Made, Received, Lost int
				Rows                 []struct {
					Browser, Page  string
					Made, Received int
				}
			}
		}
	}
	eventually(g.t, "the log to be counted", func() bool {
		req, err := http.NewRequest("GET", g.DeskURL()+"/admin/v1/sites/"+site, nil)
		if err != nil {
			g.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+adminKey)
		status, raw := do(g.t, http.DefaultClient, req)
		if err := json.Unmarshal(raw, &answer); err != nil || status != 200 {
			g.t.Fatalf("%d %s: %v", status, raw, err)
		}
		return answer.Delivery.Counted.Behind == 0
	})
	d := answer.Delivery
	if d.Counted.NotJudged != 0 || d.Day.Lost != d.Day.Made-d.Day.Received {
		g.t.Errorf("the desk says %+v", d)
	}
	shown = map[[2]string][2]int{}
	for _, r := range d.Day.Rows {
		shown[[2]string{r.Browser, r.Page}] = [2]int{r.Made, r.Received}
	}
	return shown
}

// inStore is what the log holds of the visits.
type inStore struct {
	times   map[string]int // by messageId
	events  map[string]madeEvent
	browser map[string]string // by load
	told    map[string]int    // by load: the highest number that a report said
}

// readStore reads the whole log of a gateway that is closed.
func readStore(t *testing.T, dir string) *inStore {
	t.Helper()
	db, v := openFolder(t, dir)
	log, err := eventlog.Open(db, v, eventlog.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s := &inStore{map[string]int{}, map[string]madeEvent{}, map[string]string{}, map[string]int{}}
	err = log.Read(1, func(_ uint64, _ int64, entry []byte) (bool, error) {
		var e event.Event
		var x people.Refused
		said, err := people.ReadEntry(entry, &e, &x)
		if err != nil || said == people.SaidNothing {
			return true, err
		}
		if said == people.SaidRefused {
			t.Errorf("refused: %s %s", x.Message, x.Raw)
			return true, nil
		}
		load := e.Context.Path("page.path").Text()
		seq, _ := e.Context.Get("seq").Number()
		s.times[e.MessageID]++
		s.events[e.MessageID] = madeEvent{load, int(seq), e.Name}
		s.browser[load] = e.Device.Browser
		e.Context.Get("runs").Items(func(r event.Value) bool {
			var report [3]any
			if err := json.Unmarshal([]byte(r), &report); err != nil {
				t.Errorf("report %s: %v", r, err)
				return true
			}
			path := report[2].(string)
			s.told[path] = max(s.told[path], int(report[1].(float64)))
			return true
		})
		return true, nil
	})
	for _, err := range []error{err, log.Close(), db.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// sum is the account of one load, of all of a label, or of everything: what was
// made, what is stored, and how many were made as far as anybody can know.
type sum struct{ made, stored, known int }

func (s *sum) add(o sum) {
	s.made, s.stored, s.known = s.made+o.made, s.stored+o.stored, s.known+o.known
}

// account compares what pages made with the store.
type account struct {
	*testing.T
	x       *truth
	s       *inStore
	history map[string][]string // of a message at the front, for who has to find out

	loads   map[string]*sum // by path
	highest map[string]int  // number that a load gave
	full    [2]bool         // an outbox of the profile was, and its tag said so

	unheard, given, late         int
	unknown, unknownLoads, crash int
}

// summary is the event that a page makes of its own when it is told of its end.
const summary = "User Engagement"

// afterwards marks what a page made after it was told of its end.
const afterwards = " after pagehide"

func settleUp(t *testing.T, x *truth, s *inStore, shown map[[2]string][2]int, history map[string][]string) {
	t.Helper()
	a := &account{T: t, x: x, s: s, history: history, loads: map[string]*sum{}, highest: map[string]int{}}
	for path := range x.loads {
		a.loads[path] = &sum{}
	}
	for path, list := range x.faults {
		if slices.Contains(list, "Error: reuna: outbox full") {
			a.full[x.loads[path].profile] = true
			continue
		}
		t.Errorf("the tag on %s complains: %q", path, list)
	}
	a.countEvents()
	total, ends, labels := a.countLoads()
	made, received := 0, 0
	for k, want := range labels {
		got := shown[k]
		made, received = made+got[0], received+got[1]
		if got != [2]int{want.known, want.stored} {
			t.Errorf("%s %s: the gateway says %d made and %d arrived; true are %d (and %d that nobody can know) and %d", k[0], k[1], got[0], got[1], want.known, want.made-want.known, want.stored)
		}
	}
	if len(shown) != len(labels) {
		t.Errorf("the gateway has rows %v, the visits were %v", shown, slices.Collect(maps.Keys(labels)))
	}
	t.Logf("%d loads (%v) made %d events; %d are stored, each once; %d lost, the gateway says %d of %d (%.2f %%)",
		len(a.loads), ends, total.made, total.stored, total.made-total.stored, made-received, made, 100*float64(made-received)/float64(max(made, 1)))
	t.Logf("%d numbers of %d loads nobody can know: they were on no disk of a killed browser (%d of these pages' renderers had crashed before); %d events were stored and not heard, %d made by tabs that were closed already, %d given up by a full outbox",
		a.unknown, a.unknownLoads, a.crash, a.unheard, a.late, a.given)
	if made-received != total.made-total.stored-a.unknown {
		t.Errorf("the gateway says that %d were lost; true are %d, and %d that nobody can know", made-received, total.made-total.stored-a.unknown, a.unknown)
	}
}

// countEvents holds every event that was made against the store.
func (a *account) countEvents() {
	for id, n := range a.s.times {
		if n != 1 {
			a.Errorf("event %s is in the store %d times", id, n)
		}
		if _, ok := a.x.events[id]; !ok { // its page went before the test was told
			a.unheard++
			a.x.events[id] = a.s.events[id]
		}
	}
	for id, e := range a.x.events {
		n := a.loads[e.load]
		if n == nil {
			a.Errorf("event %s is of %q, which nobody visited", id, e.load)
			continue
		}
		n.made++
		a.highest[e.load] = max(a.highest[e.load], e.seq)
		if a.s.times[id] > 0 {
			n.stored++
			n.known = max(n.known, e.seq)
			continue
		}
		what := ""
		switch l := a.x.loads[e.load]; {
		case l.exposed && !l.kept[id]: // it was in the page's memory alone
		case a.full[l.profile]: // an outbox has a bound
			a.given++
		case l.exposed:
			what = "the disk had it"
		case l.end == endClose && e.name != summary+afterwards && strings.Contains(e.name, afterwards):
			a.late++ // a tab that is closed runs some tasks more, and may end in the middle of one
		default:
			what = "its page was left in order"
		}
		if what != "" {
			a.Errorf("%s, number %d of %s (%s), is lost, though %s: %s %q", e.name, e.seq, e.load, a.x.loads[e.load].end, what, id, a.history[id])
		}
	}
}

// countLoads works out what can be known of each load, and sums up.
func (a *account) countLoads() (total sum, ends map[string]int, labels map[[2]string]*sum) {
	ends, labels = map[string]int{}, map[[2]string]*sum{}
	names, closed, interrupted := [2]string{}, 0, 0
	for path, b := range a.s.browser {
		if l := a.x.loads[path]; l != nil {
			names[l.profile] = b
		}
	}
	if names[0] == names[1] {
		a.Errorf("both profiles are %q: the figures by browser are not tried", names[0])
	}
	for path, n := range a.loads {
		l := a.x.loads[path]
		ends[l.end]++
		if n.known = max(n.known, a.s.told[path]); n.known < l.noted {
			a.Errorf("%s (%s): the disk said %d, the gateway was told of %d: %q", path, l.end, l.noted, n.known, a.history[path])
			n.known = l.noted
		}
		if l.exposed {
			// What a page made in its last moment the test may not have been told.
			n.made = max(n.made, a.highest[path], n.known)
		}
		if l.end == endClose {
			closed++
			// A renderer that is slow to go is ended by its browser in the middle of a
			// task: its last event had its number, and the page was not told of it yet.
			if n.known == n.made+1 && a.highest[path] == n.made {
				n.made++
				interrupted++
			}
		}
		switch {
		case n.known > n.made:
			a.Errorf("%s (%s) made %d, the last of them number %d, and is said to have made %d", path, l.end, n.made, a.highest[path], n.known)
		case n.known < n.made && !l.exposed:
			a.Errorf("%s (%s) made %d, of which the gateway can know %d: %q", path, l.end, n.made, n.known, a.history[path])
		}
		if n.known < n.made {
			a.unknown += n.made - n.known
			a.unknownLoads++
			if l.end == endCrash {
				a.crash += n.made - n.known
			}
		}
		total.add(*n)
		if n.known > 0 {
			k := [2]string{names[l.profile], "/" + strings.Split(path, "/")[1] + "/*"}
			if labels[k] == nil {
				labels[k] = &sum{}
			}
			labels[k].add(*n)
		}
	}
	if a.late += interrupted; interrupted > 1+closed/8 {
		a.Errorf("%d of %d closed tabs are said to have made an event that they never told of", interrupted, closed)
	}
	return total, ends, labels
}
