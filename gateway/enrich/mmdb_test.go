package enrich

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

// makeDatabase writes a small MaxMind DB file of the given type: an IPv6 tree
// with 32-bit records, and one record per prefix.
// https://maxmind.github.io/MaxMind-DB/
func makeDatabase(t testing.TB, kind string, rows map[string]map[string]any) []byte {
	t.Helper()
	type node struct{ child, data [2]int } // data: offset + 1
	nodes := []node{{}}
	var data bytes.Buffer
	keys := make([]string, 0, len(rows))
	for k := range rows {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		p := netip.MustParsePrefix(k)
		bits, raw := p.Bits(), p.Addr().As16()
		if p.Addr().Is4() { // IPv4 lies under ::/96
			bits += 96
			raw = [16]byte{12: raw[12], 13: raw[13], 14: raw[14], 15: raw[15]}
		}
		at := 0
		for i := range bits {
			side := raw[i/8] >> (7 - i%8) & 1
			if i == bits-1 {
				nodes[at].data[side] = data.Len() + 1
				break
			}
			if nodes[at].child[side] == 0 {
				nodes = append(nodes, node{})
				nodes[at].child[side] = len(nodes) - 1
			}
			at = nodes[at].child[side]
		}
		encodeMMDB(t, &data, rows[k])
	}
	var out bytes.Buffer
	for _, n := range nodes {
		for side := range 2 {
			record := uint32(len(nodes)) // nothing here
			if n.data[side] != 0 {
				record = uint32(len(nodes) + 16 + n.data[side] - 1)
			} else if n.child[side] != 0 {
				record = uint32(n.child[side])
			}
			out.Write(binary.BigEndian.AppendUint32(nil, record))
		}
	}
	out.Write(make([]byte, 16))
	out.Write(data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	encodeMMDB(t, &out, map[string]any{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0),
		"build_epoch": uint64(1700000000), "database_type": kind, "ip_version": uint16(6),
		"node_count": uint32(len(nodes)), "record_size": uint16(32),
		"languages": []any{"en"}, "description": map[string]any{"en": "made by a test"},
	})
	return out.Bytes()
}

func encodeMMDB(t testing.TB, out *bytes.Buffer, v any) {
	t.Helper()
	control := func(kind, size int) {
		var extra []byte
		if size >= 29 {
			if size >= 29+256 {
				t.Fatalf("size %d", size)
			}
			extra, size = []byte{byte(size - 29)}, 29
		}
		if kind > 7 {
			out.Write([]byte{byte(size), byte(kind - 7)})
		} else {
			out.WriteByte(byte(kind<<5 | size))
		}
		out.Write(extra)
	}
	number := func(kind int, n uint64) {
		b := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, n), "\x00")
		control(kind, len(b))
		out.Write(b)
	}
	switch v := v.(type) {
	case string:
		control(2, len(v))
		out.WriteString(v)
	case uint16:
		number(5, uint64(v))
	case uint32:
		number(6, uint64(v))
	case uint64:
		number(9, v)
	case []any:
		control(11, len(v))
		for _, x := range v {
			encodeMMDB(t, out, x)
		}
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		control(7, len(v))
		for _, k := range keys {
			encodeMMDB(t, out, k)
			encodeMMDB(t, out, v[k])
		}
	default:
		t.Fatalf("no encoding for %T", v)
	}
}

func en(name string) map[string]any {
	return map[string]any{"names": map[string]any{"en": name, "de": "auf Deutsch"}}
}

func cityDatabase(t testing.TB) []byte {
	return makeDatabase(t, "GeoLite2-City", map[string]map[string]any{
		"193.166.0.0/16": {
			"country": map[string]any{"iso_code": "FI", "names": map[string]any{"en": "Finland"}}, "city": en("Espoo"),
			"subdivisions": []any{en("Uusimaa"), en("Helsinki sub-region")},
			"postal":       map[string]any{"code": "02150"}, "location": map[string]any{"time_zone": "Europe/Helsinki", "accuracy_radius": uint16(20)},
		},
		"8.8.0.0/16":    {"registered_country": map[string]any{"iso_code": "US"}},
		"9.9.9.0/24":    {"country": map[string]any{"iso_code": uint32(7)}}, // a row of a foreign shape
		"11.0.0.0/8":    {"country": map[string]any{"iso_code": "ZZ"}},
		"2001:708::/32": {"country": map[string]any{"iso_code": "FI"}},
	})
}

