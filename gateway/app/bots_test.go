package app_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
)

const robotAgent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

// robots is a site with a policy and somebody who calls on it as a robot.
type robots struct {
	*gateway
	t      *testing.T
	policy string
}

// batch sends messages as an SDK in a robot's browser does.
func (x *robots) batch(messages ...string) (status int, answer map[string]any) {
	x.t.Helper()
	body := fmt.Sprintf(`{"writeKey":%q,"batch":[%s]}`, writeKey, strings.Join(messages, ","))
	return x.browser().post("/v1/batch", body, "User-Agent", robotAgent)
}

// said is the context of a message that names its agent.
func said(agent string) string { return fmt.Sprintf(`"context":{"userAgent":%q}`, agent) }

// counts are somebody's, as the desk knows them; nil: nobody is known.
func (x *robots) counts(typ, value string) map[string]any {
	x.t.Helper()
	status, p := x.desk("persons/" + typ + ":" + value)
	if status == 404 {
		return nil
	}
	return p["counts"].(map[string]any)
}

// check looks at what is known of u1, whom robots alone named, and of u2, of whom
// robots and a person told.
func (x *robots) check(when string) {
	x.t.Helper()
	u1, u2 := x.counts("user_id", "u1"), x.counts("user_id", "u2")
	if known := u1 != nil; known != (x.policy == "flag") {
		x.t.Errorf("%s: u1 is %v", when, u1)
	}
	if x.policy == "flag" && (u1["events"] != 0.0 || u1["pageviews"] != 0.0 || u1["sessions"] != 0.0 || u1["botEvents"] != 2.0 || u1["botPageviews"] != 1.0) {
		x.t.Errorf("%s: u1's counts are %v", when, u1)
	}
	bots := map[string]float64{"flag": 2}[x.policy]
	if u2["events"] != 2.0 || u2["pageviews"] != 1.0 || u2["sessions"] != 1.0 || u2["botEvents"] != bots {
		x.t.Errorf("%s: u2's counts are %v", when, u2)
	}
	if plan := at(x.person("user_id", "u2"), "traits", "plan", "value"); plan != map[string]any{"flag": "robot"}[x.policy] {
		x.t.Errorf("%s: u2's plan is %v", when, plan)
	}
	if list := x.quarantine(); len(list) != 2 {
		x.t.Errorf("%s: the quarantine has %v", when, list)
	}
}

