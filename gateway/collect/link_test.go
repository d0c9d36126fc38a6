package collect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/token"
)

// linked is a gateway before a site with two domains, its pages on three hosts.
func linked(t *testing.T) *world {
	return start(t, func(o *Options) {
		var err error
		if o.Links, err = token.NewLinks([]byte("0123456789abcdef0123456789abcdef"), time.Unix(1_800_000_000, 0)); err != nil {
			t.Fatal(err)
		}
		o.TrustedProxies = prefixes("127.0.0.1/32")
		o.ClientAddr = func(peer netip.Addr, forwarded string, _ []netip.Prefix) netip.Addr {
			a, err := netip.ParseAddr(strings.Clone(forwarded))
			if err != nil {
				return peer
			}
			return a
		}
		o.Sites = []Site{{
			Name: "shop", WriteKey: "wk_shop", Origins: []string{"https://www.shop.example", "https://www.pay.example"},
			Cookie: Cookie{Domain: "shop.example"}, LinkedDomains: []string{"pay.example", "shop.example"},
		}, {Name: "other", WriteKey: "wk_other", Origins: []string{"https://help.example"}, LinkedDomains: []string{"shop.example"}}}
	})
}

// visit is one page's first request.
type visit struct {
	page, referrer, agent, client, link, cookie, id string
	key, path, more                                 string
}

func (w *world) visit(v visit) *reply {
	w.t.Helper()
	or := func(s *string, standard string) {
		if *s == "" {
			*s = standard
		}
	}
	or(&v.agent, "Firefox")
	or(&v.client, "203.0.113.7")
	or(&v.id, "m1")
	or(&v.key, "wk_shop")
	or(&v.path, "/v1/interact")
	body := fmt.Sprintf(`{"writeKey":%q,"link":%q%s,"context":{"page":{"url":%q,"referrer":%q}},"batch":[{"type":"page","messageId":%q}]}`, v.key, v.link, v.more, v.page, v.referrer, v.id)
	_, rest, _ := strings.Cut(v.page, "://")
	host, _, _ := strings.Cut(rest, "/")
	headers := []string{"X-Forwarded-Proto: https", "Host: " + host, "User-Agent: " + v.agent, "X-Forwarded-For: " + v.client}
	if v.page != "" {
		headers = append(headers, "Origin: "+strings.TrimSuffix(v.page, "/"))
	}
	if v.cookie != "" {
		headers = append(headers, "Cookie: "+v.cookie)
	}
	r := w.post(v.path, body, headers...)
	if r.StatusCode != 200 {
		w.t.Fatalf("%+v was answered %d %s", v, r.StatusCode, r.text)
	}
	return r
}

func linksOf(t *testing.T, r *reply) map[string]any {
	t.Helper()
	m, _ := r.json(t, "link").(map[string]any)
	return m
}

const (
	shopPage = "https://www.shop.example/"
	payPage  = "https://www.pay.example/"
)

func TestAnswersCarryLinks(t *testing.T) {
	w := linked(t)
	r := w.visit(visit{page: shopPage})
	m := linksOf(t, r)
	if text, _ := m["pay.example"].(string); len(m) != 1 || len(text) != token.LinkLength {
		t.Errorf("a page of shop.example got %v", m)
	}
	cookie := strings.TrimSuffix(r.Header.Get("Set-Cookie"), r.Header.Get("Set-Cookie")[strings.IndexByte(r.Header.Get("Set-Cookie"), ';'):])
	again := linksOf(t, w.visit(visit{page: shopPage, cookie: cookie, path: "/v1/profile"}))
	if again["pay.example"] == nil || again["pay.example"] == m["pay.example"] {
		t.Errorf("profile answered %v after %v", again, m)
	}
	if m := linksOf(t, w.visit(visit{page: payPage})); len(m) != 1 || m["shop.example"] == nil {
		t.Errorf("a page of pay.example got %v", m)
	}
	for name, v := range map[string]visit{
		"without a visitor":     {page: shopPage, path: "/v1/profile"},
		"of nobody's":           {page: shopPage, more: `,"cookieless":true`},
		"without an origin":     {},
		"of a visitor who left": {page: shopPage, cookie: cookie, more: `,"x":"revoked"`},
	} {
		w.intake.cookie = func(q *Request) { q.Revoked = name == "of a visitor who left" }
		if m := linksOf(t, w.visit(v)); m != nil {
			t.Errorf("%s: %v", name, m)
		}
	}
	if strings.Contains(fmt.Sprint(start(t).post("/v1/interact", interactBody).text), "link") {
		t.Error("a site without linked domains answers with links")
	}
}

