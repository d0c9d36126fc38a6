package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
)

const (
	testKey = "ak_test_0123456789abcdef"
	conf    = `
admin_keys: [` + testKey + `]
sites: [{name: shop, write_key: wk_shop, server_keys: [sk_shop_0123456789abcdef]}]
`
)

// folder is a data folder with its configuration, and a gateway that may run on it.
type folder struct {
	t          *testing.T
	data, conf string
	app        *app.App
}

func newFolder(t *testing.T) *folder {
	t.Helper()
	dir := t.TempDir()
	f := &folder{t: t, data: filepath.Join(dir, "data"), conf: filepath.Join(dir, "reuna.yaml")}
	if err := os.WriteFile(f.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	return f
}

func (f *folder) start() {
	f.t.Helper()
	cfg, err := config.Load(f.conf)
	if err != nil {
		f.t.Fatal(err)
	}
	cfg.DataDir, cfg.SiteAddr, cfg.DeskAddr = f.data, "127.0.0.1:0", "127.0.0.1:0"
	f.app, err = app.Start(app.Options{Config: cfg, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) stop() {
	if f.app == nil {
		return
	}
	if err := f.app.Close(); err != nil {
		f.t.Error(err)
	}
	f.app = nil
}

func (f *folder) request(method, url, auth, body string, want int) string {
	f.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", auth)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		f.t.Fatalf("%s %s answered %d %s: %v", method, url, resp.StatusCode, raw, err)
	}
	return string(raw)
}

func (f *folder) send(user string) {
	f.t.Helper()
	req, _ := http.NewRequest("GET", "/", nil)
	req.SetBasicAuth("sk_shop_0123456789abcdef", "")
	f.request("POST", f.app.SiteURL()+"/v1/track", req.Header.Get("Authorization"), fmt.Sprintf(`{"event":"Ping","userId":%q}`, user), 200)
}

func (f *folder) desk(method, path, body string, want int) string {
	f.t.Helper()
	return f.request(method, f.app.DeskURL()+"/admin/v1/"+path, "Bearer "+testKey, body, want)
}

// run runs a command on the folder.
func (f *folder) run(want int, args ...string) (stdout, stderr string) {
	f.t.Helper()
	return runs(f.t, want, append(args[:1:1], append([]string{"-config", f.conf, "-data", f.data}, args[1:]...)...)...)
}

func runs(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	if got := run(args, &out, &complaints); got != want {
		t.Errorf("gateway %s ends with %d, want %d\n%s%s", strings.Join(args, " "), got, want, out.String(), complaints.String())
	}
	return out.String(), complaints.String()
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q lacks %q", text, p)
		}
	}
}

// TestBackupAndRestore is an operator's way: a backup of the running gateway, an
// erasure after it, a lost disk, a restore, and everything checked.
func TestBackupAndRestore(t *testing.T) {
	f := newFolder(t)
	to := filepath.Join(t.TempDir(), "backups")
	f.start()
	f.send("u1")
	f.send("u2")
	out, _ := f.run(exitOK, "backup", "-to", to)
	contains(t, out, "snapshot ", to)
	out, _ = f.run(exitOK, "backup", "-to", to)
	contains(t, out, "were there already")
	_, complaints := f.run(exitFailed, "backup")
	contains(t, complaints, "no_backup_folder", "backup.to")
	f.desk("POST", "subjects/erase", `{"type":"user_id","value":"u2"}`, 202)
	for _, name := range []string{"verify", "rebuild"} {
		_, complaints = f.run(exitFailed, name)
		contains(t, complaints, "in use")
	}
	_, complaints = f.run(exitFailed, "restore", "-from", to)
	contains(t, complaints, "not empty")
	f.stop()
	out, _ = f.run(exitOK, "verify")
	contains(t, out, "all of it agrees", "activity log: ")
	out, _ = f.run(exitOK, "rebuild")
	contains(t, out, "all of it is as it is stored")
	f.run(exitOK, "rebuild", "-replace")
	if list, err := filepath.Glob(f.data + ".rebuild*"); err != nil || len(list) > 0 {
		t.Errorf("rebuild leaves %v: %v", list, err)
	}

	if err := os.RemoveAll(f.data); err != nil {
		t.Fatal(err)
	}
	out, _ = f.run(exitOK, "restore", "-from", to)
	contains(t, out, "1 erasures that came after it were done again")
	out, _ = f.run(exitOK, "verify")
	contains(t, out, "all of it agrees", "not compared with the head file")
	f.start()
	f.desk("GET", "persons/user_id:u1", "", 200)
	f.desk("GET", "persons/user_id:u2", "", 404)
	contains(t, f.desk("GET", "audit/verify", "", 200), `"ok":true`)
	contains(t, f.desk("GET", "audit?action=audit.", "", 200), "audit.restored")
	f.stop()
	out, _ = f.run(exitOK, "verify")
	contains(t, out, "all of it agrees")
	if strings.Contains(out, "not compared") {
		t.Error("the mark of the restore outlives the first start")
	}
}

