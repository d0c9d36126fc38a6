//go:build !race

package collect

// Allocations are counted in builds without the race detector: with it,
// sync.Pool forgets at random.

import (
	"net/netip"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

// The whole way of an interact request costs one allocation more than reading
// its body does: the memory that its strings own.
func TestInteractAllocations(t *testing.T) {
	const most = 1
	s, ctx := hotPath(t)
	whole := testing.AllocsPerRun(500, func() { s.Handle(ctx); ctx.Response.Reset() })
	var b event.Batch
	body := string(ctx.Request.Body())
	parse := testing.AllocsPerRun(500, func() {
		if err := event.Parse(&b, body, event.ParseOptions{Limits: event.Limits{Depth: 20}}); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%v allocations, %v of them in event.Parse", whole, parse)
	if whole-parse > most {
		t.Errorf("%v allocations besides the %v of event.Parse; want at most %d", whole-parse, parse, most)
	}
}

func TestAddressLimitAllocations(t *testing.T) {
	l := newAddressLimits(Rate{PerSecond: 1, Burst: 10})
	a := netip.MustParseAddr("203.0.113.7")
	if n := testing.AllocsPerRun(100, func() { l.take(a, 1e18) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
