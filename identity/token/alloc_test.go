//go:build !race

package token

// Allocations are counted in builds without the race detector: with it,
// sync.Pool forgets at random.

import (
	"testing"
)

func TestCookieAllocations(t *testing.T) {
	c := cookies(t, testKey)
	for _, x := range both(c) {
		text, buf := c.Encode(x), make([]byte, 0, 128)
		if n := testing.AllocsPerRun(200, func() {
			got, ok := c.Parse(text)
			if !ok {
				t.Error("refused")
			}
			buf = c.AppendAnonymousID(buf[:0], got.Visitor)
			buf = c.AppendCookie(buf[:0], got)
		}); n != 0 {
			t.Errorf("%s: %v allocations; want none", text[:1], n)
		}
	}
}
