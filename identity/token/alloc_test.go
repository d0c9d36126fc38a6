//go:build !race

package token

// Allocations are counted in builds without the race detector: with it,
// sync.Pool forgets at random.

import (
	"testing"
)

func TestCookieAllocations(t *testing.T) {
	c := cookies(t, testKey)
	v := c.Mint()
	text, buf := c.Encode(v), make([]byte, 0, 64)
	if n := testing.AllocsPerRun(200, func() {
		w, ok := c.Parse(text)
		if !ok {
			t.Error("refused")
		}
		buf = c.AppendAnonymousID(buf[:0], w)
		buf = c.AppendCookie(buf[:0], w)
	}); n != 0 {
		t.Errorf("%v allocations; want none", n)
	}
}
