package app_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/token"
)

// What an attacker who knows the write key, who everybody is, can do and not do.
// How long answers take is in attack_timing_test.go.

// shopAlone is the shop without the demo's, which takes its time to start.
var shopAlone = strings.Replace(shop, "demo: true", "demo: false", 1)

// cookie is the browser's visitor cookie, "" when it has none.
func (b *browser) cookie() string {
	site, err := url.Parse(b.g.SiteURL())
	if err != nil {
		b.g.t.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(site) {
		if c.Name == "reuna" {
			return c.Value
		}
	}
	return ""
}

// plant puts a cookie into the browser.
func (b *browser) plant(cookie string) *browser {
	site, err := url.Parse(b.g.SiteURL())
	if err != nil {
		b.g.t.Fatal(err)
	}
	if b.Jar, err = cookiejar.New(nil); err != nil {
		b.g.t.Fatal(err)
	}
	b.Jar.SetCookies(site, []*http.Cookie{{Name: "reuna", Value: cookie, Path: "/"}})
	return b
}

func (b *browser) profile() map[string]any {
	b.g.t.Helper()
	status, a := b.post("/v1/profile", fmt.Sprintf(`{"writeKey":%q}`, writeKey))
	if status != 200 {
		b.g.t.Fatalf("profile answered %d %v", status, a)
	}
	return a
}

func known(answer map[string]any) bool { return at(answer, "profile", "known") == true }

// login views a page, and logs in with a token for that visitor.
func (b *browser) login(user, traits string) (answer map[string]any, shown string) {
	b.g.t.Helper()
	visitor := at(b.interact(page(`{}`), ""), "profile", "id").(string)
	shown = signed(b.g.t, user, visitor)
	answer = b.interact(identify(user, traits), fmt.Sprintf(`,"token":%q`, shown))
	if !known(answer) {
		b.g.t.Fatalf("the login was answered %v", answer)
	}
	return answer, shown
}

func (b *browser) reset() {
	b.g.t.Helper()
	if status, a := b.post("/v1/reset", fmt.Sprintf(`{"writeKey":%q}`, writeKey)); status != 200 {
		b.g.t.Fatalf("reset answered %d %v", status, a)
	}
}

// TestAPlantedCookieSeesNoLogin: session fixation. The attacker's own cookie is
// in the victim's browser when the victim logs in there.
func TestAPlantedCookieSeesNoLogin(t *testing.T) {
	g := start(t, shopAlone)
	for _, c := range []struct {
		name  string
		ready func(attacker *browser)
	}{
		{"of a visitor", func(a *browser) { a.interact(page(`{}`), "") }},
		{"of somebody logged in", func(a *browser) { a.login("mallory-1", `{}`) }},
		{"of somebody who was", func(a *browser) { a.login("mallory-2", `{}`); a.post("/v1/profile", "{}") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			user := "victim " + c.name
			attacker := g.browser()
			c.ready(attacker)
			planted := attacker.cookie()
			victim := g.browser().plant(planted)
			in, _ := victim.login(user, `{"plan":"secret-plan"}`)
			if at(in, "profile", "traits", "plan") != "secret-plan" || victim.cookie() == planted {
				t.Fatalf("the victim got %v and the cookie %s", in, victim.cookie())
			}
			visitor := at(in, "profile", "id")
			attacker.plant(planted)
			for name, see := range map[string]func() map[string]any{
				"a look":            attacker.profile,
				"a page view":       func() map[string]any { return attacker.interact(page(`{}`), "") },
				"a click":           func() map[string]any { return attacker.interact(`{"type":"track","event":"Clicked"}`, "") },
				"their own name":    func() map[string]any { return attacker.interact(identify("mallory-1", `{}`), "") },
				"the victim's name": func() map[string]any { return attacker.interact(identify(user, `{}`), "") },
			} {
				a := see()
				if at(a, "profile", "id") != visitor { // the cookie is the same visitor's still, or this tests nothing
					t.Errorf("%s: is the visitor %v; expected %v", name, at(a, "profile", "id"), visitor)
				}
				if text := fmt.Sprint(a); known(a) || strings.Contains(text, "secret-plan") {
					t.Errorf("%s shows the attacker %s", name, text)
				}
				if now := attacker.cookie(); now != planted {
					t.Errorf("%s gave the attacker another cookie: %s", name, now)
				}
			}
			if a := victim.interact(page(`{}`), ""); !known(a) || at(a, "profile", "traits", "plan") != "secret-plan" {
				t.Errorf("afterwards the victim sees %v", a)
			}
			// What the attacker sent is not the victim's.
			if n := eventsOf(t, g, user, "Clicked"); n != 0 {
				t.Errorf("%d of the attacker's clicks count as the victim's", n)
			}
		})
	}
}

// eventsOf is how many events of a name a user's verified history has under that user.
func eventsOf(t *testing.T, g *gateway, user, event string) (n int) {
	t.Helper()
	for _, e := range timeline(t, g.DeskURL(), "user_id", user) {
		if e["event"] == event && e["userId"] == user {
			n++
		}
	}
	return n
}

// TestTheCookieOfALogin: what becomes of it until the session ends.
func TestTheCookieOfALogin(t *testing.T) {
	g := start(t, shopAlone)
	b := g.browser()
	b.interact(page(`{}`), "")
	before := b.cookie()
	visitor := at(b.profile(), "profile", "id").(string)
	login := fmt.Sprintf(`,"token":%q`, signed(t, "u1", visitor))
	b.interact(identify("u1", `{"plan":"pro"}`), login)
	after := b.cookie()
	if after == before || !strings.HasPrefix(after, "2") {
		t.Fatalf("the login kept the cookie %q", after)
	}
	// The answer was lost: the same request again, with the cookie from before.
	lost := g.browser().plant(before)
	if a := lost.interact(identify("u1", `{"plan":"pro"}`), login); !known(a) || a["token"] != nil || lost.cookie() != after {
		t.Errorf("the repeated login got %v and the cookie %q; expected %q", a, lost.cookie(), after)
	}
	// Page views renew the cookie that they came with, and its login; a request that
	// was on its way when somebody logged in does not put the old one back.
	if a := b.interact(page(`{}`), ""); !known(a) || b.cookie() != after {
		t.Errorf("a page view got %v and the cookie %q; expected %q", a, b.cookie(), after)
	}
	status, header := sendRaw(t, g, page(`{}`), before)
	if status != 200 || len(header["Set-Cookie"]) != 0 {
		t.Errorf("a page view with the cookie from before was answered %d and %v", status, header["Set-Cookie"])
	}
	// A page that shows a token with every view keeps its session's cookie.
	if a := b.interact(page(`{}`), fmt.Sprintf(`,"token":%q`, signed(t, "u1", visitor))); !known(a) || b.cookie() != after {
		t.Errorf("the user's next token got %v and the cookie %q; expected %q", a, b.cookie(), after)
	}
	// Another user on the same device is another login.
	if a := b.interact(page(`{}`), fmt.Sprintf(`,"token":%q`, signed(t, "u2", visitor))); !known(a) || b.cookie() == after {
		t.Errorf("another user's token got %v and kept the cookie", a)
	}
	if a := g.browser().plant(after).profile(); known(a) {
		t.Errorf("the first login's cookie sees the second's session: %v", a)
	}
	base := g.SiteURL()
	g.stop()
	g.run(shopAlone)
	moveCookies(t, b, base, g.SiteURL())
	if a := b.profile(); !known(a) || at(a, "profile", "id") != visitor {
		t.Errorf("after a restart %v", a)
	}
}

// sendRaw sends events with a cookie and gives the answer's headers.
func sendRaw(t *testing.T, g *gateway, events, cookie string, headers ...string) (int, http.Header) {
	t.Helper()
	resp, _ := postRaw(t, g, "/v1/interact", fmt.Sprintf(`{"writeKey":%q,"batch":[%s]}`, writeKey, events), cookie, headers...)
	return resp.StatusCode, resp.Header
}

// postRaw posts a body with a cookie and gives the answer, its body read.
func postRaw(t *testing.T, g *gateway, path, body, cookie string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest("POST", g.SiteURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "reuna="+cookie)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// TestReplaysAfterAResetAreAnonymous: every cookie and token from before it.
func TestReplaysAfterAResetAreAnonymous(t *testing.T) {
	g := start(t, shopAlone)
	b := g.browser()
	b.interact(page(`{}`), "")
	plain := b.cookie()
	in, used := b.login("u1", `{"plan":"secret-plan"}`)
	visitor := at(in, "profile", "id").(string)
	loggedIn := b.cookie()
	unused := signed(t, "u1", visitor)
	b.reset()
	fresh := b.cookie()
	for _, cookie := range []string{plain, loggedIn} {
		for _, shown := range []string{"", used, unused} {
			more := ""
			if shown != "" {
				more = fmt.Sprintf(`,"token":%q`, shown)
			}
			thief := g.browser().plant(cookie)
			a := thief.interact(page(`{}`), more)
			if known(a) || strings.Contains(fmt.Sprint(a), "secret-plan") || shown != "" && at(a, "token", "error", "code") == nil {
				t.Errorf("the cookie %.6s… with the token %.12s… sees %v", cookie, shown, a)
			}
			// The browser gets a cookie that is worth something, but not that.
			if next := thief.cookie(); next == cookie || next == fresh {
				t.Errorf("the answer left the cookie %q", next)
			}
			if a = thief.interact(page(`{}`), ""); known(a) || at(a, "profile", "id") == visitor || pageviews(a) != 1.0 {
				t.Errorf("the next page view is %v", a)
			}
			if a = g.browser().plant(cookie).profile(); known(a) || pageviews(a) == 1.0 {
				t.Errorf("the old cookie reads %v", a)
			}
		}
	}
	for _, shown := range []string{used, unused} { // on the browser's own new cookie
		if a := b.interact(page(`{}`), fmt.Sprintf(`,"token":%q`, shown)); known(a) || at(a, "token", "error", "code") != "token_visitor" {
			t.Errorf("an old token on the new cookie: %v", a)
		}
	}
	if a, _ := b.login("u2", `{}`); at(a, "profile", "traits", "plan") != nil {
		t.Errorf("the next user sees %v", a)
	}
}

// TestAPlantedTokenLogsNobodyIn: the attacker's token in the victim's browser.
func TestAPlantedTokenLogsNobodyIn(t *testing.T) {
	g := start(t, strings.Replace(shopAlone, "    page_traits", "    bind_tokens: required\n    page_traits", 1))
	attacker, victim := g.browser(), g.browser()
	in, used := attacker.login("mallory", `{"plan":"mallory-plan"}`)
	mine := at(in, "profile", "id").(string)
	own := at(victim.interact(page(`{}`), ""), "profile", "id").(string)
	before := g.person("anonymous_id", own)
	for name, c := range map[string]struct{ token, code string }{
		"made for the attacker's browser": {signed(t, "mallory", mine), "token_visitor"},
		"that one, used there":            {used, "token_visitor"},
		"made for no browser":             {signed(t, "mallory", ""), "token_visitor"},
		"signed with the write key":       {forged(t, writeKey+strings.Repeat("0", 32), "mallory", own), "token_signature"},
		"signed by nobody":                {unsigned("mallory", own), "token_algorithm"},
	} {
		a := victim.interact("", fmt.Sprintf(`,"token":%q`, c.token))
		if known(a) || at(a, "token", "error", "code") != c.code || at(a, "profile", "id") != own || strings.Contains(fmt.Sprint(a), "mallory-plan") {
			t.Errorf("%s: %v; expected %s", name, a, c.code)
		}
	}
	if after := g.person("anonymous_id", own); !reflect.DeepEqual(after, before) {
		t.Errorf("the victim was %v and became %v", before, after)
	}
	if p := g.person("user_id", "mallory"); strings.Contains(fmt.Sprint(p), own) {
		t.Errorf("the victim's device is the attacker's: %v", p)
	}
}

func forged(t *testing.T, secret, user, visitor string) string {
	t.Helper()
	now := time.Now()
	text, err := token.Sign(token.Key{KID: "k1", Alg: token.HS256, Secret: []byte(secret)},
		token.Claims{Audience: "shop", Subject: user, ID: "f", Visitor: visitor, IssuedAt: now, Expires: now.Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func unsigned(user, visitor string) string {
	now := time.Now().Unix()
	payload := fmt.Sprintf(`{"aud":"shop","sub":%q,"vid":%q,"jti":"n","iat":%d,"exp":%d}`, user, visitor, now, now+60)
	return "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "."
}

// TestAlgorithmsArePinned: a key is for one algorithm, whatever the token says.
func TestAlgorithmsArePinned(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(public)
	g := start(t, strings.Replace(shopAlone, "identity_keys: [", "identity_keys: [{kid: ed, alg: EdDSA, public_key: \""+text+"\"}, ", 1))
	b := g.browser()
	visitor := at(b.interact(page(`{}`), ""), "profile", "id").(string)
	sign := func(k token.Key) string {
		t.Helper()
		now := time.Now()
		text, err := token.Sign(k, token.Claims{Audience: "shop", Subject: "u1", ID: rand.Text(), Visitor: visitor, IssuedAt: now, Expires: now.Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, c := range map[string]struct{ token, code string }{
		"the public key as a shared secret": {sign(token.Key{KID: "ed", Alg: token.HS256, Secret: public}), "token_algorithm"},
		"its text as a shared secret":       {sign(token.Key{KID: "ed", Alg: token.HS256, Secret: []byte(text)}), "token_algorithm"},
		"a private key under the secret's":  {sign(token.Key{KID: "k1", Alg: token.EdDSA, PrivateKey: private}), "token_algorithm"},
		"the secret under no name of a key": {sign(token.Key{KID: "k2", Alg: token.HS256, Secret: []byte(idSecret)}), "token_unknown_key"},
		"no signature":                      {unsigned("u1", visitor), "token_algorithm"},
	} {
		if a := b.interact(page(`{}`), fmt.Sprintf(`,"token":%q`, c.token)); known(a) || at(a, "token", "error", "code") != c.code {
			t.Errorf("%s: %v; expected %s", name, a, c.code)
		}
	}
	for _, k := range []token.Key{{KID: "ed", Alg: token.EdDSA, PrivateKey: private}, {KID: "k1", Alg: token.HS256, Secret: []byte(idSecret)}} {
		if a := b.interact(page(`{}`), fmt.Sprintf(`,"token":%q`, sign(k))); !known(a) || a["token"] != nil {
			t.Errorf("%s: %v", k.Alg, a)
		}
		b.reset()
		visitor = at(b.interact(page(`{}`), ""), "profile", "id").(string)
	}
}

// TestATokenIsTakenOnce: by any number of browsers at once, and over restarts.
func TestATokenIsTakenOnce(t *testing.T) {
	g := start(t, shopAlone)
	loose := signed(t, "u1", "")
	const browsers = 16
	var in, refused int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range browsers {
		b := g.browser()
		b.interact(page(`{}`), "")
		event := page(`{}`)
		all.Go(func() {
			status, a := b.post("/v1/interact", fmt.Sprintf(`{"writeKey":%q,"batch":[%s],"token":%q}`, writeKey, event, loose))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case status == 200 && known(a):
				in++
			case at(a, "token", "error", "code") == "token_used":
				refused++
			default:
				t.Errorf("%d %v", status, a)
			}
		})
	}
	all.Wait()
	if in != 1 || refused != browsers-1 {
		t.Errorf("%d browsers logged in with one token, %d were refused", in, refused)
	}
	g.stop()
	g.run(shopAlone)
	b := g.browser()
	if a := b.interact(page(`{}`), fmt.Sprintf(`,"token":%q`, loose)); known(a) || at(a, "token", "error", "code") != "token_used" {
		t.Errorf("after a restart %v", a)
	}
}

var volatileParts = regexp.MustCompile(`v_[a-z2-7]{26}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)

// TestTheAnswersBytesTellNothing: a claim to be somebody is answered with the
// same bytes whether they exist or not, but for the visitor's id and the times.
func TestTheAnswersBytesTellNothing(t *testing.T) {
	g := start(t, shopAlone+"segments:\n  - {name: pros, when: \"traits.plan == 'pro'\"}\n")
	victim := g.browser()
	victim.login("known-user", `{"plan":"pro","interests":["x"],"email":"known@example.com"}`)
	ask := func(user, email string) (out []string) {
		b := g.browser()
		claim := fmt.Sprintf(`{"type":"identify","userId":%q,"traits":{"email":%q}}`, user, email)
		alias := fmt.Sprintf(`{"type":"alias","userId":%q,"previousId":"x"}`, user)
		for _, x := range []struct{ path, body string }{
			{"/v1/interact", `{"batch":[` + claim + `],"placements":["hero"]}`},
			{"/v1/profile", `{"placements":["hero"]}`},
			{"/v1/interact", `{"batch":[` + alias + `]}`},
			{"/v1/identify", claim},
			{"/v1/alias", alias},
			{"/v1/group", fmt.Sprintf(`{"userId":%q,"groupId":"g"}`, user)},
			{"/v1/track", fmt.Sprintf(`{"userId":%q,"event":"E"}`, user)},
			{"/v1/batch", `{"batch":[` + claim + `,` + alias + `]}`},
			{"/v1/profile", `{}`},
		} {
			req, err := http.NewRequest("POST", g.SiteURL()+x.path, strings.NewReader(x.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Write-Key", writeKey)
			resp, err := b.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			resp.Header.Del("Date")
			if c := resp.Header.Get("Set-Cookie"); c != "" {
				resp.Header.Set("Set-Cookie", regexp.MustCompile(`reuna=[^;]*`).ReplaceAllStringFunc(c, func(v string) string { return fmt.Sprint(len(v)) }))
			}
			header, err := json.Marshal(resp.Header) // sorted
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %d %s\n%s", x.path, resp.StatusCode, header, volatileParts.ReplaceAllString(string(text), "#")))
		}
		return out
	}
	someone, nobody := ask("known-user", "known@example.com"), ask("other-user", "other@example.com")
	for i := range someone {
		if someone[i] != nobody[i] {
			t.Errorf("the answers tell the two apart:\n%s\n%s", someone[i], nobody[i])
		}
	}
	if !slices.ContainsFunc(someone, func(s string) bool { return strings.Contains(s, `"pageviews"`) }) {
		t.Errorf("nothing was compared: %q", someone)
	}
}
