package decide

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
)

// TestHoldoutShare asks for many visitors: the share is what was set (within
// one point), it does not move between questions, it only grows as the setting
// grows, and being held out of one variant says nothing about another.
func TestHoldoutShare(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	const visitors = 40_000
	two := func(share float64) *Decider {
		everyone := []Variant{{Name: "x", When: "true", Holdout: share}, {Name: "default"}}
		return decider(t, func(o *Options) {
			o.Placements = []Placement{{Name: "a", Variants: everyone}, {Name: "b", Variants: everyone}}
		})
	}
	low, high := two(0.1), two(0.35)
	lowAgain := two(0.1) // another gateway of the same installation
	a, b, both := 0, 0, 0
	out := func(d *Decider, v *View, name string) bool {
		sub := d.judge(v)
		defer d.release(sub)
		x, ok := d.choose(d.every[name], sub, v.ID)
		if !ok || x.Holdout != (x.Variant == Default) {
			t.Fatalf("%s: %+v", name, x)
		}
		return x.Holdout
	}
	for range visitors {
		v := &View{ID: fmt.Sprintf("v_%x", r.Uint64())}
		inLow, inHigh, inB := out(low, v, "a"), out(high, v, "a"), out(high, v, "b")
		if inLow && !inHigh {
			t.Fatalf("%s is held out at 10 %%, not at 35 %%", v.ID)
		}
		if out(low, v, "a") != inLow || out(lowAgain, v, "a") != inLow {
			t.Fatalf("%s is held out or not by chance", v.ID)
		}
		a += count(inLow)
		b += count(inB)
		both += count(inHigh && inB)
	}
	for what, x := range map[string]struct {
		got  int
		want float64
	}{"10 %": {a, 0.1}, "35 %": {b, 0.35}, "both": {both, 0.35 * 0.35}} {
		if share := float64(x.got) / visitors; math.Abs(share-x.want) > 0.01 {
			t.Errorf("%s: %.4f of the visitors, want %.4f", what, share, x.want)
		}
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestHoldoutFollowsThePerson(t *testing.T) {
	d := decider(t, func(o *Options) { o.Placements = []Placement{hero(0.5)} })
	p := reader(t, 3, `{}`)
	shown := map[string]int{}
	for i := range 64 {
		_, got := answer(t, d, &View{ID: fmt.Sprintf("v_%d", i), Person: "p_1", Known: true, Now: now, Profile: p}, "shop", "hero")
		shown[string(got.Path("decisions.hero"))]++
	}
	if len(shown) != 1 {
		t.Errorf("one person on 64 devices is shown %v", shown)
	}
	other := decider(t, func(o *Options) {
		o.Placements, o.Salt = []Placement{hero(0.5)}, []byte("another salt of enough bytes")
	})
	differ := 0
	for i := range 64 {
		unit := fmt.Sprint(i)
		differ += count((d.share(unit, "hero", "x") < 0.5) != (other.share(unit, "hero", "x") < 0.5))
	}
	if differ < 10 || differ > 54 {
		t.Errorf("two salts differ for %d of 64", differ)
	}
}

// TestSharePinned keeps running experiments stable over releases.
func TestSharePinned(t *testing.T) {
	d := &Decider{salt: salt}
	if got := fmt.Sprintf("%.6f", d.share("v_1", "hero", "thrillers")); got != "0.509398" {
		t.Errorf("v_1 stands at %s", got)
	}
	if d.share("ab", "c", "d") == d.share("a", "bc", "d") {
		t.Error("names run into each other")
	}
}

func TestAllocations(t *testing.T) {
	bare, err := New(Options{Sites: []Site{{Name: "shop", PageTraits: []string{"plan", "bio"}}}})
	if err != nil {
		t.Fatal(err)
	}
	p := reader(t, 3, `{"plan":"pro","bio":"calm"}`)
	slots := []string{"hero"}
	dst := make([]byte, 0, 4096)
	for name, v := range map[string]*View{"a profile": {ID: "v_1", Now: now, Profile: p}, "nothing": {ID: "v_1", Now: now}, "an empty profile": {ID: "v_1", Now: now, Profile: &facet.Profile{}}} {
		if got := testing.AllocsPerRun(200, func() { bare.Append(dst, v, "shop", slots) }); got > 2 {
			t.Errorf("%s without definitions: %v allocations, want at most 2", name, got)
		}
	}
}

func TestAllocationsOfRules(t *testing.T) {
	d := decider(t, nil)
	v := &View{ID: "v_1", Now: now, Profile: reader(t, 3, `{"plan":"pro"}`)}
	slots, dst := []string{"hero"}, make([]byte, 0, 4096)
	// Computed values and scores, and CEL's boxes around what rules read.
	if got := testing.AllocsPerRun(200, func() { d.Append(dst, v, "shop", slots) }); got > 12 {
		t.Errorf("3 segments and a hero: %v allocations, want at most 12", got)
	}
}

func BenchmarkAppend(b *testing.B) {
	v := &View{ID: "v_1", Now: now, Profile: reader(b, 3, `{"plan":"pro","bio":"calm"}`), Identifiers: []string{"email"}}
	slots := []string{"hero"}
	dst := make([]byte, 0, 4096)
	run := func(name string, d *Decider) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d.Append(dst, v, "shop", slots)
			}
		})
	}
	bare, err := New(Options{Sites: []Site{{Name: "shop", PageTraits: []string{"plan", "bio"}}}})
	if err != nil {
		b.Fatal(err)
	}
	run("no definitions", bare)
	run("3 segments and a hero", decider(b, nil))
	run("10 segments and a hero", decider(b, tenSegments(b)))
}

// tenSegments are rules of the kinds that a shop writes.
func tenSegments(b *testing.B) func(*Options) {
	b.Helper()
	return func(o *Options) {
		set, err := segment.Compile(o.Env, []segment.Definition{
			{Name: "thriller-fans", When: "computed.favourite_category == 'thrillers' && affinity['thrillers'] >= 2.5"},
			{Name: "browsing", When: "counts.pageviews >= 5"},
			{Name: "returning", When: "counts.sessions >= 2"},
			{Name: "customer", When: "counts.orders >= 1"},
			{Name: "big-spender", When: "counts.revenue > 500.0 || computed.views_30d > 100"},
			{Name: "pro", When: "traits.plan == 'pro'"},
			{Name: "vip", When: "traits.vip == true"},
			{Name: "nordic", When: "geo.country in ['FI', 'SE', 'NO', 'DK', 'IS']"},
			{Name: "reachable", When: "'email' in identifiers || 'phone' in identifiers"},
			{Name: "campaign", When: "traffic.channel == 'Email' && 'customer' in segments"},
		})
		if err != nil {
			b.Fatal(err)
		}
		o.Segments = set
	}
}
