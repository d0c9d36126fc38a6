package people_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

func cutOf(a, b id.ID) graph.Evidence {
	return graph.Evidence{Kind: graph.Cut, A: a, B: b, Trust: id.Admin}
}

// heldBy lists who is held, as "value why trust links", by pages of two.
func (w *world) heldBy() (list []string) {
	w.t.Helper()
	after := ""
	for range 100_000 {
		page, next, err := w.Held(2, after)
		w.must(err)
		for _, h := range page {
			list = append(list, fmt.Sprintf("%s %s %v %d", h.ID.Value, h.Why, h.Trust, h.Links))
		}
		if next == "" {
			slices.Sort(list)
			if n := w.Stats().Held; n != len(list) {
				w.t.Fatalf("seed %d: %d are counted as held, listed are %v", w.seed, n, list)
			}
			return list
		}
		after = next
	}
	w.t.Fatal("the list does not end")
	return nil
}

func limited(links, addresses int, out *bytes.Buffer) func(*people.Options) {
	return func(o *people.Options) {
		o.MaxLinks, o.MaxAddresses = links, addresses
		if out != nil {
			o.Logger = slog.New(slog.NewTextHandler(out, nil))
		}
	}
}

// One link too many holds a device at once, at every view that saw them, through
// restarts, until somebody releases it; then the gateway leaves it alone.
func TestALinkTooManyHolds(t *testing.T) {
	now := int64(1_800_000_000_000)
	var out bytes.Buffer
	w := openTuned(t, vfs.NewCrashableMem(), 0, &now, limited(5, -1, &out))
	defer func() { w.close() }()
	email := func(i int, trust id.Trust) event.Event {
		e := msg(i, event.Identify, "hub", "")
		e.Trust, e.Traits = trust, event.Value(fmt.Sprintf(`{"email":"e%d@x.fi"}`, i))
		return e
	}
	for i := range 5 {
		w.send(email(i, id.Verified))
	}
	if n := len(w.person(device("hub")).Cluster.Members); n != 6 || len(w.heldBy()) != 0 {
		t.Fatalf("%d members, held %v", n, w.heldBy())
	}
	durable := w.log.Durable()
	w.send(email(5, id.Verified))
	if n := w.log.Durable() - durable; n != 2 {
		t.Errorf("the event and its hold are %d entries", n)
	}
	check := func(when string, members int, held ...string) {
		t.Helper()
		for _, v := range []id.View{id.VerifiedView, id.AllView} {
			p, err := w.Person(device("hub"), v)
			w.must(err)
			if len(p.Cluster.Members) != members || len(p.Cluster.Held) != len(held) {
				t.Errorf("%s, %v: members %v, held %v", when, v, p.Cluster.Members, p.Cluster.Held)
			}
		}
		if got := w.heldBy(); !slices.Equal(got, held) {
			t.Errorf("%s: held %v, want %v", when, got, held)
		}
	}
	check("at once", 1, "hub links verified 6")
	if st := w.Stats(); st.HeldLinks != 1 || st.HeldAddresses != 0 || st.HeldOperator != 0 {
		t.Errorf("counted %d for links, %d for addresses, %d by operators", st.HeldLinks, st.HeldAddresses, st.HeldOperator)
	}
	if text := out.String(); !strings.Contains(text, "why=links") || !strings.Contains(text, w.name(device("hub"))) ||
		strings.Contains(text, "hub") || strings.Contains(text, "@x.fi") {
		t.Errorf("the log file says %q", text)
	}
	w.send(email(6, id.Verified))
	check("one more", 1, "hub links verified 7")
	r := rand.New(rand.NewPCG(3, 3))
	end := w.log.Durable()
	for range 2 {
		w = w.crash(r)
		if now := w.log.Durable(); now != end {
			t.Errorf("the log had %d entries and has %d after a crash: a replay adds none", end, now)
		}
		check("after a crash", 1, "hub links verified 7")
		w.must(w.Checkpoint())
	}
	reasons, err := w.Explain(device("hub"), id.VerifiedView)
	w.must(err)
	if len(reasons) != 7 || reasons[0].Why != graph.Held || reasons[0].Held[0].Why != graph.HoldLinks {
		t.Errorf("explained as %+v", reasons)
	}

	lifted, err := w.Release(device("hub"), "it is fine")
	if err != nil || len(lifted) != 1 {
		t.Fatal(lifted, err)
	}
	check("released", 8)
	if _, err := w.Release(device("hub"), "it is fine"); !errors.Is(err, people.ErrNotHeld) {
		t.Errorf("released again: %v", err)
	}
	for i := 7; i < 12; i++ {
		w.send(email(i, id.Verified))
	}
	w = w.crash(r)
	check("released for good", 13)

	cut, err := w.Hold(device("hub"), "a shop window")
	w.must(err)
	if again, err := w.Hold(device("hub"), "a shop window"); err != nil || again != cut {
		t.Errorf("held again: %x, %v, want %x", again, err, cut)
	}
	check("by an operator", 1, "hub operator admin 12")
	if lifted, err := w.Release(device("hub"), "it is fine"); err != nil || !slices.Equal(lifted, []graph.EvidenceID{cut}) {
		t.Errorf("released %x, %v", lifted, err)
	}
	check("released again", 13)
	w.rebuilt()
}