// TestBotPolicies: what becomes of robots' events by each door, on sites that
// flag, exclude and refuse them; over a restart, too.
func TestBotPolicies(t *testing.T) {
	for _, policy := range []string{"flag", "exclude", "refuse"} {
		t.Run(policy, func(t *testing.T) {
			site := shopAlone + "    bots: " + policy + "\n"
			g := start(t, site)
			x := &robots{gateway: g, t: t, policy: policy}
			x.interacts()
			x.batches()
			x.pixels()
			x.check("at once")
			bots := map[string]float64{"flag": 10, "exclude": 10}[policy]
			for name, want := range map[string]float64{
				"reuna_events_human_total": 4, "reuna_events_bot_total": bots, "reuna_events_total": 4 + bots,
				`reuna_bot_events_total{class="search"}`: bots, `reuna_bot_events_total{class="headless"}`: 0,
				"reuna_bot_excluded_total": map[string]float64{"exclude": 10}[policy], "reuna_bot_refused_total": map[string]float64{"refuse": 12}[policy],
				"reuna_events_refused_total": 2,
			} {
				if got := g.metric(name); got != want {
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
			g.stop()
			g.run(site)
			x.check("after a restart")
			before := g.metric("reuna_events_duplicate_total")
			if status, _ := x.batch(`{"type":"track","event":"Read","messageId":"again","userId":"u1"}`); policy != "refuse" && (status != 200 || g.metric("reuna_events_duplicate_total") != before+1) {
				t.Errorf("a repetition after a restart: %d", status)
			}
			x.check("after a repetition")
			g.stop()
			cfg, err := config.Parse("test.yaml", []byte(site))
			if err != nil {
				t.Fatal(err)
			}
			cfg.DataDir = g.dir
			offline := app.Offline{Config: cfg, Logger: slog.New(slog.NewTextHandler(testLog{t}, nil))}
			if v, err := app.Verify(t.Context(), offline); err != nil || !v.OK() {
				t.Errorf("%+v: %v", v, err)
			}
			if r, err := app.Rebuild(t.Context(), offline, false); err != nil || r.Total != 0 || r.Earlier != 0 {
				t.Errorf("%+v: %v", r, err)
			}
		})
	}
}

// interacts sends what a tag in a robot's browser sends, and among it messages
// that say they are of another agent.
func (x *robots) interacts() {
	t, b := x.t, x.browser()
	body := fmt.Sprintf(`{"writeKey":%q,"placements":["hero"],"batch":[%s,%s]}`, writeKey,
		page(`{"url":"https://shop.example/?utm_source=news&utm_medium=email"}`), `{"type":"track","event":"Read","messageId":"read"}`)
	for try := range 2 { // the second one is a repetition
		status, a := b.post("/v1/interact", body, "User-Agent", robotAgent)
		if x.policy == "refuse" {
			if status != 403 || at(a, "error", "code") != "automated_traffic" || b.cookie() != "" {
				t.Errorf("try %d: %d %v", try, status, a)
			}
			continue
		}
		v := at(a, "profile", "visit")
		if status != 200 || at(v, "new") != true || at(v, "sessions") != 0.0 || at(v, "pageviews") != 0.0 || (at(a, "profile", "firstTouch", "channel") == "Email") != (x.policy == "flag") {
			t.Errorf("try %d: %d %v", try, status, a)
		}
	}
	status, a := b.post("/v1/interact", fmt.Sprintf(`{"writeKey":%q,"batch":[%s]}`, writeKey, strings.Join([]string{
		`{"type":"track","event":"Read","messageId":"r1"}`,
		`{"type":"track","messageId":"malformed"}`,
		`{"type":"track","event":"Read","messageId":"p1",` + said(firefoxAgent) + `}`,
		`{"type":"track","event":"Read","messageId":"r2"}`,
		`{"type":"page","messageId":"p2",` + said(firefoxAgent) + `}`,
	}, ",")), "User-Agent", robotAgent)
	if status != 200 || at(a, "profile", "visit", "pageviews") != 1.0 || rejections(a) != map[string]string{
		"flag": "1 missing_field", "exclude": "1 missing_field", "refuse": "0 automated_traffic,1 missing_field,3 automated_traffic",
	}[x.policy] {
		t.Errorf("%d %v", status, a)
	}
	// Who only asks is answered: nothing is to be kept.
	if status, a := b.post("/v1/profile", fmt.Sprintf(`{"writeKey":%q}`, writeKey), "User-Agent", robotAgent); status != 200 || at(a, "profile", "visit") == nil {
		t.Errorf("profile: %d %v", status, a)
	}
}

func rejections(answer map[string]any) string {
	var list []string
	rejected, _ := answer["rejected"].([]any)
	for _, r := range rejected {
		list = append(list, fmt.Sprint(at(r, "index"), " ", at(r, "code")))
	}
	return strings.Join(list, ",")
}

func (x *robots) batches() {
	t := x.t
	status, a := x.batch(`{"type":"page","messageId":"b1","userId":"u1"}`, `{"type":"track","event":"Read","messageId":"again","userId":"u1"}`)
	if x.policy == "refuse" && (status != 403 || at(a, "error", "code") != "automated_traffic") || x.policy != "refuse" && status != 200 {
		t.Errorf("%d %v", status, a)
	}
	status, a = x.batch(`{"type":"dance","messageId":"b3"}`,
		`{"type":"identify","messageId":"b4","userId":"u2","traits":{"plan":"robot","email":"robot@x.example"}}`,
		`{"type":"page","messageId":"b5","userId":"u2",`+said(firefoxAgent)+`}`,
		`{"type":"track","event":"Read","messageId":"b6","userId":"u2",`+said(firefoxAgent)+`}`,
		`{"type":"track","event":"Read","messageId":"b7","userId":"u2"}`)
	want := "0 unknown_type"
	if x.policy == "refuse" {
		want += ",1 automated_traffic,4 automated_traffic"
	}
	if status != 200 || a["success"] != true || rejections(a) != want {
		t.Errorf("%d %v", status, a)
	}
	if status, a := x.browser().post("/v1/track", fmt.Sprintf(`{"writeKey":%q,"event":"Read","messageId":"t1","anonymousId":"a1"}`, writeKey), "User-Agent", robotAgent); (status == 403) != (x.policy == "refuse") {
		t.Errorf("one message: %d %v", status, a)
	}
}

func (x *robots) pixels() {
	req, err := http.NewRequest("GET", x.SiteURL()+"/v1/p.gif?writeKey="+writeKey, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	req.Header.Set("User-Agent", robotAgent)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(resp.Body); err != nil {
		x.t.Fatal(err)
	}
	cookie := resp.Header.Get("Set-Cookie") != ""
	if resp.StatusCode != 200 || !strings.HasPrefix(raw.String(), "GIF89a") || cookie != (x.policy != "refuse") {
		x.t.Errorf("pixel: %d %v %q", resp.StatusCode, resp.Header, raw.String())
	}
}
