package geo

import (
	_ "embed" // the table below
	"fmt"
	"strconv"
	"strings"
)

//go:embed data/networks.txt
var centreTable string

// centres knows the networks that machines are rented in.
type centres struct {
	listed map[uint32]listed
}

type listed struct {
	rule    string // line and name, for people
	hosting bool   // else one that people come from, whatever its name says
}

// readCentres reads networks.txt: on each line a network's number, "hosting" or
// "people", and its name; # begins a comment.
func readCentres(table string) (*centres, error) {
	c := &centres{listed: map[uint32]listed{}}
	for i, line := range strings.Split(table, "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		fault := func(saw string) error {
			return fmt.Errorf("geo: networks.txt line %d: saw %s; expected a network's number, hosting or people, and its name", i+1, saw)
		}
		if len(fields) < 3 {
			return nil, fault(fmt.Sprintf("%d words", len(fields)))
		}
		n, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil || n == 0 {
			return nil, fault(fmt.Sprintf("the number %q", fields[0]))
		}
		if fields[1] != "hosting" && fields[1] != "people" {
			return nil, fault(fmt.Sprintf("%q", fields[1]))
		}
		if before, ok := c.listed[uint32(n)]; ok {
			return nil, fault(fmt.Sprintf("network %d again, which stands in %s", n, before.rule))
		}
		c.listed[uint32(n)] = listed{
			rule:    fmt.Sprintf("networks.txt line %d: %s", i+1, strings.Join(fields[2:], " ")),
			hosting: fields[1] == "hosting",
		}
	}
	return c, nil
}

// has is the rule by which a network is a data centre; empty when it is none as
// far as can be told.
func (c *centres) has(k known) string {
	if l, ok := c.listed[k.geo.ASN]; ok {
		if l.hosting {
			return l.rule
		}
		return ""
	}
	if k.hosting {
		return "the database calls it a hosting network"
	}
	if word := hostingWord(k.geo.ASOrg); word != "" {
		return "the word " + word + " in the network's name"
	}
	return ""
}

// hostingWord is the whole word of a network's name that says it is a data
// centre. A name that also says that it connects people says nothing:
// "Telefonica Cloud & Broadband". Parts of words do not count: iCloud,
// Cloudflare.
func hostingWord(org string) string {
	found, before := "", ""
	for word := range strings.FieldsFuncSeq(org, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r < 0x80
	}) {
		if len(word) > 16 {
			continue
		}
		var lower [16]byte
		for i := range len(word) {
			lower[i] = word[i]
			if word[i] >= 'A' && word[i] <= 'Z' {
				lower[i] |= 0x20
			}
		}
		w := string(lower[:len(word)])
		switch w {
		case "telecom", "telecoms", "telekom", "telecommunication", "telecommunications", "telefonica", "communications", "mobile", "mobil",
			"broadband", "cable", "wireless", "wifi", "fiber", "fibre", "fibra", "isp", "internet", "residential", "university", "school", "vpn":
			return ""
		case "hosting", "webhosting", "hoster", "cloud", "datacenter", "datacentre", "datacenters", "rechenzentrum", "vps", "server", "servers", "serverhosting", "colocation", "colo":
			found = w
		case "center", "centre":
			if before == "data" {
				found = "data " + w
			}
		}
		before = w
	}
	return found
}
