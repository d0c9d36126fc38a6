package facet

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/id"
)

// TestAProfileStaysAsItWas: profiles share what facets have, and answers are written from
// them while the facets take further events in. A profile of facets that were never joined
// before is the oracle.
func TestAProfileStaysAsItWas(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	a := history(r, "a_1", "u_1", id.Verified, 60)
	b := history(r, "a_2", "u_1", id.Claimed, 60)
	facets := []*Facet{fold(a[:1]), fold(b[:1])}
	type kept struct {
		n             int
		alone, joined *Profile
	}
	var list []kept
	for n := 1; n < len(a); n++ {
		list = append(list, kept{n, Join(facets[:1]), Join(facets)})
		facets[0].Fold(&a[n], 1, rules())
		facets[1].Fold(&b[n], 1, rules())
	}
	bare := func(p *Profile) Profile {
		x := *p
		x.Computed = Joined{}
		return x
	}
	for _, k := range list {
		for _, x := range []struct {
			got    *Profile
			facets []*Facet
		}{{k.alone, []*Facet{fold(a[:k.n])}}, {k.joined, []*Facet{fold(a[:k.n]), fold(b[:k.n])}}} {
			if got, want := bare(x.got), bare(Join(x.facets)); !reflect.DeepEqual(got, want) {
				t.Fatalf("after %d events of each of %d facets the profile is\n%+v, want\n%+v", k.n, len(x.facets), got, want)
			}
		}
	}
}
