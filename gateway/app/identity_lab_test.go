package app_test

import (
	"bytes"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/storage/vault"
)

// laboratory is the shop with definitions that tell whose events are whose, and
// without limits of speed.
const laboratory = shop + `
identifiers:
  crm_id: {from: [traits.crmId], max_per_person: 1}
limits: {requests_per_second_per_address: 0, requests_per_second_per_key: 0}
builtins: false
traits:
  - {name: orders, kind: count, event: Order Completed}
  - {name: looks, kind: count, event: Looked, window: 30d}
  - {name: favourite, kind: affinity, event: Looked, by: properties.category, half_life: 30d}
segments:
  - {name: buyers, when: "computed.orders >= 1"}
  - {name: reachable, when: "'email' in identifiers"}
`

// lab is a gateway in which scenarios are told.
type lab struct {
	*gateway
	root    *testing.T    // outlives the commands, as the gateway does
	session time.Duration // a verified session's; 0: the config's
	client  *http.Client
	vault   *vault.Vault // the gateway's own, for the names that it gives
	base    int64        // ms since 1970: when scenarios begin
	random  *rand.Rand
	worlds  atomic.Int64
	telling *world // of the script's newest telling
}

func openLab(t *testing.T, session time.Duration) *lab {
	return openLabOn(t, filepath.Join(t.TempDir(), "data"), session)
}

// openLabOn is openLab on a folder that may hold something.
func openLabOn(t *testing.T, dir string, session time.Duration) *lab {
	t.Helper()
	l := &lab{
		gateway: &gateway{t: t, dir: dir}, root: t, session: session,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		base:   time.Now().Add(-10 * 24 * time.Hour).Truncate(time.Hour).UnixMilli(),
		random: rand.New(rand.NewPCG(*identitySeed, 0)),
	}
	t.Cleanup(func() {
		l.client.CloseIdleConnections()
		if l.App != nil {
			l.stop()
		}
	})
	l.start()
	l.stop()
	l.vault = openVault(t, l.dir)
	l.start()
	return l
}

// openVault opens the keys of a folder that no gateway has open. They go on
// naming people after the folder is closed again.
func openVault(t *testing.T, dir string) *vault.Vault {
	t.Helper()
	db, v := openFolder(t, dir)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return v
}

func (l *lab) start() {
	l.t.Helper()
	cfg, err := config.Parse("laboratory.yaml", []byte(laboratory))
	if err != nil {
		l.t.Fatal(err)
	}
	cfg.DataDir, cfg.SiteAddr, cfg.DeskAddr = l.dir, "127.0.0.1:0", "127.0.0.1:0"
	if l.session != 0 {
		cfg.Sites[0].Session = l.session // shorter than an operator may set it
	}
	l.App, err = app.Start(app.Options{
		Packs: &packs, Config: cfg, AdminKey: adminKey,
		Logger: slog.New(slog.NewTextHandler(testLog{l.root}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Exit:   func(code int) { l.root.Errorf("the gateway wants to exit with %d", code) },
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// ask speaks to the desk.
func (l *lab) ask(method, path, body, key string) (status int, raw []byte, err error) {
	req, err := http.NewRequest(method, l.DeskURL()+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	return l.fetch(req)
}

func (l *lab) fetch(req *http.Request) (status int, raw []byte, err error) {
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	raw, err = io.ReadAll(resp.Body)
	return resp.StatusCode, bytes.TrimSpace(raw), err
}

// batch sends messages with the server's or the write key and wants all taken.
func (l *lab) batch(server bool, list []message) error {
	bodies := make([]string, len(list))
	for i, m := range list {
		bodies[i] = m.body
	}
	body := `{"batch":[` + strings.Join(bodies, ",") + `]}`
	req, err := http.NewRequest("POST", l.SiteURL()+"/v1/batch", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", firefoxAgent)
	req.SetBasicAuth(writeKey, "")
	if server {
		req.SetBasicAuth(serverKey, "")
	}
	status, raw, err := l.fetch(req)
	if err != nil {
		return err
	}
	if status != 200 || string(raw) != `{"success":true}` {
		return fmt.Errorf("%.300s is answered %d %s", body, status, raw)
	}
	return nil
}

// metric reads one figure of /metrics.
func (l *lab) metric(name string) float64 {
	l.t.Helper()
	status, raw, err := l.ask("GET", "/metrics", "", adminKey)
	if err != nil || status != 200 {
		l.t.Fatalf("metrics answered %d: %v", status, err)
	}
	for line := range strings.Lines(string(raw)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				l.t.Fatal(err)
			}
			return v
		}
	}
	l.t.Fatalf("there is no metric %s", name)
	return 0
}

// personID is the name that the gateway gives to whom a name of w stands for.
func (w *world) personID(name string) string {
	h := w.l.vault.Hash(typeOf[name[0]], w.stored(name))
	return "p_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h[:]))
}

// browse does what a browser does; the answer must be a success.
func (w *world) browse(s *statement) error {
	for _, name := range s.names {
		w.meet(name)
	}
	if s.op == "X" {
		b := w.browsers[s.names[0]]
		if status, answer := b.post("/v1/reset", fmt.Sprintf(`{"writeKey":%q}`, writeKey)); status != 200 {
			return fmt.Errorf("%s is answered %d %v", s.text, status, answer)
		}
		w.browsers[s.names[1]] = b
		delete(w.browsers, s.names[0])
		return nil
	}
	device := s.names[0]
	b := w.browsers[device]
	if b == nil {
		b = w.l.browser()
		w.browsers[device] = b
	}
	m := w.message(s)
	more := ""
	if s.op == "V" { // the site's server signs for a visitor whom it knows by the cookie's id, if by any
		more = fmt.Sprintf(`,"token":%q`, signed(w.l.t, w.stored(s.names[1]), w.visitors[device]))
	}
	answer := b.interact(m.body, more)
	if answer["token"] != nil || len(answer["rejected"].([]any)) != 0 {
		return fmt.Errorf("%s is answered %v", s.text, answer)
	}
	visitor, _ := at(answer, "profile", "id").(string)
	if old := w.visitors[device]; visitor == "" || old != "" && old != visitor {
		return fmt.Errorf("%s: the visitor was %q and is %q", s.text, old, visitor)
	}
	w.visitors[device], w.answers[device] = visitor, answer
	w.sent = append(w.sent, m)
	return nil
}

// eyes tells what a page sees in an answer.
func eyes(answer map[string]any) string {
	p, _ := answer["profile"].(map[string]any)
	out := "anonymous"
	if p["known"] == true {
		out = "known"
	}
	out += fmt.Sprintf(" pageviews=%v", at(p, "visit", "pageviews"))
	traits, err := json.Marshal(p["traits"])
	if err != nil {
		return err.Error()
	}
	out += " traits=" + string(traits)
	if list, _ := p["segments"].([]any); len(list) > 0 {
		out += fmt.Sprintf(" segments=%v", list)
	}
	return out
}

// look reads a device's profile as its page does, without an event.
func (w *world) look(device string) string {
	w.l.t.Helper()
	status, answer := w.browsers[device].post("/v1/profile", fmt.Sprintf(`{"writeKey":%q}`, writeKey))
	if status != 200 {
		w.l.t.Fatalf("the profile of %s answered %d %v", device, status, answer)
	}
	return eyes(answer)
}
