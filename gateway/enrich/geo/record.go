package geo

import (
	"strconv"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2/mmdbdata"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// record is what one row of a database says of the things that we keep. It is
// read from every layout that is about, by the names of its fields:
//
//   - MaxMind (GeoIP2, GeoLite2) and DB-IP: country, registered_country,
//     subdivisions, city, postal, location, autonomous_system_…; Enterprise
//     and DB-IP's ISP keep the last ones under traits, with a user_type;
//   - ipinfo: country or country_code, region, city, postal_code, timezone, asn
//     ("AS15169"), as_name (in its ASN file: name), as_domain, type, all texts;
//   - ip-location-db: country_code, state1, city, postcode, timezone.
//
// A field of another type than these is left out, and the rest of its row
// stands.
type record struct {
	country, registered, code string
	region, city              string
	postcode, timezone        string
	asn                       uint32
	org, domain               string
	use                       string // what the network is for: "hosting"
}

// maxField is the most bytes of a text that are read: the longest names of
// cities and networks are well below it.
const maxField = 1024

// UnmarshalMaxMindDBCursor reads one row. Its work is bounded, because a file
// is only used whose records were all expanded within bounds (see expansion).
func (r *record) UnmarshalMaxMindDBCursor(c mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	return each(c, r.field)
}

// field reads a member of the row, or of its traits.
func (r *record) field(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	switch string(key) {
	case "country":
		return textOr(v, &r.country, "iso_code")
	case "registered_country":
		return textOr(v, &r.registered, "iso_code")
	case "country_code":
		return text(v, &r.code)
	case "subdivisions":
		return first(v, &r.region)
	case "region", "state1":
		return text(v, &r.region)
	case "city":
		return named(v, &r.city)
	case "postal":
		return textOr(v, &r.postcode, "code")
	case "postal_code", "postcode":
		return text(v, &r.postcode)
	case "location":
		return textOr(v, &r.timezone, "time_zone")
	case "timezone", "time_zone":
		return text(v, &r.timezone)
	case "autonomous_system_number", "asn":
		return number(v, &r.asn)
	case "autonomous_system_organization", "as_name", "name":
		return text(v, &r.org)
	case "as_domain", "domain":
		return text(v, &r.domain)
	case "type", "user_type", "as_type":
		return text(v, &r.use)
	case "traits":
		return within(v, func(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
			switch string(key) {
			case "autonomous_system_number", "autonomous_system_organization", "user_type":
				return r.field(key, v)
			}
			return v.Skip()
		})
	}
	return v.Skip()
}

// each reads a map, member by member.
func each(c mmdbdata.Cursor, member func([]byte, mmdbdata.Cursor) (mmdbdata.Cursor, error)) (mmdbdata.Cursor, error) {
	entries, err := c.Map()
	if err != nil {
		return mmdbdata.Cursor{}, err
	}
	var next mmdbdata.Cursor
	for {
		key, v, ok := entries.Next(next)
		if !ok {
			break
		}
		if next, err = member(key, v); err != nil {
			return mmdbdata.Cursor{}, err
		}
	}
	return entries.End()
}

// within is each, for a value that may be something else and is then left out.
func within(c mmdbdata.Cursor, member func([]byte, mmdbdata.Cursor) (mmdbdata.Cursor, error)) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil {
		return mmdbdata.Cursor{}, err
	} else if kind != mmdbdata.KindMap {
		return c.Skip()
	}
	return each(c, member)
}

// text reads a text into to, which stays as it is when there is none.
func text(c mmdbdata.Cursor, to *string) (mmdbdata.Cursor, error) {
	kind, err := c.Kind()
	if err != nil {
		return mmdbdata.Cursor{}, err
	}
	if kind != mmdbdata.KindString {
		return c.Skip()
	}
	s, next, err := c.ReadStringMaxSize(maxField)
	if err != nil {
		return c.Skip() // longer than anything real; a broken one fails here, too
	}
	*to = s
	return next, nil
}

