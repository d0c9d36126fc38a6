//go:build !race

package experiment

import (
	"math"
	"testing"
	"time"
)

// TestBestOfMany: a placement may have a hundred variants, and one of them may be
// known far better than the others.
func TestBestOfMany(t *testing.T) {
	rates := make([]Rate, 100)
	for i := range rates {
		rates[i] = Rate{10, 100}
	}
	rates[7] = Rate{4_000_000, 20_000_000}
	began := time.Now()
	got := Best(rates)
	sum := 0.0
	for _, p := range got {
		sum += p
	}
	if math.Abs(sum-1) > 1e-9 || got[0] != got[99] && math.Abs(got[0]-got[99]) > 1e-9 {
		t.Errorf("sum %v, first %v, last %v", sum, got[0], got[99])
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	} else {
		t.Log(took)
	}
}