// Claims hold where claims count, and never at the verified view.
func TestClaimsHoldNobodyAtTheVerifiedView(t *testing.T) {
	now := int64(1_800_000_000_000)
	w := openTuned(t, vfs.NewMem(), 0, &now, limited(3, -1, nil))
	defer func() { w.close() }()
	w.send(msg(0, event.Identify, "own", "victim"))
	for i := range 40 {
		e := msg(i+1, event.Identify, "own", fmt.Sprint("f", i))
		e.Trust = id.Claimed
		w.send(e)
	}
	if got, want := w.heldBy(), []string{"own links claimed 41"}; !slices.Equal(got, want) {
		t.Errorf("held %v, want %v", got, want)
	}
	if p := w.person(user("victim")); len(p.Cluster.Members) != 2 || len(p.Cluster.Held) != 0 {
		t.Errorf("verified: %+v", p.Cluster)
	}
	p, err := w.Person(user("victim"), id.AllView)
	w.must(err)
	if len(p.Cluster.Members) != 1 || len(p.Cluster.Held) != 1 {
		t.Errorf("all: %+v", p.Cluster)
	}
	for i := range 3 { // now verified links alone exceed it
		w.send(msg(100+i, event.Identify, "own", fmt.Sprint("g", i)))
	}
	if got, want := w.heldBy(), []string{"own links verified 44"}; !slices.Equal(got, want) {
		t.Errorf("held %v, want %v", got, want)
	}
	if lifted, err := w.Release(device("own"), ""); err != nil || len(lifted) != 2 {
		t.Errorf("released %x, %v", lifted, err)
	}
	if got := w.heldBy(); len(got) != 0 {
		t.Errorf("held %v", got)
	}
}

// A link that an operator cut counts no more, and one that was lifted does again.
func TestCutLinksDoNotCount(t *testing.T) {
	now := int64(1_800_000_000_000)
	w := openTuned(t, vfs.NewMem(), 0, &now, limited(2, -1, nil))
	defer func() { w.close() }()
	w.send(msg(0, event.Identify, "a1", "u0"), msg(1, event.Identify, "a1", "u1"))
	cut, err := w.State(cutOf(user("u0"), device("a1")))
	w.must(err)
	w.send(msg(2, event.Identify, "a1", "u2"))
	if got := w.heldBy(); len(got) != 0 {
		t.Fatalf("held %v", got)
	}
	lift := cutOf(user("u0"), device("a1"))
	lift.Kind, lift.Lifts = graph.Lift, cut
	_, err = w.State(lift)
	w.must(err)
	if got, want := w.heldBy(), []string{"a1 links verified 3"}; !slices.Equal(got, want) {
		t.Errorf("held %v, want %v", got, want)
	}
}

// A device that was seen from too many networks is held where claims count.
func TestRoamingHolds(t *testing.T) {
	now := int64(1_800_000_000_000)
	w := openTuned(t, vfs.NewMem(), 0, &now, limited(-1, 50, nil))
	defer func() { w.close() }()
	n := 0
	from := func(device, ip string) {
		n++
		e := msg(n, event.Page, device, "u-"+device)
		e.IP = ip
		w.send(e)
	}
	for i := range 400 {
		from("home", fmt.Sprintf("192.0.2.%d", i%256)) // one network
		from("train", fmt.Sprintf("198.51.%d.0", i%40))
		from("farm", fmt.Sprintf("2001:db8:%x::", i))
		if i == 40 && len(w.heldBy()) != 0 {
			t.Fatalf("held after 40 networks: %v", w.heldBy())
		}
	}
	if got, want := w.heldBy(), []string{"farm addresses claimed 1"}; !slices.Equal(got, want) {
		t.Errorf("held %v, want %v", got, want)
	}
	if st := w.Stats(); st.HeldAddresses != 1 || st.HeldLinks != 0 {
		t.Errorf("counted %d for addresses, %d for links", st.HeldAddresses, st.HeldLinks)
	}
	if p := w.person(user("u-farm")); len(p.Cluster.Members) != 2 {
		t.Errorf("verified: %v", p.Cluster.Members)
	}
	_, err := w.Release(device("farm"), "")
	w.must(err)
	for i := range 400 {
		from("farm", fmt.Sprintf("203.%d.7.0", i%200))
	}
	if got := w.heldBy(); len(got) != 0 {
		t.Errorf("held again: %v", got)
	}
}

