package enrich

import (
	"fmt"
	"hash/maphash"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/reuna/reuna/gateway/enrich/geo"
	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// maxGeoFile bounds a database in bytes; the largest commercial city file is
// well below it.
const maxGeoFile = 1 << 30

// places answers where an address is, from one consistent set of databases. A
// reload makes a new one, so that no cached place outlives its database.
//
// The files are read into memory rather than mapped: a mapped file that
// somebody overwrites in place ends the process with SIGBUS.
type places struct {
	city    *geoFile // nil when not configured; names the country too
	country *geoFile // nil when there is a city file
	asn     *geoFile // nil when not configured
	policy  addrPolicy
	seed    maphash.Seed
	byAddr  *memo.Table[place]
}

// place is what is known about one address.
type place struct {
	addr netip.Addr
	text string // what may be stored of the address
	geo  event.Geo
}

// geoFile is one database with the records it has decoded so far: many
// addresses share a record, and decoding costs far more than finding it.
type geoFile struct {
	reader  *maxminddb.Reader
	seed    maphash.Seed
	records *memo.Table[geoRecord]
}

type geoRecord struct {
	offset uintptr
	geo    event.Geo
}

// geoRow is the part that we read of every layout that is about: MaxMind and
// DB-IP (country.iso_code …), MaxMind ASN and ISP (autonomous_system_…), and
// ip-location-db (country_code).
type geoRow struct {
	CountryCode string  `maxminddb:"country_code,maxsize:64"`
	Country     geoName `maxminddb:"country"`
	Registered  geoName `maxminddb:"registered_country"`
	Regions     []struct {
		Names geoNames `maxminddb:"names"`
	} `maxminddb:"subdivisions"`
	City struct {
		Names geoNames `maxminddb:"names"`
	} `maxminddb:"city"`
	Postal struct {
		Code string `maxminddb:"code,maxsize:64"`
	} `maxminddb:"postal"`
	Location struct {
		TimeZone string `maxminddb:"time_zone,maxsize:64"`
	} `maxminddb:"location"`
	ASN   uint32 `maxminddb:"autonomous_system_number"`
	ASOrg string `maxminddb:"autonomous_system_organization,maxsize:1024"`
}

type geoName struct {
	ISO string `maxminddb:"iso_code,maxsize:64"`
}

type geoNames struct {
	English string `maxminddb:"en,maxsize:1024"`
}

func openPlaces(o Options, policy addrPolicy) (*places, error) {
	p := &places{policy: policy, seed: maphash.MakeSeed(), byAddr: memo.NewTable[place](o.AddrCacheSize)}
	var err error
	switch {
	case o.City != "":
		p.city, err = openGeoFile("geo.city", o.City, "City", "Enterprise")
	case o.Country != "":
		p.country, err = openGeoFile("geo.country", o.Country, "Country", "City", "Enterprise")
	default:
		p.country, err = openEmbedded()
	}
	if err != nil {
		return nil, err
	}
	if o.ASN != "" {
		if p.asn, err = openGeoFile("geo.asn", o.ASN, "ASN", "ISP", "Enterprise"); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func openEmbedded() (*geoFile, error) {
	data, err := geo.Embedded()
	if err != nil {
		return nil, err
	}
	// A test verifies the whole file, so that a start need not.
	return newGeoFile(data)
}

// openGeoFile reads and verifies one database. setting is its name in the
// config; kinds are the words of which the database's type must have one.
func openGeoFile(setting, path string, kinds ...string) (*geoFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("enrich: %s: cannot open the database: %w; give the path of a readable .mmdb file, or leave the setting out", setting, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxGeoFile+1))
	if err != nil {
		return nil, fmt.Errorf("enrich: %s: reading %s: %w", setting, path, err)
	}
	if len(data) > maxGeoFile {
		return nil, fmt.Errorf("enrich: %s: %s is larger than %d bytes, the most that is read; is it an .mmdb file?", setting, path, maxGeoFile)
	}
	g, err := newGeoFile(data)
	if err != nil {
		return nil, fmt.Errorf("enrich: %s: %s is no usable MaxMind database (%d bytes): %w; download it again", setting, path, len(data), err)
	}
	kind := g.reader.Metadata.DatabaseType
	for _, k := range kinds {
		if strings.Contains(strings.ToLower(kind), strings.ToLower(k)) {
			if err := g.verify(); err != nil {
				return nil, fmt.Errorf("enrich: %s: %s cannot be used: %w; download it again, or take another maker's", setting, path, err)
			}
			return g, nil
		}
	}
	return nil, fmt.Errorf("enrich: %s: %s is a database of type %q, expected one of %s; check which file goes where", setting, path, kind, strings.Join(kinds, ", "))
}

// newGeoFile opens a database; data is its own from now on.
func newGeoFile(data []byte) (*geoFile, error) {
	r, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, err
	}
	return &geoFile{reader: r, seed: maphash.MakeSeed(), records: memo.NewTable[geoRecord](geoRecordCache)}, nil
}

// verify reads the whole file, so that a damaged one is refused here and not
// met by an address, and looks whether its rows have a layout that we know.
func (f *geoFile) verify() error {
	// MaxMind's verifier wants a description, which the format does not and
	// others than MaxMind leave out.
	if len(f.reader.Metadata.Description) == 0 {
		f.reader.Metadata.Description = map[string]string{"en": f.reader.Metadata.DatabaseType}
	}
	if err := f.reader.Verify(); err != nil {
		return err
	}
	for first := range f.reader.Networks() {
		var row geoRow
		if err := first.Decode(&row); err != nil {
			return fmt.Errorf("its rows are not laid out as MaxMind's are: %w", err)
		}
		break
	}
	return nil
}

// geoRecordCache is how many decoded records a database keeps: a country
// database has about 250 in all, a city file's busiest few thousand cover
// nearly every visitor.
const geoRecordCache = 4096

// at is the place of an address: its storable text always, its geo where a
// database knows it. The address need not be plain.
func (p *places) at(addr netip.Addr) *place {
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
	found := &place{addr: addr, text: p.policy.text(addr)}
	if isPublic(addr) {
		found.geo = p.find(addr)
	}
	p.byAddr.Put(h, found)
	return found
}

func (p *places) find(addr netip.Addr) event.Geo {
	var g event.Geo
	switch {
	case p.city != nil:
		g = p.city.find(addr)
	case p.country != nil:
		g = p.country.find(addr)
	}
	if p.asn != nil {
		as := p.asn.find(addr)
		g.ASN, g.ASOrg = as.ASN, as.ASOrg
	}
	return g
}

// find is the record of an address; the zero Geo where the database has none
// or its entry cannot be read.
func (f *geoFile) find(addr netip.Addr) event.Geo {
	if addr.Is6() && f.reader.Metadata.IPVersion == 4 {
		return event.Geo{}
	}
	r := f.reader.Lookup(addr)
	if !r.Found() {
		return event.Geo{}
	}
	offset := r.Offset()
	h := uint64(offset) * 0x9E3779B97F4A7C15 // Fibonacci hashing spreads the offsets
	h ^= h >> 29
	a, b := f.records.Candidates(h)
	if a != nil && a.offset == offset {
		return a.geo
	}
	if b != nil && b.offset == offset {
		return b.geo
	}
	var row geoRow
	geo := event.Geo{}
	if err := r.Decode(&row); err == nil {
		geo = row.geo()
	} // A verified file may still hold single rows of another layout: unknown.
	f.records.Put(h, &geoRecord{offset: offset, geo: geo})
	return geo
}

func (row *geoRow) geo() event.Geo {
	g := event.Geo{
		Country:  row.Country.ISO,
		City:     row.City.Names.English,
		Postcode: row.Postal.Code,
		Timezone: row.Location.TimeZone,
		ASN:      row.ASN,
		ASOrg:    row.ASOrg,
	}
	if g.Country == "" {
		g.Country = row.Registered.ISO
	}
	if g.Country == "" {
		g.Country = row.CountryCode
	}
	if len(g.Country) != 2 || !memo.IsUpper(g.Country[0]) || !memo.IsUpper(g.Country[1]) || g.Country == "ZZ" {
		g.Country = "" // ZZ is how registries write "not known"
	}
	if len(row.Regions) > 0 {
		g.Region = row.Regions[0].Names.English
	}
	return g
}
