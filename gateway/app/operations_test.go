package app_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/storage/vault"
)

// edit runs the App with a configuration that the test may change beyond what a
// file may say.
func (g *gateway) edit(text string, change func(*config.Config)) error {
	g.t.Helper()
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		g.t.Fatal(err)
	}
	cfg.DataDir, cfg.SiteAddr, cfg.DeskAddr = g.dir, "127.0.0.1:0", "127.0.0.1:0"
	change(cfg)
	g.App, err = app.Start(app.Options{
		Packs: &packs, Config: cfg, AdminKey: adminKey, Logger: slog.New(slog.NewTextHandler(testLog{g.t}, nil)),
		Reread: func() (*config.Config, error) { return cfg, nil },
		Exit:   func(code int) { g.t.Errorf("the gateway wants to exit with %d", code) },
	})
	if err != nil {
		g.App = nil
	}
	return err
}

// traffic sends events until stop is called, which gives how many were taken;
// anything but a 200 is a fault.
func (g *gateway) traffic() (stop func() int64) {
	var taken atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	site := g.SiteURL()
	for s := range 4 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				body := fmt.Sprintf(`{"event":"Ping","messageId":"t%d-%d","userId":"traffic-%d"}`, s, i, i%50)
				req, err := http.NewRequest("POST", site+"/v1/track", strings.NewReader(body))
				if err != nil {
					g.t.Error(err)
					return
				}
				req.SetBasicAuth(serverKey, "")
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					g.t.Error(err)
					return
				}
				raw, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 {
					g.t.Errorf("answered %d %s: %v", resp.StatusCode, raw, err)
					return
				}
				taken.Add(1)
			}
		})
	}
	return func() int64 {
		cancel()
		all.Wait()
		return taken.Load()
	}
}

// counted adds up the events of traffic's users.
func (g *gateway) counted() (n int64) {
	g.t.Helper()
	for i := range 50 {
		if status, p := g.desk(fmt.Sprintf("persons/user_id:traffic-%d", i)); status == 200 {
			n += int64(at(p, "counts", "events").(float64))
		}
	}
	return n
}

// TestMasterKeyIsRotatedWhileEventsCome: no request notices, the old key opens
// nothing, and the next start reads everything with the new one.
func TestMasterKeyIsRotatedWhileEventsCome(t *testing.T) {
	g := start(t, shop)
	file := filepath.Join(g.dir+".keys", "master.key")
	old, err := vault.LoadMasterKey(file)
	if err != nil {
		t.Fatal(err)
	}
	stop := g.traffic()
	for range 2 {
		status, keys := tell(t, g.DeskURL(), "keys", `{"action":"rotate-master"}`)
		if status != 202 || !strings.Contains(keys["next"].(string), file) {
			t.Errorf("%d %v", status, keys)
		}
		if j := job(t, g.DeskURL(), "keys", "job"); j["state"] != "done" {
			t.Errorf("%v", j)
		}
	}
	taken := stop()
	key, err := vault.LoadMasterKey(file)
	if err != nil || vault.Fingerprint(key) == vault.Fingerprint(old) {
		t.Fatalf("the file holds the old key: %v", err)
	}
	_, keys := g.desk("keys")
	if keys["master"] != vault.Fingerprint(key) || keys["wrappingKeys"] != 1025.0 {
		t.Errorf("%v", keys)
	}
	g.stop()
	oldText := shop + "master_key: " + hex.EncodeToString(old) + "\n"
	if err := g.edit(oldText, func(*config.Config) {}); !errors.Is(err, vault.ErrWrongMaster) {
		t.Errorf("with the old key: %v", err)
	}
	g.run(shop)
	if n := g.counted(); n != taken {
		t.Errorf("%d events after the restart, %d were taken", n, taken)
	}
}

