package traffic

import (
	"embed"
	"fmt"
	"path"
	"strings"

	"golang.org/x/net/publicsuffix"
)

//go:embed sites/*.txt
var siteFiles embed.FS

// kind is what a known site is for.
type kind uint8

const (
	kindNone kind = iota
	kindSearch
	kindSocial
	kindVideo
	kindShopping
	kindMail
	kindAI
	kindPaid   // leads from an advertisement or an affiliate's link to its target
	kindPay    // takes a payment and sends the visitor back
	kindSignIn // proves who somebody is and sends the visitor back
	kindOther  // known not to be what the rest of its domain is for
)

// siteFile is one file of the table: a kind, and the medium of a visit that came
// by a link on such a site.
type siteFile struct {
	file   string
	kind   kind
	medium string
}

// files are read in this order. The media are GA4's where it has one
// (organic, ai-assistant); social, video and email are what people write into
// utm_medium for such a link, and lead to the same channels.
func files() []siteFile {
	return []siteFile{
		{"search.txt", kindSearch, "organic"},
		{"social.txt", kindSocial, "social"},
		{"video.txt", kindVideo, "video"},
		{"shopping.txt", kindShopping, "referral"},
		{"mail.txt", kindMail, "email"},
		{"ai.txt", kindAI, assistantMedium},
		{"paid.txt", kindPaid, ""}, // each line says its own
		{"pay.txt", kindPay, ""},
		{"signin.txt", kindSignIn, ""},
		{"other.txt", kindOther, ""},
	}
}

// site is one line of the table, or one host of a line of small sites.
type site struct {
	kind   kind
	name   string   // what Traffic.Source says
	medium string   // what Traffic.Medium says of a visit that came by a link there
	terms  []string // the parameters of a search engine that may hold what was searched for
	file   string
	line   int
}

func (s *site) where() string { return fmt.Sprintf("%s line %d", s.file, s.line) }

// node is what the table says about one host.
type node struct {
	plain   *site     // nil: only some of its pages are known
	special []special // looked at first
}

// special is a site that is some pages of a host.
type special struct {
	site  *site
	path  string // begins so; "*" stands for one segment
	param string // "tbm=shop": the query has this parameter; "" any
}

// at is the site that a page of the host belongs to; nil when none is known.
func (n *node) at(page *address) *site {
	for i := range n.special {
		if s := &n.special[i]; pathBegins(page.path, s.path) && (s.param == "" || hasParam(page.query, s.param)) {
			return s.site
		}
	}
	return n.plain
}

// pathBegins says that a path's first segments are those of a pattern: /login
// begins /login and /login/oauth, and not /loginov. "*" is any one segment.
func pathBegins(path, pattern string) bool {
	for {
		i := strings.IndexByte(pattern, '*')
		if i < 0 {
			rest, ok := strings.CutPrefix(path, pattern)
			return ok && (rest == "" || rest[0] == '/' || pattern == "/")
		}
		if !strings.HasPrefix(path, pattern[:i]) {
			return false
		}
		path, pattern = path[i:], pattern[i+1:]
		if end := strings.IndexByte(path, '/'); end >= 0 {
			path = path[end:]
		} else {
			path = ""
		}
	}
}

func hasParam(query, param string) bool {
	for n := 0; query != "" && n < maxParams; n++ {
		pair := query
		if i := strings.IndexByte(query, '&'); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			query = ""
		}
		if pair == param {
			return true
		}
	}
	return false
}

// sites knows sites by host and by the names people use for them. It is filled
// once and only read after that.
type sites struct {
	byHost  map[string]*node // "mail.google.com": it and everything below
	byLabel map[string]*node // "google", "shopping.google": in front of any public suffix
	byApp   map[string]*site // a package of Android, a number of the App Store
	byName  map[string]*site

	shared map[string]bool // domains below which many owners have sites
}

