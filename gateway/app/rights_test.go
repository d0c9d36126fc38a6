package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/receipt"
)

// tell posts to the desk and reads the answer.
func tell(t *testing.T, base, path, body string) (status int, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequest("POST", base+"/admin/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	status, raw := do(t, http.DefaultClient, req)
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("%s answered %d %q: %v", path, status, raw, err)
	}
	return status, answer
}

// await asks again and again until ok is content.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s: not within 30 seconds", what)
		case <-tick.C:
		}
	}
}

// job waits for the end of the newest job that a desk route tells of as name.
func job(t *testing.T, base, path, name string) map[string]any {
	t.Helper()
	var j map[string]any
	await(t, path, func() bool {
		_, a := deskOf(t, base, path)
		j, _ = a[name].(map[string]any)
		return j != nil && j["state"] != "running"
	})
	return j
}

// erased waits until an erasure is through.
func erased(t *testing.T, base, name string) map[string]any {
	t.Helper()
	var e map[string]any
	await(t, name, func() bool {
		_, e = deskOf(t, base, "subjects/"+name)
		return e["state"] == "done"
	})
	return e
}

// publicKey asks the desk for what checks receipts.
func publicKey(t *testing.T, base string) []byte {
	t.Helper()
	_, keys := deskOf(t, base, "keys")
	key, err := base64.StdEncoding.DecodeString(keys["publicKey"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// wrapped reads the wrapped keys of owners in a data folder that nobody has open.
func wrapped(t *testing.T, dir string) map[string]bool {
	t.Helper()
	db, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	lower, upper := keyspace.Bounds([]byte{byte(keyspace.VaultKey), keyspace.VaultFacet})
	err = db.Iter(lower, upper, func(_, v []byte) (bool, error) {
		keys[string(v)] = true
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return keys
}

// holds tells which files below the folders hold one of the texts.
func holds(t *testing.T, texts []string, dirs ...string) (found []string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			for _, x := range texts {
				if bytes.Contains(raw, []byte(x)) {
					found = append(found, fmt.Sprintf("%s holds %q", path, x))
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

const (
	canaryUser   = "canary-user-81f3"
	canaryDevice = "canary-device-81f3"
	canaryMail   = "canary81f3@example.com"
	canaryCity   = "Canaryville81f3"
)

// people81f3 sends a person full of canaries, and two others.
func (g *gateway) people81f3() {
	g.t.Helper()
	r, err := http.NewRequest("POST", g.SiteURL()+"/v1/batch", strings.NewReader(fmt.Sprintf(`{"batch":[
		{"type":"identify","messageId":"c1","userId":%q,"anonymousId":%q,"traits":{"email":%q,"city":%q}},
		{"type":"page","messageId":"c2","userId":%q,"anonymousId":%q,"properties":{"title":%q}},
		{"type":"track","messageId":"c3","event":"Ping","userId":%q},
		{"type":"identify","messageId":"o1","userId":"other-1","anonymousId":"other-device","traits":{"email":"other@example.com"}},
		{"type":"page","messageId":"o2","anonymousId":"somebody-else"}]}`,
		canaryUser, canaryDevice, canaryMail, canaryCity, canaryUser, canaryDevice, canaryCity, canaryUser)))
	if err != nil {
		g.t.Fatal(err)
	}
	r.SetBasicAuth(serverKey, "")
	r.Header.Set("Content-Type", "application/json")
	if status, raw := do(g.t, http.DefaultClient, r); status != 200 {
		g.t.Fatalf("%d %s", status, raw)
	}
}

// gone checks that no route of the desk knows the person any more, and that the
// others are still there.
func (g *gateway) gone(when string) {
	g.t.Helper()
	for _, x := range []string{"user_id:" + canaryUser, "anonymous_id:" + canaryDevice, "email:" + canaryMail} {
		for _, tail := range []string{"", "/events", "/identities", "?view=verified"} {
			if status, a := g.desk("persons/" + x + tail); status != 404 {
				g.t.Errorf("%s: %s%s answers %d %v", when, x, tail, status, a)
			}
		}
	}
	if _, q := g.desk("quarantine"); strings.Contains(fmt.Sprint(q), canaryUser) {
		g.t.Errorf("%s: a refused message names the person: %v", when, q)
	}
	if p := g.person("user_id", "other-1"); at(p, "counts", "events") != 1.0 {
		g.t.Errorf("%s: somebody else is %v", when, p)
	}
	if p := g.person("anonymous_id", "somebody-else"); at(p, "counts", "events") != 1.0 {
		g.t.Errorf("%s: somebody else is %v", when, p)
	}
}

// TestErasedForGood: a person is gone from every route, their values and keys
// from every file of the data folder, the key folder and a new backup; the
// receipt verifies; and a backup made before brings nobody back.
func TestErasedForGood(t *testing.T) {
	g := start(t, shop)
	old, fresh := filepath.Join(t.TempDir(), "old"), filepath.Join(t.TempDir(), "fresh")
	g.people81f3()
	if p := g.person("email", canaryMail); at(p, "counts", "events") != 3.0 {
		t.Fatalf("the person is %v", p)
	}
	g.stop() // writes what is only in the log's tail, and makes the keys for it
	g.run(shop)
	if status, a := tell(t, g.DeskURL(), "backup", fmt.Sprintf(`{"to":%q}`, old)); status != 202 {
		t.Fatalf("backup: %d %v", status, a)
	}
	if j := job(t, g.DeskURL(), "backup", "job"); j["state"] != "done" {
		t.Fatalf("backup %v", j)
	}
	public := publicKey(t, g.DeskURL())
	g.stop()
	before := wrapped(t, g.dir)
	g.run(shop)

	status, e := tell(t, g.DeskURL(), "subjects/erase", fmt.Sprintf(`{"type":"user_id","value":%q,"reason":"ticket-81"}`, canaryUser))
	if status != 202 {
		t.Fatalf("erase: %d %v", status, e)
	}
	g.gone("at once")
	name := e["id"].(string)
	e = erased(t, g.DeskURL(), name)
	g.gone("when it is through")
	envelope, err := json.Marshal(e["receipt"])
	if err != nil {
		t.Fatal(err)
	}
	if r, err := receipt.VerifyErasure(public, envelope); err != nil || r.ID != name || r.Events != 3 || r.Reason != "ticket-81" || len(r.Identifiers) != 3 {
		t.Errorf("receipt %+v: %v", r, err)
	}
	if status, _ := tell(t, g.DeskURL(), "backup", fmt.Sprintf(`{"to":%q}`, fresh)); status != 202 {
		t.Fatalf("backup: %d", status)
	}
	if j := job(t, g.DeskURL(), "backup", "job"); j["state"] != "done" {
		t.Fatalf("backup %v", j)
	}
	secrets := []string{canaryUser, canaryDevice, canaryMail, canaryCity}
	g.stop()
	for key := range wrapped(t, g.dir) {
		delete(before, key)
	}
	if len(before) < 4 { // three identifiers' and a facet's
		t.Errorf("only %d keys are gone", len(before))
	}
	for key := range before {
		secrets = append(secrets, key)
	}
	for _, x := range holds(t, secrets, g.dir, g.dir+".keys", fresh) {
		t.Error(x)
	}
	if clear := holds(t, secrets[:4], old); len(clear) > 0 {
		t.Errorf("the old backup has something in clear: %v", clear)
	}
	if found := holds(t, secrets[4:], old); len(found) == 0 {
		t.Error("the old backup lacks the wrapped keys, so the search for them finds nothing anywhere")
	}

	// The old backup comes back in the place of the folder.
	if err := os.Rename(g.dir, g.dir+".lost"); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("test.yaml", []byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	cfg.DataDir = g.dir
	quiet := slog.New(slog.NewTextHandler(testLog{t}, nil))
	done, err := app.Restore(context.Background(), app.RestoreOptions{Offline: app.Offline{Config: cfg, Logger: quiet}, From: old})
	if err != nil || done.Erased != 1 {
		t.Fatalf("%+v: %v", done, err)
	}
	if found := holds(t, secrets, g.dir); len(found) > 0 {
		t.Errorf("restored: %v", found)
	}
	g.run(shop)
	g.gone("restored")
	if _, report := g.desk("audit/verify"); report["ok"] != true || len(report["notes"].([]any)) == 0 {
		t.Errorf("the activity log of a restored folder: %v", report)
	}
	// The same identifier seen again is somebody new.
	g.browser().post("/v1/batch", fmt.Sprintf(`{"batch":[{"type":"page","messageId":"n1","userId":%q}]}`, canaryUser), "X-Write-Key", writeKey)
	if p := g.person("user_id", canaryUser); at(p, "counts", "events") != 1.0 || at(p, "traits", "city") != nil {
		t.Errorf("came back as %v", p)
	}
	g.stop()
	v, err := app.Verify(context.Background(), app.Offline{Config: cfg, Logger: quiet})
	if err != nil || !v.OK() {
		t.Errorf("%+v: %v", v, err)
	}
	r, err := app.Rebuild(context.Background(), app.Offline{Config: cfg, Logger: quiet}, false)
	if err != nil || r.Total != 0 {
		t.Errorf("%+v: %v", r, err)
	}
}

// TestKilledInTheMiddleOfErasing: whatever the moment, the next start sees the
// erasure through, or it was never answered and the person is whole.
func TestKilledInTheMiddleOfErasing(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "reuna.yaml")
	if err := os.WriteFile(conf, []byte(shop), 0o600); err != nil {
		t.Fatal(err)
	}
	bin, dir := buildGateway(t), filepath.Join(t.TempDir(), "data")
	p := launch(t, bin, dir, "-config", conf)
	const persons, events = 4, 400
	for i := range persons {
		var batch []string
		for k := range events {
			batch = append(batch, fmt.Sprintf(`{"type":"track","event":"Ping","messageId":"m%d-%d","userId":"user-%d","anonymousId":"dev-%d-%d"}`, i, k, i, i, k%20))
		}
		req, err := http.NewRequest("POST", p.site+"/v1/batch", strings.NewReader(`{"batch":[`+strings.Join(batch, ",")+`]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(serverKey, "")
		if status, raw := do(t, http.DefaultClient, req); status != 200 {
			t.Fatalf("%d %s", status, raw)
		}
	}
	public := publicKey(t, p.desk)
	for i := range persons {
		user := fmt.Sprintf("user-%d", i)
		answered := make(chan string, 1)
		go func() {
			req, err := http.NewRequest("POST", p.desk+"/admin/v1/subjects/erase", strings.NewReader(fmt.Sprintf(`{"type":"user_id","value":%q}`, user)))
			if err != nil {
				answered <- ""
				return
			}
			req.Header.Set("Authorization", "Bearer "+adminKey)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				answered <- "" // killed before it answered
				return
			}
			defer resp.Body.Close()
			var e struct{ ID string }
			if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
				e.ID = ""
			}
			answered <- e.ID
		}()
		name, got := "", false
		// A moment to die at, not a wait: with the answer, or a little after the question.
		var moment <-chan time.Time
		if i%2 == 1 {
			moment = time.After(time.Duration(i*4) * time.Millisecond)
		}
		select {
		case name = <-answered:
			got = true
		case <-moment:
		}
		if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-p.done
		if !got {
			name = <-answered
		}
		p = launch(t, bin, dir, "-config", conf)
		_, list := deskOf(t, p.desk, "subjects")
		for _, x := range list["erasures"].([]any) {
			e := erased(t, p.desk, at(x, "id").(string))
			envelope, err := json.Marshal(e["receipt"])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := receipt.VerifyErasure(public, envelope); err != nil {
				t.Errorf("%v: %v", e["id"], err)
			}
		}
		n := len(timeline(t, p.desk, "user_id", user))
		if name != "" && n != 0 || n != 0 && n != events {
			t.Errorf("%s (%q) has %d events", user, name, n)
		}
		t.Logf("%s: answered %q, %d events", user, name, n)
	}
}
