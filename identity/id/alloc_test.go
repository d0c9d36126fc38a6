//go:build !race

package id

// Allocations are counted in builds without the race detector: with it,
// sync.Pool, from which regular expressions take their room, forgets at random.

import "testing"

func TestNormaliseAllocatesNothing(t *testing.T) {
	types := Default()
	for typ, v := range map[string]string{
		UserID: "user-4711", AnonymousID: "0f8fad5b-d9cb-469f-a165-70867728950e", Email: "reader@example.com", Phone: "+358401234567",
	} {
		if n := testing.AllocsPerRun(100, func() {
			if _, verdict := types.Normalise(typ, v); verdict != OK {
				t.Fatal(verdict)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for a value in its form", typ, n)
		}
	}
}

func TestPhoneInItsFormAllocatesNothing(t *testing.T) {
	p := mustPhones(t, "")
	for _, s := range []string{"+358401234567", "+14155552671", "+442079460958", "+5491112345678", "+390612345678", "+80012345678", "+8613812345678"} {
		if n := testing.AllocsPerRun(100, func() {
			if got, ok := p.normalise(s); !ok || got != s {
				t.Fatalf("%s became %q", s, got)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
}
