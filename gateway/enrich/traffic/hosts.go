package traffic

import (
	"hash/maphash"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/reuna/reuna/gateway/enrich/memo"
)

// host is what we know about a host's name. It is made once for every name
// that comes up, and remembered in bounded memory.
type host struct {
	name   string // as it came, in lower case: "www.bücher.example"
	app    bool   // name is a package or an app's number
	bare   string // in ASCII, without www.: "xn--bcher-kva.example"
	domain string // what its owner registered: "xn--bcher-kva.example"; an address is its own
	node   *node  // what the table of sites says; nil: nothing
}

// hosts remembers.
type hosts struct {
	seed  maphash.Seed
	table *memo.Table[host]
}

// host looks a name up. The name must be in lower case; "" has no facts.
func (r *Rules) host(name string, app bool) *host {
	if name == "" {
		return &r.nowhere
	}
	h := maphash.String(r.hosts.seed, name)
	a, b := r.hosts.table.Candidates(h)
	if a != nil && a.name == name && a.app == app {
		return a
	}
	if b != nil && b.name == name && b.app == app {
		return b
	}
	f := r.readHost(strings.Clone(name), app)
	r.hosts.table.Put(h, f)
	return f
}

func (r *Rules) readHost(name string, app bool) *host {
	f := &host{name: name, app: app, bare: name, domain: name}
	if app {
		if s := r.sites.byApp[name]; s != nil {
			f.node = &node{plain: s}
		}
		return f
	}
	if !isASCII(name) {
		if ascii, err := idna.Lookup.ToASCII(name); err == nil {
			f.bare = ascii
		}
	}
	f.node = r.sites.find(f.bare)
	f.bare = withoutWWW(f.bare)
	f.domain = f.bare
	if _, err := netip.ParseAddr(f.bare); err != nil {
		// Private suffixes count here: alice.github.io and bob.github.io, or two
		// shops of myshopify.com, are two owners.
		if domain, err := publicsuffix.EffectiveTLDPlusOne(f.bare); err == nil {
			f.domain = domain
			if below := strings.TrimSuffix(f.bare, domain); below != "" && r.sites.shared[domain] {
				below = below[:len(below)-1] // the dot
				f.domain = f.bare[strings.LastIndexByte(below, '.')+1:]
			}
		}
	}
	return f
}

// ownership is why a referrer is the site itself.
type ownership uint8

const (
	notOwn ownership = iota
	ownPage
	ownDomain
	ownOrigin
	ownGateway
	ownListed
)

// owns says whether a referrer is the site itself, and why; entry is the one of
// in.Internal that said so.
func (r *Rules) owns(ref *host, page address, in *Input) (why ownership, entry string) {
	if page.host != "" {
		if own := r.host(page.host, page.app); ref.bare == own.bare {
			return ownPage, ""
		} else if ref.domain == own.domain {
			return ownDomain, ""
		}
	}
	if in.Origin != "" {
		if origin := r.split(in.Origin); origin.host != "" && r.host(origin.host, origin.app).domain == ref.domain {
			return ownOrigin, ""
		}
	}
	if in.Gateway != "" {
		if name := hostOf(r.words, in.Gateway); name != "" && r.host(name, false).bare == ref.bare {
			return ownGateway, ""
		}
	}
	for _, entry := range in.Internal {
		if domain, ok := strings.CutPrefix(entry, "*."); ok {
			if isBelow(ref.bare, domain) || isBelow(ref.name, domain) {
				return ownListed, entry
			}
		} else if name := r.bareHost(entry); name != "" && (name == ref.bare || name == withoutWWW(ref.name) || !isASCII(name) && r.host(name, false).bare == ref.bare) {
			return ownListed, entry
		}
	}
	return notOwn, ""
}

// isBelow says that name is domain or lies below it.
func isBelow(name, domain string) bool {
	if len(name) < len(domain) || !strings.EqualFold(name[len(name)-len(domain):], domain) {
		return false
	}
	return len(name) == len(domain) || name[len(name)-len(domain)-1] == '.'
}
