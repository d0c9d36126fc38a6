package graph

import (
	"fmt"
	"testing"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

func deviceName(i int) string { return fmt.Sprintf("device-%05d", i) }

func linkAt(a, b id.ID, time int64) Evidence {
	var x EvidenceID
	x[0], x[1], x[2] = byte(time), byte(time>>8), byte(time>>16)
	return Evidence{ID: x, Kind: Link, A: a, B: b, Trust: id.Verified, Time: time}
}

// counter counts what a resolver reads.
type counter struct {
	Reader
	asked int
}

func (c *counter) Pairs(x id.ID) ([]*Pair, bool) {
	c.asked++
	return c.Reader.Pairs(x)
}

// kiosk is one device on which so many users identified.
func kiosk(users int) *Set {
	set := NewSet()
	for i := range users {
		set.Add(linkAt(deviceOne, id.ID{Type: id.UserID, Value: fmt.Sprint("u", i)}, int64(i)))
	}
	return set
}

// Five hundred users at a kiosk are 500 persons, and each is found by reading
// no more identifiers than for a quiet device.
func TestKiosk(t *testing.T) {
	r := NewResolver(id.Default(), Options{})
	quiet := &counter{Reader: kiosk(1)}
	if c, _ := r.Cluster(id.ID{Type: id.UserID, Value: "u0"}, id.VerifiedView, quiet); len(c.Members) != 2 {
		t.Fatalf("a quiet device's cluster is %v", c.Members)
	}
	set := kiosk(500)
	persons := map[id.ID]bool{}
	for i := range 500 {
		busy := &counter{Reader: set}
		u := id.ID{Type: id.UserID, Value: fmt.Sprint("u", i)}
		c, _ := r.Cluster(u, id.VerifiedView, busy)
		if len(c.Members) != 1 || len(c.Shared) != 1 || c.Shared[0] != deviceOne {
			t.Fatalf("%v: members %v, shared %v", u, c.Members, c.Shared)
		}
		persons[c.Representative] = true
		if busy.asked > 2*quiet.asked {
			t.Fatalf("%v: %d reads; a quiet device takes %d", u, busy.asked, quiet.asked)
		}
	}
	if len(persons) != 500 {
		t.Errorf("%d persons", len(persons))
	}
	c, _ := r.Cluster(deviceOne, id.VerifiedView, set)
	if !c.Ambiguous || len(c.Members) != 1 || len(c.Users) != 0 || c.Representative != deviceOne {
		t.Errorf("the kiosk's own cluster: %+v", c)
	}
	if users, _ := r.Candidates(deviceOne, id.VerifiedView, set); len(users) != 500 {
		t.Errorf("%d candidates", len(users))
	}
}

// One that is held costs no more than one that is shared, nor than a quiet
// device: its user is told by one look at its first pair.
func TestHeldKiosk(t *testing.T) {
	r := NewResolver(id.Default(), Options{})
	u := id.ID{Type: id.UserID, Value: "u77"}
	cost := func(set *Set) (identifiers, pairs int) {
		c, _ := r.Component(u, id.VerifiedView, set)
		return len(c.Read) + len(c.Closed), c.Looked
	}
	quiet := NewSet()
	quiet.Add(linkAt(deviceOne, u, 1))
	set := kiosk(500)
	quietIDs, quietPairs := cost(quiet)
	sharedIDs, sharedPairs := cost(set)
	set.Add(HoldOf(deviceOne, HoldLinks, id.Verified, 1000))
	heldIDs, heldPairs := cost(set)
	t.Logf("identifiers and pairs: quiet %d %d, shared %d %d, held %d %d", quietIDs, quietPairs, sharedIDs, sharedPairs, heldIDs, heldPairs)
	if heldIDs > sharedIDs || heldPairs > sharedPairs || heldIDs > quietIDs || heldPairs > quietPairs {
		t.Error("a hold costs")
	}
	if sharedIDs > 2*quietIDs || sharedPairs > 2*quietPairs {
		t.Error("a kiosk costs more than twice a quiet device")
	}
	c, _ := r.Cluster(u, id.VerifiedView, set)
	if len(c.Members) != 1 || len(c.Held) != 1 || c.Held[0].ID != deviceOne || c.Held[0].Why != HoldLinks || c.Held[0].Since != 1000 {
		t.Errorf("the user's cluster: %+v", c)
	}
	if c, _ = r.Cluster(deviceOne, id.VerifiedView, set); !c.Ambiguous || len(c.Held) != 1 {
		t.Errorf("the kiosk's own cluster: %+v", c)
	}
}

// A kiosk's next user changes nothing for those before; a cut there might.
func TestKioskUsersStand(t *testing.T) {
	r := NewResolver(id.Default(), Options{})
	set := kiosk(500)
	next, u := id.ID{Type: id.UserID, Value: "next"}, id.ID{Type: id.UserID, Value: "u77"}
	for _, held := range []bool{false, true} {
		if held {
			set.Add(HoldOf(deviceOne, HoldLinks, id.Verified, 1000))
		}
		c, _ := r.Component(u, id.VerifiedView, set)
		link := linkAt(deviceOne, next, 2000)
		p := NewPair(deviceOne, next)
		if !c.Stands(deviceOne, next, p.Add(link)) {
			t.Errorf("held %v: one more user at the kiosk: the answer does not stand", held)
		}
		cut := link
		cut.Kind = Cut
		if c.Stands(deviceOne, next, p.Add(cut)) {
			t.Errorf("held %v: after a cut at the kiosk the answer stands", held)
		}
	}
	c, _ := r.Component(u, id.VerifiedView, set)
	p := NewPair(Everybody(), deviceOne)
	p.Add(HoldOf(deviceOne, HoldLinks, id.Verified, 1000))
	if c.Stands(deviceOne, Everybody(), p.Add(Evidence{Kind: Lift, A: deviceOne, B: Everybody(), Lifts: HoldOf(deviceOne, HoldLinks, id.Verified, 0).ID, Trust: id.Admin})) {
		t.Error("after the release the answer stands")
	}
}

// A paged-out kiosk is told shared after loading one of its users, not all.
func TestKioskLoadsLittle(t *testing.T) {
	p := &pager{set: kiosk(500), loaded: map[id.ID]bool{}}
	r := NewResolver(id.Default(), Options{})
	for range 4 {
		c, missing := r.Cluster(deviceOne, id.VerifiedView, p)
		if c != nil {
			break
		}
		for _, m := range missing {
			p.loaded[m] = true
		}
	}
	if len(p.loaded) != 2 {
		t.Errorf("%d identifiers were loaded to tell that a kiosk is shared", len(p.loaded))
	}
}

// A user_id that a test account's thousand browsers share: an event of one of
// those it keeps leaves the answer standing, one of another does not.
func TestBusyUserStands(t *testing.T) {
	set := NewSet()
	device := func(i int) id.ID { return id.ID{Type: id.AnonymousID, Value: deviceName(i)} }
	for i := range 1000 {
		set.Add(linkAt(userOne, device(i), int64(i)))
	}
	r := NewResolver(id.Default(), Options{})
	m, _ := r.Component(userOne, id.VerifiedView, set)
	if len(m.Clusters) != 1 || len(m.Clusters[0].Members) != 51 {
		t.Fatalf("%d clusters; the first of %d", len(m.Clusters), len(m.Clusters[0].Members))
	}
	for _, c := range []struct {
		device int
		stands bool
	}{{999, true}, {950, true}, {949, false}, {0, false}, {1000, false}} {
		x := device(c.device)
		p := NewPair(userOne, x)
		if c.device < 1000 {
			p.Add(linkAt(userOne, x, int64(c.device)))
		}
		change := p.Add(linkAt(userOne, x, 5000))
		if got := m.Stands(x, userOne, change); got != c.stands || got != m.Stands(userOne, x, change) {
			t.Errorf("after an event of device %d the answer stands: %v", c.device, got)
		}
	}
}

// A user_id that others claim to be, ten thousand times: the claims are counted,
// listed up to a bound, and none of the others is read.
func TestFloodOfAliases(t *testing.T) {
	set := NewSet()
	set.Add(linkAt(userOne, deviceOne, 1))
	for i := range 10_000 {
		set.Add(linkAt(userOne, id.ID{Type: id.UserID, Value: deviceName(i)}, int64(i+2)))
	}
	busy := &counter{Reader: set}
	c, _ := NewResolver(id.Default(), Options{}).Cluster(deviceOne, id.VerifiedView, busy)
	if len(c.Members) != 2 || c.Refused != 10_000 || len(c.Conflicts) != MaxConflicts || c.Conflicts[0].Since.Time != 2 {
		t.Errorf("%d members, %d refused, %d listed", len(c.Members), c.Refused, len(c.Conflicts))
	}
	if busy.asked != 2 {
		t.Errorf("%d identifiers were read", busy.asked)
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	p := NewPair(userOne, deviceOne)
	time := int64(1)
	p.Add(linkAt(userOne, deviceOne, time))
	if n := testing.AllocsPerRun(100, func() {
		time++
		if c := p.Add(linkAt(userOne, deviceOne, time)); c.Shape(id.AllView) || !c.Newest(id.AllView) {
			t.Fatalf("change %08b", c)
		}
	}); n != 0 {
		t.Errorf("%v allocations for one more page view", n)
	}
}

func hotEvent() *event.Event {
	return &event.Event{Type: event.Page, Site: "shop", MessageID: "0f8fad5b-d9cb-469f-a165-70867728950e", AnonymousID: "0f8fad5b-d9cb-469f",
		UserID: "u1", Trust: id.Verified, Timestamp: 1, ReceivedAt: 2, Context: `{"page":{"url":"https://shop.example/"},"userAgent":"Mozilla/5.0"}`}
}

func TestFromEventAllocatesNothing(t *testing.T) {
	types, ev := id.Default(), hotEvent()
	dst := make([]Evidence, 0, 4)
	if n := testing.AllocsPerRun(100, func() {
		if l, _ := FromEvent(dst[:0], ev, types, EventOptions{}); len(l) != 1 {
			t.Fatal(l)
		}
	}); n != 0 {
		t.Errorf("%v allocations for an event with two identifiers", n)
	}
	ids := make([]id.ID, 0, 4)
	if n := testing.AllocsPerRun(100, func() { Identifiers(ids[:0], ev, types) }); n != 0 {
		t.Errorf("%v allocations for an event's identifiers", n)
	}
}

func TestPersonID(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	// From: printf 'user_id:u1' | openssl dgst -sha256 -hmac KEY -binary | head -c 16 | base32
	const want = "p_z4vqm7ayvqhj7caax4giwejr7i"
	if got := PersonID(key, userOne); got != want {
		t.Errorf("PersonID = %q, want %q", got, want)
	}
	if PersonID(key, userOne) == PersonID(key, deviceOne) || PersonID(key, userOne) == PersonID(key[1:], userOne) {
		t.Error("another identifier or key, the same person id")
	}
}

func BenchmarkFromEvent(b *testing.B) {
	types, ev := id.Default(), hotEvent()
	dst := make([]Evidence, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		FromEvent(dst[:0], ev, types, EventOptions{})
	}
}

func BenchmarkAdd(b *testing.B) {
	p := NewPair(userOne, deviceOne)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Add(linkAt(userOne, deviceOne, int64(i)))
	}
}

func BenchmarkCluster(b *testing.B) {
	quiet := NewSet()
	quiet.Add(linkAt(userOne, deviceOne, 1))
	household := NewSet()
	for i := range 60 {
		household.Add(linkAt(userOne, id.ID{Type: id.AnonymousID, Value: deviceName(i)}, int64(i)))
	}
	held := kiosk(500)
	held.Add(HoldOf(deviceOne, HoldLinks, id.Verified, 1000))
	chain := NewSet()
	for i := range 10_000 {
		chain.Add(linkAt(id.ID{Type: id.AnonymousID, Value: deviceName(i)}, id.ID{Type: id.AnonymousID, Value: deviceName(i + 1)}, int64(i)))
	}
	r := NewResolver(id.Default(), Options{})
	for _, c := range []struct {
		name string
		set  *Set
		of   id.ID
	}{
		{"alone", NewSet(), deviceOne},
		{"quiet", quiet, userOne},
		{"kiosk-user", kiosk(500), id.ID{Type: id.UserID, Value: "u7"}},
		{"held-kiosk-user", held, id.ID{Type: id.UserID, Value: "u7"}},
		{"60-devices", household, userOne},
		{"chain-10000", chain, id.ID{Type: id.AnonymousID, Value: deviceName(0)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Cluster(c.of, id.VerifiedView, c.set)
			}
		})
	}
}
