package enrich

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/reuna/reuna/gateway/enrich/geo"
	"github.com/reuna/reuna/gateway/enrich/geo/geotest"
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
// of 20 bits below octets(), in so many different places.
func cityDatabase(different int) ([]byte, error) {
	names := func(s string) object {
		all := object{}
		for _, language := range []string{"de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"} {
			all[language] = s
		}
		return object{"geoname_id": uint32(len(s)), "names": all}
	}
	var w geotest.Writer
	at := make([]int, different)
	for i := range at {
		country := names(fmt.Sprintf("Country %d", i%200))
		country["iso_code"] = []string{"FI", "SE", "DE", "GB", "FR", "ES", "IT", "PL"}[i%8]
		at[i] = w.Record(object{
			"city": names(fmt.Sprintf("City %d", i)), "country": country, "registered_country": country, "continent": names("Continent"),
			"location":     object{"accuracy_radius": uint16(20), "time_zone": "Europe/Helsinki"},
			"postal":       object{"code": fmt.Sprintf("%05d", i)},
			"subdivisions": []any{names(fmt.Sprintf("Region %d", i%1000))},
		})
	}
	below := 1 << 12 // networks of 20 bits below an octet
	for i := range len(octets()) * below {
		var raw [4]byte
		binary.BigEndian.PutUint32(raw[:], uint32(octets()[i/below])<<24|uint32(i%below)<<12)
		// Neighbours lie in different places.
		w.Network(netip.PrefixFrom(netip.AddrFrom4(raw), 20), at[i*7919%different])
	}
	return w.Bytes("GeoLite2-City")
}
