package app_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/token"
)

// signed makes an identity token as the shop's own server would.
func signed(t *testing.T, user, visitor string, change ...func(*token.Claims)) string {
	t.Helper()
	now := time.Now()
	c := token.Claims{Audience: "shop", Subject: user, ID: fmt.Sprint(user, now.UnixNano()), Visitor: visitor, IssuedAt: now, Expires: now.Add(5 * time.Minute)}
	for _, f := range change {
		f(&c)
	}
	text, err := token.Sign(token.Key{KID: "k1", Alg: token.HS256, Secret: []byte(idSecret)}, c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var serial int

func page(props string) string {
	serial++
	return fmt.Sprintf(`{"type":"page","messageId":"page-%d","properties":%s}`, serial, props)
}

func identify(user, traits string) string {
	serial++
	return fmt.Sprintf(`{"type":"identify","messageId":"identify-%d","userId":%q,"traits":%s}`, serial, user, traits)
}

func pageviews(answer map[string]any) any { return at(answer, "profile", "visit", "pageviews") }

// TestTheAnswerHoldsWhatItWasSentWith: one round trip, read-your-write, then a
// restart in between.
func TestTheAnswerHoldsWhatItWasSentWith(t *testing.T) {
	g := start(t, shop)
	b := g.browser()
	first := b.interact(page(`{"url":"https://shop.example/?utm_source=news&utm_medium=email&utm_campaign=may"}`), "")
	if pageviews(first) != 1.0 || at(first, "profile", "visit", "new") != true || at(first, "profile", "known") != false {
		t.Errorf("first answer %v", first)
	}
	if at(first, "profile", "traffic", "channel") != "Email" || at(first, "profile", "device", "browser") != "Firefox" {
		t.Errorf("traffic %v, device %v", at(first, "profile", "traffic"), at(first, "profile", "device"))
	}
	visitor := at(first, "profile", "id").(string)
	if second := b.interact(page(`{}`)+","+page(`{}`), ""); pageviews(second) != 3.0 || at(second, "profile", "id") != visitor {
		t.Errorf("second answer %v", second)
	}
	base := g.SiteURL()
	g.stop()
	g.run(shop)
	moveCookies(t, b, base, g.SiteURL())
	if third := b.interact(page(`{}`), ""); pageviews(third) != 4.0 || at(third, "profile", "id") != visitor {
		t.Errorf("after a restart %v", third)
	}
	if _, read := b.post("/v1/profile", fmt.Sprintf(`{"writeKey":%q}`, writeKey)); pageviews(read) != 4.0 {
		t.Errorf("profile %v", read)
	}
}

// moveCookies gives the new port what the browser kept for the old one: cookies
// do not know ports, Go's jar does not either, but the URL must be named.
func moveCookies(t *testing.T, b *browser, from, to string) {
	t.Helper()
	u, _ := url.Parse(from)
	v, _ := url.Parse(to)
	kept := b.Jar.Cookies(u)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(v, kept)
	b.Jar = jar
}

// TestASecondDeviceBringsTheFirstOnesHistory is scenario 3 with the page's eyes.
func TestASecondDeviceBringsTheFirstOnesHistory(t *testing.T) {
	g := start(t, shop)
	phone, laptop := g.browser(), g.browser()
	phone.interact(page(`{}`)+","+page(`{}`), "")
	visitor := at(phone.interact(page(`{}`), ""), "profile", "id").(string)
	in := phone.interact(identify("u1", `{"plan":"pro","email":"a@x.fi"}`), fmt.Sprintf(`,"token":%q`, signed(t, "u1", visitor)))
	if at(in, "profile", "known") != true || pageviews(in) != 3.0 || at(in, "profile", "traits", "plan") != "pro" {
		t.Fatalf("login answered %v", in)
	}
	if at(in, "profile", "traits", "email") != nil {
		t.Error("the page sees the e-mail address, which is not on its list")
	}
	visitor2 := at(laptop.interact(page(`{}`), ""), "profile", "id").(string)
	if visitor2 == visitor {
		t.Fatal("two browsers, one visitor")
	}
	in = laptop.interact(identify("u1", `{}`), fmt.Sprintf(`,"token":%q`, signed(t, "u1", visitor2)))
	if pageviews(in) != 4.0 || at(in, "profile", "traits", "plan") != "pro" {
		t.Errorf("second device sees %v", in)
	}
	p := g.person("user_id", "u1")
	if n := len(p["identifiers"].([]any)); n != 4 { // u1, two devices, one e-mail address
		t.Errorf("identifiers %v", p["identifiers"])
	}
	if at(p, "counts", "events") != 6.0 || at(p, "traits", "plan", "trust") != "verified" {
		t.Errorf("person %v", p)
	}
	if q := g.person("email", "A@x.fi"); q["personId"] != p["personId"] {
		t.Errorf("by e-mail: %v", q["personId"])
	}
	if q := g.person("person", p["personId"].(string)); !reflect.DeepEqual(q["identifiers"], p["identifiers"]) {
		t.Errorf("by person id: %v", q)
	}
}

func TestResetEndsTheSessionOnTheServer(t *testing.T) {
	g := start(t, shop)
	b := g.browser()
	visitor := at(b.interact(page(`{}`), ""), "profile", "id").(string)
	first := signed(t, "u1", visitor)
	b.interact(identify("u1", `{"plan":"pro"}`), fmt.Sprintf(`,"token":%q`, first))
	site, _ := url.Parse(g.SiteURL())
	old := b.Jar.Cookies(site)
	if status, _ := b.post("/v1/reset", fmt.Sprintf(`{"writeKey":%q}`, writeKey)); status != 200 {
		t.Fatalf("reset answered %d", status)
	}
	after := b.interact(page(`{}`), "")
	if at(after, "profile", "known") != false || at(after, "profile", "id") == visitor || pageviews(after) != 1.0 {
		t.Errorf("after the reset %v", at(after, "profile"))
	}
	// Somebody kept the old cookie, and a token that was never used.
	thief := g.browser()
	thief.Jar.SetCookies(site, old)
	for _, more := range []string{"", fmt.Sprintf(`,"token":%q`, first), fmt.Sprintf(`,"token":%q`, signed(t, "u1", visitor))} {
		got := thief.interact(page(`{}`), more)
		if at(got, "profile", "known") != false || at(got, "profile", "traits", "plan") != nil {
			t.Errorf("the old cookie sees %v", at(got, "profile"))
		}
	}
}

// TestClaimsUnlockNothing: scenarios 17, 20 and 21, and the victim read.
func TestClaimsUnlockNothing(t *testing.T) {
	g := start(t, shop)
	victim := g.browser()
	v := at(victim.interact(page(`{}`), ""), "profile", "id").(string)
	victim.interact(identify("u1", `{"plan":"pro"}`), fmt.Sprintf(`,"token":%q`, signed(t, "u1", v)))
	before := g.person("user_id", "u1")

	answers := map[string]map[string]any{}
	for _, user := range []string{"u1", "nobody"} {
		x := g.browser()
		x.interact(page(`{}`), "")
		a := x.interact(identify(user, `{"plan":"free"}`), "")
		if at(a, "profile", "known") != false || pageviews(a) != 1.0 {
			t.Errorf("a claim to be %s is answered %v", user, a)
		}
		answers[user] = a
	}
	for _, a := range answers { // what differs for any two visitors
		p := a["profile"].(map[string]any)
		delete(p, "id")
		delete(p["visit"].(map[string]any), "firstSeen")
		delete(p["visit"].(map[string]any), "lastSeen")
	}
	if !reflect.DeepEqual(answers["u1"], answers["nobody"]) {
		t.Errorf("the answers tell the two apart:\n%v\n%v", answers["u1"], answers["nobody"])
	}
	status, after := g.desk("persons/user_id:u1?view=verified")
	if status != 200 || at(after, "traits", "plan", "value") != "pro" || at(after, "counts", "events") != at(before, "counts", "events") {
		t.Errorf("u1 became %v", after)
	}
	if all := g.person("user_id", "u1"); at(all, "traits", "plan", "value") != "pro" {
		t.Errorf("a claim overwrote a verified value: %v", at(all, "traits"))
	}
	// A write key's link between two users is refused.
	b := g.browser()
	b.post("/v1/alias", `{"userId":"u2","previousId":"u1"}`, "X-Write-Key", writeKey)
	if p := g.person("user_id", "u2"); p["personId"] == before["personId"] {
		t.Error("an alias with the public key merged two users")
	}
}

func TestTokensThatAreNoGoodAreToldAndChangeNothing(t *testing.T) {
	g := start(t, shop)
	b := g.browser()
	v := at(b.interact(page(`{}`), ""), "profile", "id").(string)
	good := signed(t, "u1", v)
	other := g.browser()
	other.interact(page(`{}`), "")
	for _, c := range []struct {
		name, token, code string
	}{
		{"made for another visitor", signed(t, "u1", "v_somebody"), "token_visitor"},
		{"expired", signed(t, "u1", v, func(c *token.Claims) {
			c.IssuedAt, c.Expires = c.IssuedAt.Add(-20*time.Minute), c.Expires.Add(-20*time.Minute)
		}), "token_expired"},
		{"too long a life", signed(t, "u1", v, func(c *token.Claims) { c.Expires = c.IssuedAt.Add(time.Hour) }), "token_lifetime"},
		{"for another site", signed(t, "u1", v, func(c *token.Claims) { c.Audience = "forum" }), "token_audience"},
		{"tampered with", good[:len(good)-4] + "AAAA", "token_signature"},
		{"nonsense", "x.y", "token_malformed"},
	} {
		a := b.interact(page(`{}`), fmt.Sprintf(`,"token":%q`, c.token))
		if at(a, "token", "error", "code") != c.code || at(a, "profile", "known") != false {
			t.Errorf("%s: %v", c.name, a)
		}
	}
	if a := b.interact(page(`{}`), fmt.Sprintf(`,"token":%q`, good)); at(a, "profile", "known") != true || a["token"] != nil {
		t.Errorf("a good token: %v", a)
	}
	if a := b.interact(page(`{}`), fmt.Sprintf(`,"token":%q`, good)); at(a, "profile", "known") != true || a["token"] != nil {
		t.Errorf("its retry: %v", a)
	}
	unbound := signed(t, "u1", "")
	if a := b.interact(page(`{}`), fmt.Sprintf(`,"token":%q`, unbound)); a["token"] != nil {
		t.Errorf("a token for any visitor: %v", a)
	}
	if a := other.interact(page(`{}`), fmt.Sprintf(`,"token":%q`, unbound)); at(a, "token", "error", "code") != "token_used" || at(a, "profile", "known") != false {
		t.Errorf("a token used twice: %v", a)
	}
}

// TestServersAreBelieved: a secret key's events are verified, and link.
func TestServersAreBelieved(t *testing.T) {
	g := start(t, shop)
	b := g.browser()
	basic := func(key string) string {
		r, _ := http.NewRequest("GET", "/", nil)
		r.SetBasicAuth(key, "")
		return r.Header.Get("Authorization")
	}
	status, answer := b.post("/v1/batch", `{"batch":[
		{"type":"identify","messageId":"s1","userId":"u7","traits":{"plan":"gold","crmId":"77"}},
		{"type":"track","messageId":"s2","userId":"u7","event":"Order Completed","properties":{"order_id":"o1","revenue":49.9,"currency":"EUR"}},
		{"type":"track","messageId":"s3","userId":"u7"}]}`, "Authorization", basic(serverKey), "Content-Type", "application/json")
	if status != 200 || len(answer["rejected"].([]any)) != 1 || at(answer["rejected"].([]any)[0], "index") != 2.0 {
		t.Fatalf("%d %v", status, answer)
	}
	p := g.person("user_id", "u7")
	if at(p, "traits", "plan", "trust") != "verified" || at(p, "counts", "orders") != 1.0 || at(p, "counts", "revenue") != 49.9 {
		t.Errorf("person %v", p)
	}
	_, q := g.desk("quarantine")
	list, _ := q["refused"].([]any)
	if len(list) != 1 || at(list[0], "code") != "missing_field" || !strings.Contains(fmt.Sprint(list[0]), "s3") {
		t.Errorf("quarantine %v", q)
	}
}
