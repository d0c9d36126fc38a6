package enrich

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/reuna/reuna/gateway/enrich/geo"
)

// placeCosts are those of addresses that were not seen before, and of one that was.
func placeCosts(m *meter) (all []Cost, err error) {
	dir, err := os.MkdirTemp("", "reuna-enrich-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "city.mmdb")
	data, err := cityDatabase(4096)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name, short string
		o           geo.Options
		six         bool
		city        bool
	}{
		{name: "the country of an IPv4 address, never seen", short: "unseen address, country"},
		{name: "the country of an IPv6 address, never seen", six: true},
		{name: "the city of an IPv4 address, never seen", short: "unseen address, city", o: geo.Options{City: file}, city: true},
	} {
		s.o.CacheSize = 2 // so that each address is new
		p, err := geo.Open(s.o)
		if err != nil {
			return nil, err
		}
		from := addresses(4096, s.six)
		found := 0
		for _, a := range from {
			if g := &p.At(a).Geo; g.Country != "" && (g.City != "") == s.city {
				found++
			}
		}
		if found < len(from)/2 {
			return nil, fmt.Errorf("%s: only %d of %d addresses have a place, so that the cost of looking would say nothing", s.name, found, len(from))
		}
		look := func(i int) { p.At(from[i]) }
		c := Cost{Name: s.name, short: s.short, Bar: 3, Allocs: perCall(len(from), look)}
		c.Mean, c.Median, c.P99 = m.each(len(from), look)
		all = append(all, c)
	}
	p, err := geo.Open(geo.Options{City: file})
	if err != nil {
		return nil, err
	}
	from := addresses(1024, false)
	look := func(i int) { p.At(from[i]) }
	for i := range from {
		look(i)
	}
	return append(all, Cost{Name: "the city of an address seen before", NoAlloc: true, Allocs: perCall(len(from), look), Mean: m.mean(len(from), look)}), nil
}

type object = map[string]any

// cityDatabase makes a MaxMind DB file in the layout of GeoLite2-City: all networks
// of 20 bits below octets(), in so many different places, with 32-bit records.
// https://maxmind.github.io/MaxMind-DB/
func cityDatabase(different int) ([]byte, error) {
	names := func(s string) object {
		all := object{}
		for _, language := range []string{"de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"} {
			all[language] = s
		}
		return object{"geoname_id": uint32(len(s)), "names": all}
	}
	var data mmdb
	at := make([]uint32, different)
	for i := range at {
		at[i] = uint32(data.Len())
		country := names(fmt.Sprintf("Country %d", i%200))
		country["iso_code"] = []string{"FI", "SE", "DE", "GB", "FR", "ES", "IT", "PL"}[i%8]
		data.put(object{
			"city": names(fmt.Sprintf("City %d", i)), "country": country, "registered_country": country, "continent": names("Continent"),
			"location":     object{"accuracy_radius": uint16(20), "time_zone": "Europe/Helsinki"},
			"postal":       object{"code": fmt.Sprintf("%05d", i)},
			"subdivisions": []any{names(fmt.Sprintf("Region %d", i%1000))},
		})
	}
	// nodes are pairs: an index of a node, or a place's number below zero.
	type node [2]int
	nodes := []node{{}}
	below := 1 << 12 // networks of 20 bits below an octet
	for i := range len(octets()) * below {
		var raw [16]byte
		binary.BigEndian.PutUint32(raw[12:], uint32(octets()[i/below])<<24|uint32(i%below)<<12)
		now := 0
		for bit := range 116 { // 96 before IPv4 and 20 of it
			side := raw[bit/8] >> (7 - bit%8) & 1
			if bit == 115 {
				nodes[now][side] = -1 - i*7919%different // neighbours lie in different places
				break
			}
			if nodes[now][side] == 0 {
				nodes = append(nodes, node{})
				nodes[now][side] = len(nodes) - 1
			}
			now = nodes[now][side]
		}
	}
	var out mmdb
	for _, n := range nodes {
		for _, to := range n {
			switch {
			case to == 0: // nothing here
				to = len(nodes)
			case to < 0:
				to = len(nodes) + 16 + int(at[-1-to])
			}
			out.Write(binary.BigEndian.AppendUint32(nil, uint32(to)))
		}
	}
	out.Write(make([]byte, 16))
	out.Write(data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	out.put(object{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0), "build_epoch": uint64(1_700_000_000),
		"database_type": "GeoLite2-City", "description": object{"en": "made for a benchmark"}, "ip_version": uint16(6),
		"languages": []any{"en"}, "node_count": uint32(len(nodes)), "record_size": uint16(32),
	})
	return out.Bytes(), errors.Join(data.err, out.err)
}

// mmdb encodes values the way MaxMind DB files do.
type mmdb struct {
	bytes.Buffer
	err error
}

func (m *mmdb) put(v any) {
	head := func(kind, size int) {
		if size >= 285 {
			m.err = fmt.Errorf("a value of %d bytes or members: 284 at most", size)
			return
		}
		first, more := size, []byte(nil)
		if size >= 29 {
			first, more = 29, []byte{byte(size - 29)}
		}
		if kind > 7 {
			m.Write(append([]byte{byte(first), byte(kind - 7)}, more...))
		} else {
			m.Write(append([]byte{byte(kind<<5 | first)}, more...))
		}
	}
	number := func(kind int, n uint64) {
		b := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, n), "\x00")
		head(kind, len(b))
		m.Write(b)
	}
	switch v := v.(type) {
	case string:
		head(2, len(v))
		m.WriteString(v)
	case uint16:
		number(5, uint64(v))
	case uint32:
		number(6, uint64(v))
	case uint64:
		number(9, v)
	case []any:
		head(11, len(v))
		for _, x := range v {
			m.put(x)
		}
	case object:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		head(7, len(v))
		for _, k := range keys {
			m.put(k)
			m.put(v[k])
		}
	default:
		m.err = fmt.Errorf("a %T has no form in a MaxMind DB file", v)
	}
}
