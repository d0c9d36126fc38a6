package token

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var linkTime = time.UnixMilli(1_800_000_000_000)

func links(t testing.TB) *Links {
	t.Helper()
	l, err := NewLinks([]byte(testKey), linkTime)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func landing() Landing {
	return Landing{From: "www.shop.example", To: "pay.example", Client: netip.MustParseAddr("203.0.113.7"), UserAgent: "Mozilla/5.0 (X11; Linux x86_64)"}
}

func TestLinkCarriesItsVisitor(t *testing.T) {
	l, v := links(t), Visitor{1, 2, 3}
	text := string(l.Append([]byte("x"), v, landing(), linkTime))[1:]
	if len(text) != LinkLength {
		t.Errorf("the token has %d characters; LinkLength is %d", len(text), LinkLength)
	}
	if again := string(l.Append(nil, v, landing(), linkTime)); again == text {
		t.Error("two tokens are the same")
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || strings.Contains(string(raw), string(v[:])) {
		t.Errorf("the token shows its visitor (%v)", err)
	}
	if got, ok := l.Open(text, landing(), "m1", linkTime.Add(LinkLife)); !ok || got != v {
		t.Errorf("opened to %v, %v", got, ok)
	}
	if _, err := NewLinks([]byte("short"), linkTime); err == nil {
		t.Error("a short key was taken")
	}
}

// A token opens for nobody but who it was made for.
func TestLinkIsBound(t *testing.T) {
	l := links(t)
	with := func(change func(*Landing)) Landing {
		x := landing()
		change(&x)
		return x
	}
	for _, c := range []struct {
		name  string
		at    Landing
		after time.Duration
		ok    bool
	}{
		{"at once", landing(), 0, true},
		{"at its end", landing(), LinkLife, true},
		{"too late", landing(), LinkLife + time.Millisecond, false},
		{"before it was made", landing(), -time.Millisecond, false},
		{"another device of the network", with(func(x *Landing) { x.Client = netip.MustParseAddr("203.0.113.200") }), 0, true},
		{"the network in its mapped form", with(func(x *Landing) { x.Client = netip.MustParseAddr("::ffff:203.0.113.9") }), 0, true},
		{"another network", with(func(x *Landing) { x.Client = netip.MustParseAddr("203.0.114.7") }), 0, false},
		{"another family", with(func(x *Landing) { x.Client = netip.MustParseAddr("2001:db8::1") }), 0, false},
		{"no address", with(func(x *Landing) { x.Client = netip.Addr{} }), 0, false},
		{"another browser", with(func(x *Landing) { x.UserAgent += " Firefox/140" }), 0, false},
		{"another linked domain", with(func(x *Landing) { x.To = "help.example" }), 0, false},
		{"from another page", with(func(x *Landing) { x.From = "evil.example" }), 0, false},
		{"from no page", with(func(x *Landing) { x.From = "" }), 0, false},
		{"parts that run together", with(func(x *Landing) { x.From, x.To = "www.shop.examplepay", ".example" }), 0, false},
	} {
		at := linkTime.Add(time.Minute)
		if _, ok := l.Open(string(l.Append(nil, Visitor{9}, landing(), at)), c.at, c.name, at.Add(c.after)); ok != c.ok {
			t.Errorf("%s: %v, want %v", c.name, ok, c.ok)
		}
	}
	six := with(func(x *Landing) { x.Client = netip.MustParseAddr("2001:db8:1:2::3") })
	near := with(func(x *Landing) { x.Client = netip.MustParseAddr("2001:db8:1:ffff::9") })
	far := with(func(x *Landing) { x.Client = netip.MustParseAddr("2001:db8:2:2::3") })
	if _, ok := l.Open(string(l.Append(nil, Visitor{9}, six, linkTime)), near, "", linkTime); !ok {
		t.Error("refused within 48 bits of IPv6")
	}
	if _, ok := l.Open(string(l.Append(nil, Visitor{9}, six, linkTime)), far, "", linkTime); ok {
		t.Error("taken in another network of IPv6")
	}
	other, err := NewLinks([]byte(strings.ToUpper(testKey)), linkTime)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := l.Open(string(other.Append(nil, Visitor{9}, landing(), linkTime)), landing(), "", linkTime); ok {
		t.Error("another install's token was taken")
	}
}

// A token is used once; the same request again is the same use, whenever the
// spans turn in which tokens are remembered.
func TestLinkIsUsedOnce(t *testing.T) {
	for _, start := range []time.Duration{0, LinkLife / 2, LinkLife - time.Second, LinkLife, 3 * LinkLife} {
		l := links(t)
		l.Open(string(l.Append(nil, Visitor{1}, landing(), linkTime)), landing(), "turns the span", linkTime)
		at := linkTime.Add(start)
		text := string(l.Append(nil, Visitor{2}, landing(), at))
		for age := time.Duration(0); age <= LinkLife; age += LinkLife / 8 {
			if _, ok := l.Open(text, landing(), "m1", at.Add(age)); !ok {
				t.Errorf("start %v: the same request %v later was refused", start, age)
			}
			if _, ok := l.Open(text, landing(), "m2", at.Add(age)); ok {
				t.Errorf("start %v: another request %v later was taken", start, age)
			}
			// Others that come in between turn the spans.
			now := at.Add(age)
			if _, ok := l.Open(string(l.Append(nil, Visitor{3}, landing(), now)), landing(), "", now); !ok {
				t.Errorf("start %v: another token was refused", start)
			}
		}
	}
}

// What was used is kept in memory, so nothing from before the start is taken.
func TestLinkFromBeforeTheStart(t *testing.T) {
	text := string(links(t).Append(nil, Visitor{1}, landing(), linkTime))
	l, err := NewLinks([]byte(testKey), linkTime.Add(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := l.Open(text, landing(), "", linkTime.Add(time.Second)); ok {
		t.Error("taken after a restart")
	}
}

func TestLinkMemoryIsBounded(t *testing.T) {
	l := links(t)
	for i := range maxUsed {
		l.first([linkSalt]byte{byte(i), byte(i >> 8), byte(i >> 16), 1}, "", linkTime.UnixMilli())
	}
	text := string(l.Append(nil, Visitor{1}, landing(), linkTime))
	if _, ok := l.Open(text, landing(), "", linkTime); ok || len(l.used) > maxUsed {
		t.Errorf("taken with %d tokens remembered", len(l.used))
	}
	later := linkTime.Add(LinkLife + time.Second)
	if _, ok := l.Open(string(l.Append(nil, Visitor{1}, landing(), later)), landing(), "", later); !ok {
		t.Error("refused after the flood")
	}
	if len(l.used) != 1 || len(l.old) != maxUsed {
		t.Errorf("%d and %d tokens are remembered", len(l.used), len(l.old))
	}
}

// FuzzLink: no text but one that Append made opens, and that only as it was
// written.
func FuzzLink(f *testing.F) {
	l := links(f)
	good := string(l.Append(nil, Visitor{7}, landing(), linkTime))
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add("\n" + good[1:])
	f.Add(strings.Repeat("A", LinkLength))
	f.Fuzz(func(t *testing.T, text string) {
		v, ok := l.Open(text, landing(), "m", linkTime)
		// Every process of the fuzzer makes a token of its own, under one key.
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if ok && (err != nil || base64.RawURLEncoding.EncodeToString(raw) != text || v != Visitor{7}) {
			t.Errorf("%q opened to %v", text, v)
		}
		if ok != (text == good) && len(text) > 1 && text[1:] == good[1:] {
			t.Errorf("%q opened: %v; %q is the token", text, ok, good)
		}
	})
}

func TestDailyID(t *testing.T) {
	ip := netip.MustParseAddr
	a := DailyID(Salt{1}, "shop", ip("203.0.113.7"), "Firefox")
	if !strings.HasPrefix(a, "c_") || len(a) != AnonymousIDLength {
		t.Errorf("id %q", a)
	}
	for _, same := range []string{
		DailyID(Salt{1}, "shop", ip("203.0.113.7"), "Firefox"),
		DailyID(Salt{1}, "shop", ip("203.0.113.99"), "Firefox"), // of an address its network counts
		DailyID(Salt{1}, "shop", ip("::ffff:203.0.113.7"), "Firefox"),
	} {
		if same != a {
			t.Errorf("%q and %q are one visitor", same, a)
		}
	}
	seen := map[string]string{a: "first"}
	for i, other := range []string{
		DailyID(Salt{2}, "shop", ip("203.0.113.7"), "Firefox"),
		DailyID(Salt{1}, "blog", ip("203.0.113.7"), "Firefox"),
		DailyID(Salt{1}, "shop", ip("203.0.112.7"), "Firefox"),
		DailyID(Salt{1}, "shop", ip("203.0.113.7"), "Chrome"),
		DailyID(Salt{1}, "shop", netip.Addr{}, "Firefox"),
		DailyID(Salt{1}, "shop", ip("2001:db8::1"), "Firefox"),
		DailyID(Salt{1}, "shop", ip("203.0.113.7"), ""),
	} {
		if before := seen[other]; before != "" {
			t.Errorf("number %d is called as %s", i, before)
		}
		seen[other] = fmt.Sprint(i)
	}
}

func BenchmarkLink(b *testing.B) {
	l, buf := links(b), make([]byte, 0, LinkLength)
	b.ReportAllocs()
	for b.Loop() {
		buf = l.Append(buf[:0], Visitor{1}, landing(), linkTime)
	}
}