// TestAnotherKeyThatTheConfigNames: where the operator keeps the master key, the
// next one comes from the configuration, and either opens the folder meanwhile.
func TestAnotherKeyThatTheConfigNames(t *testing.T) {
	g := &gateway{t: t, dir: filepath.Join(t.TempDir(), "data")}
	one, two := strings.Repeat("11", 32), strings.Repeat("22", 32)
	begin := func(text string, want error) {
		t.Helper()
		if err := g.edit(shop+text, func(*config.Config) {}); !errors.Is(err, want) {
			t.Fatalf("%q: %v, want %v", text, err, want)
		}
	}
	begin("master_key: "+one, nil)
	g.people81f3()
	if status, a := tell(t, g.DeskURL(), "keys", `{"action":"rotate-master"}`); status != 409 || at(a, "error", "code") != "no_next_master_key" {
		t.Errorf("%d %v", status, a)
	}
	if _, err := os.Stat(filepath.Join(g.dir+".keys", "master.key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key file was made beside the configured key: %v", err)
	}
	g.stop()
	begin("master_key: "+one+"\nnext_master_key: "+two, nil)
	status, a := tell(t, g.DeskURL(), "keys", `{"action":"rotate-master"}`)
	if status != 202 || !strings.Contains(a["next"].(string), "next_master_key") {
		t.Errorf("%d %v", status, a)
	}
	job(t, g.DeskURL(), "keys", "job")
	if status, a := tell(t, g.DeskURL(), "keys", `{"action":"rotate-master"}`); status != 409 {
		t.Errorf("again: %d %v", status, a)
	}
	g.stop()
	begin("master_key: "+one+"\nnext_master_key: "+two, nil) // as after a restart that nobody planned
	g.stop()
	begin("master_key: "+one, vault.ErrWrongMaster)
	begin("master_key: "+two, nil)
	if p := g.person("user_id", "other-1"); at(p, "counts", "events") != 1.0 {
		t.Errorf("%v", p)
	}
	g.stop()
}

// TestBackupsByTheClock: they are made, old ones go, and the metrics tell.
func TestBackupsByTheClock(t *testing.T) {
	g := &gateway{t: t, dir: filepath.Join(t.TempDir(), "data")}
	to := filepath.Join(t.TempDir(), "backups")
	if err := g.edit(shop, func(c *config.Config) {
		c.Backup = config.Backup{To: to, Every: 150 * time.Millisecond, Keep: 2}
	}); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	await(t, "four backups", func() bool {
		_, b := g.desk("backup")
		list := b["snapshots"].([]any)
		for _, s := range list {
			ids[at(s, "id").(string)] = true
		}
		if j, _ := b["job"].(map[string]any); j != nil && j["state"] == "done" && len(list) > 2 {
			// A new one may have come between the job's end and the list.
			if len(list) > 3 {
				t.Fatalf("%d snapshots are kept", len(list))
			}
		}
		return len(ids) >= 4
	})
	age := g.metric("reuna_backup_age_seconds")
	if last := g.metric("reuna_backup_last_timestamp_seconds"); age < 0 || age > 60 || last < float64(time.Now().Add(-time.Minute).Unix()) {
		t.Errorf("age %v, last %v", age, last)
	}
	if status, a := tell(t, g.DeskURL(), "backup/verify", `{}`); status != 202 {
		t.Errorf("%d %v", status, a)
	}
	job(t, g.DeskURL(), "backup", "verify") // its snapshot may be pruned meanwhile
	g.stop()
}

// metric reads one of /metrics; a name that is not there is a fault.
func (g *gateway) metric(name string) (v float64) {
	g.t.Helper()
	req, err := http.NewRequest("GET", g.DeskURL()+"/metrics", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	_, raw := do(g.t, http.DefaultClient, req)
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(rest, &v); err != nil {
				g.t.Fatalf("%s: %v", line, err)
			}
			return v
		}
	}
	g.t.Errorf("there is no metric %s", name)
	return 0
}

