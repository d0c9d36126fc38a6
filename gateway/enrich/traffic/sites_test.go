package traffic

import (
	"errors"
	"strings"
	"testing"
)

// Whatever the files say must be reachable: no entry hides another, and every
// name leads back to its site.
func TestEveryEntryDecides(t *testing.T) {
	r := newTestRules(t)
	for host, n := range r.sites.byHost {
		for _, h := range []string{host, "www." + host, "x.y." + host} {
			f := r.host(h, false)
			if n.plain != nil && (f.node == nil || f.node.plain != n.plain) {
				t.Errorf("%s: %s is not reached", h, n.plain.where())
			}
		}
		for _, s := range n.special {
			page := address{host: host, path: strings.ReplaceAll(s.path, "*", "x"), query: s.param}
			if got := r.host(host, false).node.at(&page); got != s.site {
				t.Errorf("%s%s?%s: %s is not reached", host, s.path, s.param, s.site.where())
			}
		}
	}
	for label, n := range r.sites.byLabel {
		for _, host := range []string{label + ".com", "www." + label + ".co.uk", label + ".fi"} {
			if r.sites.byHost[withoutWWW(host)] != nil {
				continue // the table knows better
			}
			if f := r.host(host, false); n.plain != nil && (f.node == nil || f.node.plain != n.plain) {
				t.Errorf("%s: %s is not reached", host, n.plain.where())
			}
		}
	}
	for name, s := range r.sites.byName {
		if got := r.foldSource(strings.ToUpper(name)); got != s.name {
			t.Errorf("%q folds to %q, want %q", name, got, s.name)
		}
		if got := r.foldSource(r.foldSource(name)); got != s.name {
			t.Errorf("%q folds to %q the second time, want %q", name, got, s.name)
		}
	}
	for app, s := range r.sites.byApp {
		if app != strings.ToLower(app) || r.host(app, true).node.plain != s {
			t.Errorf("%s: %s is not reached", app, s.where())
		}
	}
}

// Kinds that GA4's rules tell apart must have somebody in them, and every click id
// must name a site that the rules know, or an advertiser on purpose.
func TestClickIDsNameKnownSites(t *testing.T) {
	r := newTestRules(t)
	advertisers := " taboola outbrain criteo impact awin cj tradedoubler shareasale admitad tencent "
	for _, c := range r.clicks {
		if c.weight == noted || c.medium == "email" || r.kindOf(c.source) != kindNone {
			continue
		}
		if !strings.Contains(advertisers, " "+c.source+" ") && c.source != "rakuten advertising" {
			t.Errorf("%s: the source %q is no known site", c.param, c.source)
		}
	}
	for _, c := range r.clicks {
		if c.param != strings.ToLower(c.param) || len(c.param) > maxName {
			t.Errorf("%s can never be found", c.param)
		}
	}
	for name := range r.params {
		if r.param(strings.ToUpper(name)) == nil {
			t.Errorf("%s can never be found", name)
		}
	}
}

func TestHosts(t *testing.T) {
	r := newTestRules(t)
	for _, c := range []struct{ host, name string }{
		{"google.com", "google"}, {"www.google.co.uk", "google"}, {"google.com.au", "google"}, {"google.github.io", "github"},
		{"com", ""}, {"google", ""}, {".", ""}, {"..", ""}, {"mail.google.com", "gmail"}, {"shopping.google.de", "google shopping"},
		{"old.reddit.com", "reddit"}, {"someone.blogspot.com", "blogger"}, {"someone.blogspot.de", "blogger"}, {"x.com", "twitter"}, {"xx.com", ""},
		{"google.unheard", ""}, {"amazon.unheard", ""}, {"127.0.0.1", ""}, {"::1", ""}, {"bücher.example", ""}, {"www.google", ""},
	} {
		name := ""
		if n := r.host(c.host, false).node; n != nil && n.plain != nil {
			name = n.plain.name
		}
		if name != c.name {
			t.Errorf("%q is %q, want %q", c.host, name, c.name)
		}
	}
}

func TestSplit(t *testing.T) {
	r := newTestRules(t)
	for _, c := range []struct {
		url  string
		want address
	}{
		{"https://Shop.Example:443/a?b=c#d", address{host: "shop.example", path: "/a", query: "b=c", fragment: "d"}},
		{"https://shop.example", address{host: "shop.example"}},
		{"HTTPS://shop.example.?x", address{host: "shop.example", query: "x"}},
		{"http://user:pass@host.example@real.example/x", address{host: "real.example", path: "/x"}},
		{`https://a.example\@b.example/`, address{host: "a.example", path: `\@b.example/`}},
		{"https://a.example?@b.example/", address{host: "a.example", query: "@b.example/"}},
		{"https://a.example#@b.example/", address{host: "a.example", fragment: "@b.example/"}},
		{"https://[2001:DB8::1]:8080/", address{host: "2001:db8::1", path: "/"}},
		{"https://[::1", address{}},
		{"https://päivä.example/", address{host: "päivä.example", path: "/"}},
		{"android-app://com.Example.App/x", address{host: "com.example.app", app: true, path: "/x"}},
		{"/path?x=1#y", address{query: "x=1", fragment: "y"}},
		{"//shop.example/", address{}},
		{"javascript:alert(1)", address{}},
		{"javascript://google.com/", address{}},
		{"data:text/html,<a href='http://x.example'>", address{}},
		{"file:///etc/passwd", address{}},
		{"://x.example", address{}},
		{"https://<script>/", address{path: "/"}},
		{"https://a b.example/", address{path: "/"}},
		{"https://a%2eexample/", address{path: "/"}},
		{"https://" + strings.Repeat("a", 300) + ".example/", address{path: "/"}},
		{"?", address{}}, {"", address{}}, {"#", address{}},
	} {
		if got := r.split(c.url); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.url, got, c.want)
		}
	}
}

func TestTablesAreRefused(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"search.txt", "google", "line 1: saw 1 parts"},
		{"search.txt", "# comment\n\na|b.example|q|x", "line 3: saw 4 parts"},
		{"search.txt", " | b.example", "line 1: saw no name"},
		{"search.txt", "a|b.example B.example", `"B.example"`},
		{"search.txt", "a|www.b.example", `"www.b.example"`},
		{"search.txt", "a|b.example b.example", `"b.example" stands in search.txt line 1 too`},
		{"social.txt", "a|b.example\na|c.example", `"a" stands in social.txt line 1 too`},
		{"social.txt", "a|b.example one\nc|d.example one", `"one" stands in social.txt line 1 too`},
		{"social.txt", "a|app:x.y\nb|app:x.y", `"x.y" stands in social.txt line 1 too`},
		{"social.txt", "a|b.example|q", "third part"},
		{"paid.txt", "a|b.example", "saw no medium"},
		{"paid.txt", "a|b.example|cpc cpm", "third part"},
		{"pay.txt", "a|b.example word", `the name "word"`},
		{"shared.txt", "# x\nb.example B.example", `line 2: saw "B.example"`},
	} {
		_, err := newRules(func(file string) ([]byte, error) {
			if file == c.file {
				return []byte(c.text), nil
			}
			return nil, nil
		})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.file) {
			t.Errorf("%q: error %v, want one of %s with %s", c.text, err, c.file, c.want)
		}
	}
	broken := errors.New("broken")
	if _, err := newRules(func(string) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
