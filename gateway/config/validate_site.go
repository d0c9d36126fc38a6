package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

func (k *checker) sites() {
	names, writeKeys, tagNames := map[string]int{}, map[string]int{}, map[string]int{}
	secrets := map[string]string{}
	for i := range k.c.Sites {
		s, at := &k.c.Sites[i], index("sites", i)
		k.label(at+".name", s.Name)
		k.unique(at+".name", s.Name, names, i, "a site of that name")
		k.name(at+".write_key", s.WriteKey, writeKeyForm, "1 to 128 letters, digits, _ and -, such as wk_shop")
		k.unique(at+".write_key", s.WriteKey, writeKeys, i, "a site with this write key")
		for j, key := range s.ServerKeys {
			at := index(at+".server_keys", j)
			k.secret(at, key, minKey)
			if other, taken := secrets[key.Reveal()]; taken {
				k.fault(at, "the same secret as %s; make one of its own", other)
			} else if key.Reveal() != "" {
				secrets[key.Reveal()] = at
			}
		}
		for j, o := range s.Origins {
			k.origin(index(at+".origins", j), o)
		}
		k.choice(at+".identify", s.Identify, "claimed", "verified")
		k.choice(at+".bots", s.Bots, "flag", "exclude", "refuse")
		k.choice(at+".bind_tokens", s.BindTokens, "optional", "required")
		k.between(at+".session", s.Session, time.Minute, 400*day)
		k.identityKeys(at, s.IdentityKeys)
		for j, name := range s.PageTraits {
			if name == "" {
				k.fault(index(at+".page_traits", j), "saw nothing, expected a trait's name")
			}
		}
		for j, h := range s.InternalHosts {
			if !hostForm.MatchString(h) {
				k.fault(index(at+".internal_hosts", j), "saw %s, expected a host name in lower case such as shop.example", quoted(h))
			}
		}
		k.url(at+".url", &s.URL)
		k.cookie(at+".cookie", s.Cookie)
		k.domains(at, s)
		k.consent(at+".tag", &s.Tag)
		for j, d := range s.Tag.Downloads {
			k.name(index(at+".tag.downloads", j), d, extensionForm, "a file extension of 1 to 8 small letters and digits without its dot, such as apk")
		}
		for j, p := range s.Tag.SearchParameters {
			k.name(index(at+".tag.search_parameters", j), p, parameterForm, "the name of a parameter, such as q")
		}
		k.name(at+".tag.global", s.Tag.Global, globalForm, "the name of a JavaScript variable, such as reuna")
		if s.Tag.Name != "" {
			k.name(at+".tag.name", s.Tag.Name, writeKeyForm, "1 to 128 letters, digits, _ and -, such as app")
			k.unique(at+".tag.name", s.Tag.Name, tagNames, i, "a site whose tag has this name")
			if j, taken := writeKeys[s.Tag.Name]; taken && j != i {
				k.fault(at+".tag.name", "saw the write key of number %d of the list, which its tag is served under; choose another name", j+1)
			}
		}
		k.upstream(at, s)
	}
	// A secret that equals a public key of a page is no secret.
	for i := range k.c.Sites {
		if at, leaked := secrets[k.c.Sites[i].WriteKey]; leaked {
			k.fault(at, "the same text as the public %s.write_key; make a secret of its own", index("sites", i))
		}
	}
}

// upstream checks the site's own server and what is done to its pages.
func (k *checker) upstream(at string, s *Site) {
	k.between(at+".rewrite.budget", s.Rewrite.Budget, time.Millisecond, time.Second)
	k.between(at+".rewrite.timeout", s.Rewrite.Timeout, time.Second, time.Hour)
	if s.Upstream == "" {
		return
	}
	const example = "expected scheme and host of the site's own server, such as http://127.0.0.1:3000"
	u, err := url.Parse(s.Upstream)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		k.fault(at+".upstream", "saw %s, %s", quoted(s.Upstream), example)
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil:
		k.fault(at+".upstream", "saw %s, %s and nothing behind it", quoted(s.Upstream), example)
	}
}

func (k *checker) identityKeys(site string, keys []IdentityKey) {
	kids := map[string]int{}
	for i, key := range keys {
		at := index(site+".identity_keys", i)
		if key.Kid == "" {
			k.fault(at+".kid", "saw nothing, expected the key's id, as tokens name it in their header")
		}
		k.unique(at+".kid", key.Kid, kids, i, "a key with this kid")
		switch key.Alg {
		case "HS256":
			k.secret(at+".secret", key.Secret, 32)
			if !key.PublicKey.IsZero() {
				k.fault(at+".public_key", "HS256 has a secret and no public key; leave it out, or use alg: EdDSA")
			}
		case "EdDSA":
			if !key.Secret.IsZero() {
				k.fault(at+".secret", "EdDSA is checked with public_key alone; leave the secret where tokens are signed")
			}
			if key.PublicKey.pending() {
				break
			}
			if _, err := key.Ed25519(); err != nil {
				k.fault(at+".public_key", "%v", err)
			}
		default:
			k.choice(at+".alg", key.Alg, "HS256", "EdDSA")
		}
	}
}

func (k *checker) cookie(at string, c Cookie) {
	if bare, ok := strings.CutPrefix(c.Name, "__Host-"); ok {
		k.fault(at+".name", "saw %s, expected %s; the gateway adds __Host- itself on https", quoted(c.Name), quoted(bare))
	} else if bare, ok := strings.CutPrefix(c.Name, "__Secure-"); ok {
		k.fault(at+".name", "saw %s, expected %s; the gateway adds __Secure- itself on https, where there is a domain", quoted(c.Name), quoted(bare))
	} else {
		k.name(at+".name", c.Name, cookieForm, "1 to 64 letters, digits, _ and -, such as reuna")
	}
	k.between(at+".max_age", c.MaxAge, time.Minute, MaxCookieAge)
}

// origin checks that text is what a browser would send as Origin (RFC 6454, 6.1).
func (k *checker) origin(at, text string) {
	const example = "expected scheme and host such as https://shop.example"
	if strings.Contains(text, "*") {
		k.fault(at, "saw %s, expected one origin without a star; list each origin", quoted(text))
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.User != nil:
		k.fault(at, "saw %s, %s", quoted(text), example)
		return
	case u.Scheme != "http" && u.Scheme != "https":
		k.fault(at, "saw the scheme %s, %s (http or https)", quoted(u.Scheme), example)
		return
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		k.fault(at, "saw %s, an origin has no path; expected %s", quoted(text), quoted(u.Scheme+"://"+u.Host))
		return
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if _, err := netip.ParseAddr(host); err != nil && !hostForm.MatchString(host) {
		k.fault(at, "saw the host %s, %s (other scripts in their xn-- form)", quoted(u.Hostname()), example)
		return
	}
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		k.fault(at, "saw the port %s, expected a number from 1 to 65535", quoted(port))
		return
	}
	sent := host
	if strings.Contains(host, ":") {
		sent = "[" + host + "]"
	}
	if port != "" && !(u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443") {
		sent = net.JoinHostPort(host, port)
	}
	if sent = u.Scheme + "://" + sent; sent != text {
		k.fault(at, "saw %s, a browser sends %s; write it so", quoted(text), quoted(sent))
	}
}