// TestTheStoreFromTheDesk: settling, compaction, the log's state, evidence, the
// archive and the activity log, as an operator uses them on a running gateway.
func TestTheStoreFromTheDesk(t *testing.T) {
	g := start(t, shop)
	g.people81f3()
	if status, a := tell(t, g.DeskURL(), "log/settle", `{"olderThan":"0s"}`); status != 202 {
		t.Fatalf("%d %v", status, a)
	}
	if j := job(t, g.DeskURL(), "log", "settling"); j["state"] != "done" || at(j, "result", "events") != 5.0 {
		t.Errorf("%v", j)
	}
	_, log := g.desk("log")
	if log["settled"] != 5.0 || log["last"] != 5.0 || log["durable"] != 5.0 || log["settleError"] != nil || at(log, "disk", "full") != false {
		t.Errorf("%v", log)
	}
	for _, name := range []string{"people", "history"} {
		if !slices.ContainsFunc(log["cursors"].([]any), func(c any) bool { return at(c, "name") == name && at(c, "lag") == 0.0 }) {
			t.Errorf("%s is behind: %v", name, log["cursors"])
		}
	}
	if status, a := tell(t, g.DeskURL(), "compact", ``); status != 202 {
		t.Fatalf("%d %v", status, a)
	}
	if j := job(t, g.DeskURL(), "compact", "job"); j["state"] != "done" {
		t.Errorf("%v", j)
	}
	if status, a := tell(t, g.DeskURL(), "backup", ``); status != 400 || at(a, "error", "code") != "no_backup_folder" {
		t.Errorf("%d %v", status, a)
	}
	if status, a := tell(t, g.DeskURL(), "backup", fmt.Sprintf(`{"to":%q}`, filepath.Join(g.dir, "inside"))); status != 202 {
		t.Errorf("%d %v", status, a)
	}
	if j := job(t, g.DeskURL(), "backup", "job"); j["state"] != "failed" || !strings.Contains(fmt.Sprint(j["message"]), "elsewhere") {
		t.Errorf("%v", j)
	}
	if n := len(timeline(t, g.DeskURL(), "user_id", canaryUser)); n != 3 {
		t.Errorf("%d events", n)
	}
	if status, a := tell(t, g.DeskURL(), "identities/link", fmt.Sprintf(`{"a":{"type":"user_id","value":%q},"b":{"type":"anonymous_id","value":"somebody-else"}}`, canaryUser)); status != 200 {
		t.Errorf("%d %v", status, a)
	}
	status, archive := tell(t, g.DeskURL(), "subjects/access", fmt.Sprintf(`{"type":"email","value":%q}`, canaryMail))
	if status != 200 || archive["complete"] != true || archive["eventCount"] != 4.0 || at(archive, "person", "counts", "events") != 4.0 {
		t.Errorf("%d %v", status, archive)
	}
	for name, want := range map[string]float64{"reuna_log_head_seq": log["head"].(float64), "reuna_log_last_seq": 6, "reuna_log_settled_seq": 5, "reuna_erasures_pending": 0,
		"reuna_events_late_total": 0, "reuna_log_disk_full": 0, "reuna_ready": 1} {
		if got := g.metric(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if g.metric("reuna_store_disk_free_bytes") <= 0 || g.metric("reuna_log_tail_age_seconds") < 0 {
		t.Error("the disk has no room, or the log's tail is from the future")
	}
	_, report := g.desk("audit/verify")
	_, entries := g.desk("audit?action=gateway.start")
	text, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	if report["ok"] != true || len(entries["entries"].([]any)) != 1 || strings.Contains(string(text), "canary") {
		t.Errorf("%v %s", report, text)
	}
	if _, ends := g.desk("audit?action=job.end"); len(ends["entries"].([]any)) != 3 {
		t.Errorf("%v", ends)
	}
}

// TestReloadIsWrittenDown: the activity log has it.
func TestReloadIsWrittenDown(t *testing.T) {
	g := &gateway{t: t, dir: filepath.Join(t.TempDir(), "data")}
	if err := g.edit(shop, func(*config.Config) {}); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, a := g.desk("audit?action=config.reload"); len(a["entries"].([]any)) != 1 || at(a["entries"].([]any)[0], "actor") != "gateway" {
		t.Errorf("%v", a)
	}
	g.stop()
}
