package app_test

import (
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
)

// TestReloadRevokesKeys: an admin key that leaves the config opens nothing any
// more, and a faulty config changes nothing.
func TestReloadRevokesKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	text := "admin_keys: [first_0123456789abcdef, second_0123456789abcdef]\n"
	var broken error
	read := func() (*config.Config, error) {
		cfg, err := config.Parse("test.yaml", []byte(text))
		if err != nil {
			return nil, err
		}
		cfg.DataDir, cfg.SiteAddr, cfg.DeskAddr = dir, "127.0.0.1:0", "127.0.0.1:0"
		return cfg, broken
	}
	cfg, err := read()
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Start(app.Options{Packs: &packs, Config: cfg, Reread: read, Logger: slog.New(slog.NewTextHandler(testLog{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	opens := func(key string) bool {
		t.Helper()
		req, err := http.NewRequest("GET", a.DeskURL()+"/admin/v1/quarantine", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		status, _ := do(t, http.DefaultClient, req)
		return status == 200
	}
	want := func(first, second, third bool) {
		t.Helper()
		for key, ok := range map[string]bool{"first_0123456789abcdef": first, "second_0123456789abcdef": second, "third_0123456789abcdef": third} {
			if opens(key) != ok {
				t.Errorf("%s opens the desk: %v, want %v", key, !ok, ok)
			}
		}
	}
	want(true, true, false)
	text = "admin_keys: [second_0123456789abcdef, third_0123456789abcdef]\n"
	broken = errors.New("the file is being written")
	if err := a.Reload(); err == nil {
		t.Error("a faulty configuration was taken")
	}
	want(true, true, false)
	broken = nil
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	want(false, true, true)
	text = "demo: true\n"
	if err := a.Reload(); err == nil {
		t.Error("a configuration that leaves the desk without a key was taken")
	}
	want(false, true, true)
}