// readSites reads the files of the table.
func readSites(read func(file string) ([]byte, error)) (*sites, error) {
	t := &sites{byHost: map[string]*node{}, byLabel: map[string]*node{}, byApp: map[string]*site{}, byName: map[string]*site{}, shared: map[string]bool{}}
	for _, f := range files() {
		text, err := read(f.file)
		if err != nil {
			return nil, fmt.Errorf("traffic: %w", err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			if err := t.add(f, i+1, line); err != nil {
				return nil, fmt.Errorf("traffic: %s line %d: %w", f.file, i+1, err)
			}
		}
	}
	text, err := read("shared.txt")
	if err != nil {
		return nil, fmt.Errorf("traffic: %w", err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, host := range strings.Fields(line) {
			if host != strings.ToLower(host) || !strings.Contains(host, ".") || t.shared[host] {
				return nil, fmt.Errorf("traffic: shared.txt line %d: saw %q, expected a domain in lower case that did not come before", i+1, host)
			}
			t.shared[host] = true
		}
	}
	return t, nil
}

func readEmbedded(file string) ([]byte, error) { return siteFiles.ReadFile(path.Join("sites", file)) }

// add reads one line: name | hosts and further names | extra. The third part is
// the parameters of a search engine's terms, or the medium in paid.txt. A "*" for
// a name makes every host of the line a site of its own, named by itself.
func (t *sites) add(f siteFile, number int, line string) error {
	parts := strings.Split(line, "|")
	if len(parts) < 2 || len(parts) > 3 {
		return fmt.Errorf("saw %d parts, expected name | hosts or name | hosts | extra", len(parts))
	}
	s := &site{kind: f.kind, name: strings.TrimSpace(parts[0]), medium: f.medium, file: f.file, line: number}
	if s.name == "" {
		return fmt.Errorf("saw no name, expected one before the first |")
	}
	if len(parts) == 3 {
		extra := strings.Fields(parts[2])
		switch {
		case f.kind == kindSearch:
			s.terms = extra
		case f.kind == kindPaid && len(extra) == 1:
			s.medium = extra[0]
		default:
			return fmt.Errorf("saw %q in the third part, expected none in this file", parts[2])
		}
	}
	if f.kind == kindPaid && s.medium == "" {
		return fmt.Errorf("saw no medium, expected one in the third part")
	}
	hosts := strings.Fields(parts[1])
	if s.name == "*" {
		for _, host := range hosts {
			one := *s
			one.name = host
			if err := t.enter(&one, []string{host}); err != nil {
				return err
			}
		}
		return nil
	}
	return t.enter(s, hosts)
}

func (t *sites) enter(s *site, hosts []string) error {
	// Payment, sign-in and exceptions are no sources, and an advertiser's name is
	// that of the site it belongs to.
	named := s.kind < kindPaid
	if named {
		for _, name := range []string{s.name, strings.ReplaceAll(s.name, " ", "-")} {
			if err := claim(t.byName, name, s); err != nil {
				return err
			}
		}
	}
	for _, host := range hosts {
		if host != strings.ToLower(host) || strings.HasPrefix(host, "www.") {
			return fmt.Errorf("saw %q, expected lower case and no www in front", host)
		}
		var err error
		switch app, isApp := strings.CutPrefix(host, "app:"); {
		case isApp:
			err = claim(t.byApp, app, s)
		case strings.HasPrefix(host, "name:"):
			err = claim(t.byName, host[len("name:"):], s)
		case !strings.Contains(host, "."):
			if !named {
				return fmt.Errorf("saw the name %q, expected hosts only in this file", host)
			}
			err = claim(t.byName, host, s)
		default:
			err = t.enterHost(s, host)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *sites) enterHost(s *site, entry string) error {
	host, param, _ := strings.Cut(entry, "?")
	host, page, _ := strings.Cut(host, "/")
	into, key := t.byHost, host
	if before, isLabel := strings.CutSuffix(host, ".*"); isLabel {
		into, key = t.byLabel, before
	}
	n := into[key]
	if n == nil {
		n = &node{}
		into[key] = n
	}
	switch {
	case host != entry:
		n.special = append(n.special, special{site: s, path: "/" + page, param: param})
	case n.plain != nil:
		return fmt.Errorf("%q stands in %s too", entry, n.plain.where())
	default:
		n.plain = s
	}
	return nil
}

func claim(names map[string]*site, name string, s *site) error {
	if other := names[name]; other != nil && other != s {
		return fmt.Errorf("%q stands in %s too", name, other.where())
	}
	names[name] = s
	return nil
}

// find is what the table says about a host in lower case and ASCII; nil when it
// says nothing. The longest entry decides; one that knows some pages only leaves
// the others to the next.
func (t *sites) find(host string) *node {
	var found *node
	suffix := registrySuffix(host)
	for rest := host; rest != ""; {
		inFront := ""
		if suffix != "" && len(rest) > len(suffix)+1 {
			inFront = rest[:len(rest)-len(suffix)-1]
		}
		for _, n := range [...]*node{t.byHost[rest], t.byLabel[inFront]} {
			if n == nil {
				continue
			}
			if found != nil {
				n = &node{plain: n.plain, special: append(found.special[:len(found.special):len(found.special)], n.special...)}
			}
			if found = n; n.plain != nil {
				return n
			}
		}
		i := strings.IndexByte(rest, '.')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
	}
	return found
}

// registrySuffix is the suffix below which a registry gives names to anybody:
// "com", "co.uk". Suffixes of companies for their customers (blogspot.com) do not
// count, and what no registry has gives no suffix.
func registrySuffix(host string) string {
	for {
		suffix, registry := publicsuffix.PublicSuffix(host)
		i := strings.IndexByte(suffix, '.')
		if registry {
			return suffix
		}
		if i < 0 {
			return ""
		}
		host = suffix[i+1:]
	}
}
