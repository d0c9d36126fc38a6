package id

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// The canonical text is the oracle: Compare must order as it does.
func TestCompareOrdersByCanonicalText(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	word := func() string {
		b := make([]byte, rng.IntN(4))
		for i := range b {
			b[i] = "a1_:b"[rng.IntN(5)]
		}
		return string(b)
	}
	for range 50_000 {
		x, y := ID{word(), word()}, ID{word(), word()}
		if got, want := Compare(x, y), strings.Compare(x.String(), y.String()); got != want {
			t.Fatalf("Compare(%q, %q) = %d; the texts say %d", x, y, got, want)
		}
		if x.Less(y) != (x.String() < y.String()) {
			t.Fatalf("Less(%q, %q) is wrong", x, y)
		}
	}
}

func TestViewReaches(t *testing.T) {
	for _, c := range []struct {
		view  View
		trust Trust
		want  bool
	}{
		{VerifiedView, Claimed, false}, {VerifiedView, Verified, true}, {VerifiedView, Admin, true},
		{AllView, Claimed, true}, {AllView, Verified, true}, {AllView, Admin, true},
	} {
		if got := c.view.Reaches(c.trust); got != c.want {
			t.Errorf("%v.Reaches(%v) = %v", c.view, c.trust, got)
		}
	}
}
