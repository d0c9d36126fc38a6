//go:build !race

package device

import "testing"

// Allocations are counted in builds without the race detector: with it,
// sync.Pool forgets on purpose.

// A read costs no more than the strings that it makes: a version's
// underscores become dots, and a name's escapes are resolved.
func TestReadAllocatesLittle(t *testing.T) {
	r := newReader(t)
	for _, c := range []struct {
		ua  string
		max float64
	}{
		{chromeWindows, 0},
		{safariPhone, 1},
		{"Mozilla/5.0 (Linux; Android 14; SM-S918B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/469.0.0.37.107;]", 0},
		{"ExampleBot/1.0 (+https://robots.example/)", 0},
	} {
		r.Read(c.ua, nil)
		if n := testing.AllocsPerRun(200, func() { r.Read(c.ua, nil) }); n > c.max {
			t.Errorf("%s: %v allocations, want at most %v", c.ua, n, c.max)
		}
	}
}