// What an attacker may try with a link, and what a visitor does in earnest.
func TestWhoALinkMakes(t *testing.T) {
	w := linked(t)
	first := w.visit(visit{page: shopPage})
	shop := w.intake.last(t, 1)
	n := 1
	cookie, _, _ := strings.Cut(first.Header.Get("Set-Cookie"), ";")
	fresh := func() string {
		n++
		return linksOf(t, w.visit(visit{page: shopPage, cookie: cookie, path: "/v1/profile"}))["pay.example"].(string)
	}
	own, _, _ := strings.Cut(w.visit(visit{page: payPage}).Header.Get("Set-Cookie"), ";")
	n++
	for _, c := range []struct {
		name  string
		v     visit
		after time.Duration
		is    bool // the landing's visitor is the shop's
	}{
		{"followed", visit{page: payPage, referrer: shopPage}, 0, true},
		{"followed slowly", visit{page: payPage, referrer: shopPage}, 2 * time.Minute, true},
		{"followed from a path", visit{page: payPage, referrer: shopPage + "cart?x=1"}, 0, true},
		{"from another device of the household", visit{page: payPage, referrer: shopPage, client: "203.0.113.99"}, 0, true},
		{"too late", visit{page: payPage, referrer: shopPage}, 2*time.Minute + time.Millisecond, false},
		{"mailed: no referrer", visit{page: payPage}, 0, false},
		{"from an attacker's page", visit{page: payPage, referrer: "https://evil.example/"}, 0, false},
		{"from a name like the shop's", visit{page: payPage, referrer: "https://www.shop.example.evil.example/"}, 0, false},
		{"from a user like the shop", visit{page: payPage, referrer: "https://www.shop.example@evil.example/"}, 0, false},
		{"from a path like the shop", visit{page: payPage, referrer: `https://evil.example\@www.shop.example/`}, 0, false},
		{"from the shop without TLS", visit{page: payPage, referrer: "http://www.shop.example/"}, 0, false},
		{"from another port of the shop", visit{page: payPage, referrer: "https://www.shop.example:8443/"}, 0, false},
		{"from another host of the shop's domain", visit{page: payPage, referrer: "https://blog.shop.example/"}, 0, false},
		{"from the landing's own domain", visit{page: payPage, referrer: "https://help.pay.example/"}, 0, false},
		{"stolen: another network", visit{page: payPage, referrer: shopPage, client: "198.51.100.7"}, 0, false},
		{"stolen: another browser", visit{page: payPage, referrer: shopPage, agent: "curl/8"}, 0, false},
		{"brought to another linked domain", visit{page: "https://help.example/", key: "wk_other", referrer: shopPage}, 0, false},
		{"shown where it was given out", visit{page: shopPage, referrer: shopPage}, 0, false},
		{"in a browser that has a visitor", visit{page: payPage, referrer: shopPage, cookie: own}, 0, false},
		{"by a batch of nobody's", visit{page: payPage, referrer: shopPage, more: `,"cookieless":true`}, 0, false},
		{"by what only reads", visit{page: payPage, referrer: shopPage, path: "/v1/profile"}, 0, false},
		{"by an SDK", visit{page: payPage, referrer: shopPage, path: "/v1/batch"}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.v.link = fresh()
			w.advance(c.after)
			defer w.advance(-c.after)
			r := w.visit(c.v)
			n++
			q := w.intake.last(t, n)
			if is := q.AnonymousID == shop.AnonymousID; is != c.is || is && (q.Fresh || q.Login != token.Login{}) {
				t.Fatalf("the visitor is the shop's: %v; %+v", is, q)
			}
			if !c.is {
				if q.HasVisitor && c.v.cookie == "" && !q.Fresh {
					t.Errorf("somebody else: %+v", q)
				}
				return
			}
			// The browser has its cookie from now on, for this host alone, and the token is used up.
			set := onlyCookie(t, r)
			if set.Name != "__Host-reuna" || set.Domain != "" {
				t.Errorf("set %+v", set)
			}
			w.visit(visit{page: payPage, cookie: set.Name + "=" + set.Value})
			if n++; w.intake.last(t, n).AnonymousID != shop.AnonymousID {
				t.Error("the next page is somebody else's")
			}
			// The answer was lost, and the batch comes again.
			w.visit(c.v)
			if n++; w.intake.last(t, n).AnonymousID != shop.AnonymousID {
				t.Error("the same request again is somebody else's")
			}
			c.v.id = "m2"
			w.visit(c.v)
			if n++; !w.intake.last(t, n).Fresh {
				t.Error("replayed")
			}
		})
	}
	// A token that was shown in a browser with a visitor is used up, too.
	v := visit{page: payPage, referrer: shopPage, link: fresh(), cookie: own}
	w.visit(v)
	v.cookie, v.id = "", "m2"
	w.visit(v)
	if n += 2; !w.intake.last(t, n).Fresh {
		t.Error("a token was kept for later")
	}
	for _, forged := range []string{"x", strings.Repeat("A", token.LinkLength), cookie, fresh()[1:] + "A"} {
		w.visit(visit{page: payPage, referrer: shopPage, link: forged})
		if n++; !w.intake.last(t, n).Fresh {
			t.Errorf("%q was taken", forged)
		}
	}
}