func asnDatabase(t testing.TB) []byte {
	return makeDatabase(t, "GeoLite2-ASN", map[string]map[string]any{
		"193.166.0.0/16": {"autonomous_system_number": uint32(1741), "autonomous_system_organization": "CSC - Tieteen tietotekniikan keskus Oy"},
	})
}

func TestMaxMindFiles(t *testing.T) {
	dir := t.TempDir()
	city, asn := filepath.Join(dir, "city.mmdb"), filepath.Join(dir, "asn.mmdb")
	for path, data := range map[string][]byte{city: cityDatabase(t), asn: asnDatabase(t)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := newEnricher(t, Options{City: city, ASN: asn})
	espoo := event.Geo{Country: "FI", Region: "Uusimaa", City: "Espoo", Postcode: "02150", Timezone: "Europe/Helsinki", ASN: 1741, ASOrg: "CSC - Tieteen tietotekniikan keskus Oy"}
	for addr, want := range map[string]event.Geo{
		"193.166.3.2": espoo, "193.166.200.1": espoo, "::ffff:193.166.3.2": espoo,
		"8.8.8.8": {Country: "US"}, "9.9.9.9": {}, "11.1.1.1": {}, "1.1.1.1": {}, "2001:708::1": {Country: "FI"},
	} {
		for range 2 {
			if got := e.places.Load().at(netip.MustParseAddr(addr)).geo; got != want {
				t.Errorf("%s:\n got %+v\nwant %+v", addr, got, want)
			}
		}
	}
	// A city file may also stand where only countries are wanted, but not where
	// networks are.
	if got := newEnricher(t, Options{Country: city}).places.Load().at(netip.MustParseAddr("8.8.8.8")).geo.Country; got != "US" {
		t.Errorf("country of a city file: %q", got)
	}
	if _, err := New(Options{ASN: city}); err == nil {
		t.Error("a city file was taken for an ASN file")
	}
	foreign := filepath.Join(dir, "foreign.mmdb")
	data := makeDatabase(t, "Somebody's Country", map[string]map[string]any{"8.8.0.0/16": {"country": "US"}})
	if err := os.WriteFile(foreign, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Country: foreign}); err == nil || !strings.Contains(err.Error(), "laid out") {
		t.Errorf("a file of another layout: error %v", err)
	}
}

// However a file is damaged, it is refused or it answers; it never panics.
func FuzzDamagedDatabase(f *testing.F) {
	whole := cityDatabase(f)
	f.Add(uint32(0), byte(0xFF), uint32(0))
	f.Add(uint32(len(whole)-20), byte(0x41), uint32(1))
	for i := range 16 {
		f.Add(uint32(i*len(whole)/16), byte(1<<(i%8)), uint32(i))
	}
	addrs := []netip.Addr{netip.MustParseAddr("193.166.3.2"), netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("2001:708::1"), netip.MustParseAddr("1.1.1.1")}
	path := filepath.Join(f.TempDir(), "fuzzed.mmdb")
	f.Fuzz(func(t *testing.T, at uint32, flip byte, drop uint32) {
		data := bytes.Clone(whole)
		data[int(at)%len(data)] ^= flip
		data = data[:len(data)-int(drop)%16]

		// Unverified, as a file that went bad in memory would be.
		if g, err := newGeoFile(data); err == nil {
			for _, a := range addrs {
				g.find(a)
			}
			if err := g.verify(); err == nil && flip == 0 && drop%16 == 0 && g.find(addrs[0]).City != "Espoo" {
				t.Error("the whole file does not answer")
			}
		}
		name := fmt.Sprintf("%s.%d", path, os.Getpid())
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if g, err := openGeoFile("geo.city", name, "City"); err == nil {
			for _, a := range addrs {
				g.find(a)
			}
		}
	})
}