// textOr reads a text, or the text that a map has under the name in.
func textOr(c mmdbdata.Cursor, to *string, in string) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil {
		return mmdbdata.Cursor{}, err
	} else if kind != mmdbdata.KindMap {
		return text(c, to)
	}
	return each(c, func(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
		if string(key) == in {
			return text(v, to)
		}
		return v.Skip()
	})
}

// named reads a text, or the English one of a map's names.
func named(c mmdbdata.Cursor, to *string) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil {
		return mmdbdata.Cursor{}, err
	} else if kind != mmdbdata.KindMap {
		return text(c, to)
	}
	return each(c, func(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
		if string(key) == "names" {
			return textOr(v, to, "en")
		}
		return v.Skip()
	})
}

// first reads the name of a list's first member: the largest subdivision.
func first(c mmdbdata.Cursor, to *string) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil {
		return mmdbdata.Cursor{}, err
	} else if kind != mmdbdata.KindSlice {
		return c.Skip()
	}
	members, err := c.Slice()
	if err != nil {
		return mmdbdata.Cursor{}, err
	}
	var next mmdbdata.Cursor
	for {
		i, v, ok := members.Next(next)
		if !ok {
			break
		}
		if i == 0 {
			next, err = named(v, to)
		} else {
			next, err = v.Skip()
		}
		if err != nil {
			return mmdbdata.Cursor{}, err
		}
	}
	return members.End()
}

// number reads the number of a network: 15169, or "AS15169".
func number(c mmdbdata.Cursor, to *uint32) (mmdbdata.Cursor, error) {
	kind, err := c.Kind()
	if err != nil {
		return mmdbdata.Cursor{}, err
	}
	switch kind {
	case mmdbdata.KindString:
		var s string
		next, err := text(c, &s)
		if n, bad := strconv.ParseUint(strings.TrimPrefix(s, "AS"), 10, 32); bad == nil {
			*to = uint32(n)
		} // else it names no network: ipinfo leaves the text empty
		return next, err
	case mmdbdata.KindUint16, mmdbdata.KindUint32, mmdbdata.KindUint64:
		n, next, err := c.ReadUint()
		if uint64(uint32(n)) == n {
			*to = uint32(n)
		}
		return next, err
	}
	return c.Skip()
}

func (r *record) known() known { return known{geo: r.geo(), hosting: r.use == "hosting"} }

// geo is the row as an event tells it.
func (r *record) geo() event.Geo {
	g := event.Geo{
		Region:   kept(r.region, memo.MaxText),
		City:     kept(r.city, memo.MaxText),
		Postcode: kept(r.postcode, memo.MaxName),
		Timezone: kept(r.timezone, memo.MaxName),
		ASN:      r.asn,
		ASOrg:    kept(r.org, memo.MaxText),
	}
	if strings.IndexByte(g.Timezone, '/') < 0 {
		g.Timezone = "" // some makers write "+02:00" or "CET", which are none of IANA's
	}
	// ipinfo's newest files write the country's name where its older ones have its code.
	for _, code := range [...]string{r.code, r.country, r.registered} {
		if isCountry(code) {
			g.Country = strings.Clone(code)
			break
		}
	}
	if g.ASOrg == "" {
		g.ASOrg = kept(r.domain, memo.MaxText)
	}
	if g.ASN == 0 {
		g.ASOrg = "" // somebody's name without their network: another subject's file
	}
	return g
}

func kept(s string, most int) string { return memo.Valid(memo.Cut(s, most)) }

// isCountry says that a text has the form of ISO 3166-1 alpha-2 and is none of
// the codes that registries write for "several" and "not known".
func isCountry(code string) bool {
	if len(code) != 2 || !memo.IsUpper(code[0]) || !memo.IsUpper(code[1]) {
		return false
	}
	switch code {
	case "AP", "EU", "XX", "ZZ":
		return false
	}
	return true
}