// TestRestoreOnANewMachine: the old key folder is named, and nobody comes back
// who was erased after the backup.
func TestRestoreOnANewMachine(t *testing.T) {
	f := newFolder(t)
	to := filepath.Join(t.TempDir(), "backups")
	f.start()
	f.send("u1")
	f.send("u2")
	f.run(exitOK, "backup", "-to", to)
	f.desk("POST", "subjects/erase", `{"type":"user_id","value":"u2"}`, 202)
	f.stop()
	old := f.data
	f.data = filepath.Join(t.TempDir(), "elsewhere")
	_, complaints := f.run(exitFailed, "restore", "-from", to)
	contains(t, complaints, "master key", "-keys")
	_, complaints = f.run(exitFailed, "restore", "-from", to, "-keys", t.TempDir())
	contains(t, complaints, "no key folder")
	out, _ := f.run(exitOK, "restore", "-from", to, "-keys", old+".keys")
	contains(t, out, "done again")
	f.start()
	f.desk("GET", "persons/user_id:u1", "", 200)
	f.desk("GET", "persons/user_id:u2", "", 404)
	f.stop()
	// Two installs' keys do not mix.
	other := newFolder(t)
	other.start()
	other.stop()
	if err := os.RemoveAll(other.data); err != nil {
		t.Fatal(err)
	}
	_, complaints = other.run(exitFailed, "restore", "-from", to, "-keys", old+".keys")
	contains(t, complaints, "has another master.key")
	_, complaints = other.run(exitFailed, "restore", "-from", to)
	contains(t, complaints, "master key")
}

// TestBackupFromBeforeARotation: the key that opens it is found, here and in an
// old key folder.
func TestBackupFromBeforeARotation(t *testing.T) {
	f := newFolder(t)
	to := filepath.Join(t.TempDir(), "backups")
	f.start()
	f.send("u1")
	f.run(exitOK, "backup", "-to", to)
	f.desk("POST", "keys", `{"action":"rotate-master"}`, 202)
	f.stop()
	keys := f.data + ".keys"
	if err := os.RemoveAll(f.data); err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{nil, {"-keys", keys}} {
		f.run(exitOK, append([]string{"restore", "-from", to}, more...)...)
		f.run(exitOK, "verify")
		f.start()
		f.desk("GET", "persons/user_id:u1", "", 200)
		f.stop()
		out, _ := f.run(exitOK, "verify")
		contains(t, out, "all of it agrees")
		f.data = filepath.Join(t.TempDir(), "elsewhere")
	}
}

// TestATraitLearnsItsPast: one that is defined after the events knows of them soon
// after the start, and the commands find that all of it agrees.
func TestATraitLearnsItsPast(t *testing.T) {
	f := newFolder(t)
	f.start()
	f.send("u1")
	f.send("u1")
	f.stop()
	if err := os.WriteFile(f.conf, []byte(conf+"traits: [{name: pings, kind: count, event: Ping}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(exitOK, "rebuild")
	f.start()
	for began := time.Now(); !strings.Contains(f.desk("GET", "persons/user_id:u1", "", 200), `"pings":2`); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the trait does not know of the events before it")
		}
	}
	f.stop()
	f.run(exitOK, "rebuild")
	f.run(exitOK, "verify")
	f.run(exitOK, "rebuild", "-replace")
	f.start()
	contains(t, f.desk("GET", "persons/user_id:u1", "", 200), `"pings":2`)
	f.stop()
}

func TestDamageIsNamed(t *testing.T) {
	f := newFolder(t)
	f.start()
	f.send("u1")
	f.stop()
	head := filepath.Join(f.data+".keys", "audit-head")
	if err := os.Remove(head); err != nil {
		t.Fatal(err)
	}
	out, complaints := f.run(exitFailed, "verify")
	contains(t, out, "activity log, fault (head_file)")
	contains(t, complaints, "something is wrong")
}

func TestCommandsThatCannotBe(t *testing.T) {
	f := newFolder(t)
	for _, c := range []struct {
		want int
		args []string
		says string
	}{
		{exitUsage, []string{"restor"}, "there are backup, restore, verify, rebuild"},
		{exitUsage, []string{"verify", "-data"}, "needs an argument"},
		{exitUsage, []string{"verify", "this"}, "takes flags only"},
		{exitUsage, []string{"verify", "-config", "no-such.yaml"}, "no-such.yaml"},
		{exitUsage, []string{"restore", "-data", f.data}, "-from is missing"},
		{exitFailed, []string{"verify", "-data", f.data}, "there is no data folder"},
		{exitFailed, []string{"rebuild", "-data", f.data}, "there is no data folder"},
		{exitFailed, []string{"backup", "-data", f.data}, "no gateway runs on"},
		{exitFailed, []string{"restore", "-data", f.data, "-from", "no-such-folder", "-keys", f.data}, "no key folder"},
		{exitOK, []string{"verify", "-h"}, "check every record"},
		{exitOK, []string{"-h"}, "COMMAND"},
		{exitUsage, []string{"-check", "restore"}, "a command such as restore comes first"},
	} {
		_, complaints := runs(t, c.want, c.args...)
		contains(t, complaints, c.says)
	}
	if _, err := os.Stat(f.data); !os.IsNotExist(err) {
		t.Errorf("a command made a data folder: %v", err)
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b)
	p.step("copying", 1, 2)
	if b.Len() > 0 {
		t.Errorf("plain output begins with %q", b.String())
	}
	p.term, p.last = true, p.last.Add(-termEvery)
	p.step("copying", 1, 2)
	p.last = p.last.Add(-termEvery)
	p.step("a", 0, 0)
	if _, err := p.Write([]byte("a warning\n")); err != nil {
		t.Fatal(err)
	}
	p.end()
	want := "\rcopying: 1 of 2 (50%)\ra: 0" + strings.Repeat(" ", 17) + "\r" + strings.Repeat(" ", 4) + "\ra warning\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1536: "1.5 KiB", 3 << 20: "3.0 MiB", 5 << 30: "5.0 GiB"} {
		if got := size(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
