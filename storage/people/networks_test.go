package people

import (
	"fmt"
	"hash/maphash"
	"math"
	"net/netip"
	"testing"
)

// As many networks as the limit says are told from a tenth more and less.
func TestNetworksAreCounted(t *testing.T) {
	for _, most := range []int{3, 50, 1000, 5000, 40_000} {
		for _, seen := range []float64{0.8, 1.2} {
			seed := maphash.MakeSeed()
			var n networks
			count := int(math.Round(seen * float64(most)))
			for i := range count {
				for range 2 {
					n.add(hashNetwork(seed, fmt.Sprintf("%d.%d.%d.0", 1+i>>16, i>>8&255, i&255)), netBits(most))
				}
			}
			if over := n.set > netLimit(most); over != (seen > 1) {
				t.Errorf("%d networks: over a limit of %d: %v (%d bits of %d, limit %d)", count, most, over, n.set, netBits(most), netLimit(most))
			}
		}
	}
}

func TestOneNetworkNeedsNoBitmap(t *testing.T) {
	seed := maphash.MakeSeed()
	var n networks
	for range 3 {
		if n.add(hashNetwork(seed, "192.0.2.0"), 1024) || n.bits != nil {
			t.Fatal("a bitmap of one network")
		}
	}
	if !n.add(hashNetwork(seed, "192.0.3.0"), 1024) || n.set != 2 {
		t.Errorf("%d of 2 networks", n.set)
	}
}

func TestHashNetwork(t *testing.T) {
	seed := maphash.MakeSeed()
	for _, same := range [][]string{
		{"192.0.2.0", "192.0.2.77", "::ffff:192.0.2.1", "192.0.2.0/24", " 192.0.2.9 "},
		{"2001:db8:1::", "2001:db8:1:2:3:4:5:6", "2001:db8:1::/48", "2001:db8:1::1%eth0"},
		{"2001:db8:2::"},
		{"192.0.3.0"},
		{"", "none", "192.0.2", "/24"},
	} {
		for _, a := range same {
			if h := hashNetwork(seed, a); h != hashNetwork(seed, same[0]) || (h == 0) != (same[0] == "") {
				t.Errorf("%q is another network than %q", a, same[0])
			}
		}
	}
	if hashNetwork(seed, "192.0.2.0") == hashNetwork(seed, "192.0.3.0") {
		t.Error("two networks are one")
	}
	if n := testing.AllocsPerRun(100, func() { hashNetwork(seed, "192.0.2.0"); hashNetwork(seed, "2001:db8:1::") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzHashNetwork(f *testing.F) {
	seed := maphash.MakeSeed()
	for _, s := range []string{"192.0.2.0", "2001:db8::/48", "::ffff:1.2.3.4%x", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h := hashNetwork(seed, s)
		a, err := netip.ParseAddr(s)
		if err != nil {
			return
		}
		for _, size := range []int{24, 48} { // the network's own address is of the network
			if p, err := a.WithZone("").Prefix(size); err == nil && (size == 24) == a.Is4() && !a.Is4In6() && hashNetwork(seed, p.Addr().String()) != h {
				t.Errorf("%s is not of %s", s, p)
			}
		}
	})
}
