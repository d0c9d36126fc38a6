package app_test

import (
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var forgedCookies = flag.Int("forged", 1_000, "how many forged cookies TestForgedCookiesLookNobodyUp sends")

// identifiers is how many are in memory. Whoever is looked up is, also when
// nothing is known of them: so it counts the visitors that were looked up.
func (g *gateway) identifiers() int {
	g.t.Helper()
	req, err := http.NewRequest("GET", g.DeskURL()+"/metrics", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	_, text := do(g.t, http.DefaultClient, req)
	m := regexp.MustCompile(`(?m)^reuna_people_identifiers_in_memory (\d+)$`).FindSubmatch(text)
	if m == nil {
		g.t.Fatalf("no such figure in %s", text)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}

// TestForgedCookiesLookNobodyUp: the MAC is checked before anything is looked up.
// (identity/token tries a million, by flag; these go all the way.)
func TestForgedCookiesLookNobodyUp(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("%d cookies, seed %d", *forgedCookies, seed)
	r := rand.New(rand.NewPCG(seed, 0))
	g := start(t, shopAlone+"limits: {requests_per_second_per_address: 0, requests_per_second_per_key: 0}\n")
	victim := g.browser()
	victim.login("u1", `{"plan":"secret-plan"}`)
	real := map[byte]string{'2': victim.cookie()}
	victim = g.browser()
	victim.interact(page(`{}`), "")
	real['1'] = victim.cookie()

	read := func(cookie string) {
		req, err := http.NewRequest("POST", g.SiteURL()+"/v1/profile", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Write-Key", writeKey)
		req.Header.Set("Cookie", "reuna="+cookie)
		status, body := do(t, http.DefaultClient, req)
		if text := string(body); status != 200 || !strings.Contains(text, `"id":""`) || strings.Contains(text, "secret-plan") {
			t.Fatalf("the cookie %s was answered %d %s", cookie, status, text)
		}
	}
	before := g.identifiers()
	for i := range *forgedCookies {
		version := "12"[i%2]
		raw, err := base64.RawURLEncoding.DecodeString(real[version][1:])
		if err != nil {
			t.Fatal(err)
		}
		from := 0
		if i%4 > 1 { // a real visitor with a guessed MAC
			from = len(raw) - 16
		}
		for j := from; j < len(raw); j++ {
			raw[j] = byte(r.Uint32())
		}
		read(string(version) + base64.RawURLEncoding.EncodeToString(raw))
	}
	if after := g.identifiers(); after != before {
		t.Errorf("%d visitors were looked up by forged cookies", after-before)
	}
	// And a cookie that is good is looked up, or the count above says nothing.
	b := g.browser()
	b.interact(page(`{}`), "")
	b.reset() // which mints a visitor of whom nothing is known
	before = g.identifiers()
	b.profile()
	if after := g.identifiers(); after != before+1 {
		t.Errorf("a good cookie looked %d visitors up", after-before)
	}
}

// TestNoRouteShowsAnother: whatever a request names, however it names it, and
// on whatever route, it is never answered with anything of theirs.
func TestNoRouteShowsAnother(t *testing.T) {
	g := start(t, shopAlone+"segments:\n  - {name: secret-segment, when: \"'plan' in traits && traits.plan == 'secret-plan'\"}\n")
	victim := g.browser()
	in, shown := victim.login("victim-user", `{"plan":"secret-plan","interests":["secret-interest"],"email":"victim@example.com","crmId":"c-1"}`)
	if !strings.Contains(fmt.Sprint(in), "secret-segment") || !strings.Contains(fmt.Sprint(in), "secret-interest") {
		t.Fatalf("the victim sees %v, which leaves nothing to find", in)
	}
	device := at(in, "profile", "id").(string)
	person := g.person("user_id", "victim-user")["personId"].(string)
	names := map[string]string{
		"userId": "victim-user", "user_id": "victim-user", "anonymousId": device, "anonymous_id": device, "visitor": device, "visitorId": device,
		"id": device, "personId": person, "person": person, "email": "victim@example.com", "previousId": device, "vid": device,
	}
	attacker := g.browser()
	attacker.interact(page(`{}`), "")
	secret := regexp.MustCompile(`secret-|victim@|` + person + `|"known":true`)
	asked := 0
	ask := func(method, path, body string, headers ...string) {
		t.Helper()
		req, err := http.NewRequest(method, g.SiteURL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Write-Key", writeKey)
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := attacker.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode >= 500 {
			t.Fatalf("%s %s %s: %d %s %v", method, path, body, resp.StatusCode, text, err)
		}
		own := strings.ReplaceAll(string(text), req.URL.EscapedPath(), "") // a 404 repeats the path that it was asked for
		if found := secret.FindString(own); found != "" {
			t.Errorf("%s %s %s %v shows %q: %s", method, path, body, headers, found, text)
		}
		asked++
	}
	ids := func(skip string) string {
		var list []string
		for k, v := range names {
			if k != skip {
				list = append(list, fmt.Sprintf("%q:%q", k, v))
			}
		}
		return strings.Join(list, ",")
	}
	for _, path := range []string{"/v1/interact", "/v1/profile"} {
		for k, v := range names {
			pair := fmt.Sprintf("%q:%q", k, v)
			ask("POST", path, "{"+pair+`,"batch":[],"placements":["hero"]}`)
			ask("POST", path, `{"context":{`+pair+`,"traits":{`+pair+`}},"batch":[{"type":"page",`+pair+`}],"placements":["hero"]}`)
			ask("POST", path, `{"batch":[{"type":"identify",`+pair+`,"traits":{`+pair+`},"context":{"traits":{`+pair+`}}}]}`)
			ask("POST", path+"?"+k+"="+url.QueryEscape(v), `{"batch":[]}`)
			ask("POST", path, `{"batch":[]}`, k, v)
			ask("POST", path, `{"batch":[]}`, "X-"+k, v)
			ask("GET", path+"?"+k+"="+url.QueryEscape(v), "")
			ask("POST", path+"/"+url.PathEscape(v), `{"batch":[]}`)
		}
		ask("POST", path, `{"batch":[],"token":"`+shown+`"}`)
		ask("POST", path, `{"batch":[{"type":"alias","userId":"me","previousId":"victim-user"},{"type":"page"}]}`)
		ask("POST", path, `{"batch":[{"type":"identify","userId":"me","context":{"externalIds":[{"id":"victim-user","type":"user_id","collection":"users","encoding":"none"},{"id":"`+device+`","type":"anonymous_id"}]}}]}`)
	}
	for _, route := range []string{"track", "page", "screen", "identify", "group", "alias", "batch", "import", "t", "p", "s", "i", "g", "a", "b", "m", "reset"} {
		body := `{"event":"E","groupId":"g",` + ids("") + `}`
		if route == "batch" || route == "import" || route == "b" || route == "m" {
			body = `{"batch":[{"type":"track","event":"E",` + ids("") + `}],` + ids("") + `}`
		}
		ask("POST", "/v1/"+route, body)
		attacker.interact(page(`{}`), "") // it still has a cookie after /reset
	}
	q := url.Values{"writeKey": {writeKey}, "event": {"E"}}
	for k, v := range names {
		q.Set(k, v)
	}
	ask("GET", "/v1/p.gif?"+q.Encode(), "")
	for _, path := range []string{"/v1/profile", "/v1/persons/user_id:victim-user", "/admin/v1/persons/user_id:victim-user", "/v1/projects/" + writeKey + "/settings", "/tag/" + writeKey + ".js", "/openapi.yaml", "/metrics"} {
		ask("GET", path+"?userId=victim-user", "", "Authorization", "Bearer "+writeKey)
	}
	// Cookies: the public id is none, nor are other SDKs' names.
	jar := attacker.Jar
	attacker.Jar = nil
	for _, cookie := range []string{"reuna=" + device, "reuna=victim-user", "reuna_anonymous_id=" + device, "ajs_anonymous_id=" + device + "; ajs_user_id=victim-user"} {
		ask("POST", "/v1/profile", `{}`, "Cookie", cookie)
		ask("POST", "/v1/interact", `{"batch":[{"type":"page"}]}`, "Cookie", cookie)
	}
	attacker.Jar = jar
	t.Logf("%d requests", asked)
	if a := attacker.profile(); known(a) || secret.MatchString(fmt.Sprint(a)) {
		t.Errorf("after all of it the attacker sees %v", a)
	}
	if a := victim.profile(); !known(a) || at(a, "profile", "traits", "plan") != "secret-plan" {
		t.Errorf("after all of it the victim sees %v", a)
	}
}

// TestClaimsTouchNobody: the verified person is the same to the byte, whatever
// write keys say about them (scenarios 20 and 21).
func TestClaimsTouchNobody(t *testing.T) {
	g := start(t, shopAlone+`
traits:
  - {name: orders, kind: count, event: Order Completed}
segments:
  - {name: buyers, when: "has(computed.orders) && computed.orders >= 1"}
  - {name: evils, when: "has(traits.plan) && traits.plan == 'evil'"}
`)
	victim := g.browser()
	// Scenario 21: what was claimed before is there, and loses to what is verified.
	victim.interact(identify("u1", `{"plan":"evil","interests":["claimed"]}`), "")
	if a, _ := victim.login("u1", `{"plan":"pro","email":"u1@example.com"}`); at(a, "profile", "traits", "plan") != "pro" {
		t.Errorf("after the login the page sees %v", at(a, "profile", "traits"))
	}
	other := g.browser()
	other.login("u2", `{"email":"u2@example.com"}`)
	look := func() string {
		g.t.Helper()
		var out []string
		for _, user := range []string{"u1", "u2"} {
			for _, route := range []string{"", "/events"} {
				status, body := g.deskText("persons/user_id:" + user + route + "?view=verified")
				if status != 200 {
					t.Fatalf("%s%s answered %d %s", user, route, status, body)
				}
				out = append(out, body)
			}
		}
		return strings.Join(out, "\n")
	}
	before := look()
	attacker := g.browser()
	sdk := func(route, body string) {
		t.Helper()
		if status, a := attacker.post("/v1/"+route, body, "X-Write-Key", writeKey); status != 200 {
			t.Fatalf("%s answered %d %v", route, status, a)
		}
	}
	order := `"type":"track","event":"Order Completed","properties":{"order_id":"o1","revenue":1000,"currency":"EUR"}`
	attacker.interact(identify("u1", `{"plan":"evil","email":"u2@example.com","phone":"+358401234567"}`), "")
	attacker.interact(`{`+order+`,"userId":"u1"}`, "")
	attacker.interact(`{"type":"alias","userId":"u1","previousId":"u2"}`, "")
	sdk("identify", `{"userId":"u1","traits":{"plan":"evil","email":"evil@example.com"}}`)
	sdk("identify", `{"userId":"u2","anonymousId":"d-evil","traits":{"email":"u1@example.com"},"timestamp":"2099-01-01T00:00:00Z"}`)
	sdk("identify", `{"userId":"u1","context":{"externalIds":[{"id":"u2","type":"user_id"},{"id":"u2@example.com","type":"email"}]}}`)
	sdk("alias", `{"userId":"u2","previousId":"u1"}`)
	sdk("group", `{"userId":"u1","groupId":"evil","traits":{"plan":"evil"}}`)
	sdk("batch", `{"batch":[{`+order+`,"userId":"u1"},{`+order+`,"userId":"u2","anonymousId":"d-evil"}]}`)
	if after := look(); after != before {
		t.Errorf("claims changed what is verified:\n%s\n%s", before, after)
	}
	if a := victim.profile(); at(a, "profile", "traits", "plan") != "pro" || strings.Contains(fmt.Sprint(a), "evils") || strings.Contains(fmt.Sprint(a), "buyers") {
		t.Errorf("the victim's page is %v", at(a, "profile"))
	}
	if a := attacker.profile(); known(a) || at(a, "profile", "traits", "plan") != "evil" {
		t.Errorf("the attacker sees %v; expected their own claims, as anybody would", at(a, "profile"))
	}
}

// deskText is an answer of the desk as it was sent.
func (g *gateway) deskText(path string) (int, string) {
	g.t.Helper()
	req, err := http.NewRequest("GET", g.DeskURL()+"/admin/v1/"+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	status, raw := do(g.t, http.DefaultClient, req)
	return status, string(raw)
}

// TestOtherSitesPagesCanDoNothing: with the victim's cookie, which a browser may
// send along, another site's page neither reads nor writes nor logs out.
func TestOtherSitesPagesCanDoNothing(t *testing.T) {
	g := start(t, shopAlone+"    origins: [\"https://shop.example\"]\n")
	victim := g.browser()
	in, _ := victim.login("u1", `{"plan":"secret-plan"}`)
	visitor := at(in, "profile", "id").(string)
	cookie := victim.cookie()
	before := g.person("user_id", "u1")
	body := fmt.Sprintf(`{"writeKey":%q,"batch":[{"type":"track","event":"Evil"}]}`, writeKey)
	ask := func(path string, headers ...string) *http.Response {
		t.Helper()
		resp, text := postRaw(t, g, path, body, cookie, headers...)
		if strings.Contains(text, "secret-plan") != (resp.StatusCode == 200) {
			t.Errorf("%s %v: %d %s", path, headers, resp.StatusCode, text)
		}
		h := resp.Header
		if h.Get("Vary") != "Origin" || h.Get("Cache-Control") != "no-store, private" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s %v: %v", path, headers, h)
		}
		return resp
	}
	for _, path := range []string{"/v1/interact", "/v1/profile", "/v1/reset"} {
		for _, from := range [][]string{
			{"Origin", "https://evil.example"},
			{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"},
			{"Origin", "https://shop.example.evil.example"},
			{"Origin", "https://forum.shop.example", "Sec-Fetch-Site", "same-site"},
			{"Origin", "null"},
			{"Origin", ""},
			{"Sec-Fetch-Site", "cross-site"},
			{"Origin", "https://evil.example", "Content-Type", "application/x-www-form-urlencoded"},
			{"Origin", "https://evil.example", "X-Forwarded-Host", "evil.example"},
		} {
			if from[1] == "" { // an empty one says nothing, and is no page's
				from = []string{"Origin", "https://", "Sec-Fetch-Site", "cross-site"}
			}
			resp := ask(path, from...)
			if resp.StatusCode != 403 || resp.Header.Get("Access-Control-Allow-Origin") != "" || len(resp.Header["Set-Cookie"]) > 0 {
				t.Errorf("%s %v: %d %v", path, from, resp.StatusCode, resp.Header)
			}
		}
	}
	if after := g.person("user_id", "u1"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the victim was %v and became %v", before, after)
	}
	body = fmt.Sprintf(`{"writeKey":%q}`, writeKey)
	resp := ask("/v1/profile", "Origin", "https://shop.example", "Sec-Fetch-Site", "same-site")
	if resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("the site's own page: %d %v", resp.StatusCode, resp.Header)
	}
	// A picture in another site's page is nobody's visit and leaves no cookie.
	req, err := http.NewRequest("GET", g.SiteURL()+"/v1/p.gif?event=Evil&writeKey="+writeKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "reuna="+cookie)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || len(resp.Header["Set-Cookie"]) > 0 {
		t.Errorf("a foreign picture: %d %v", resp.StatusCode, resp.Header)
	}
	if n := strings.Count(fmt.Sprint(timeline(t, g.DeskURL(), "anonymous_id", visitor)), "Evil"); n != 0 {
		t.Errorf("%d foreign events are the victim's", n)
	}
}

// TestWriteKeysMergeNobody: the first half of scenario 17. A site's keys, the
// secret one too, open nothing at the desk; the attempt is in the activity log.
func TestWriteKeysMergeNobody(t *testing.T) {
	g := start(t, shopAlone)
	for _, user := range []string{"u1", "u2"} {
		g.browser().login(user, `{}`)
	}
	one, two := g.person("user_id", "u1"), g.person("user_id", "u2")
	link := `{"a":{"type":"user_id","value":"u1"},"b":{"type":"user_id","value":"u2"},"reason":"ticket-1"}`
	post := func(base, path, key, body string) int {
		t.Helper()
		req, err := http.NewRequest("POST", base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+key)
		status, _ := do(t, http.DefaultClient, req)
		return status
	}
	tries := 0
	for _, key := range []string{writeKey, serverKey} {
		for _, path := range []string{"link", "cut", "lift", "preview"} {
			if status := post(g.DeskURL(), "/admin/v1/identities/"+path, key, link); status != 401 {
				t.Errorf("%s at the desk with %s: %d", path, key, status)
			}
			tries++
		}
		if status := post(g.SiteURL(), "/admin/v1/identities/link", key, link); status != 404 {
			t.Errorf("the desk's route at the site: %d", status)
		}
	}
	_, log := g.deskText("audit?action=admin.denied")
	if n := strings.Count(log, `"wrong_key"`); n != tries {
		t.Errorf("%d of %d attempts are in the activity log: %s", n, tries, log)
	}
	// A write key's events say that the two are one; nobody believes it.
	b := g.browser()
	for _, body := range []string{`{"userId":"u1","previousId":"u2"}`, `{"userId":"u2","previousId":"u1"}`} {
		if status, a := b.post("/v1/alias", body, "X-Write-Key", writeKey); status != 200 {
			t.Errorf("%d %v", status, a)
		}
	}
	for user, was := range map[string]map[string]any{"u1": one, "u2": two} {
		if is := g.person("user_id", user); is["personId"] != was["personId"] || strings.Count(fmt.Sprint(is["identifiers"]), "user_id") != 1 {
			t.Errorf("%s was %v and is %v", user, was["personId"], is)
		}
	}
	if status := post(g.DeskURL(), "/admin/v1/identities/link", adminKey, link); status != 200 {
		t.Errorf("the same with an admin key: %d", status)
	}
	if g.person("user_id", "u1")["personId"] != g.person("user_id", "u2")["personId"] {
		t.Error("an operator's link joined nobody")
	}
}
