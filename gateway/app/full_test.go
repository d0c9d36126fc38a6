package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/reuna/reuna/gateway/config"
)

// roomFor makes a folder on a disk in memory where there is one, since nobody
// else writes much there.
func roomFor(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "reuna-full-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskFull: events are answered 503 with Retry-After, readiness tells why,
// reads and erasure go on, and all of it passes when there is space.
func TestDiskFull(t *testing.T) {
	const margin = 128 << 20
	room := roomFor(t)
	g := &gateway{t: t, dir: filepath.Join(room, "data")}
	g.run(shop)
	g.people81f3()
	g.stop()
	var disk syscall.Statfs_t
	if err := syscall.Statfs(room, &disk); err != nil {
		t.Fatal(err)
	}
	err := g.edit(shop, func(c *config.Config) { c.Limits.MinFree = config.Size(int64(disk.Bavail)*int64(disk.Bsize) - margin) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { g.stop() }()
	send := func() (status int, retry, code string) {
		req, err := http.NewRequest("POST", g.SiteURL()+"/v1/track", strings.NewReader(`{"event":"Ping","userId":"other-2"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(serverKey, "")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var a struct{ Error struct{ Code string } }
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Retry-After"), a.Error.Code
	}
	ready := func(base string) (status int, code, message string) {
		req, err := http.NewRequest("GET", base+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		status, raw := do(t, http.DefaultClient, req)
		var a struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal(raw, &a); err != nil {
			t.Fatal(err)
		}
		return status, a.Error.Code, a.Error.Message
	}
	if status, _, code := send(); status != 200 {
		t.Fatalf("while there is room: %d %s", status, code)
	}

	ballast := filepath.Join(room, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2*margin), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the log refuses", func() bool { status, _, _ := send(); return status == 503 })
	if status, retry, code := send(); status != 503 || retry == "" || code != "disk_full" {
		t.Errorf("%d, Retry-After %q, %s", status, retry, code)
	}
	for _, base := range []string{g.SiteURL(), g.DeskURL()} {
		if status, code, message := ready(base); status != 503 || code != "disk_full" || !strings.Contains(message, "limits.min_free") || strings.Contains(message, g.dir) {
			t.Errorf("%s: %d %s %s", base, status, code, message)
		}
		req, err := http.NewRequest("GET", base+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if status, raw := do(t, http.DefaultClient, req); status != 200 {
			t.Errorf("healthz: %d %s", status, raw)
		}
	}
	if got := g.metric("reuna_log_disk_full"); got != 1 {
		t.Errorf("reuna_log_disk_full is %v", got)
	}
	if p := g.person("email", canaryMail); at(p, "counts", "events") != 3.0 {
		t.Errorf("reads: %v", p)
	}
	status, e := tell(t, g.DeskURL(), "subjects/erase", fmt.Sprintf(`{"type":"user_id","value":%q}`, canaryUser))
	if status != 202 {
		t.Fatalf("erase: %d %v", status, e)
	}
	if e = erased(t, g.DeskURL(), e["id"].(string)); e["receipt"] == nil {
		t.Errorf("%v", e)
	}
	g.gone("on a full disk")
	if status, a := tell(t, g.DeskURL(), "identities/link", `{"a":{"type":"user_id","value":"other-1"},"b":{"type":"anonymous_id","value":"x"}}`); status != 503 || at(a, "error", "code") != "disk_full" {
		t.Errorf("evidence: %d %v", status, a)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	await(t, "the log takes events again", func() bool { status, _, _ := send(); return status == 200 })
	if status, code, _ := ready(g.SiteURL()); status != 200 {
		t.Errorf("ready: %d %s", status, code)
	}
}

// TestReadinessNamesItsReasons: also while the gateway stops.
func TestReadinessNamesItsReasons(t *testing.T) {
	g := start(t, shop)
	if u := g.Ready(); u != nil {
		t.Errorf("not ready: %v", u)
	}
	a := g.App
	g.stop()
	if u := a.Ready(); u == nil || u.Code != "draining" || u.Message == "" {
		t.Errorf("after Close: %v", u)
	}
}
