package geo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
)

func open(t testing.TB, o Options) *Places {
	t.Helper()
	p, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEmbeddedDatabaseIsWhole(t *testing.T) {
	data, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	readme, err := os.ReadFile("data/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), hex.EncodeToString(sum[:])) {
		t.Errorf("data/README.md does not name the checksum %x", sum)
	}
	f, err := newFile("embedded", data)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.verify(data, nations); err != nil {
		t.Error(err)
	}
}

func TestEmbeddedDatabaseOpensQuickly(t *testing.T) {
	// Counted, not timed: a file that is read entry by entry makes an allocation for each.
	n := testing.AllocsPerRun(1, func() {
		if _, err := openEmbedded(); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%.0f allocations", n)
	if n > 500 {
		t.Errorf("opening makes %.0f allocations: is it read as a whole?", n)
	}
}

func TestCountries(t *testing.T) {
	p := open(t, Options{})
	for _, c := range []struct{ addr, country string }{
		{"8.8.8.8", "US"}, {"193.166.3.2", "FI"}, {"91.198.174.192", "NL"}, {"212.58.244.20", "GB"},
		{"133.11.0.1", "JP"}, {"129.132.0.1", "CH"}, {"2001:708::1", "FI"}, {"2001:4860:4860::8888", "US"},
		{"::ffff:8.8.8.8", "US"}, {"::ffff:193.166.3.2", "FI"}, {"64:ff9b::808:808", "US"}, {"64:ff9b::c1a6:302", "FI"}, {"2002:808:808::1", "US"}, {"2002:c1a6:302:1::", "FI"},
		{"::ffff:10.1.2.3", ""}, {"64:ff9b::a01:203", ""}, {"64:ff9b:1::808:808", ""}, {"64:ff9b::1:808:808", ""}, {"2002:a01:203::1", ""}, {"2002:7f00:1::", ""}, {"::8.8.8.8", ""},
		{"127.0.0.1", ""}, {"10.1.2.3", ""}, {"192.168.0.1", ""}, {"172.20.0.1", ""}, {"100.64.0.1", ""}, {"169.254.1.1", ""},
		{"224.0.0.1", ""}, {"255.255.255.255", ""}, {"192.0.2.1", ""}, {"198.51.100.7", ""}, {"203.0.113.7", ""}, {"198.18.0.1", ""}, {"0.1.2.3", ""}, {"192.88.99.1", ""},
		{"::1", ""}, {"::", ""}, {"fe80::1%eth0", ""}, {"fd00::1", ""}, {"ff02::1", ""}, {"2001:db8::1", ""}, {"2001::1", ""}, {"3fff::1", ""}, {"100::1", ""}, {"5f00::1", ""}, {"2620:4f:8000::1", ""},
	} {
		addr := netip.MustParseAddr(c.addr)
		for range 2 { // found, then cached
			if got := p.At(addr); got.Geo != (event.Geo{Country: c.country}) || got.DataCentre {
				t.Errorf("%s is in %+v, want %q", c.addr, got, c.country)
			}
		}
	}
	if got := p.At(netip.Addr{}); got == nil || got.Geo != (event.Geo{}) {
		t.Errorf("no address is in %+v", got)
	}
}

// The registries as text, each range tried at both of its ends and beside them.
func TestSpecialRangesAreNoPlace(t *testing.T) {
	var ranges []netip.Prefix
	for line := range strings.Lines(`0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
		192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
		::/3 2001::/23 2001:db8::/32 2620:4f:8000::/48 3fff::/20 4000::/2 8000::/1`) {
		for _, s := range strings.Fields(line) {
			ranges = append(ranges, netip.MustParsePrefix(s))
		}
	}
	special := func(a netip.Addr) bool {
		for _, r := range ranges {
			if r.Contains(a) {
				return true
			}
		}
		return false
	}
	try := func(a netip.Addr) {
		t.Helper()
		if !a.IsValid() || a.Is6() && Carried(a) != a {
			return
		}
		if got := IsPublic(a); got == special(a) {
			t.Errorf("%s: public is %v", a, got)
		}
	}
	for _, r := range ranges {
		raw := r.Addr().AsSlice()
		for i := r.Bits(); i < len(raw)*8; i++ {
			raw[i/8] |= 1 << (7 - i%8)
		}
		last, _ := netip.AddrFromSlice(raw)
		for _, a := range []netip.Addr{r.Addr(), r.Addr().Prev(), last, last.Next()} {
			try(a)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 20000 {
		n := rnd.Uint64()
		four := [4]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
		try(netip.AddrFrom4(four))
		try(netip.AddrFrom16([16]byte{byte(n)&0x1F | 0x20, byte(n >> 8), byte(n >> 16), byte(n >> 24), byte(n >> 32), 15: 1}))
		// What carries an IPv4 address is as public as that.
		for _, a := range []netip.Addr{
			netip.AddrFrom16([16]byte{10: 0xFF, 11: 0xFF, 12: four[0], 13: four[1], 14: four[2], 15: four[3]}),
			netip.AddrFrom16([16]byte{1: 0x64, 2: 0xFF, 3: 0x9B, 12: four[0], 13: four[1], 14: four[2], 15: four[3]}),
			netip.AddrFrom16([16]byte{0: 0x20, 1: 0x02, 2: four[0], 3: four[1], 4: four[2], 5: four[3], 15: byte(n >> 40)}),
		} {
			if IsPublic(a) != IsPublic(netip.AddrFrom4(four)) {
				t.Errorf("%s: public is %v, unlike its %v", a, IsPublic(a), netip.AddrFrom4(four))
			}
		}
	}
}

func TestMaxMindFiles(t *testing.T) {
	city, asn := write(t, "city.mmdb", cityDatabase(t)), write(t, "asn.mmdb", asnDatabase(t))
	p := open(t, Options{City: city, ASN: asn, Text: func(a netip.Addr) string { return "<" + a.String() + ">" }})
	espoo := event.Geo{Country: "FI", Region: "Uusimaa", City: "Espoo", Postcode: "02150", Timezone: "Europe/Helsinki", ASN: 1741, ASOrg: "CSC - Tieteen tietotekniikan keskus Oy"}
	for addr, want := range map[string]event.Geo{
		"193.166.3.2": espoo, "193.166.200.1": espoo, "::ffff:193.166.3.2": espoo, "64:ff9b::c1a6:302": espoo, "2002:c1a6:302::": espoo,
		"8.8.8.8": {Country: "US"}, "9.9.9.9": {City: "Berkeley"}, "9.9.10.1": {}, "11.1.1.1": {}, "12.1.1.1": {Country: "US"}, "1.1.1.1": {}, "2001:708::1": {Country: "FI"},
	} {
		for range 2 {
			if got := p.At(netip.MustParseAddr(addr)).Geo; got != want {
				t.Errorf("%s:\n got %+v\nwant %+v", addr, got, want)
			}
		}
	}
	for addr, want := range map[string]string{"193.166.3.2": "<193.166.3.2>", "::ffff:193.166.3.2": "<193.166.3.2>", "10.0.0.1": "<10.0.0.1>", "fe80::1%eth0": "<fe80::1>", "64:ff9b::c1a6:302": "<64:ff9b::c1a6:302>"} {
		if got := p.At(netip.MustParseAddr(addr)).Text; got != want {
			t.Errorf("%s is stored as %s, want %s", addr, got, want)
		}
	}
	// A city file may also stand where only countries are wanted, but not where
	// networks are, and what names neither stands nowhere.
	if got := open(t, Options{Country: city}).At(netip.MustParseAddr("8.8.8.8")).Geo.Country; got != "US" {
		t.Errorf("country of a city file: %q", got)
	}
	foreign := write(t, "foreign.mmdb", makeDatabase(t, "Somebody's Anonymous", map[string]map[string]any{"8.8.0.0/16": {"is_anonymous": true}}))
	for setting, o := range map[string]Options{"geo.asn": {ASN: city}, "geo.city": {City: asn}, "geo.country": {Country: foreign}} {
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "laid out") || !strings.Contains(err.Error(), setting) {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}

func TestOtherLayouts(t *testing.T) {
	row := func(r o) map[string]map[string]any { return map[string]map[string]any{"8.8.0.0/16": r} }
	for name, c := range map[string]struct {
		city, asn o
		want      event.Geo
	}{
		"ipinfo location": {
			city: o{"city": "Mountain View", "region": "California", "country": "US", "lat": "37.4", "lng": "-122.1", "postal_code": "94043", "timezone": "America/Los_Angeles"},
			want: event.Geo{Country: "US", Region: "California", City: "Mountain View", Postcode: "94043", Timezone: "America/Los_Angeles"}},
		"ipinfo lite": {
			city: o{"country": "United States", "country_code": "US", "continent": "North America", "asn": "AS15169", "as_name": "Google LLC", "as_domain": "google.com"},
			asn:  o{"country": "United States", "country_code": "US", "continent": "North America", "asn": "AS15169", "as_name": "Google LLC", "as_domain": "google.com"},
			want: event.Geo{Country: "US", ASN: 15169, ASOrg: "Google LLC"}},
		"ipinfo asn": {
			city: o{"country": "US", "country_name": "United States"},
			asn:  o{"asn": "AS15169", "name": "", "domain": "google.com", "type": "hosting"},
			want: event.Geo{Country: "US", ASN: 15169, ASOrg: "google.com"}},
		"ip-location-db": {
			city: o{"country_code": "US", "state1": "California", "state2": "Santa Clara", "city": "Mountain View", "postcode": "94043", "timezone": "America/Los_Angeles"},
			asn:  o{"autonomous_system_number": uint32(15169), "autonomous_system_organization": "Google LLC"},
			want: event.Geo{Country: "US", Region: "California", City: "Mountain View", Postcode: "94043", Timezone: "America/Los_Angeles", ASN: 15169, ASOrg: "Google LLC"}},
		"Enterprise": {
			city: o{"country": country("US", "United States"), "city": en("Mountain View"), "traits": o{"autonomous_system_number": uint32(15169), "isp": "Google"}},
			asn:  o{"country": country("US", "United States"), "traits": o{"autonomous_system_number": uint32(15169), "autonomous_system_organization": "Google LLC", "isp": "Google", "name": "x"}},
			want: event.Geo{Country: "US", City: "Mountain View", ASN: 15169, ASOrg: "Google LLC"}},
	} {
		opts := Options{City: write(t, "city.mmdb", makeDatabase(t, name, row(c.city)))}
		if c.asn != nil {
			opts.ASN = write(t, "asn.mmdb", makeDatabase(t, name, row(c.asn)))
		}
		got := open(t, opts).At(netip.MustParseAddr("8.8.8.8")).Geo
		if c.asn == nil {
			got.ASN, got.ASOrg = 0, ""
		}
		if got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, c.want)
		}
	}
}

func TestTextsAreBounded(t *testing.T) {
	long := strings.Repeat("å", 400)
	p := open(t, Options{City: write(t, "city.mmdb", makeDatabase(t, "City", map[string]map[string]any{
		"8.8.0.0/16": {"country_code": "US", "city": long, "region": strings.Repeat("x", 5000), "postcode": long},
	}))})
	g := p.At(netip.MustParseAddr("8.8.8.8")).Geo
	if g.Country != "US" || len(g.City) != 256 || !strings.HasPrefix(long, g.City) || g.Region != "" || len(g.Postcode) != 64 {
		t.Errorf("%+v", g)
	}
}

func TestDataCentres(t *testing.T) {
	p := open(t, Options{ASN: write(t, "asn.mmdb", asnDatabase(t))})
	for addr, want := range map[string]bool{"5.9.1.1": true, "6.9.1.1": true, "7.9.1.1": true, "104.28.1.1": false, "104.29.1.1": false, "193.166.3.2": false, "8.8.8.8": false} {
		if got := p.At(netip.MustParseAddr(addr)).DataCentre; got != want {
			t.Errorf("%s: data centre is %v", addr, got)
		}
	}
	for name, want := range map[string]string{
		"Example Hosting, s.r.o.": "hosting", "ACME-CLOUD": "cloud", "Foo VPS": "vps", "1984 Data Center ehf": "data center", "Big Servers Ltd": "servers",
		"CLOUDFLARENET": "", "Apple iCloud": "", "Observer Media": "", "Telefonica Cloud": "", "Cloud Broadband Ltd": "", "Data, a health centre": "", "DNA Oyj": "", "": "",
		"University Hosting": "", strings.Repeat("hosting", 100): "", "Örebro Hosting AB": "hosting",
	} {
		if got := hostingWord(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for table, says := range map[string]string{"x hosting A\n": `line 1: saw the number "x"`, "\n1 hosting\n": "line 2: saw 2 words", "1 maybe A": `saw "maybe"`, "1 hosting A\n1 people A": "line 2: saw network 1 again", "0 hosting A": "number"} {
		if _, err := readCentres(table); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want %q", table, err, says)
		}
	}
}

func TestExplain(t *testing.T) {
	p := open(t, Options{City: write(t, "city.mmdb", cityDatabase(t)), ASN: write(t, "asn.mmdb", asnDatabase(t))})
	for addr, want := range map[string]string{
		"193.166.3.2":       "country=FI: city.mmdb (GeoLite2-City, built 2023-11-14): 193.166.0.0/16",
		"64:ff9b::c1a6:302": "address=193.166.3.2: the IPv4 address that 64:ff9b::c1a6:302 stands for",
		"10.1.2.3":          "country=: unknown: 10.0.0.0/8, private use",
		"2001:708::1":       "country=FI: city.mmdb (GeoLite2-City, built 2023-11-14): 2001:708::/32",
		"2001:db8::1":       "country=: unknown: 2001:db8::/32, documentation",
		"1.1.1.1":           "country=: unknown: city.mmdb (GeoLite2-City, built 2023-11-14): no record of the address",
		"5.9.1.1":           "asn=24940: asn.mmdb (GeoLite2-ASN, built 2023-11-14): 5.9.0.0/16",
		"7.9.1.1":           "data centre=yes: the database calls it a hosting network",
		"6.9.1.1":           "data centre=yes: the word hosting in the network's name",
	} {
		a := netip.MustParseAddr(addr)
		g, why := p.Explain(a)
		if g != p.At(a).Geo {
			t.Errorf("%s: explained as %+v, used as %+v", addr, g, p.At(a).Geo)
		}
		found := false
		for _, w := range why {
			found = found || w.Field+"="+w.Value+": "+w.Rule == want
		}
		if !found {
			t.Errorf("%s: %+v, want %q", addr, why, want)
		}
	}
}

func TestFilesChange(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "country.mmdb")
	good, _ := Embedded()
	put := func(data []byte, at int64) {
		t.Helper()
		next := filepath.Join(dir, "next")
		if err := os.WriteFile(next, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(next, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, path); err != nil { // as geoipupdate does
			t.Fatal(err)
		}
	}
	o := Options{Country: path}
	put(good, 1000)
	w := o.Files()
	changed := func(want bool, when string) {
		t.Helper()
		if got := w.Changed(); got != want {
			t.Errorf("%s: changed is %v", when, got)
		}
	}
	changed(false, "nothing happened")
	put(good, 2000)
	changed(false, "just replaced")
	changed(true, "replaced, and at rest")
	changed(false, "after it was told")
	put(good[:1000], 2000) // half a file, with the same time
	changed(false, "being written")
	put(good, 2001)
	changed(false, "still being written")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	changed(false, "away")
	changed(false, "still away")
	put(good, 2001)
	changed(false, "back")
	changed(true, "back and at rest")
	changed(false, "told")
	if w := (Options{}).Files(); slices.Contains([]bool{w.Changed(), w.Changed()}, true) {
		t.Error("the embedded database changed")
	}
	if w := (Options{City: filepath.Join(dir, "none"), Country: path}).Files(); slices.Contains([]bool{w.Changed(), w.Changed()}, true) {
		t.Error("a file that never was changed")
	}
}

func TestUnreadableFiles(t *testing.T) {
	good, _ := Embedded()
	dir := t.TempDir()
	for name, data := range map[string][]byte{"empty": nil, "half": good[:len(good)/2], "page": []byte("<html>sign in first</html>"), "tail": good[len(good)/2:], "mark": []byte("\xAB\xCD\xEFMaxMind.com")} {
		if _, err := Open(Options{Country: write(t, name, data)}); err == nil || !strings.Contains(err.Error(), "geo.country") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for _, o := range []Options{{City: filepath.Join(dir, "none.mmdb")}, {City: dir}, {ASN: os.DevNull}, {Country: os.DevNull}} {
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "leave the setting out") {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}

// What is overwritten in place after it was read is none of a database's
// business: it answers on from what it read.
func TestOverwrittenInPlace(t *testing.T) {
	data := cityDatabase(t)
	path := write(t, "city.mmdb", data)
	p := open(t, Options{City: path})
	if err := os.WriteFile(path, bytes.Repeat([]byte{0xFF}, len(data)/2), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.At(netip.MustParseAddr("193.166.3.2")).Geo.City; got != "Espoo" {
		t.Errorf("city %q", got)
	}
}

func TestCachedPlaceDoesNotAllocate(t *testing.T) {
	p := open(t, Options{City: write(t, "city.mmdb", cityDatabase(t)), ASN: write(t, "asn.mmdb", asnDatabase(t))})
	for _, s := range []string{"193.166.3.2", "::ffff:193.166.3.2", "2001:708::1", "10.0.0.1"} {
		addr := netip.MustParseAddr(s)
		p.At(addr)
		if n := testing.AllocsPerRun(500, func() { p.At(addr) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", s, n)
		}
	}
	if n := testing.AllocsPerRun(500, func() { IsPublic(netip.AddrFrom4([4]byte{8, 8, 8, 8})) }); n != 0 {
		t.Errorf("IsPublic: %v allocations, want 0", n)
	}
}
