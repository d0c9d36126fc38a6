package people_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/graph/graphtest"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

var (
	sequences    = flag.Int("sequences", 2000, "how many random sequences TestPeopleAreTheRules tries")
	sequenceSeed = flag.Uint64("sequences.seed", 0, "their seed; 0 takes the clock's")
)

// sequencesPerStore share a store, each under names of its own, so that a
// hundred thousand need not open as many.
const (
	sequencesPerStore = 250
	storesAtATime     = 8
)

// TestPeopleAreTheRules sends random events, links, cuts, lifts, holds and
// releases into a store that keeps clusters and profiles, pages them out and
// restarts; asks it in between, so that what it keeps is there to be wrong; and
// compares persons, counts and traits with what the rules' letter makes of the
// whole log. Each event counts for exactly one person in each view.
func TestPeopleAreTheRules(t *testing.T) {
	seed := *sequenceSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (again: go test -run %s -sequences.seed %d)", seed, t.Name(), seed)
	types, err := id.NewTypes(id.Options{Rules: []id.Rule{{Name: id.AnonymousID, MaxPerPerson: 3}, {Name: id.Email, MaxPerPerson: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	var total tally
	var all sync.WaitGroup
	room := make(chan struct{}, storesAtATime)
	for from := 0; from < *sequences; from += sequencesPerStore {
		room <- struct{}{}
		all.Go(func() { // most of its time a store waits for its log
			defer func() { <-room }()
			t.Run(fmt.Sprint("from ", from), func(t *testing.T) {
				shareAStore(t, seed, from, min(sequencesPerStore, *sequences-from), types, &total)
			})
		})
	}
	all.Wait()
	t.Logf("%d sequences: %d events, %d of operators, %d holds by the gateway, %d by operators, %d releases; %d answers compared, %d of several identifiers; "+
		"%d clusters known, %d worked out, %d profiles known, %d evictions", *sequences, total.events.Load(), total.stated.Load(), total.held.Load(),
		total.holds.Load(), total.releases.Load(), total.compared.Load(), total.merged.Load(),
		total.hits.Load(), total.resolved.Load(), total.joinHits.Load(), total.evictions.Load())
	for _, n := range [...]*atomic.Int64{&total.events, &total.stated, &total.held, &total.holds, &total.releases, &total.merged, &total.hits, &total.joinHits, &total.evictions} {
		if n.Load() == 0 {
			t.Error("something never happened: the test is too small")
		}
	}
}

// shareAStore runs count sequences in one store.
func shareAStore(t *testing.T, seed uint64, from, count int, types *id.Types, total *tally) {
	rng := rand.New(rand.NewPCG(seed, uint64(from)))
	clock := int64(1_800_000_000_000)
	maxLinks := []int{-1, -1, 2, 3, 4, 6}[rng.IntN(6)]
	tune := func(o *people.Options) { o.Types, o.MaxLinks, o.MaxAddresses = types, maxLinks, -1 }
	w := openTuned(t, vfs.NewMem(), []int{10, 40, 1000}[rng.IntN(3)], &clock, tune)
	w.seed = seed
	note := func() {
		w.heldBy() // which compares the list with the count
		st := w.Stats()
		total.hits.Add(st.ClusterHits)
		total.resolved.Add(st.Resolved)
		total.joinHits.Add(st.JoinHits)
		total.evictions.Add(st.Evictions)
		w.close()
	}
	for i := range count {
		if rng.IntN(100) == 0 {
			note()
			w = openTuned(t, w.fs, w.hold, &clock, tune)
			w.seed = seed
		}
		x := sequence{w: w, t: t, name: fmt.Sprintf("s%d", from+i), rng: rand.New(rand.NewPCG(seed+1, uint64(from+i))),
			types: types, maxLinks: maxLinks, seen: map[string]id.ID{}, others: map[id.ID]map[id.ID]bool{}, tally: total}
		x.run()
	}
	note()
}

// tally says what the sequences were made of.
type tally struct {
	events, stated, held, holds, releases, compared, merged atomic.Int64
	hits, resolved, joinHits, evictions                     atomic.Int64
}

// sequence is one of them, with what it has said so far.
type sequence struct {
	w        *world
	t        *testing.T
	name     string
	rng      *rand.Rand
	types    *id.Types
	maxLinks int
	n        int

	users, devices int // how many there are

	facts  []graphtest.Fact
	events []event.Event
	seen   map[string]id.ID
	others map[id.ID]map[id.ID]bool // whom evidence ever linked to whom
	cuts   []graphtest.Fact         // what could be lifted
	told   []string                 // for whoever has to find a fault
	tally  *tally
}

func (x *sequence) run() {
	x.users, x.devices = 1+x.rng.IntN(4), 2+x.rng.IntN(6)
	often := x.rng.IntN(20) == 0 // compare all after each step
	middle := x.rng.IntN(20)
	for i := range 3 + x.rng.IntN(22) {
		switch x.rng.IntN(10) {
		case 0:
			x.state(graph.Link)
		case 1:
			x.state(graph.Cut)
		case 2:
			x.lift()
		case 3:
			x.holdOrRelease()
		case 4:
			if x.rng.IntN(4) == 0 {
				x.w.must(x.w.Checkpoint())
				x.w.must(x.w.Checkpoint()) // who was not used between the two goes
			}
		default:
			x.send()
		}
		for range 2 {
			if y, view := x.anybody(), id.View(x.rng.IntN(2)); y != (id.ID{}) {
				_, err := x.w.Person(y, view)
				x.w.must(err)
			}
		}
		if often || i == middle {
			x.compare()
		}
	}
	x.compare()
}

func (x *sequence) user() id.ID   { return user(fmt.Sprint(x.name, "u", x.rng.IntN(x.users))) }
func (x *sequence) device() id.ID { return device(fmt.Sprint(x.name, "a", x.rng.IntN(x.devices))) }
func (x *sequence) email() id.ID {
	return id.ID{Type: id.Email, Value: fmt.Sprintf("%se%d@x.fi", x.name, x.rng.IntN(3))}
}

func (x *sequence) any() id.ID {
	return []func() id.ID{x.user, x.user, x.device, x.device, x.email}[x.rng.IntN(5)]()
}

// anybody is somebody whom the store knows.
func (x *sequence) anybody() id.ID {
	if len(x.seen) == 0 {
		return id.ID{}
	}
	names := make([]string, 0, len(x.seen))
	for name := range x.seen {
		names = append(names, name)
	}
	sort.Strings(names)
	return x.seen[names[x.rng.IntN(len(names))]]
}

// send sends one to three events in one request, some of them twice.
func (x *sequence) send() {
	var list []event.Event
	for range 1 + x.rng.IntN(3) {
		x.n++
		at := 1_700_000_000_000 + int64(x.rng.IntN(12))*1000
		e := event.Event{Type: event.Identify, Site: "shop", Trust: id.Trust(1 + x.rng.IntN(2)), MessageID: fmt.Sprint(x.name, "m", x.n),
			AnonymousID: x.device().Value, Timestamp: at, ReceivedAt: 1_750_000_000_000}
		if x.rng.IntN(3) > 0 {
			e.UserID = x.user().Value
		}
		if e.UserID != "" && e.Trust == id.Verified && x.rng.IntN(4) == 0 {
			e.AnonymousID = "" // from a server
		}
		switch x.rng.IntN(4) {
		case 0:
			e.Traits = event.Value(fmt.Sprintf(`{"email":%q}`, x.email().Value))
		case 1:
			e.Traits = event.Value(fmt.Sprintf(`{"plan":"p%d"}`, x.n))
		case 2:
			e.Type, e.Name = event.Track, "x"
		}
		list = append(list, e)
	}
	if fresh := x.w.send(slices.Clone(list)...); fresh != len(list) {
		x.fail("%d of %d events were new", fresh, len(list))
	}
	if x.rng.IntN(5) == 0 {
		if fresh := x.w.send(slices.Clone(list)...); fresh != 0 {
			x.fail("%d events counted twice", fresh)
		}
	}
	for i := range list {
		e := &list[i]
		links, _ := graph.FromEvent(nil, e, x.types, graph.EventOptions{})
		for _, y := range graph.Identifiers(nil, e, x.types) {
			if y.Type != id.Email { // nobody is known by an address alone that a link is not made of
				x.seen[y.String()] = y
			}
		}
		for _, l := range links {
			x.take(l)
		}
		x.events = append(x.events, *e)
		x.told = append(x.told, fmt.Sprintf("%v %s %q %q %s at %d", e.Trust, e.Type, e.AnonymousID, e.UserID, e.Traits, e.Timestamp))
		x.automatic()
		x.tally.events.Add(1)
	}
}

func (x *sequence) take(e graph.Evidence) {
	x.facts = append(x.facts, graphtest.Fact{ID: e.ID, Kind: e.Kind.String(), A: e.A, B: e.B, Trust: e.Trust, Time: e.Time, Lifts: e.Lifts})
	for _, y := range [...]id.ID{e.A, e.B} {
		if y != graph.Everybody() {
			x.seen[y.String()] = y
		}
	}
	if e.Kind == graph.Link {
		for _, ends := range [...][2]id.ID{{e.A, e.B}, {e.B, e.A}} {
			if x.others[ends[0]] == nil {
				x.others[ends[0]] = map[id.ID]bool{}
			}
			x.others[ends[0]][ends[1]] = true
		}
	}
	if e.Kind == graph.Cut {
		x.cuts = append(x.cuts, x.facts[len(x.facts)-1])
	}
}

// automatic says, by the letter, whom the gateway holds by itself by now.
func (x *sequence) automatic() {
	if x.maxLinks < 0 || !slices.ContainsFunc(slices.Collect(maps.Values(x.others)), func(o map[id.ID]bool) bool { return len(o) > x.maxLinks }) {
		return
	}
	var due []graph.Evidence
	all, verified := graphtest.Links(x.facts, id.AllView), graphtest.Links(x.facts, id.VerifiedView)
	for name, n := range all {
		if n <= x.maxLinks {
			continue
		}
		trust := id.Claimed
		if verified[name] > x.maxLinks {
			trust = id.Verified
		}
		before := slices.ContainsFunc(x.cuts, func(c graphtest.Fact) bool {
			return c.A == graph.Everybody() && c.B.String() == name && c.Trust >= trust
		})
		if !before {
			due = append(due, graph.HoldOf(x.seen[name], graph.HoldLinks, trust, 1_750_000_000_000))
		}
	}
	for _, e := range due {
		x.take(e)
		x.told = append(x.told, fmt.Sprintf("(the gateway holds %v, %v)", e.B, e.Trust))
		x.tally.held.Add(1)
	}
}

func (x *sequence) state(kind graph.Kind) {
	e := graph.Evidence{Kind: kind, A: x.any(), B: x.any(), Trust: id.Trust(2 + x.rng.IntN(2)), Time: 1_700_000_000_000 + int64(x.rng.IntN(12))*1000}
	if e.A == e.B {
		return
	}
	x.operator(e)
}

func (x *sequence) operator(e graph.Evidence) {
	for i := range e.ID {
		e.ID[i] = byte(x.rng.Uint32())
	}
	if _, err := x.w.State(e); err != nil {
		x.fail("stating %+v: %v", e, err)
	}
	if id.Compare(e.A, e.B) > 0 {
		e.A, e.B = e.B, e.A
	}
	x.take(e)
	x.told = append(x.told, fmt.Sprintf("%v %v %v-%v at %d, lifts %x", e.Trust, e.Kind, e.A, e.B, e.Time, e.Lifts))
	x.automatic()
	x.tally.stated.Add(1)
}

func (x *sequence) lift() {
	if len(x.cuts) == 0 {
		return
	}
	c := x.cuts[x.rng.IntN(len(x.cuts))]
	x.operator(graph.Evidence{Kind: graph.Lift, A: c.A, B: c.B, Lifts: c.ID, Trust: id.Trust(2 + x.rng.IntN(2)), Time: 1_750_000_000_000})
}

func (x *sequence) holdOrRelease() {
	y := x.any()
	for _, c := range x.cuts { // mostly somebody who was held before
		if c.A == graph.Everybody() && x.rng.IntN(2) == 0 {
			y = c.B
		}
	}
	if x.rng.IntN(2) == 0 {
		cut, err := x.w.Hold(y, "because")
		x.w.must(err)
		if !slices.ContainsFunc(x.cuts, func(c graphtest.Fact) bool { return c.ID == cut }) {
			x.take(graph.Evidence{ID: cut, Kind: graph.Cut, A: graph.Everybody(), B: y, Trust: id.Admin, Time: x.w.now()})
			x.tally.holds.Add(1)
		}
		x.told = append(x.told, fmt.Sprintf("hold %v", y))
		return
	}
	lifted, err := x.w.Release(y, "because")
	if err != nil {
		return // not held; if it should be, the persons will show it
	}
	for i, cut := range lifted {
		x.take(graph.Evidence{ID: graph.EvidenceID{byte(i), byte(len(x.facts))}, Kind: graph.Lift, A: graph.Everybody(), B: y, Trust: id.Admin, Lifts: cut})
	}
	x.told = append(x.told, fmt.Sprintf("release %v", y))
	x.tally.releases.Add(1)
}

// compare holds everybody, in both views, to the letter.
func (x *sequence) compare() {
	for v := id.VerifiedView; v <= id.AllView; v++ {
		persons := graphtest.People(x.facts, graphtest.Rules{View: v, MaxPerPerson: x.types.MaxPerPerson, MaxCluster: graph.DefaultMaxCluster})
		of := map[string]int{}
		for i, p := range persons {
			for _, m := range p.Members {
				of[m] = i
			}
		}
		for name := range x.seen {
			if _, named := of[name]; !named { // no evidence names it
				of[name] = len(persons)
				persons = append(persons, graphtest.Person{Members: []string{name}, Representative: name})
			}
		}
		whole := graphtest.Cut(x.facts, v)
		lists := make([][]*event.Event, len(persons))
		for i := range x.events {
			owner := naiveOwner(&x.events[i], v, whole)
			lists[of[owner]] = append(lists[of[owner]], &x.events[i])
		}
		sum := int64(0)
		for i := range persons {
			want := &persons[i]
			if len(want.Members) > 1 {
				x.tally.merged.Add(1)
			}
			// Any member gives the same person; the first is asked, and by chance another.
			for k, m := range want.Members {
				if k > 0 && x.rng.IntN(3) > 0 {
					continue
				}
				n := x.person(x.seen[m], v, want, lists[i])
				if k == 0 {
					sum += n
				}
			}
		}
		if sum != int64(len(x.events)) {
			x.fail("%v view: %d events, the persons have %d", v, len(x.events), sum)
		}
	}
}

// naiveOwner is whose an event is.
func naiveOwner(e *event.Event, v id.View, cut map[[2]string]bool) string {
	a, u := "anonymous_id:"+e.AnonymousID, "user_id:"+e.UserID
	switch {
	case e.UserID == "":
		return a
	case e.AnonymousID == "":
		return u
	case v.Reaches(e.Trust) && !cut[[2]string{a, u}]:
		return u
	}
	return a
}

func (x *sequence) person(y id.ID, v id.View, want *graphtest.Person, list []*event.Event) (events int64) {
	x.tally.compared.Add(1)
	p, err := x.w.Person(y, v)
	if err != nil {
		x.fail("%v in the %v view: %v", y, v, err)
	}
	var members, held []string
	for _, m := range p.Cluster.Members {
		members = append(members, m.String())
	}
	for _, h := range p.Cluster.Held {
		held = append(held, h.ID.String())
	}
	if !slices.Equal(members, want.Members) || p.Cluster.Representative.String() != want.Representative || p.Cluster.Ambiguous != want.Ambiguous {
		x.fail("%v in the %v view is\n%v of %v, ambiguous %v, want\n%v of %s, ambiguous %v", y, v,
			members, p.Cluster.Representative, p.Cluster.Ambiguous, want.Members, want.Representative, want.Ambiguous)
	}
	for _, h := range held { // beyond the last that a user keeps nobody looks who is held
		if !slices.Contains(want.Held, h) {
			x.fail("%v in the %v view: held %v, want %v", y, v, held, want.Held)
		}
	}
	if int(p.Profile.Events) != len(list) {
		x.fail("%v in the %v view has %d events, want %d", y, v, p.Profile.Events, len(list))
	}
	plan, trust, stamp := "", id.Trust(0), facet.Stamp{}
	for _, e := range list {
		value := e.Traits.Get("plan").Text()
		if value == "" || e.Trust < trust || e.Trust == trust && !facet.StampOf(e).After(stamp) {
			continue
		}
		plan, trust, stamp = value, e.Trust, facet.StampOf(e)
	}
	got := ""
	if tr, ok := p.Profile.Traits["plan"]; ok {
		got = tr.Value.Text()
	}
	if got != plan {
		x.fail("%v in the %v view has the plan %q, want %q", y, v, got, plan)
	}
	return p.Profile.Events
}

func (x *sequence) fail(format string, args ...any) {
	x.t.Helper()
	x.t.Fatalf("seed %d, sequence %s, at most %d links:\n%s\n\n%s", x.w.seed, x.name, x.maxLinks, strings.Join(x.told, "\n"), fmt.Sprintf(format, args...))
}
