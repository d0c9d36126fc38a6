package enrich

import (
	"net/netip"
	"strings"
	"testing"
)

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, t := range texts {
		list = append(list, netip.MustParsePrefix(t))
	}
	return list
}

func TestClientAddr(t *testing.T) {
	proxies := prefixes("127.0.0.1/32", "10.0.0.0/8", "2001:db8:aaaa::/48")
	for _, c := range []struct {
		name, peer, forwarded, want string
		trusted                     []netip.Prefix
	}{
		{"no proxy", "8.8.8.8", "", "8.8.8.8", proxies},
		{"a stranger's header is nothing", "8.8.8.8", "1.1.1.1", "8.8.8.8", proxies},
		{"nobody is trusted", "127.0.0.1", "1.1.1.1", "127.0.0.1", nil},
		{"one proxy", "127.0.0.1", "1.1.1.1", "1.1.1.1", proxies},
		{"two proxies", "127.0.0.1", "1.1.1.1, 10.9.8.7", "1.1.1.1", proxies},
		{"what the client wrote itself stays unread", "127.0.0.1", "6.6.6.6, 1.1.1.1, 10.9.8.7", "1.1.1.1", proxies},
		{"a forged inner address", "10.0.0.1", "10.0.0.2, 1.1.1.1", "1.1.1.1", proxies},
		{"only proxies: the farthest", "127.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3", proxies},
		{"no header", "127.0.0.1", "", "127.0.0.1", proxies},
		{"rubbish", "127.0.0.1", "unknown", "127.0.0.1", proxies},
		{"rubbish behind a good one", "127.0.0.1", "1.1.1.1, garbage, 10.0.0.2", "10.0.0.2", proxies},
		{"an empty entry", "127.0.0.1", "1.1.1.1,,10.0.0.2", "10.0.0.2", proxies},
		{"with a port", "127.0.0.1", "1.1.1.1:5678", "1.1.1.1", proxies},
		{"no port", "127.0.0.1", "1.1.1.1:x", "127.0.0.1", proxies},
		{"IPv6", "127.0.0.1", "2a00:1450::1", "2a00:1450::1", proxies},
		{"IPv6 in brackets", "127.0.0.1", "[2a00:1450::1]", "2a00:1450::1", proxies},
		{"IPv6 with a port", "127.0.0.1", "[2a00:1450::1]:443", "2a00:1450::1", proxies},
		{"an open bracket", "127.0.0.1", "[2a00:1450::1", "127.0.0.1", proxies},
		{"a zone", "127.0.0.1", "2a00:1450::1%eth0", "2a00:1450::1", proxies},
		{"an IPv6 proxy", "2001:db8:aaaa::9", "1.1.1.1", "1.1.1.1", proxies},
		{"a mapped peer", "::ffff:10.0.0.1", "::ffff:1.1.1.1", "1.1.1.1", proxies},
		{"a mapped rule", "10.0.0.1", "1.1.1.1", "1.1.1.1", prefixes("::ffff:10.0.0.0/104")},
		{"spaces and tabs", "127.0.0.1", " \t1.1.1.1 ,\t10.0.0.2 ", "1.1.1.1", proxies},
		{"everybody trusted", "8.8.8.8", "1.1.1.1, 9.9.9.9", "1.1.1.1", prefixes("0.0.0.0/0")},
	} {
		got := ClientAddr(netip.MustParseAddr(c.peer), c.forwarded, c.trusted)
		if got != netip.MustParseAddr(c.want) {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	if got := ClientAddr(netip.Addr{}, "1.1.1.1", proxies); got.IsValid() {
		t.Errorf("an unknown peer became %s", got)
	}
}

func TestClientAddrDoesNotAllocate(t *testing.T) {
	proxies := prefixes("127.0.0.1/32", "10.0.0.0/8")
	peer := netip.MustParseAddr("127.0.0.1")
	if n := testing.AllocsPerRun(500, func() { ClientAddr(peer, "1.1.1.1, [2a00:1450::1]:443, 10.0.0.2", proxies) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// What a client writes in front of a chain can never change the answer.
func FuzzClientAddr(f *testing.F) {
	for _, s := range []string{"1.1.1.1", "10.0.0.1, ", "[::1]:80", "::ffff:1.2.3.4%x", "garbage,", strings.Repeat("10.0.0.1,", 300)} {
		f.Add(s, "9.9.9.9, 10.0.0.5")
		f.Add(s, "")
	}
	proxies := prefixes("127.0.0.0/8", "10.0.0.0/8", "::ffff:192.168.0.0/112")
	peer := netip.MustParseAddr("::ffff:127.0.0.1")
	f.Fuzz(func(t *testing.T, forged, chain string) {
		got := ClientAddr(peer, chain, proxies)
		if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Fatalf("%q: %v", chain, got)
		}
		if forgedToo := ClientAddr(peer, forged+","+chain, proxies); !within(got, proxies) && forgedToo != got {
			t.Errorf("%q in front of %q: %s instead of %s", forged, chain, forgedToo, got)
		}
	})
}
