package enrich

import (
	"net/netip"
	"strings"
)

// ClientAddr says whose request it is: the peer, or, when the peer is one of
// our own proxies (trusted), the rightmost address of X-Forwarded-For that is
// not. Everything left of that address was written by whoever sent the
// request and proves nothing.
//
// forwarded is the header's value; several header lines are joined with commas
// in their order. Ports, brackets and zones are dropped and IPv4-mapped
// addresses come out as IPv4. An entry that is no address ends the walk at the
// last good one.
func ClientAddr(peer netip.Addr, forwarded string, trusted []netip.Prefix) netip.Addr {
	client := plain(peer)
	for forwarded != "" && within(client, trusted) {
		entry := forwarded
		if i := strings.LastIndexByte(forwarded, ','); i >= 0 {
			entry, forwarded = forwarded[i+1:], forwarded[:i]
		} else {
			forwarded = ""
		}
		hop, ok := parseHop(strings.TrimSpace(entry))
		if !ok {
			break
		}
		client = hop
	}
	return client
}

// parseHop reads one entry: 192.0.2.1, 192.0.2.1:443, 2001:db8::1,
// [2001:db8::1] or [2001:db8::1]:443.
func parseHop(s string) (netip.Addr, bool) {
	if len(s) > 64 { // the longest address with zone and port is shorter
		return netip.Addr{}, false
	}
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return netip.Addr{}, false
		}
		if rest := s[end+1:]; rest != "" && !isPort(rest) {
			return netip.Addr{}, false
		}
		s = s[1:end]
	} else if i := strings.IndexByte(s, ':'); i >= 0 && i == strings.LastIndexByte(s, ':') {
		if !isPort(s[i:]) {
			return netip.Addr{}, false
		}
		s = s[:i]
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false // the caller stops at the last good address
	}
	return plain(addr), true
}

func isPort(s string) bool {
	if len(s) < 2 || len(s) > 6 || s[0] != ':' {
		return false
	}
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// plain drops an address's zone and its IPv4-in-IPv6 wrapping.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
		// A rule may be written in the mapped form, ::ffff:10.0.0.0/104.
		if p.Addr().Is4In6() && p.Bits() >= 96 && a.Is4() &&
			netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Contains(a) {
			return true
		}
	}
	return false
}

// addrPolicy says how much of an address is kept.
type addrPolicy uint8

const (
	keepTruncated addrPolicy = iota // 24 bits of IPv4, 48 of IPv6
	keepFull
	keepNone
)

// text is what may be stored of a plain address.
func (p addrPolicy) text(a netip.Addr) string {
	if !a.IsValid() || p == keepNone {
		return ""
	}
	if p == keepFull {
		return a.String()
	}
	bits := 48
	if a.Is4() {
		bits = 24
	}
	prefix, err := a.Prefix(bits)
	if err != nil {
		return "" // unreachable: both lengths fit their family
	}
	return prefix.Addr().String()
}
