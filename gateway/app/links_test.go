package app_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
)

// linkedShop is a shop with a second domain.
var linkedShop = strings.Replace(shopAlone, "page_traits", "origins: [\"https://www.shop.example\", \"https://pay.example\"]\n    linked_domains: [pay.example, shop.example]\n    page_traits", 1)

// host is one host of the site in one browser: its page, and the cookie there.
type host struct {
	g            *gateway
	name, cookie string
}

// view sends a page view, with more members of the body, and gives the answer.
func (h *host) view(events, more, referrer string) map[string]any {
	h.g.t.Helper()
	body := fmt.Sprintf(`{"writeKey":%q%s,"context":{"page":{"url":"https://%s/","referrer":%q}},"batch":[%s]}`, writeKey, more, h.name, referrer, events)
	req, err := http.NewRequest("POST", h.g.SiteURL()+"/v1/interact", strings.NewReader(body))
	if err != nil {
		h.g.t.Fatal(err)
	}
	req.Host = h.name
	for k, v := range map[string]string{"Origin": "https://" + h.name, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7", "User-Agent": "Mozilla/5.0 Firefox/140.0", "Cookie": h.cookie} {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.g.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != 200 {
		h.g.t.Fatalf("%s answered %d %v (%v)", h.name, resp.StatusCode, answer, err)
	}
	for _, c := range resp.Cookies() {
		h.cookie = c.Name + "=" + c.Value
	}
	return answer
}

func carried(answer map[string]any, domain string) string {
	return fmt.Sprintf(`,"link":%q`, at(answer, "link", domain))
}

const (
	fromShop = "https://www.shop.example/"
	fromPay  = "https://pay.example/"
)

// TestALinkCarriesNoLogin: who lands by a link is the same device, and sees of it
// what any page without a login sees. Each domain logs in for itself.
func TestALinkCarriesNoLogin(t *testing.T) {
	g := start(t, linkedShop)
	shop, pay := &host{g: g, name: "www.shop.example"}, &host{g: g, name: "pay.example"}
	visitor := at(shop.view(page(`{}`), "", ""), "profile", "id").(string)
	in := shop.view(identify("u1", `{"plan":"secret-plan"}`), fmt.Sprintf(`,"token":%q`, signed(t, "u1", visitor)), "")
	if !known(in) || at(in, "profile", "traits", "plan") != "secret-plan" {
		t.Fatalf("the login was answered %v", in)
	}
	landed := pay.view(page(`{}`), carried(in, "pay.example"), fromShop)
	if at(landed, "profile", "id") != visitor || known(landed) || strings.Contains(fmt.Sprint(landed), "secret-plan") || !strings.HasPrefix(pay.cookie, "__Host-reuna=1") {
		t.Errorf("landed as %v with %s", landed, pay.cookie)
	}
	// The shop's login stands, also after more of the other domain.
	if a := pay.view(page(`{}`), "", ""); at(a, "profile", "id") != visitor || known(a) {
		t.Errorf("the next page there: %v", a)
	}
	if a := shop.view(page(`{}`), "", fromPay); !known(a) || pageviews(a) != 4.0 {
		t.Errorf("back in the shop: %v", a)
	}
	// What was done on both is one person's.
	if p := g.person("user_id", "u1"); at(p, "counts", "pageviews") != 4.0 {
		t.Errorf("u1 is %v", p)
	}
	other := pay.view(identify("u1", `{}`), fmt.Sprintf(`,"token":%q`, signed(t, "u1", visitor)), "")
	if !known(other) {
		t.Errorf("logging in there: %v", other)
	}
}

// A visitor who was reset is not carried anywhere, by no token from before.
func TestALinkOfAVisitorWhoIsGone(t *testing.T) {
	g := start(t, linkedShop)
	shop := &host{g: g, name: "www.shop.example"}
	a := shop.view(page(`{}`), "", "")
	visitor, old := at(a, "profile", "id"), *shop
	req, err := http.NewRequest("POST", g.SiteURL()+"/v1/reset", strings.NewReader(fmt.Sprintf(`{"writeKey":%q,"forget":true}`, writeKey)))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = shop.name
	req.Header.Set("Cookie", shop.cookie)
	req.Header.Set("X-Forwarded-Proto", "https")
	req.Header.Set("X-Forwarded-For", "203.0.113.7")
	if status, raw := do(t, http.DefaultClient, req); status != 200 {
		t.Fatalf("%d %s", status, raw)
	}
	pay := &host{g: g, name: "pay.example"}
	landed := pay.view(page(`{}`), carried(a, "pay.example"), fromShop)
	if known(landed) || pageviews(landed) == 2.0 {
		t.Errorf("landed as %v", landed)
	}
	if next := pay.view(page(`{}`), "", ""); at(next, "profile", "id") == visitor {
		t.Errorf("the visitor from before lives on: %v", next)
	}
	if back := old.view(page(`{}`), "", ""); back["link"] != nil {
		t.Errorf("a cookie that was reset is given %v", back["link"])
	}
}

// A reload forgets no token that was used.
func TestAUsedLinkStaysUsedThroughAReload(t *testing.T) {
	g := start(t, linkedShop)
	g.stop()
	read := func() (*config.Config, error) {
		cfg, err := config.Parse("test.yaml", []byte(linkedShop))
		if err == nil {
			cfg.DataDir, cfg.SiteAddr, cfg.DeskAddr = g.dir, "127.0.0.1:0", "127.0.0.1:0"
		}
		return cfg, err
	}
	cfg, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if g.App, err = app.Start(app.Options{Packs: &packs, Config: cfg, Reread: read, AdminKey: adminKey, Logger: slog.New(slog.NewTextHandler(testLog{t}, nil))}); err != nil {
		t.Fatal(err)
	}
	shop := &host{g: g, name: "www.shop.example"}
	a := shop.view(page(`{}`), "", "")
	link := carried(a, "pay.example")
	first, second := &host{g: g, name: "pay.example"}, &host{g: g, name: "pay.example"}
	if landed := first.view(page(`{}`), link, fromShop); at(landed, "profile", "id") != at(a, "profile", "id") {
		t.Fatalf("landed as %v", landed)
	}
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if landed := second.view(page(`{}`), link, fromShop); at(landed, "profile", "id") == at(a, "profile", "id") {
		t.Error("replayed after a reload")
	}
	// And tokens from before a reload are good after it.
	fresh := carried(shop.view(page(`{}`), "", ""), "pay.example")
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if landed := second.view(page(`{}`), fresh, fromShop); at(landed, "profile", "id") == at(a, "profile", "id") {
		t.Error("a browser with a visitor was moved")
	}
	third := &host{g: g, name: "pay.example"}
	fresh = carried(shop.view(page(`{}`), "", ""), "pay.example")
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if landed := third.view(page(`{}`), fresh, fromShop); at(landed, "profile", "id") != at(a, "profile", "id") {
		t.Errorf("after a reload landed as %v", landed)
	}
}
