package enrich

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/reuna/reuna/gateway/enrich/geo"
)

// countryFile is the embedded database as a file's content.
func countryFile(t testing.TB) []byte {
	t.Helper()
	data, err := geo.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return data
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
	country := func() string { return e.places.Load().At(netip.MustParseAddr("8.8.8.8")).Geo.Country }
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

// A file that is renamed into place is taken into use without a signal.
func TestRefresh(t *testing.T) {
	path := filepath.Join(t.TempDir(), "country.mmdb")
	if err := os.WriteFile(path, countryFile(t), 0o600); err != nil {
		t.Fatal(err)
	}
	e := newEnricher(t, Options{Country: path})
	before := e.places.Load()
	refresh := func() {
		t.Helper()
		for range 2 { // the files must be at rest
			if err := e.Refresh(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if refresh(); e.places.Load() != before {
		t.Error("reloaded what has not changed")
	}
	next := path + ".next"
	if err := os.WriteFile(next, countryFile(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	if refresh(); e.places.Load() == before {
		t.Error("the new file is not in use")
	}
}
