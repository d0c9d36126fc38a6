package geo

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
)

type o = map[string]any

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
		encode(t, &data, rows[k])
	}
	var tree bytes.Buffer
	for _, n := range nodes {
		for side := range 2 {
			record := uint32(len(nodes)) // nothing here
			if n.data[side] != 0 {
				record = uint32(len(nodes) + 16 + n.data[side] - 1)
			} else if n.child[side] != 0 {
				record = uint32(n.child[side])
			}
			tree.Write(binary.BigEndian.AppendUint32(nil, record))
		}
	}
	return assemble(t, kind, len(nodes), tree.Bytes(), data.Bytes())
}

// assemble puts a tree of 32-bit records and a data section together.
func assemble(t testing.TB, kind string, nodes int, tree, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	out.Write(tree)
	out.Write(make([]byte, 16))
	out.Write(data)
	out.WriteString("\xab\xcd\xefMaxMind.com")
	encode(t, &out, o{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0),
		"build_epoch": uint64(1700000000), "database_type": kind, "ip_version": uint16(6),
		"node_count": uint32(nodes), "record_size": uint16(32),
		"languages": []any{"en"}, "description": o{"en": "made by a test"},
	})
	return out.Bytes()
}

// pointer is encoded as a pointer to that offset of the data section.
type pointer uint32

func encode(t testing.TB, out *bytes.Buffer, v any) {
	t.Helper()
	control := func(kind, size int) {
		var extra []byte
		switch {
		case size >= 65821:
			b := binary.BigEndian.AppendUint32(nil, uint32(size-65821))
			extra, size = b[1:], 31
		case size >= 285:
			extra, size = binary.BigEndian.AppendUint16(nil, uint16(size-285)), 30
		case size >= 29:
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
	case pointer:
		out.WriteByte(1<<5 | 3<<3)
		out.Write(binary.BigEndian.AppendUint32(nil, uint32(v)))
	case string:
		control(2, len(v))
		out.WriteString(v)
	case uint16:
		number(5, uint64(v))
	case uint32:
		number(6, uint64(v))
	case uint64:
		number(9, v)
	case bool:
		size := 0
		if v {
			size = 1
		}
		control(14, size)
	case []any:
		control(11, len(v))
		for _, x := range v {
			encode(t, out, x)
		}
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		control(7, len(v))
		for _, k := range keys {
			encode(t, out, k)
			encode(t, out, v[k])
		}
	default:
		t.Fatalf("no encoding for %T", v)
	}
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
