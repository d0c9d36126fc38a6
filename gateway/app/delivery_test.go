package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// labelled reads the lines of one metric.
func (g *gateway) labelled(name string) (lines []string) {
	g.t.Helper()
	req, err := http.NewRequest("GET", g.DeskURL()+"/metrics", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	_, raw := do(g.t, http.DefaultClient, req)
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), name); ok && (strings.HasPrefix(rest, "{") || strings.HasPrefix(rest, " ")) {
			lines = append(lines, rest)
		}
	}
	return lines
}

// TestLossShows sends what a tag sends, with gaps, and reads the figures where
// operators do. Refused messages have arrived, repeats count once, and a restart
// changes nothing.
func TestLossShows(t *testing.T) {
	g := start(t, shopAlone)
	run := strconv.FormatInt(time.Now().UnixMilli(), 36)
	run = strings.Repeat("0", 9-len(run)) + run + "abc"
	old := "0" + strconv.FormatInt(time.Now().Add(-8*24*time.Hour).UnixMilli(), 36) + "abc"
	send := func(path, run string, events ...string) {
		t.Helper()
		status, answer := g.browser().post("/v1/interact", fmt.Sprintf(`{"writeKey":%q,"context":{"page":{"path":%q},"run":%q},"batch":[%s]}`, writeKey, path, run, strings.Join(events, ",")))
		if status != 200 {
			t.Fatalf("%d %v", status, answer)
		}
	}
	message := func(seq int, more string) string {
		return fmt.Sprintf(`{"type":"track","event":"Ping","messageId":"%s-%d","context":{"seq":%d%s}}`, run, seq, seq, more)
	}
	send("/order/4711", run, message(1, ""), message(4, ""), message(4, ""), `{"type":"nonsense","context":{"seq":5}}`)
	send("/order/4711", run, message(4, ""))
	send("/", old, `{"type":"track","event":"Ping","messageId":"old","context":{"seq":9}}`)
	other := run[:9] + "def"
	send("/cart", other, fmt.Sprintf(`{"type":"page","messageId":"cart","context":{"seq":1,"runs":[[%q,8,"/order/4711"],["<script>",3,"/x"]]}}`, run))

	for range 2 {
		eventually(t, "the log to be counted", func() bool { return slices.Equal(g.labelled("reuna_tag_loss_lag_entries"), []string{" 0"}) })
		for name, want := range map[string][]string{
			"reuna_tag_events_made": {`{site="shop",browser="Firefox",page="/cart"} 1`, `{site="shop",browser="Firefox",page="/order/*"} 8`},
			"reuna_tag_events_lost": {`{site="shop",browser="Firefox",page="/cart"} 0`, `{site="shop",browser="Firefox",page="/order/*"} 5`},
			"reuna_tag_lost_ratio":  {`{site="shop",browser="Firefox",page="/cart"} 0`, `{site="shop",browser="Firefox",page="/order/*"} 0.625`},
			"reuna_tag_loss_runs":   {" 2"}, "reuna_tag_loss_not_judged_total": {" 2"},
		} {
			if got := g.labelled(name); !slices.Equal(got, want) {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		_, list := g.desk("sites")
		first := list["sites"].([]any)[0]
		if at(first, "name") != "shop" || at(first, "delivery", "made") != 9.0 || at(first, "delivery", "lost") != 5.0 {
			t.Errorf("the desk lists %v", list)
		}
		_, shop := g.desk("sites/shop")
		day := at(shop, "delivery", "day")
		if at(day, "received") != 4.0 || at(day, "ratio") != 0.555556 || at(shop, "delivery", "week", "lost") != 5.0 || at(shop, "delivery", "counted", "notJudged") != 2.0 {
			t.Errorf("the desk says %v", shop)
		}
		g.stop()
		g.run(shopAlone)
	}
}

// TestASitesTagIsWhereTheDeskSays: the paths answer, and what stands in the page
// is what the advised policy allows.
func TestASitesTagIsWhereTheDeskSays(t *testing.T) {
	g := start(t, shopAlone)
	status, shop := g.desk("sites/shop")
	if status != 200 {
		t.Fatalf("%d %v", status, shop)
	}
	for _, key := range []string{"path", "module", "immutable"} {
		resp, err := http.Get(g.SiteURL() + at(shop, "tag", key).(string))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s answers %s", key, resp.Status)
		}
	}
	var names []string
	for _, h := range shop["headers"].([]any) {
		names = append(names, at(h, "name").(string))
		if v := at(h, "value").(string); strings.Contains(v, "sha256-47DEQpj8HBSa") { // of nothing
			t.Errorf("%s allows an empty script", v)
		}
	}
	if want := []string{"Content-Security-Policy", "Content-Security-Policy", "Accept-CH", "Permissions-Policy"}; !slices.Equal(names, want) {
		t.Errorf("headers %q, want %q", names, want)
	}
	if status, answer := g.desk("sites/none"); status != 404 || at(answer, "error", "code") != "unknown_site" {
		t.Errorf("%d %v", status, answer)
	}
}
