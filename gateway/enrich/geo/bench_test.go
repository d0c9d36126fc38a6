package geo

import (
	"fmt"
	"net/netip"
	"testing"
)

// bigCity is a city database of some thousand places with all fields in eight
// languages, as MaxMind's have them: one place for each /16 of 20.0.0.0 to
// 83.255.0.0.
func bigCity(t testing.TB) []byte {
	rows := map[string]map[string]any{}
	for a := 20; a < 84; a++ {
		for b := range 64 {
			rows[fmt.Sprintf("%d.%d.0.0/16", a, b*4)] = o{
				"continent": en("Europe"), "country": country("FI", "Finland"), "registered_country": country("SE", "Sweden"), "city": en(fmt.Sprintf("City %d.%d", a, b)),
				"subdivisions": []any{en(fmt.Sprintf("Region %d", a)), en("Part of it")}, "traits": o{"is_anycast": true},
				"postal": o{"code": fmt.Sprintf("%05d", a*100+b)}, "location": o{"time_zone": "Europe/Helsinki", "accuracy_radius": uint16(20), "metro_code": uint16(7)},
			}
		}
	}
	return makeDatabase(t, "GeoIP2-City", rows)
}

func BenchmarkAt(b *testing.B) {
	opts := Options{City: write(b, "city.mmdb", bigCity(b)), ASN: write(b, "asn.mmdb", asnDatabase(b))}
	b.Run("cached", func(b *testing.B) {
		p, addr := open(b, opts), netip.MustParseAddr("193.166.3.2")
		b.ReportAllocs()
		for b.Loop() {
			p.At(addr)
		}
	})
	for name, o := range map[string]Options{"city": opts, "embedded": {}} {
		anywhere := func(i uint32) netip.Addr {
			n := i * 2654435761
			return netip.AddrFrom4([4]byte{byte(20 + n>>24&63), byte(n>>16) &^ 3, byte(n >> 8), byte(n)})
		}
		b.Run(name+"/address unseen", func(b *testing.B) {
			p, i := open(b, o), uint32(0)
			b.ReportAllocs()
			for b.Loop() {
				i++
				p.At(anywhere(i))
			}
		})
		b.Run(name+"/record unseen", func(b *testing.B) { // what no cache helps with
			p, i := open(b, o), uint32(0)
			f := p.city
			if f == nil {
				f = p.country
			}
			b.ReportAllocs()
			for b.Loop() {
				i++
				if r, ok := f.lookup(anywhere(i)); ok {
					if _, err := decode(r); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkIsPublic(b *testing.B) {
	addr := netip.MustParseAddr("84.20.1.2")
	for b.Loop() {
		IsPublic(addr)
	}
}

func BenchmarkOpenCity(b *testing.B) {
	path := write(b, "city.mmdb", bigCity(b))
	for b.Loop() {
		open(b, Options{City: path})
	}
}
