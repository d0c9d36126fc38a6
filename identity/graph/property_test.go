package graph

import (
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/graph/graphtest"
	"github.com/reuna/reuna/identity/id"
)

var (
	seedFlag   = flag.Uint64("seed", 0, "seed of the random logs; 0 takes the clock's")
	roundsFlag = flag.Int("rounds", 300, "how many random logs to try")
)

func testSeed(t *testing.T) uint64 {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (again: go test -run %s -seed %d)", seed, t.Name(), seed)
	return seed
}

func tightTypes(t testing.TB) *id.Types {
	t.Helper()
	types, err := id.NewTypes(id.Options{Rules: []id.Rule{
		{Name: id.AnonymousID, MaxPerPerson: 3},
		{Name: id.Email, MaxPerPerson: 2},
		{Name: "crm_id", MaxPerPerson: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return types
}

// randomLog makes a log in which everything collides: few identifiers, few
// times, ids that two pairs share, cuts, lifts before their cuts, repetitions.
func randomLog(rng *rand.Rand) []Evidence {
	universe := func() id.ID {
		switch rng.IntN(10) {
		case 0, 1, 2:
			return id.ID{Type: id.UserID, Value: fmt.Sprint("u", rng.IntN(4))}
		case 3, 4, 5, 6:
			return id.ID{Type: id.AnonymousID, Value: fmt.Sprint("a", rng.IntN(8))}
		case 7:
			return id.ID{Type: "crm_id", Value: fmt.Sprint("c", rng.IntN(3))}
		}
		return id.ID{Type: id.Email, Value: fmt.Sprint("e", rng.IntN(4), "@x")}
	}
	stamp := func() (x EvidenceID) {
		x[0], x[15] = byte(rng.IntN(3)), byte(rng.IntN(20))
		return x
	}
	var log []Evidence
	for range 1 + rng.IntN(40) {
		a, b := universe(), universe()
		if a == b {
			continue
		}
		e := Evidence{ID: stamp(), Kind: Link, A: a, B: b, Trust: id.Trust(1 + rng.IntN(2)), Time: int64(rng.IntN(15))}
		switch rng.IntN(14) {
		case 4:
			e.Kind, e.Trust, e.B = Cut, id.Trust(1+rng.IntN(3)), Everybody()
			if rng.IntN(2) == 0 {
				e = HoldOf(a, HoldLinks, id.Trust(1+rng.IntN(2)), e.Time)
			}
		case 0, 1:
			e.Trust = id.Admin
		case 2:
			e.Kind, e.Trust = Cut, id.Trust(1+rng.IntN(3))
		case 3:
			e.Kind, e.Trust, e.Lifts = Lift, id.Trust(1+rng.IntN(3)), stamp()
			for _, f := range log { // mostly of a cut that there is
				if f.Kind == Cut && rng.IntN(2) == 0 {
					e.A, e.B, e.Lifts = f.A, f.B, f.ID
				}
			}
		}
		log = append(log, e)
	}
	return log
}

// pager is a Reader that forgets, and that reads each identifier's pairs from
// their bytes: the two ends of a pair see copies of it, in an order
// that says nothing.
type pager struct {
	set    *Set
	loaded map[id.ID]bool // nil: everything is
	order  uint64
}

func (p *pager) Pairs(x id.ID) ([]*Pair, bool) {
	if p.loaded != nil && !p.loaded[x] {
		return nil, false
	}
	pairs, _ := p.set.Pairs(x)
	copies := make([]*Pair, 0, len(pairs))
	rng := rand.New(rand.NewPCG(p.order, uint64(crc32.ChecksumIEEE([]byte(x.String())))))
	for _, i := range rng.Perm(len(pairs)) {
		q, err := DecodePair(pairs[i].AppendBinary(nil))
		if err != nil {
			panic(err)
		}
		copies = AddPair(copies, &q)
	}
	return copies, true
}

func (p *pager) forget(rng *rand.Rand) {
	for _, x := range p.set.Identifiers() {
		if rng.IntN(2) == 0 {
			delete(p.loaded, x)
		}
	}
}

func (p *pager) cluster(t *testing.T, r *Resolver, rng *rand.Rand, x id.ID, v id.View) *Cluster {
	t.Helper()
	for round := range 200 {
		c, missing := r.Cluster(x, v, p)
		if c != nil {
			if missing != nil {
				t.Fatalf("an answer for %v with %v missing", x, missing)
			}
			return c
		}
		if len(missing) == 0 {
			t.Fatalf("no answer for %v and nothing missing", x)
		}
		for _, m := range missing {
			if p.loaded[m] {
				t.Fatalf("%v is loaded and named as missing", m)
			}
			p.loaded[m] = true
		}
		if round < 3 {
			p.forget(rng)
		}
	}
	t.Fatalf("no answer for %v after 200 rounds", x)
	return nil
}

func texts(ids []id.ID) (out []string) {
	for _, x := range ids {
		out = append(out, x.String())
	}
	return out
}

func asPerson(c *Cluster) graphtest.Person {
	o := graphtest.Person{Members: texts(c.Members), Representative: c.Representative.String(), Shared: texts(c.Shared), Ambiguous: c.Ambiguous}
	for _, f := range c.Conflicts {
		o.Conflicts = append(o.Conflicts, f.A.String()+" "+f.B.String()+" "+f.Why.String())
	}
	for _, h := range c.Held {
		o.Held = append(o.Held, h.ID.String())
	}
	return o
}

func facts(log []Evidence) (list []graphtest.Fact) {
	for _, e := range log {
		list = append(list, graphtest.Fact{ID: e.ID, Kind: e.Kind.String(), A: e.A, B: e.B, Trust: e.Trust, Time: e.Time, Lifts: e.Lifts})
	}
	return list
}

// A user with more identifiers than it keeps lists only the shared ones that
// are newer than the last it keeps, the oracle lists all.
func within(got, all []string) bool {
	for _, x := range got {
		if !slices.Contains(all, x) {
			return false
		}
	}
	return true
}

// Whoever is asked, in whatever order the evidence came, with half of it paged
// out: the answer is what the rules' letter says.
func TestClustersAreTheRules(t *testing.T) {
	seed := testSeed(t)
	types := tightTypes(t)
	const limit = 6
	r := NewResolver(types, Options{MaxCluster: limit})
	for round := range *roundsFlag {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		log := randomLog(rng)
		arrival := append(slices.Clone(log), log[:rng.IntN(len(log)+1)]...)
		rng.Shuffle(len(arrival), func(i, j int) { arrival[i], arrival[j] = arrival[j], arrival[i] })
		p := &pager{set: NewSet(), loaded: map[id.ID]bool{}, order: rng.Uint64()}
		for _, e := range arrival {
			p.set.Add(e)
		}
		for _, v := range []id.View{id.VerifiedView, id.AllView} {
			want := graphtest.People(facts(log), graphtest.Rules{View: v, MaxPerPerson: types.MaxPerPerson, MaxCluster: limit})
			for _, w := range want {
				for i, m := range w.Members {
					ends := p.set.Identifiers()
					x := ends[slices.IndexFunc(ends, func(x id.ID) bool { return x.String() == m })]
					c := p.cluster(t, r, rng, x, v)
					got := asPerson(c)
					component, _ := r.Component(x, v, p.set)
					if len(component.Over) > 0 && within(got.Shared, w.Shared) && within(got.Held, w.Held) {
						got.Shared, got.Held = w.Shared, w.Held
					}
					if !reflect.DeepEqual(got, w) {
						t.Fatalf("round %d, %v view, asked %s (member %d):\n got %+v\nwant %+v\n%s", round, v, m, i, got, w, logText(log))
					}
				}
			}
			batch := r.Resolve(arrival, v)
			if len(batch) != len(want) {
				t.Fatalf("round %d, %v view: Resolve made %d clusters, want %d\n%s", round, v, len(batch), len(want), logText(log))
			}
			for i := range batch {
				if !slices.Equal(texts(batch[i].Members), want[i].Members) {
					t.Fatalf("round %d, %v view: Resolve's cluster %d is %v, want %v", round, v, i, batch[i].Members, want[i].Members)
				}
			}
		}
	}
}

func logText(log []Evidence) (s string) {
	for _, e := range log {
		s += fmt.Sprintf("%4d %x %v(%v, %v) %v lifts %x\n", e.Time, e.ID, e.Kind, e.A, e.B, e.Trust, e.Lifts)
	}
	return s
}

// An answer that is kept as long as it Stands is never stale.
func TestAnswersStandUntilTheirPairsChange(t *testing.T) {
	seed := testSeed(t)
	r := NewResolver(tightTypes(t), Options{MaxCluster: 6})
	kept, asked := 0, 0
	for round := range *roundsFlag / 5 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		log := randomLog(rng)
		set := NewSet()
		cache := [2]map[id.ID]*Component{{}, {}}
		for _, e := range append(slices.Clone(log), log...) {
			change := set.Add(e)
			for v := range cache {
				view := id.View(v)
				for x, c := range cache[v] {
					if !c.Stands(e.A, e.B, change) {
						delete(cache[v], x)
					}
				}
				for _, x := range set.Identifiers() {
					fresh, _ := r.Component(x, view, set)
					asked++
					if have := cache[v][x]; have == nil {
						cache[v][x] = fresh
					} else if kept++; !reflect.DeepEqual(have.Clusters, fresh.Clusters) {
						t.Fatalf("round %d, %v view: the kept answer for %v is stale after %v(%v, %v) %v\n%s",
							round, view, x, e.Kind, e.A, e.B, e.Trust, logText(log))
					}
				}
			}
		}
	}
	if kept < asked/2 {
		t.Errorf("only %d of %d answers could be kept", kept, asked)
	}
}

// Explain gives every pair of a component the reason that the rules' letter gives.
func TestExplainIsTheRules(t *testing.T) {
	seed := testSeed(t)
	types := tightTypes(t)
	const limit = 6
	r := NewResolver(types, Options{MaxCluster: limit})
	for round := range *roundsFlag {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		log := randomLog(rng)
		set := NewSet()
		for _, e := range log {
			set.Add(e)
		}
		for _, v := range []id.View{id.VerifiedView, id.AllView} {
			want := graphtest.Reasons(facts(log), graphtest.Rules{View: v, MaxPerPerson: types.MaxPerPerson, MaxCluster: limit})
			for _, x := range set.Identifiers() {
				component, _ := r.Component(x, v, set)
				pairs := map[[2]string]bool{}
				for _, c := range component.Clusters {
					for _, m := range c.Members {
						for _, p := range set.of[m] {
							if p.A != Everybody() {
								pairs[[2]string{p.A.String(), p.B.String()}] = true
							}
						}
					}
				}
				reasons, _ := r.Explain(x, v, &pager{set: set, order: rng.Uint64()})
				if len(reasons) != len(pairs) {
					t.Fatalf("round %d: %d reasons for %d pairs", round, len(reasons), len(pairs))
				}
				for _, y := range reasons {
					why := want[[2]string{y.A.String(), y.B.String()}]
					switch {
					case y.Why == OverMax && (why == "shared" || why == "held"):
						// Beyond the last that a user keeps nobody looks who is shared.
					case y.Why == Held && (why == "two_users" || why == "shared") && x == y.Held[0].ID:
						// Asked about one whose links are not followed, nobody looks at the others.
					case y.Why.String() != why:
						t.Fatalf("round %d, %v view, asked %v: %v-%v %v, want %s\n%s", round, v, x, y.A, y.B, y.Why, why, logText(log))
					}
					if y.Holds != (y.Why == Joined) || y.Why == Held && len(y.Held) == 0 {
						t.Fatalf("round %d: %+v", round, y)
					}
					if y.Why.Text() == "" || y.Why.String() == "unknown" {
						t.Fatalf("%d has no words", y.Why)
					}
				}
			}
		}
	}
}
