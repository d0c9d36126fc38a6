package people

import (
	"hash/maphash"
	"math"
	"math/bits"
	"net/netip"
	"strings"
)

// networks counts the different networks that a device was seen from, roughly:
// each sets one of so many bits by its hash, and how many are set tells how many
// there were (linear counting: Whang, Vander-Zanden and Taylor, 1990). With
// 1,024 bits and 1,000 networks it is off by 3 %.
//
// It is not kept on disk: what it looks for are thousands of networks within
// the time that a device stays in memory, and a bitmap of each device would be
// a write for each visitor who changes trains.
type networks struct {
	first uint64   // the hash of the first network; 0: none was seen
	bits  []uint64 // nil until a second one comes: most devices need none
	set   int
}

// netBits is how many bits count up to most networks.
func netBits(most int) int {
	const least, limit = 1024, 1 << 16
	return min(max(least, 1<<bits.Len(uint(max(most, 1)-1))), limit)
}

// netLimit is how many set bits stand for more than most networks.
func netLimit(most int) int {
	m := float64(netBits(most))
	return int(m * (1 - math.Exp(-float64(most)/m)))
}

// add counts a network's hash, which is not 0, and says whether it changed
// anything.
func (n *networks) add(h uint64, size int) bool {
	switch {
	case n.first == 0:
		n.first = h
		return false
	case n.bits == nil && n.first == h:
		return false
	case n.bits == nil:
		n.bits = make([]uint64, size/64)
		n.mark(n.first)
	}
	return n.mark(h)
}

func (n *networks) mark(h uint64) bool {
	i := h % uint64(64*len(n.bits))
	if n.bits[i/64]&(1<<(i%64)) != 0 {
		return false
	}
	n.bits[i/64] |= 1 << (i % 64)
	n.set++
	return true
}

// hashNetwork is the hash of an address's network: the first 24 bits of IPv4,
// 48 of IPv6, whether or not the site kept more. 0: it is no address.
func hashNetwork(seed maphash.Seed, address string) uint64 {
	a, err := netip.ParseAddr(strings.TrimSpace(address))
	if err != nil {
		if i := strings.IndexByte(address, '/'); i > 0 { // written as a network
			return hashNetwork(seed, address[:i])
		}
		return 0
	}
	a = a.Unmap().WithZone("")
	size := 48
	if a.Is4() {
		size = 24
	}
	p, err := a.Prefix(size)
	if err != nil {
		return 0
	}
	text := p.Addr().As16()
	return max(maphash.Bytes(seed, text[:]), 1)
}
