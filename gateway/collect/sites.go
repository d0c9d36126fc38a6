package collect

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

const (
	defaultCookie = "reuna"
	maxCookieAge  = 400 * 24 * time.Hour
)

// sites is the table of sites. It is never changed once it is in use.
type sites struct {
	list    []*site
	public  map[string]*key
	secret  map[[sha256.Size]byte]*key // by salted digest: finding one takes the same time for all
	salt    [16]byte
	pace    pace // of every key; zero: no limit
	longest int
}

// site is a Site ready for use.
type site struct {
	Site
	narrow [2]form // of the cookie of one host, on http and on https
	wide   [2]form // and of the cookie of a whole domain
	exact  map[string]bool
	wild   []wildcard
}

// key is a write key or a server key.
type key struct {
	site   *site
	server bool
	bucket bucket
}

func newSites(list []Site, perKey Rate) (*sites, error) {
	t := &sites{public: make(map[string]*key), secret: make(map[[sha256.Size]byte]*key)}
	rand.Read(t.salt[:])
	if perKey.PerSecond > 0 {
		t.pace = newPace(perKey)
	}
	names := make(map[string]bool)
	for _, s := range list {
		if s.Name == "" || names[s.Name] {
			return nil, fmt.Errorf("collect: a site is named %q; each needs a name of its own", s.Name)
		}
		names[s.Name] = true
		one, err := newSite(s)
		if err != nil {
			return nil, fmt.Errorf("collect: site %q: %w", s.Name, err)
		}
		t.list = append(t.list, one)
		if s.WriteKey == "" || t.find(s.WriteKey) != nil {
			return nil, fmt.Errorf("collect: site %q: its write key is empty or in use already; each site needs one of its own", s.Name)
		}
		t.public[s.WriteKey] = &key{site: one}
		t.longest = max(t.longest, len(s.WriteKey))
		for _, k := range s.ServerKeys {
			t.longest = max(t.longest, len(k))
			if k == "" || t.find(k) != nil {
				return nil, fmt.Errorf("collect: site %q: a server key is empty or in use already; each needs to be its own", s.Name)
			}
			t.secret[t.digest(k)] = &key{site: one, server: true}
		}
	}
	return t, nil
}

func newSite(s Site) (*site, error) {
	if s.Cookie.Name == "" {
		s.Cookie.Name = defaultCookie
	}
	if s.Cookie.MaxAge <= 0 || s.Cookie.MaxAge > maxCookieAge {
		s.Cookie.MaxAge = maxCookieAge
	}
	if !isToken(s.Cookie.Name) {
		return nil, fmt.Errorf("the cookie's name is %q; expected letters, digits, - and _", s.Cookie.Name)
	}
	for _, d := range append([]string{s.Cookie.Domain}, s.LinkedDomains...) {
		for label := range strings.SplitSeq(d, ".") {
			if d != "" && !isToken(label) {
				return nil, fmt.Errorf("the domain is %q; expected a name such as shop.example", d)
			}
		}
	}
	one := &site{Site: s, narrow: newForms(s.Cookie.Name, ""), wide: newForms(s.Cookie.Name, s.Cookie.Domain), exact: make(map[string]bool)}
	for _, o := range s.Origins {
		if w, ok := newWildcard(o); ok {
			one.wild = append(one.wild, w)
		} else {
			one.exact[strings.ToLower(o)] = true
		}
	}
	return one, nil
}

func isToken(s string) bool {
	for _, c := range []byte(s) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (lower(c) < 'a' || lower(c) > 'z') {
			return false
		}
	}
	return s != ""
}

func (t *sites) digest(k string) [sha256.Size]byte {
	// Short keys are hashed on the stack.
	var b [128]byte
	return sha256.Sum256(append(append(b[:0], t.salt[:]...), k...))
}

// find is the key of that text, or nil.
func (t *sites) find(text string) *key {
	if text == "" || len(text) > max(t.longest, 1) {
		return nil
	}
	if k := t.public[text]; k != nil {
		return k
	}
	if len(t.secret) == 0 {
		return nil
	}
	return t.secret[t.digest(text)]
}

// authenticate finds whose key the request shows: Basic user name, X-Write-Key
// or the body, the first one that is known. A site behind a password of its own
// makes browsers send that with every request, so an unknown Basic user is not
// the last word.
func (c *call) authenticate(inBody string) *failure {
	shown := inBody != "" || len(c.head.writeKey) > 0
	if user, ok := c.basicUser(); ok {
		shown = true
		c.key = c.sites.find(user)
	}
	if c.key == nil {
		c.key = c.sites.find(view(c.head.writeKey))
	}
	if c.key == nil {
		c.key = c.sites.find(inBody)
	}
	if c.key == nil {
		if !shown {
			return fail(401, "write_key_missing", "the request shows no write key; send it as the Basic user name, as X-Write-Key, or as writeKey in the body")
		}
		return fail(401, "write_key_unknown", "no site has this write key; see write_key and server_keys of the sites in the config")
	}
	if c.key.server && c.route.personal {
		c.key = nil
		return fail(403, "server_key_in_page", "this is a server key, and this route is for pages; use the site's write key, and change the server key if a page showed it")
	}
	c.site = c.key.site
	c.req.Site = c.site.Name
	c.req.Trust, c.req.Source = id.Claimed, event.FromSDK
	if c.key.server {
		c.req.Trust, c.req.Source = id.Verified, event.FromServer
	}
	return nil
}

// basicUser is the user name of a Basic Authorization header (RFC 7617).
func (c *call) basicUser() (string, bool) {
	a := c.head.authorization
	if len(a) < 6 || !equalFold(a[:6], "Basic ") {
		return "", false
	}
	a = a[6:]
	if base64.StdEncoding.DecodedLen(len(a)) > cap(c.basic) {
		c.basic = make([]byte, 0, base64.StdEncoding.DecodedLen(len(a)))
	}
	b := c.basic[:cap(c.basic)]
	n, err := base64.StdEncoding.Decode(b, a)
	if err != nil {
		return "", true
	}
	c.basic = b[:n]
	user, _, _ := strings.Cut(view(c.basic), ":")
	return user, true
}
