package people_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

// work is what reading cost since another look at the counters.
type work struct{ resolved, reads, pairs, joins int64 }

func (w *world) workSince(before people.Stats) work {
	now := w.Stats()
	return work{now.Resolved - before.Resolved, now.ResolveReads - before.ResolveReads,
		now.ResolvePairs - before.ResolvePairs, now.Joins - before.Joins}
}

// readAll reads n persons' profiles in both views.
func (w *world) readAll(n int) {
	w.t.Helper()
	for i := range n {
		for v := id.VerifiedView; v <= id.AllView; v++ {
			p, err := w.Profile(user(fmt.Sprint("u", i)), v)
			w.must(err)
			if p.Profile.Events == 0 {
				w.t.Fatalf("u%d has no events", i)
			}
		}
	}
}

// A change costs those whom it is about, and nobody else: what is known of a
// hundred persons is worked out once, whatever happens beside them.
func TestWhatChangesElsewhereCostsNothing(t *testing.T) {
	const known = 100
	w := open(t, vfs.NewMem(), 0)
	defer func() { w.close() }()
	n := 0
	send := func(kind event.Type, a, u string, trust id.Trust, traits string) {
		n++
		e := msg(n, kind, a, u)
		e.Trust, e.Traits = trust, event.Value(traits)
		w.send(e)
	}
	login := func(a, u string) {
		send(event.Identify, a, u, id.Verified, fmt.Sprintf(`{"email":"%s@x.fi"}`, u))
	}
	for i := range known {
		login(fmt.Sprint("a", i), fmt.Sprint("u", i))
		login(fmt.Sprint("b", i), fmt.Sprint("u", i))
		send(event.Page, fmt.Sprint("a", i), "", id.Claimed, "")
	}
	send(event.Identify, "old", "u3", id.Claimed, "")
	w.readAll(known) // the first read works the clusters out,
	w.readAll(known) // the second keeps the profiles
	st := w.Stats()
	if w.readAll(known); w.workSince(st) != (work{}) {
		t.Fatalf("reading again cost %+v", w.workSince(st))
	}
	for name, c := range map[string]struct {
		change func(i int)
		want   work // of reading everybody afterwards: resolved and joins, at most
	}{
		"new visitors": {func(i int) { send(event.Page, fmt.Sprint("n", i), "", id.Claimed, "") }, work{}},
		"new users": {func(i int) {
			send(event.Page, fmt.Sprint("n", i), "", id.Claimed, "")
			login(fmt.Sprint("n", i), fmt.Sprint("nu", i))
			login(fmt.Sprint("m", i), fmt.Sprint("nu", i))
		}, work{}},
		"a page of a known person": {func(int) { send(event.Page, "a1", "u1", id.Verified, "") }, work{joins: 2}},
		"a login as before":        {func(int) { login("a1", "u1") }, work{joins: 2}},
		"a new device":             {func(i int) { login(fmt.Sprint("c", i), "u2") }, work{resolved: 2, joins: 2}},
		"a false claim":            {func(i int) { send(event.Identify, fmt.Sprint("f", i), "u3", id.Claimed, "") }, work{resolved: 1, joins: 1}},
		"a claim of before":        {func(int) { send(event.Identify, "old", "u3", id.Claimed, `{"plan":"x"}`) }, work{joins: 1}},
		"an operator's cut": {func(int) {
			_, err := w.State(cutOf(user("u4"), device("a4")))
			w.must(err)
		}, work{resolved: 2, joins: 2}},
		"a checkpoint": {func(int) { w.must(w.Checkpoint()) }, work{}},
	} {
		for round := range 3 {
			for i := range 10 {
				c.change(10*round + i)
			}
			before := w.Stats()
			w.readAll(known)
			got := w.workSince(before)
			if got.resolved > c.want.resolved || got.joins > c.want.joins {
				t.Errorf("%s: reading %d persons afterwards cost %+v, want at most %+v", name, known, got, c.want)
			}
			w.readAll(known) // a profile that was dropped is kept again once it was read twice
		}
	}
}

// Reading a person whose cluster and profile are known allocates the list of
// types and what carries the question, however many others there are.
func TestReadingAKnownPersonAllocatesLittle(t *testing.T) {
	w := open(t, vfs.NewMem(), 0)
	defer func() { w.close() }()
	for i := range 300 {
		w.send(msg(i, event.Identify, fmt.Sprint("a", i), fmt.Sprint("u", i%100)))
	}
	w.readAll(100)
	w.readAll(100)
	if n := testing.AllocsPerRun(100, func() {
		if p, err := w.Profile(user("u7"), id.VerifiedView); err != nil || p.Profile.Events != 3 {
			t.Fatalf("%+v, %v", p, err)
		}
	}); n > 6 {
		t.Errorf("%v allocations", n)
	}
}