// A login that is live elsewhere keeps its cookie, and the landing gets one all
// the same.
func TestALinkAndALogin(t *testing.T) {
	w := linked(t)
	r := w.visit(visit{page: shopPage})
	w.intake.cookie = func(q *Request) { q.Outdated = true }
	if c := onlyCookie(t, w.visit(visit{page: payPage, referrer: shopPage, link: linksOf(t, r)["pay.example"].(string)})); !strings.HasPrefix(c.Value, "1") {
		t.Errorf("the landing got %+v", c)
	}
	if q := w.intake.last(t, 2); q.Login != (token.Login{}) || q.Fresh {
		t.Errorf("%+v", q)
	}
}

func TestCookieOfADomain(t *testing.T) {
	w := linked(t)
	send := func(host, cookie, path, body string) *reply {
		t.Helper()
		headers := []string{"Host: " + host, "X-Forwarded-Proto: https"}
		if cookie != "" {
			headers = append(headers, "Cookie: "+cookie)
		}
		r := w.post(path, body, headers...)
		w.want(r, 200, "")
		return r
	}
	for host, wide := range map[string]bool{
		"www.shop.example": true, "shop.example": true, "Blog.Shop.Example:8443": true, "a.b.shop.example": true,
		"pay.example": false, "evilshop.example": false, "shop.example.evil.example": false, "127.0.0.1": false, "[::1]:80": false,
	} {
		want := http.Cookie{Name: "__Host-reuna"}
		if wide {
			want = http.Cookie{Name: "__Secure-reuna", Domain: "shop.example"}
		}
		if c := onlyCookie(t, send(host, "", "/v1/interact", interactBody)); c.Name != want.Name || c.Domain != want.Domain || !c.Secure || !c.HttpOnly || c.Path != "/" || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 34560000 {
			t.Errorf("%s: %+v", host, c)
		}
		plain := onlyCookie(t, w.post("/v1/interact", interactBody, "Host: "+host))
		if plain.Name != "reuna" || plain.Domain != want.Domain || plain.Secure {
			t.Errorf("%s on http: %+v", host, plain)
		}
	}
	// A visitor from before the site had a domain stays, and gets the new form with
	// whatever is taken next.
	old := onlyCookie(t, send("pay.example", "", "/v1/interact", interactBody)).Value
	id := w.intake.requests[len(w.intake.requests)-1].AnonymousID
	const click = `{"writeKey":"wk_shop","batch":[{"type":"track","event":"click"}]}`
	if c := onlyCookie(t, send("www.shop.example", "__Host-reuna="+old, "/v1/interact", click)); c.Name != "__Secure-reuna" || c.Value != old {
		t.Errorf("moved to %+v", c)
	}
	last := func() string { return w.intake.requests[len(w.intake.requests)-1].AnonymousID }
	if last() != id {
		t.Error("the visitor from before is somebody else")
	}
	// Today's counts before that of before, in either order; and what is no cookie of ours does not hide one.
	other := onlyCookie(t, send("pay.example", "", "/v1/interact", interactBody)).Value
	for _, cookies := range []string{
		"__Host-reuna=" + other + "; __Secure-reuna=" + old, "__Secure-reuna=" + old + "; __Host-reuna=" + other,
		"__Secure-reuna=planted; __Host-reuna=" + old, "__Host-reuna=planted; __Host-reuna=" + old + "; __Host-reuna=" + other,
	} {
		send("www.shop.example", cookies, "/v1/interact", click)
		if last() != id {
			t.Errorf("%s is %s", cookies, last())
		}
	}
	// A host outside knows the form of one host only.
	send("pay.example", "__Secure-reuna="+old, "/v1/interact", click)
	if last() == id {
		t.Error("a cookie of a domain was taken for another domain's host")
	}
}

