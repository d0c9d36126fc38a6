package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/tagserve"
)

const (
	writeKey  = "wk_shop"
	serverKey = "sk_shop_0123456789abcdef"
	adminKey  = "ak_test_0123456789abcdef"
	idSecret  = "0123456789abcdef0123456789abcdef"
)

// shop is a config with one site, as an operator would write it.
const shop = `
demo: true
trusted_proxies: [127.0.0.1/32]
sites:
  - name: shop
    write_key: ` + writeKey + `
    server_keys: [` + serverKey + `]
    page_traits: [plan, interests]
    identity_keys: [{kid: k1, alg: HS256, secret: ` + idSecret + `}]
`

// packs has the tags of all gateways in this process: to compress them takes half
// of a start.
var packs tagserve.Packs

// gateway is a running App in a folder of its own.
type gateway struct {
	*app.App
	t   *testing.T
	dir string
}

// start runs the App in this process, on free ports.
func start(t *testing.T, text string) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: filepath.Join(t.TempDir(), "data")}
	g.run(text)
	t.Cleanup(func() {
		if g.App != nil {
			g.stop()
		}
	})
	return g
}

func (g *gateway) run(text string) {
	g.t.Helper()
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		g.t.Fatal(err)
	}
	cfg.DataDir, cfg.SiteAddr, cfg.DeskAddr = g.dir, "127.0.0.1:0", "127.0.0.1:0"
	g.App, err = app.Start(app.Options{
		Packs: &packs, Config: cfg, AdminKey: adminKey, Logger: slog.New(slog.NewTextHandler(testLog{g.t}, nil)),
		Exit: func(code int) { g.t.Errorf("the gateway wants to exit with %d", code) },
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) stop() {
	g.t.Helper()
	if err := g.Close(); err != nil {
		g.t.Error(err)
	}
	g.App = nil
}

type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// firefoxAgent is a person's. Without one, Go's client is a robot to us, an HTTP
// library, and robots have no visits.
const firefoxAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"

// browser keeps cookies as a browser does.
type browser struct {
	g *gateway
	http.Client
}

func (g *gateway) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return &browser{g, http.Client{Jar: jar}}
}

// post sends a body to a site route and reads the JSON answer.
func (b *browser) post(path, body string, headers ...string) (status int, answer map[string]any) {
	b.g.t.Helper()
	req, err := http.NewRequest("POST", b.g.SiteURL()+path, strings.NewReader(body))
	if err != nil {
		b.g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("User-Agent", firefoxAgent)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	status, raw := do(b.g.t, &b.Client, req)
	if err := json.Unmarshal(raw, &answer); err != nil {
		b.g.t.Fatalf("%s answered %d %q, which is no JSON: %v", path, status, raw, err)
	}
	return status, answer
}

// interact sends events as the tag does and wants a 200.
func (b *browser) interact(events string, more string) map[string]any {
	b.g.t.Helper()
	status, answer := b.post("/v1/interact", fmt.Sprintf(`{"writeKey":%q,"batch":[%s],"placements":["hero"]%s}`, writeKey, events, more))
	if status != 200 {
		b.g.t.Fatalf("interact answered %d %v", status, answer)
	}
	return answer
}

func do(t *testing.T, c *http.Client, req *http.Request) (int, []byte) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, bytes.TrimSpace(raw)
}

// desk reads from the desk's API with the admin key.
func (g *gateway) desk(path string) (status int, answer map[string]any) {
	g.t.Helper()
	return deskOf(g.t, g.DeskURL(), path)
}

func deskOf(t *testing.T, base, path string) (status int, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequest("GET", base+"/admin/v1/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	status, raw := do(t, http.DefaultClient, req)
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("desk %s answered %d %q: %v", path, status, raw, err)
	}
	return status, answer
}

// person reads a whole profile from the desk.
func (g *gateway) person(typ, value string) map[string]any {
	g.t.Helper()
	status, p := g.desk("persons/" + typ + ":" + url.PathEscape(value))
	if status != 200 {
		g.t.Fatalf("person %s:%s answered %d %v", typ, value, status, p)
	}
	return p
}

// timeline reads all events of a person, newest first, page by page.
func timeline(t *testing.T, base, typ, value string) (events []map[string]any) {
	t.Helper()
	next := ""
	for {
		status, page := deskOf(t, base, "persons/"+typ+":"+url.PathEscape(value)+"/events?limit=1000&before="+url.QueryEscape(next))
		if status == 404 {
			return events
		}
		if status != 200 {
			t.Fatalf("timeline of %s:%s answered %d %v", typ, value, status, page)
		}
		for _, e := range page["events"].([]any) {
			events = append(events, e.(map[string]any))
		}
		if next, _ = page["next"].(string); next == "" {
			return events
		}
	}
}

// at walks into an answer by keys.
func at(m any, keys ...string) any {
	for _, k := range keys {
		x, ok := m.(map[string]any)
		if !ok {
			return nil
		}
		m = x[k]
	}
	return m
}
