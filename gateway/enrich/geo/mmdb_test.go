package geo

import (
	"bytes"
	"testing"

	"github.com/reuna/reuna/gateway/enrich/geo/geotest"
)

type o = map[string]any

// makeDatabase writes a small database of the given type with one record per
// prefix.
func makeDatabase(t testing.TB, kind string, rows map[string]map[string]any) []byte {
	t.Helper()
	file, err := geotest.Database(kind, rows)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// assemble puts a tree of 32-bit records and a data section together.
func assemble(t testing.TB, kind string, nodes int, tree, data []byte) []byte {
	t.Helper()
	file, err := geotest.Assemble(kind, nodes, tree, data)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

type pointer = geotest.Pointer

func encode(t testing.TB, out *bytes.Buffer, v any) {
	t.Helper()
	data, err := geotest.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(data)
}

// en is what MaxMind writes of a place: its names in eight languages.
func en(name string) o {
	names := o{"en": name}
	for _, l := range []string{"de", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"} {
		names[l] = name + " in " + l
	}
	return o{"names": names, "geoname_id": uint32(660129)}
}

func country(iso, name string) o {
	c := en(name)
	c["iso_code"], c["is_in_european_union"] = iso, true
	return c
}

func cityDatabase(t testing.TB) []byte {
	return makeDatabase(t, "GeoLite2-City", map[string]map[string]any{
		"193.166.0.0/16": {
			"continent": en("Europe"), "country": country("FI", "Finland"), "registered_country": country("SE", "Sweden"), "city": en("Espoo"),
			"subdivisions": []any{en("Uusimaa"), en("Helsinki sub-region")},
			"postal":       o{"code": "02150"}, "location": o{"time_zone": "Europe/Helsinki", "accuracy_radius": uint16(20)},
		},
		"8.8.0.0/16":    {"registered_country": o{"iso_code": "US"}},
		"9.9.9.0/24":    {"country": o{"iso_code": uint32(7)}, "city": en("Berkeley")}, // one field of a foreign shape
		"9.9.10.0/24":   {"country": []any{o{"country": "US"}}, "subdivisions": o{}, "city": true, "location": "here", "postal": uint32(12345)},
		"11.0.0.0/8":    {"country": o{"iso_code": "ZZ"}},
		"12.0.0.0/8":    {"country": o{"iso_code": "EU"}, "registered_country": o{"iso_code": "US"}},
		"2001:708::/32": {"country": o{"iso_code": "FI"}},
	})
}

func asnDatabase(t testing.TB) []byte {
	return makeDatabase(t, "GeoLite2-ASN", map[string]map[string]any{
		"193.166.0.0/16": {"autonomous_system_number": uint32(1741), "autonomous_system_organization": "CSC - Tieteen tietotekniikan keskus Oy"},
		"5.9.0.0/16":     {"autonomous_system_number": uint32(24940), "autonomous_system_organization": "Hetzner Online GmbH"},
		"6.9.0.0/16":     {"autonomous_system_number": uint32(64500), "autonomous_system_organization": "Example Hosting, s.r.o."},
		"7.9.0.0/16":     {"traits": o{"autonomous_system_number": uint32(64501), "autonomous_system_organization": "Example", "user_type": "hosting"}},
		"104.29.0.0/16":  {"asn": "AS13335", "name": "Cloudflare", "type": "hosting"},
		"104.28.0.0/16":  {"autonomous_system_number": uint32(13335), "autonomous_system_organization": "Cloudflare Hosting"},
	})
}