// Withdrawn consent leaves no cookie in any form.
func TestForget(t *testing.T) {
	w := linked(t)
	const forget = `{"writeKey":"wk_shop","forget":true}`
	removed := func(r *reply) (names string) {
		for _, c := range r.Cookies() {
			if c.MaxAge != -1 || c.Value != "" || c.Path != "/" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
				t.Errorf("%+v", c)
			}
			names += fmt.Sprintf(" %s %s %v", c.Name, c.Domain, c.Secure)
		}
		return names
	}
	c := onlyCookie(t, w.post("/v1/interact", interactBody, "Host: www.shop.example", "X-Forwarded-Proto: https"))
	r := w.post("/v1/reset", forget, "Host: www.shop.example", "X-Forwarded-Proto: https", "Cookie: "+c.Name+"="+c.Value)
	w.want(r, 200, "")
	if got := removed(r); got != " __Secure-reuna shop.example true __Host-reuna  true" {
		t.Errorf("removed%s", got)
	}
	if q := w.intake.last(t, 2); w.intake.calls[1] != "reset" || !q.HasVisitor {
		t.Errorf("the session goes on: %v", w.intake.calls)
	}
	for host, want := range map[string][2]string{
		"www.shop.example": {" reuna shop.example false reuna  false", " __Secure-reuna shop.example true __Host-reuna  true"},
		"pay.example":      {" reuna  false", " __Host-reuna  true"},
	} {
		for i, proto := range []string{"http", "https"} {
			// Also of a browser whose cookie cannot be read any more.
			if got := removed(w.post("/v1/reset", forget, "Host: "+host, "X-Forwarded-Proto: "+proto)); got != want[i] {
				t.Errorf("%s %s: removed%s", proto, host, got)
			}
		}
	}
	w.want(w.post("/v1/reset", forget, "Origin: https://evil.example"), 403, "origin_not_allowed")
	w.intake.err = &Unavailable{Status: 503, Code: "x", Message: "m"}
	if r := w.post("/v1/reset", forget, "Host: www.shop.example", "X-Forwarded-Proto: https", "Cookie: "+c.Name+"="+c.Value); r.StatusCode != 503 || len(r.Cookies()) != 0 {
		t.Errorf("a reset that failed: %d %v", r.StatusCode, r.Cookies())
	}
}

// What is counted without an id neither reads a cookie nor sets one.
func TestCookielessRequests(t *testing.T) {
	w := start(t)
	c := onlyCookie(t, w.post("/v1/interact", interactBody))
	for i, send := range []func() *reply{
		func() *reply {
			return w.post("/v1/interact", `{"cookieless":true,"writeKey":"wk_shop","link":"x","batch":[{"type":"page"},{"type":"identify","userId":"u"}]}`, "Cookie: reuna="+c.Value)
		},
		func() *reply {
			return w.post("/v1/interact", `{"writeKey":"wk_shop","batch":[{"type":"page"}],"cookieless":true}`)
		},
		func() *reply {
			return w.send("GET", "/v1/p.gif?writeKey=wk_shop&cookieless=1&anonymousId=a1", "", "Cookie: reuna="+c.Value)
		},
	} {
		r := send()
		w.want(r, 200, "")
		q := w.intake.last(t, i+2)
		if !q.Cookieless || q.HasVisitor || q.Fresh || q.AnonymousID != "" || q.Visitor != (token.Visitor{}) || len(r.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("%d: %+v %v", i, q, r.Header)
		}
	}
	if r := w.post("/v1/interact", `{"cookieless":true,"writeKey":"wk_shop","batch":[{"type":"identify","userId":"u"}]}`); !strings.Contains(r.text, `"code":"cookieless"`) {
		t.Error(r.text)
	}
	w.post("/v1/batch", `{"cookieless":true,"writeKey":"wk_shop","batch":[{"type":"identify","userId":"u"}]}`)
	if q := w.intake.last(t, 6); q.Cookieless || len(q.Batch.Events) != 1 {
		t.Errorf("an SDK's batch: %+v", q)
	}
}

