// Package geo says where an address is: country, region, city, postcode, time
// zone and network, from MaxMind DB files or from the country database that
// every gateway carries, and whether it stands in a data centre.
//
// It knows the layouts of MaxMind, DB-IP, ipinfo and ip-location-db. What is no
// place on the internet (private, reserved, documentation) is unknown, not a
// country, and so is everything that a database does not say. A damaged
// database is refused when it is opened.
package geo

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"strconv"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// Options name the databases. The zero value works: countries from the
// embedded database, no networks.
type Options struct {
	// Paths of MaxMind DB files. City names the country too, so Country is for
	// those who have no city file. ASN holds networks.
	City, Country, ASN string

	// CacheSize is how many addresses keep their place; 0 means 16,384. Each takes
	// about 300 bytes.
	CacheSize int

	// Text, when given, makes each Place's Text: what may be stored of an address.
	// It is called once for each address in the cache, not once for each event.
	Text func(netip.Addr) string
}

// Place is what is known of an address. It is shared and must not be changed.
type Place struct {
	Geo        event.Geo
	DataCentre bool   // the address is of a hosting or cloud network; needs a database that names networks
	Text       string // what Options.Text made of the address, which is plain: no zone, IPv4 never in IPv6's form

	addr netip.Addr
}

// Places answers where addresses are, from one consistent set of databases. It
// never changes, and is safe for concurrent use: a reload opens new ones, so
// that no cached place outlives its database.
type Places struct {
	city    *file // nil when not configured; names the country too
	country *file // nil when there is a city file
	asn     *file // nil when not configured
	centres *centres
	text    func(netip.Addr) string
	seed    maphash.Seed
	byAddr  *memo.Table[Place]
}

// Open reads the databases: all of them, or none with an error that names the
// setting, the file and what is wrong.
func Open(o Options) (*Places, error) {
	if o.CacheSize <= 0 {
		o.CacheSize = 16384
	}
	p := &Places{text: o.Text, seed: maphash.MakeSeed(), byAddr: memo.NewTable[Place](o.CacheSize)}
	var err error
	switch {
	case o.City != "":
		p.city, err = openFile(o.City, places)
	case o.Country != "":
		p.country, err = openFile(o.Country, nations)
	default:
		p.country, err = openEmbedded()
	}
	if err != nil {
		return nil, err
	}
	if o.ASN != "" {
		if p.asn, err = openFile(o.ASN, networks); err != nil {
			return nil, err
		}
	}
	if p.centres, err = readCentres(centreTable); err != nil {
		return nil, err
	}
	return p, nil
}

func openEmbedded() (*file, error) {
	data, err := Embedded()
	if err != nil {
		return nil, err
	}
	// A test verifies the whole file, so that a start need not.
	f, err := newFile("embedded country database", data)
	if err != nil {
		return nil, fmt.Errorf("geo: the embedded country database: %w", err)
	}
	return f, nil
}

// At is the place of an address, which may be invalid and need not be plain. It
// is never nil.
func (p *Places) At(addr netip.Addr) *Place {
	addr = plain(addr)
	key := addr.As16()
	h := maphash.Bytes(p.seed, key[:])
	a, b := p.byAddr.Candidates(h)
	if a != nil && a.addr == addr {
		return a
	}
	if b != nil && b.addr == addr {
		return b
	}
	found := &Place{addr: addr}
	if p.text != nil {
		found.Text = p.text(addr)
	}
	if at := Carried(addr); reserved(at) == "" {
		p.fill(found, at)
	}
	p.byAddr.Put(h, found)
	return found
}

func (p *Places) fill(to *Place, at netip.Addr) {
	row := p.source().find(at)
	if p.asn != nil {
		as := p.asn.find(at)
		row.geo.ASN, row.geo.ASOrg = as.geo.ASN, as.geo.ASOrg
		row.hosting = row.hosting || as.hosting
	}
	to.Geo = row.geo
	to.DataCentre = p.centres.has(row) != ""
}

// source is the database of countries.
func (p *Places) source() *file {
	if p.city != nil {
		return p.city
	}
	return p.country
}

// Explain is the place of an address and, for each thing said, the database and
// the network in it that say so; for an address of no place, why it is none.
func (p *Places) Explain(addr netip.Addr) (event.Geo, []memo.Why) {
	at := Carried(addr)
	var why []memo.Why
	if at != plain(addr) {
		why = append(why, memo.Why{Field: "address", Value: at.String(), Rule: "the IPv4 address that " + addr.String() + " stands for"})
	}
	if r := reserved(at); r != "" {
		return event.Geo{}, append(why, memo.Why{Field: "country", Value: "", Rule: "unknown: " + r})
	}
	row, rule := p.source().explain(at)
	g := &row.geo
	said := func(field, value, rule string) {
		if value != "" {
			why = append(why, memo.Why{Field: field, Value: value, Rule: rule})
		}
	}
	if g.Country == "" {
		why = append(why, memo.Why{Field: "country", Value: "", Rule: "unknown: " + rule})
	}
	said("country", g.Country, rule)
	said("region", g.Region, rule)
	said("city", g.City, rule)
	said("postcode", g.Postcode, rule)
	said("timezone", g.Timezone, rule)
	if p.asn != nil {
		var as known
		as, rule = p.asn.explain(at)
		g.ASN, g.ASOrg = as.geo.ASN, as.geo.ASOrg
		row.hosting = row.hosting || as.hosting
	}
	if g.ASN != 0 {
		said("asn", strconv.FormatUint(uint64(g.ASN), 10), rule)
		said("network", g.ASOrg, rule)
	}
	if centre := p.centres.has(row); centre != "" {
		said("data centre", "yes", centre)
	}
	return *g, why
}
