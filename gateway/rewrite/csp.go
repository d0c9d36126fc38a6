package rewrite

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/url"
	"strings"
)

// policies are the content security policies (CSP 3) that a page's scripts must
// pass: those of its headers and, up to where our scripts are put, those of its
// meta elements. Each one must allow a script by itself.
type policies []policy

// policy is what one policy says of scripts; nil: nothing, so that all may run.
type policy []string

// add takes a header's value: policies with commas between them.
func (p *policies) add(text string) {
	for one := range strings.SplitSeq(text, ",") {
		*p = append(*p, scripts(one))
	}
}

// scripts are the sources of the directive that rules script elements. Of two
// of a name the first one counts (CSP 3, 2.2.1).
func scripts(text string) policy {
	found := map[string]policy{}
	for directive := range strings.SplitSeq(text, ";") {
		words := strings.Fields(directive)
		if len(words) == 0 {
			continue
		}
		name := strings.ToLower(words[0])
		if _, twice := found[name]; !twice {
			found[name] = append(policy{}, words[1:]...)
		}
	}
	for _, name := range []string{"script-src-elem", "script-src", "default-src"} {
		if p, ok := found[name]; ok {
			return p
		}
	}
	return nil
}

// nonce is the one that our scripts carry: the first of all policies.
func (p policies) nonce() string {
	for _, one := range p {
		for _, source := range one {
			if n, ok := cutFold(source, "'nonce-"); ok && strings.HasSuffix(n, "'") {
				return n[:len(n)-1]
			}
		}
	}
	return ""
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

func (p policy) has(keyword string) bool {
	for _, source := range p {
		if strings.EqualFold(source, keyword) {
			return true
		}
	}
	return false
}

// trusts says that the policy lets whoever shows the nonce run.
func (p policy) trusts(nonce string) bool {
	if nonce == "" {
		return false
	}
	for _, source := range p {
		if n, ok := cutFold(source, "'nonce-"); ok && n == nonce+"'" {
			return true
		}
	}
	return false
}

// inline says whether an inline script with that text may run.
func (p policies) inline(text, nonce string) bool {
	for _, one := range p {
		if one == nil || one.trusts(nonce) || one.names(text) {
			continue
		}
		strict := one.has("'strict-dynamic'")
		for _, source := range one {
			s := strings.ToLower(source)
			strict = strict || strings.HasPrefix(s, "'nonce-") || strings.HasPrefix(s, "'sha256-") || strings.HasPrefix(s, "'sha384-") || strings.HasPrefix(s, "'sha512-")
		}
		if strict || !one.has("'unsafe-inline'") {
			return false
		}
	}
	return true
}

// names says that the policy lists the text's hash.
func (p policy) names(text string) bool {
	for _, source := range p {
		for prefix, sum := range map[string]func() []byte{
			"'sha256-": func() []byte { b := sha256.Sum256([]byte(text)); return b[:] },
			"'sha384-": func() []byte { b := sha512.Sum384([]byte(text)); return b[:] },
			"'sha512-": func() []byte { b := sha512.Sum512([]byte(text)); return b[:] },
		} {
			if v, ok := cutFold(source, prefix); ok && strings.NewReplacer("-", "+", "_", "/").Replace(v) == base64.StdEncoding.EncodeToString(sum())+"'" {
				return true
			}
		}
	}
	return false
}

// source says whether a script at path of the page's own origin may run.
func (p policies) source(origin, path, nonce string) bool {
	for _, one := range p {
		if one == nil || one.trusts(nonce) {
			continue
		}
		if one.has("'strict-dynamic'") || !one.lists(origin, path) {
			return false
		}
	}
	return true
}

// lists knows 'self', schemes, and the origin itself with or without a path;
// what else a policy may say of hosts is taken for a no.
func (p policy) lists(origin, path string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	for _, source := range p {
		s := strings.ToLower(source)
		if s == "'self'" || s == "*" || s == u.Scheme+":" {
			return true
		}
		s = strings.TrimPrefix(s, u.Scheme+"://")
		host, below, ok := strings.Cut(s, "/")
		if host != strings.ToLower(u.Host) {
			continue
		}
		if below = "/" + below; !ok || below == "/" || below == path || strings.HasSuffix(below, "/") && strings.HasPrefix(path, below) {
			return true
		}
	}
	return false
}