// Where a crash took the hold and left the event, the next start makes it.
func TestAHoldThatACrashTookIsMadeAgain(t *testing.T) {
	now := int64(1_800_000_000_000)
	w := openTuned(t, vfs.NewCrashableMem(), 0, &now, limited(-1, -1, nil))
	for i := range 10 {
		w.send(msg(i, event.Identify, "a1", fmt.Sprint("u", i)))
		if i == 5 {
			w.must(w.Checkpoint())
		}
	}
	w.tune = limited(8, -1, nil)
	w = w.crash(rand.New(rand.NewPCG(1, 1)))
	defer func() { w.close() }()
	if got, want := w.heldBy(), []string{"a1 links verified 10"}; !slices.Equal(got, want) {
		t.Errorf("held %v, want %v", got, want)
	}
	w.rebuilt()
}

// A user_id may have any number of devices: max_per_person bounds what comes of
// them, and nobody is to lose their e-mail address for browsers that forget.
func TestDevicesHoldNoUser(t *testing.T) {
	now := int64(1_800_000_000_000)
	w := openTuned(t, vfs.NewMem(), 0, &now, limited(3, -1, nil))
	defer func() { w.close() }()
	for i := range 20 {
		e := msg(i, event.Identify, fmt.Sprint("a", i), "u1")
		e.Traits = event.Value(`{"email":"u1@x.fi"}`)
		w.send(e)
	}
	if got := w.heldBy(); len(got) != 0 {
		t.Errorf("held %v", got)
	}
	if n := len(w.person(user("u1")).Cluster.Members); n != 22 {
		t.Errorf("%d members", n)
	}
}

// Who is erased is held no more; who comes back by that name is somebody new.
func TestTheErasedAreNotHeld(t *testing.T) {
	now := int64(1_800_000_000_000)
	w := openTuned(t, vfs.NewMem(), 0, &now, limited(3, -1, nil))
	defer func() { w.close() }()
	email := func(n int, device string) event.Event {
		e := msg(n, event.Identify, device, "")
		e.Traits = event.Value(fmt.Sprintf(`{"email":"e%d@x.fi"}`, n))
		return e
	}
	for i := range 5 {
		w.send(email(i, "a1"), email(100+i, "a2"))
	}
	if got, want := w.heldBy(), []string{"a1 links verified 5", "a2 links verified 5"}; !slices.Equal(got, want) {
		t.Fatalf("held %v, want %v", got, want)
	}
	_, err := w.Erase(device("a1"), people.EraseRequest{View: id.AllView, Requested: now})
	w.must(err)
	for range 2 {
		if got, want := w.heldBy(), []string{"a2 links verified 5"}; !slices.Equal(got, want) {
			t.Errorf("held %v, want %v", got, want)
		}
		w.close()
		w = openTuned(t, w.fs, 0, &now, w.tune)
	}
	now += 1000
	for i := range 3 {
		e := email(200+i, "a1")
		e.Timestamp, e.ReceivedAt = now, now
		w.send(e)
	}
	if p := w.person(device("a1")); len(p.Cluster.Members) != 4 {
		t.Errorf("a1 of today: %v", p.Cluster.Members)
	}
}

func TestNobodyIsEverybody(t *testing.T) {
	w := open(t, vfs.NewMem(), 0)
	defer func() { w.close() }()
	w.send(msg(0, event.Identify, "a1", "u1"))
	_, err := w.Hold(user("u1"), "")
	w.must(err)
	w.must(w.Checkpoint())
	all := graph.Everybody()
	if _, err := w.State(graph.Evidence{Kind: graph.Link, A: user("u1"), B: all, Trust: id.Admin}); err == nil {
		t.Error("a link to everybody was taken")
	}
	if _, err := w.Person(all, id.AllView); !errors.Is(err, people.ErrUnknown) {
		t.Errorf("everybody is a person: %v", err)
	}
	if x, err := w.Named(w.name(all)); !errors.Is(err, people.ErrUnknown) {
		t.Errorf("everybody's name leads to %v, %v", x, err)
	}
	if _, _, err := w.Held(1, "nonsense"); !errors.Is(err, people.ErrUnknown) {
		t.Errorf("a page after nonsense: %v", err)
	}
	if _, err := w.Hold(all, ""); err == nil {
		t.Error("everybody is held")
	}
	if _, err := w.Release(all, ""); !errors.Is(err, people.ErrNotHeld) {
		t.Errorf("everybody is released: %v", err)
	}
}
