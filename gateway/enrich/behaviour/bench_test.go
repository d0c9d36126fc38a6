package behaviour

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestNothingFoundAllocatesNothing(t *testing.T) {
	for name, change := range map[string]func(*Sighting){
		"a page view": func(*Sighting) {}, "a new device": func(s *Sighting) { s.Fresh = true }, "cookieless": func(s *Sighting) { s.Visitor = "" },
		"one soft sign": func(s *Sighting) { s.DataCentre = true }, "no hints": func(s *Sighting) { s.HasHints = false },
		"a private address": func(s *Sighting) { s.Client = netip.MustParseAddr("10.0.0.1") }, "IPv6": func(s *Sighting) { s.Client = netip.MustParseAddr("2a00:1450:400f::1") },
		"no address": func(s *Sighting) { s.Client = netip.Addr{} }, "a server's": func(s *Sighting) { s.Source = 0 },
	} {
		w, i := New(defaults), int64(0)
		var s Sighting
		if n := testing.AllocsPerRun(500, func() {
			i++
			s = person("v", begin+i*2*second)
			change(&s)
			w.Fetched(s.Client, s.Agent, at(s.Now))
			if got, is := w.Judge(&s); is {
				t.Fatalf("%s: %s", name, got)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

// visits are n visitors in turn, at addresses of their own, each with a page
// view every two seconds.
func visits(n int) func() *Sighting {
	var names strings.Builder
	for i := range n {
		fmt.Fprintf(&names, "visitor-%08d", i)
	}
	all, i, now := names.String(), 0, begin
	s := person("", begin)
	return func() *Sighting {
		if i++; i == n {
			i, now = 0, now+2*second
		}
		s.Visitor = all[i*16 : i*16+16]
		s.Client = netip.AddrFrom4([4]byte{84, byte(i >> 16), byte(i >> 8), byte(i)})
		s.At, s.Now = now, now
		return &s
	}
}

func BenchmarkJudge(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("visitors=%d", n), func(b *testing.B) {
			w, next := New(defaults), visits(n)
			b.ReportAllocs()
			for b.Loop() {
				if got, is := w.Judge(next()); is {
					b.Fatal(got)
				}
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		w := New(defaults)
		b.RunParallel(func(pb *testing.PB) {
			for next := visits(1000); pb.Next(); {
				w.Judge(next())
			}
		})
	})
}

func BenchmarkFetched(b *testing.B) {
	w := New(defaults)
	s := person("v", begin)
	for b.Loop() {
		w.Fetched(s.Client, s.Agent, at(s.Now))
	}
}
