package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/id"
)

func (k *checker) identifiers() {
	owners := map[string]string{} // of external ids: each type's own name, and what their from adds
	for name := range k.c.Identifiers {
		owners[name] = name
	}
	for _, name := range slices.Sorted(maps.Keys(k.c.Identifiers)) {
		x, at := k.c.Identifiers[name], "identifiers."+name
		k.name(at, name, typeForm, "lower-case letters, digits and _, such as crm_id")
		if name == "person" {
			k.fault(at, "person is the desk's own word for a person's id; choose another name")
		}
		for i, p := range x.From {
			k.from(index(at+".from", i), name, p, owners)
		}
		most := maxPerPerson
		if name == id.UserID {
			most = 1 // two user_ids are two persons, that is the meaning of the type
		}
		k.number(at+".max_per_person", x.MaxPerPerson, 1, most)
		if x.MaxPersons < 0 || x.MaxPersons > 1 {
			k.fault(at+".max_persons", "saw %d, expected 1 or nothing: an identifier of two persons is shared and joins neither", x.MaxPersons)
		}
		k.choice(at+".normalise", x.Normalise, "trim", "lower", "email", "phone")
		for i, v := range x.Blocked {
			if strings.TrimSpace(v) == "" {
				k.fault(index(at+".blocked", i), "saw nothing, which identifies nobody anyway; leave it out")
			}
		}
		for i, p := range x.BlockedPatterns {
			k.pattern(index(at+".blocked_patterns", i), p)
		}
	}
}

// from checks one place where events carry identifiers of the type name.
func (k *checker) from(at, name, path string, owners map[string]string) {
	if !eventPath.MatchString(path) {
		k.fault(at, "saw %s, expected a path into traits, properties or context, such as traits.crmId", quoted(path))
		return
	}
	external, ok := strings.CutPrefix(path, "context.externalIds.")
	if !ok {
		return
	}
	if owner, taken := owners[external]; taken && owner != name {
		k.fault(at, "the external ids of type %s are %s's already; take them for one of the two", quoted(external), owner)
		return
	}
	owners[external] = name
}

// pattern checks a regular expression of values that identify nobody.
func (k *checker) pattern(at, text string) {
	re, err := regexp.Compile(text)
	switch {
	case text == "":
		k.fault(at, "saw nothing, expected a regular expression such as ^test-")
	case err != nil:
		k.fault(at, "saw %s, expected a regular expression such as ^test- (%s)", quoted(text), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	case matchesAnything(re):
		k.fault(at, "saw %s, which matches every value, so that none would identify anybody; say which begin or end so, with ^ or $", quoted(text))
	}
}

// matchesAnything says that re finds itself in values that have nothing in
// common.
func matchesAnything(re *regexp.Regexp) bool {
	for _, unlike := range []string{"reader@shop.example", "+358401234567", "XYZ_7", "\u00e5\u4e16"} {
		if !re.MatchString(unlike) {
			return false
		}
	}
	return true
}

// Bounds of what the gateway can hold identifiers for.
const (
	leastLinks = 10 // fewer would hold ordinary people with a few devices and addresses
	mostLinks  = 1_000_000
	// A device's networks are counted in a bitmap of 65,536 bits at most, which
	// tells numbers up to this well apart.
	mostAddresses = 100_000
)

func (k *checker) identity() {
	for _, b := range []struct {
		at      string
		n, most int
	}{
		{"identity.max_links", k.c.Identity.MaxLinks, mostLinks},
		{"identity.max_addresses", k.c.Identity.MaxAddresses, mostAddresses},
	} {
		if b.n != 0 && (b.n < leastLinks || b.n > b.most) {
			k.fault(b.at, "saw %d, expected %d to %d, or 0 for no bound", b.n, leastLinks, b.most)
		}
	}
	k.region("phone_region", k.c.PhoneRegion)
}

func (k *checker) region(at, text string) {
	regions := id.PhoneRegions()
	if text == "" || slices.Contains(regions, text) {
		return
	}
	const expected = "expected a country's two letters in capitals (ISO 3166-1), such as FI"
	if near := nearRegions(text, regions); len(near) > 0 {
		k.fault(at, "saw %s, %s; did you mean %s?", quoted(text), expected, oneOf(near))
		return
	}
	k.fault(at, "saw %s, %s", quoted(text), expected)
}

// nearRegions are the regions that were probably meant by text: one when it
// says which in another way, else those that begin alike.
func nearRegions(text string, regions []string) (near []string) {
	word := strings.ToUpper(strings.TrimSpace(text))
	if digits := strings.TrimLeft(word, "+0"); digits != "" {
		if r := id.RegionOfCallingCode(digits); r != "" { // +358
			return []string{r}
		}
	}
	if i := strings.LastIndexAny(word, "-_"); i >= 0 { // fi_FI
		word = word[i+1:]
	}
	switch word { // ISO 3166-1 reserves UK for GB; the EU writes EL for GR
	case "UK", "EN":
		word = "GB"
	case "EL":
		word = "GR"
	}
	if slices.Contains(regions, word) {
		return []string{word}
	}
	if len(word) == 2 && slices.Contains(regions, word[1:]+word[:1]) {
		return []string{word[1:] + word[:1]}
	}
	for _, r := range regions {
		if len(word) > 0 && len(word) <= 3 && r[0] == word[0] {
			near = append(near, r)
		}
	}
	return near
}