// Resolving a kiosk's user costs at most twice what one with a device of their
// own costs, before the kiosk is held, when it is, and where it never is; and
// the kiosk's next user costs those before nothing.
func TestAKioskCostsAtMostTwiceAQuietDevice(t *testing.T) {
	for name, maxLinks := range map[string]int{"held at 200": 0, "held at 10,000": 10_000, "never held": -1} {
		t.Run(name, func(t *testing.T) {
			now := int64(1_700_000_000_000)
			w := openTuned(t, vfs.NewMem(), 0, &now, func(o *people.Options) { o.MaxLinks = maxLinks })
			defer func() { w.close() }()
			w.send(msg(0, event.Identify, "quiet", "owner"))
			read := func(x id.ID, v id.View) work {
				st := w.Stats()
				_, err := w.Person(x, v)
				w.must(err)
				return w.workSince(st)
			}
			const users = 500
			quiet := read(user("owner"), id.VerifiedView)
			if quiet.resolved != 1 || quiet.reads == 0 || quiet.pairs == 0 {
				t.Fatalf("the quiet device's cost %+v", quiet)
			}
			var most work
			for i := range users {
				w.send(msg(i+1, event.Identify, "kiosk", fmt.Sprint("u", i)))
				if i > 1 && i%50 != 0 && i < users-1 {
					continue
				}
				for v := id.VerifiedView; v <= id.AllView; v++ {
					got := read(user(fmt.Sprint("u", i)), v)
					most.reads, most.pairs = max(most.reads, got.reads), max(most.pairs, got.pairs)
					if got.reads > 2*quiet.reads || got.pairs > 2*quiet.pairs {
						t.Errorf("user %d of the kiosk cost %+v, a quiet device's costs %+v", i, got, quiet)
					}
				}
			}
			t.Logf("identifiers and pairs read: quiet %d %d, kiosk at most %d %d", quiet.reads, quiet.pairs, most.reads, most.pairs)
			st := w.Stats()
			w.readAll(users)
			w.readAll(users)
			if maxLinks == 0 != (st.Held == 1) {
				t.Errorf("%d identifiers are held", st.Held)
			}
			st = w.Stats()
			for i := range 20 {
				w.send(msg(1000+i, event.Identify, "kiosk", fmt.Sprint("later", i)))
				if i == 10 {
					w.must(w.Checkpoint())
				}
			}
			w.readAll(users)
			if got := w.workSince(st); got != (work{}) {
				t.Errorf("20 more users at the kiosk cost the others %+v", got)
			}
			for i := range users {
				if p := w.person(user(fmt.Sprint("u", i))); len(p.Cluster.Members) != 1 || len(p.Cluster.Shared) != 1 {
					t.Fatalf("u%d: members %v, shared %v", i, p.Cluster.Members, p.Cluster.Shared)
				}
			}
		})
	}
}

// Of a user with more devices than are kept, an event of a kept one moves nothing;
// one of a device that was pushed out brings it back.
func TestABusyUserIsNotWorkedOutForEachEvent(t *testing.T) {
	w := open(t, vfs.NewMem(), 0)
	defer func() { w.close() }()
	for i := range 60 {
		w.send(msg(i, event.Identify, fmt.Sprint("a", i), "u0"))
	}
	members := func(x id.ID) int { return len(w.person(x).Cluster.Members) }
	if members(user("u0")) != 51 || members(device("a3")) != 1 || members(device("a30")) != 51 {
		t.Fatalf("members: %d of the user, %d of an old device, %d of a new one", members(user("u0")), members(device("a3")), members(device("a30")))
	}
	st := w.Stats()
	for i := range 20 {
		w.send(msg(100+i, event.Page, fmt.Sprint("a", 20+i), "u0"))
	}
	if members(user("u0")) != 51 || members(device("a3")) != 1 {
		t.Error("the cluster is another")
	}
	if got := w.workSince(st); got.resolved != 0 {
		t.Errorf("pages of kept devices cost %+v", got)
	}
	w.send(msg(200, event.Page, "a3", "u0"))
	// Of those that were kept, a10 to a19 have the oldest evidence now.
	if members(user("u0")) != 51 || members(device("a3")) != 51 || members(device("a10")) != 1 {
		t.Errorf("a3 came back: %d, %d, %d members", members(user("u0")), members(device("a3")), members(device("a10")))
	}
}

// A long chain of devices is read from a cold start, from its end too.
func TestALongChainIsReadFromDisk(t *testing.T) {
	const devices = 2300
	w := open(t, vfs.NewMem(), 0)
	defer func() { w.close() }()
	name := func(i int) id.ID { return device(fmt.Sprintf("a%04d", i)) }
	for i := range devices {
		_, err := w.State(graph.Evidence{ID: graph.EvidenceID{byte(i >> 8), byte(i)}, Kind: graph.Link, A: name(i), B: name(i + 1), Trust: id.Verified, Time: int64(i + 1)})
		w.must(err)
	}
	whole := w.person(name(0)).Cluster
	if len(whole.Members) != 1000 {
		t.Fatalf("%d members", len(whole.Members))
	}
	w.close()
	w = open(t, w.fs, 0)
	began := w.Stats()
	cold := w.person(name(0)).Cluster
	if !slices.Equal(cold.Members, whole.Members) {
		t.Errorf("%d members from disk, %d before", len(cold.Members), len(whole.Members))
	}
	t.Logf("%+v", w.workSince(began))
}
