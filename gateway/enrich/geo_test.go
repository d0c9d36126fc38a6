package enrich

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reuna/reuna/gateway/enrich/geo"
	"github.com/reuna/reuna/identity/event"
)

// countryFile is the embedded database as a plain file.
func countryFile(t testing.TB) []byte {
	t.Helper()
	data, err := geo.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEmbeddedDatabaseIsWhole(t *testing.T) {
	data := countryFile(t)
	sum := sha256.Sum256(data)
	readme, err := os.ReadFile("geo/data/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), hex.EncodeToString(sum[:])) {
		t.Errorf("geo/data/README.md does not name the checksum %x", sum)
	}
	f, err := newGeoFile(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.verify(); err != nil {
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
	e := newEnricher(t, Options{})
	for _, c := range []struct{ addr, country string }{
		{"8.8.8.8", "US"}, {"193.166.3.2", "FI"}, {"91.198.174.192", "NL"}, {"212.58.244.20", "GB"},
		{"133.11.0.1", "JP"}, {"129.132.0.1", "CH"}, {"2001:708::1", "FI"}, {"2001:4860:4860::8888", "US"},
		{"::ffff:8.8.8.8", "US"}, {"::ffff:193.166.3.2", "FI"},
		{"127.0.0.1", ""}, {"10.1.2.3", ""}, {"192.168.0.1", ""}, {"172.20.0.1", ""}, {"100.64.0.1", ""}, {"169.254.1.1", ""},
		{"224.0.0.1", ""}, {"255.255.255.255", ""}, {"192.0.2.1", ""}, {"198.51.100.7", ""}, {"203.0.113.7", ""}, {"198.18.0.1", ""}, {"0.1.2.3", ""},
		{"::1", ""}, {"::", ""}, {"fe80::1%eth0", ""}, {"fd00::1", ""}, {"ff02::1", ""}, {"2001:db8::1", ""}, {"2001::1", ""}, {"3fff::1", ""}, {"64:ff9b::808:808", ""},
	} {
		addr := netip.MustParseAddr(c.addr)
		for range 2 { // found, then cached
			if got := e.places.Load().at(addr).geo; got != (event.Geo{Country: c.country}) {
				t.Errorf("%s is in %+v, want %q", c.addr, got, c.country)
			}
		}
	}
}

func TestStoredAddress(t *testing.T) {
	for _, c := range []struct{ addr, truncated, full string }{
		{"203.0.113.77", "203.0.113.0", "203.0.113.77"},
		{"::ffff:203.0.113.77", "203.0.113.0", "203.0.113.77"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1::", "2001:db8:1:2:3:4:5:6"},
		{"fe80::1%eth0", "fe80::", "fe80::1"},
	} {
		a := plain(netip.MustParseAddr(c.addr))
		if got := keepTruncated.text(a); got != c.truncated {
			t.Errorf("%s truncated is %s, want %s", c.addr, got, c.truncated)
		}
		if got := keepFull.text(a); got != c.full {
			t.Errorf("%s in full is %s, want %s", c.addr, got, c.full)
		}
		if got := keepNone.text(a); got != "" {
			t.Errorf("%s kept as %s, want nothing", c.addr, got)
		}
	}
}

func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "country.mmdb")
	good := countryFile(t)
	write := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good)
	e := newEnricher(t, Options{Country: path})
	country := func() string { return e.places.Load().at(netip.MustParseAddr("8.8.8.8")).geo.Country }
	if country() != "US" {
		t.Fatal(country())
	}
	before := e.places.Load()
	for name, data := range map[string][]byte{"empty": nil, "cut short": good[:len(good)/2], "another file": []byte("<html>sign in first</html>")} {
		write(data)
		if err := e.Reload(); err == nil {
			t.Errorf("%s: taken into use", name)
		}
		if e.places.Load() != before || country() != "US" {
			t.Errorf("%s: the old database is gone", name)
		}
	}
	write(good)
	if err := e.Reload(); err != nil {
		t.Error(err)
	}
	if e.places.Load() == before || country() != "US" {
		t.Error("the new database is not in use")
	}
	if err := newEnricher(t, Options{}).Reload(); err != nil {
		t.Errorf("with the embedded database: %v", err)
	}
}

func TestWarmPlaceDoesNotAllocate(t *testing.T) {
	p := newEnricher(t, Options{}).places.Load()
	addr := netip.MustParseAddr("8.8.8.8")
	p.at(addr)
	if n := testing.AllocsPerRun(500, func() { p.at(addr) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
