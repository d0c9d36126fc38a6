package config

import "strings"

// url checks how a site's addresses are kept.
func (k *checker) url(at string, u *URL) {
	k.choice(at+".fragment", u.Fragment, "drop", "keep")
	k.choice(at+".tracking", u.Tracking, "keep", "drop")
	k.choice(at+".trailing_slash", u.TrailingSlash, "keep", "drop", "add")
	k.choice(at+".idn", u.IDN, "keep", "unicode", "ascii")
	kept := map[string]bool{}
	for i, name := range u.Keep {
		k.name(index(at+".keep", i), name, parameterForm, "the name of a parameter, such as product_key")
		kept[strings.ToLower(name)] = true
	}
	for i, name := range u.Drop {
		k.name(index(at+".drop", i), name, parameterForm, "the name of a parameter, such as color")
		if name != "" && kept[strings.ToLower(name)] {
			k.fault(index(at+".drop", i), "saw %s, which url.keep names, too; leave it out of one of them", quoted(name))
		}
	}
}
