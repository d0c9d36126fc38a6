package geo

import (
	"encoding/binary"
	"net/netip"
)

// special are the IPv4 ranges that are nobody's place: the IANA IPv4
// Special-Purpose Address Registry (RFC 6890 and what updates it) and
// multicast (RFC 5771).
var special = [...]struct {
	base uint32
	bits uint8
	name string
}{
	{0x0A000000, 8, "10.0.0.0/8, private use"},
	{0xC0A80000, 16, "192.168.0.0/16, private use"},
	{0xAC100000, 12, "172.16.0.0/12, private use"},
	{0x7F000000, 8, "127.0.0.0/8, loopback"},
	{0x64400000, 10, "100.64.0.0/10, shared address space of carrier-grade NAT"},
	{0xA9FE0000, 16, "169.254.0.0/16, link local"},
	{0x00000000, 8, "0.0.0.0/8, this network"},
	{0xE0000000, 4, "224.0.0.0/4, multicast"},
	{0xF0000000, 4, "240.0.0.0/4, reserved"},
	{0xC0000000, 24, "192.0.0.0/24, protocol assignments"},
	{0xC0000200, 24, "192.0.2.0/24, documentation"},
	{0xC6336400, 24, "198.51.100.0/24, documentation"},
	{0xCB007100, 24, "203.0.113.0/24, documentation"},
	{0xC6120000, 15, "198.18.0.0/15, benchmarking"},
	{0xC01FC400, 24, "192.31.196.0/24, AS112 service"},
	{0xC034C100, 24, "192.52.193.0/24, automatic multicast tunnelling"},
	{0xC0586300, 24, "192.88.99.0/24, former 6to4 relays"},
	{0xC0AF3000, 24, "192.175.48.0/24, AS112 service"},
}

// special6 are those of the IANA IPv6 registry that lie within 2000::/3, by the
// upper half of their addresses. What lies outside is no global unicast at all.
var special6 = [...]struct {
	base uint64
	bits uint8
	name string
}{
	{0x2001_0000_0000_0000, 23, "2001::/23, protocol assignments (Teredo, ORCHID)"},
	{0x2001_0DB8_0000_0000, 32, "2001:db8::/32, documentation"},
	{0x2620_004F_8000_0000, 48, "2620:4f:8000::/48, AS112 service"},
	{0x3FFF_0000_0000_0000, 20, "3fff::/20, documentation"},
}

// IsPublic says that an address belongs to somebody on the internet: it is in
// none of the IANA special-purpose registries. An address that carries an IPv4
// address (::ffff:0:0/96, 64:ff9b::/96, 2002::/16) is as public as that.
func IsPublic(a netip.Addr) bool { return reserved(Carried(a)) == "" }

// reserved is the range, and what for, that makes an address no place on the
// internet; empty when it is one. a comes from Carried.
func reserved(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "no address"
	case a.Is4():
		b := a.As4()
		n := binary.BigEndian.Uint32(b[:])
		for i := range special {
			if s := &special[i]; (n^s.base)>>(32-s.bits) == 0 {
				return s.name
			}
		}
		return ""
	}
	b := a.As16()
	n := binary.BigEndian.Uint64(b[:8])
	if n>>61 != 1 {
		return "outside 2000::/3, the global unicast addresses"
	}
	for i := range special6 {
		if s := &special6[i]; (n^s.base)>>(64-s.bits) == 0 {
			return s.name
		}
	}
	return ""
}

// plain drops an address's zone and its IPv4-in-IPv6 wrapping.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Carried is the IPv4 address that an IPv6 address stands for: mapped
// (::ffff:0:0/96, RFC 4291), translated (64:ff9b::/96, NAT64, RFC 6052) or
// 6to4 (2002::/16, RFC 3056). Any other address is itself, without its zone.
// Teredo is left out: its address is the tunnel's end, and nothing uses it.
func Carried(a netip.Addr) netip.Addr {
	a = plain(a)
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch upper := binary.BigEndian.Uint64(b[:8]); {
	case upper == 0x0064_FF9B_0000_0000 && b[8]|b[9]|b[10]|b[11] == 0:
		return netip.AddrFrom4([4]byte(b[12:16]))
	case upper>>48 == 0x2002:
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}