// What a page's address still holds of a token does not get past here.
func TestNoTokenIsHandedOn(t *testing.T) {
	w := start(t)
	const secret = "SeCrEt-token_0123"
	for i, body := range []string{
		`{"writeKey":"wk_shop","context":{"page":{"url":"https://pay.example/?_reuna=` + secret + `","search":"?_reuna=` + secret + `"}},"batch":[{"type":"page","properties":{"url":"https://pay.example/a?b=1&_reuna=` + secret + `&c#d"}}]}`,
		`{"writeKey":"wk_shop","batch":[{"type":"track","event":"A","properties":{"next":"https://pay.example/login?to=%2F%3F_reuna%3D` + secret + `%26x","deep":"%253F_reuna%253d` + secret + `"}}]}`,
		`{"writeKey":"wk_shop","batch":[{"type":"x","text":"_reuna=` + secret + `"}]}`,
	} {
		w.want(w.post("/v1/interact", body, "Referer: https://pay.example/?_reuna="+secret), 200, "")
		q := w.intake.last(t, i+1)
		if text := fmt.Sprintf("%+v", q); strings.Contains(text, secret) {
			t.Errorf("%s is handed on as %s", body, text)
		}
	}
	w.send("GET", "/v1/p.gif?writeKey=wk_shop&event=A&url=https%3A%2F%2Fpay.example%2F%3F_reuna%3D"+secret, "", "Referer: https://pay.example/?_reuna="+secret)
	w.send("GET", "/v1/p.gif?writeKey=wk_shop&event=A", "", "Referer: https://pay.example/?a=1&_reuna="+secret+"&b")
	if q := w.intake.last(t, 5); strings.Contains(fmt.Sprintf("%+v", q), secret) || q.Batch.Events[0].Context.Path("page.url").Text() != "https://pay.example/?a=1&b" {
		t.Errorf("%+v", q)
	}
	if strings.Contains(w.logs.String(), secret) {
		t.Error("the log holds a token")
	}
}

func TestStripLinks(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"nothing here":                "nothing here",
		"https://a/?_reuna=x-Y_9":     "https://a/",
		"https://a/?_reuna=x&b=1#c":   "https://a/?b=1#c",
		"https://a/?b=1&_reuna=x#c":   "https://a/?b=1#c",
		"https://a/?b=1&_reuna=x&c":   "https://a/?b=1&c",
		"?_reuna=a&_reuna=b&_reuna=c": "",
		"a_reuna=x _reuna_reuna=y z":  "a _reuna z",
		"%3F_reuna%3Dx%26b":           "%3F%26b",
		"_reuna%25253Dx":              "",
		"_reuna%3":                    "_reuna%3",
		"_reuna%25":                   "_reuna%25",
		"_reuna":                      "_reuna",
		`{"_reuna":1,"a":"_reuna="}`:  `{"_reuna":1,"a":""}`,
	} {
		if got := string(stripLinks([]byte(in))); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// FuzzStripLinks: no token stays behind, what holds none is untouched, and JSON
// stays JSON.
func FuzzStripLinks(f *testing.F) {
	for _, s := range []string{`{"a":"?_reuna=x&b"}`, "_reuna%3D", "&_reuna=&_reuna=", `{"a":"\\_reuna=x","_reuna=y":[1]}`, "_re_reuna=una=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := string(stripLinks([]byte(in)))
		if !strings.Contains(in, linkParam) && out != in {
			t.Fatalf("%q becomes %q", in, out)
		}
		// Taking one out may bring two halves of another together; those held none.
		if strings.Count(in, "_re") == strings.Count(in, linkParam) && strings.Contains(out, linkParam+"=") {
			t.Fatalf("%q becomes %q", in, out)
		}
		if json.Valid([]byte(in)) && !json.Valid([]byte(out)) {
			t.Fatalf("%q becomes %q, which is no JSON", in, out)
		}
	})
}

// FuzzLanding: whatever a page says of where it was reached from, only its own
// site's hosts count.
func FuzzLanding(f *testing.F) {
	s, err := newSite(Site{Name: "shop", WriteKey: "wk", Origins: []string{"https://www.shop.example"}, LinkedDomains: []string{"pay.example"}})
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range []string{"https://www.shop.example/a", "https://pay.example", "HTTPS://A.PAY.EXAMPLE:443/", "https://evil.example/?https://pay.example", "https:/\\pay.example", "https://pay.example.:1/"} {
		f.Add(r)
	}
	f.Fuzz(func(t *testing.T, referrer string) {
		c := &call{site: s, ctx: new(fasthttp.RequestCtx)}
		host, ok := c.reachedFrom(referrer, "https")
		name := hostName(host)
		if ok && name != "www.shop.example" && name != "pay.example" && !strings.HasSuffix(name, ".pay.example") {
			t.Errorf("%q counts as %q", referrer, host)
		}
		if ok && !strings.HasPrefix(strings.ToLower(referrer), "https://"+host) {
			t.Errorf("%q is read as %q", referrer, host)
		}
	})
}
