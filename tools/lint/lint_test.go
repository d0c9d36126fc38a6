package main

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestRepository holds this repository to the rules.
func TestRepository(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	r, err := scan(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.files) < 10 {
		t.Fatalf("saw %d source files only; the scan looks in the wrong place", len(r.files))
	}
	for _, f := range lint(r) {
		t.Error(f)
	}
}

// sound is a small tree that keeps every rule.
var sound = map[string]string{
	".gitignore":                    "# made by running\n/reuna-data/\nnode_modules/\n*.prof\n",
	".github/workflows/ci.yml":      "on: push\n",
	"go.mod":                        "module example.com/house\n\ngo 1.26\n",
	"go.sum":                        "",
	"LICENSE":                       "free",
	"README.md":                     "hello",
	"cpu.prof":                      "",
	"reuna-data/x.go":               "package broken",
	"gateway/main.go":               goFile("main", "Command gateway runs.", "example.com/house/gateway/app", "example.com/house/gateway/config"),
	"gateway/app/app.go":            goFile("app", "Package app joins.", "example.com/house/gateway/collect", "example.com/house/storage/engine", "example.com/house/tag"),
	"gateway/app/app_test.go":       goFile("app_test", "", "example.com/house/gateway/app", "example.com/house/gateway/demo"),
	"gateway/app/testdata/bad.go":   "package Package",
	"gateway/collect/collect.go":    goFile("collect", "Package collect collects.", "github.com/valyala/fasthttp", "example.com/house/identity/event"),
	"gateway/collect/more.go":       goFile("collect", ""),
	"gateway/collect/sub/sub.go":    goFile("sub", "Package sub is a part of its subject.", "example.com/house/gateway/collect"),
	"gateway/config/config.go":      goFile("config", "Package config reads.", "github.com/goccy/go-yaml"),
	"gateway/tagserve/tagserve.go":  goFile("tagserve", "Package tagserve serves.", "example.com/house/tag"),
	"storage/engine/engine.go":      goFile("engine", "Package engine keeps.", "github.com/cockroachdb/pebble/v2", "example.com/house/identity/id", "os"),
	"identity/id/id.go":             goFile("id", "Package id names.", "strings"),
	"identity/id/id_test.go":        goFile("id_test", "", "os", "example.com/house/identity/id", "github.com/cockroachdb/datadriven"),
	"identity/event/event.go":       goFile("event", "Package event models.", "example.com/house/identity/id"),
	"identity/segment/segment.go":   goFile("segment", "Package segment rules.", "github.com/google/cel-go/cel", "example.com/house/identity/event"),
	"tag/build.go":                  goFile("tag", "Package tag builds.", "github.com/evanw/esbuild/pkg/api"),
	"tag/src/core.ts":               "export {}\n",
	"tag/node_modules/x/long.js":    strings.Repeat("x\n", 2000),
	"tools/lint/main.go":            goFile("main", "Lint checks.", "example.com/house/benchmarks/workload"),
	"benchmarks/main.go":            goFile("main", "Benchmarks measure.", "github.com/valyala/fasthttp", "example.com/house/gateway/app"),
	"benchmarks/workload/load.go":   goFile("workload", "Package workload makes traffic."),
	"storage/engine/engine_test.go": goFile("engine", ""),
}

func goFile(pkg, doc string, imports ...string) string {
	var b strings.Builder
	if doc != "" {
		fmt.Fprintf(&b, "// %s\n", doc)
	}
	fmt.Fprintf(&b, "package %s\n", pkg)
	for _, i := range imports {
		fmt.Fprintf(&b, "import _ %q\n", i)
	}
	return b.String()
}

// check lints sound with some files changed; an empty text removes the file.
func check(t *testing.T, changes map[string]string) []finding {
	t.Helper()
	tree := fstest.MapFS{}
	files := maps.Clone(sound)
	maps.Copy(files, changes)
	for name, text := range files {
		if _, changed := changes[name]; changed && text == "" {
			continue
		}
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	r, err := scan(tree)
	if err != nil {
		t.Fatal(err)
	}
	return lint(r)
}

func TestSoundTreeHasNoFinding(t *testing.T) {
	for _, f := range check(t, nil) {
		t.Error(f)
	}
}

// Each rule is broken in each way it knows, one at a time: exactly that finding
// must come out, so that no check can pass by never looking.
func TestEachRuleCanFail(t *testing.T) {
	const house = "example.com/house/"
	broken := map[string]int{}
	for _, c := range []struct {
		rule, file, text, where, says string
	}{
		{"floors", "identity/id/up.go", goFile("id", "", house+"storage/engine"), "identity/id/up.go:2", "does not lie below"},
		{"floors", "identity/id/up_test.go", goFile("id_test", "", house+"gateway/app"), "identity/id/up_test.go:2", "does not lie below"},
		{"floors", "storage/engine/up.go", goFile("engine", "", house+"gateway/collect"), "storage/engine/up.go:2", "does not lie below"},
		{"floors", "storage/engine/tag.go", goFile("engine", "", house+"tag"), "storage/engine/tag.go:2", "does not lie below"},
		{"floors", "tag/up.go", goFile("tag", "", house+"identity/id"), "tag/up.go:2", "does not lie below"},
		{"floors", "gateway/collect/side.go", goFile("collect", "", house+"gateway/config"), "gateway/collect/side.go:2", "sibling"},
		{"floors", "gateway/collect/side_test.go", goFile("collect_test", "", house+"gateway/app"), "gateway/collect/side_test.go:2", "sibling"},
		{"floors", "gateway/collect/sub/side.go", goFile("sub", "", house+"gateway/tagserve"), "gateway/collect/sub/side.go:2", "sibling"},
		{"floors", "gateway/wire.go", goFile("main", "", house+"gateway/collect"), "gateway/wire.go:2", "sibling"},
		{"floors", "gateway/wire.go", goFile("main", "", house+"storage/engine"), "gateway/wire.go:2", "does not lie below"},
		{"floors", "gateway/app/tools.go", goFile("app", "", house+"tools/lint"), "gateway/app/tools.go:2", "does not lie below"},
		{"floors", "storage/engine/bench.go", goFile("engine", "", house+"benchmarks/workload"), "storage/engine/bench.go:2", "does not lie below"},
		{"rooms", "storage/engine/http.go", goFile("engine", "", "github.com/valyala/fasthttp/fasthttputil"), "storage/engine/http.go:2", "fasthttp"},
		{"rooms", "tag/http_test.go", goFile("tag_test", "", "github.com/valyala/fasthttp"), "tag/http_test.go:2", "fasthttp"},
		{"rooms", "gateway/app/db.go", goFile("app", "", "github.com/cockroachdb/pebble/v2/vfs"), "gateway/app/db.go:2", "pebble"},
		{"rooms", "tools/lint/db.go", goFile("main", "", "github.com/cockroachdb/pebble"), "tools/lint/db.go:2", "pebble"},
		{"rooms", "gateway/tagserve/es.go", goFile("tagserve", "", "github.com/evanw/esbuild/pkg/api"), "gateway/tagserve/es.go:2", "esbuild"},
		{"pure", "identity/id/io.go", goFile("id", "", "os"), "identity/id/io.go:2", "pure"},
		{"pure", "identity/id/net.go", goFile("id", "", "net/http"), "identity/id/net.go:2", "pure"},
		{"pure", "identity/id/dep.go", goFile("id", "", "github.com/klauspost/compress/zstd"), "identity/id/dep.go:2", "standard library"},
		{"pure", "identity/id/dep.go", goFile("id", "", "github.com/cockroachdb/datadriven"), "identity/id/dep.go:2", "standard library"},
		{"pure", "identity/event/cel.go", goFile("event", "", "github.com/google/cel-go/cel"), "identity/event/cel.go:2", "standard library"},
		{"pure", "identity/event/cel_test.go", goFile("event", "", "golang.org/x/net/html"), "identity/event/cel_test.go:2", "standard library"},
		{"comment", "gateway/collect/more.go", goFile("collect", "Package collect, again."), "gateway/collect/more.go:1", "second package comment"},
		{"comment", "identity/id/id.go", goFile("id", ""), "identity/id", "no package comment"},
		{"comment", "identity/id/id.go", goFile("id", "Identifiers."), "identity/id/id.go:1", "should begin"},
		{"comment", "tag/e2e/browser_test.go", goFile("e2e_test", ""), "tag/e2e", "no package comment"},
		{"comment", "tools/lint/main.go", goFile("main", ""), "tools/lint", "no package comment"},
		{"length", "gateway/collect/more.go", goFile("collect", "") + strings.Repeat("//\n", 500), "gateway/collect/more.go:501", "501 lines"},
		{"length", "tag/src/core.ts", strings.Repeat("x\n", 500) + "x", "tag/src/core.ts:501", "501 lines"},
		{"layout", "internal/x/x.txt", "x", "internal", "root"},
		{"layout", "Makefile", "all:", "Makefile", "root"},
		{"layout", "loose.go", goFile("loose", "Package loose lies about."), "loose.go", "root"},
	} {
		broken[c.rule]++
		found := check(t, map[string]string{c.file: c.text})
		if len(found) != 1 {
			t.Errorf("%s broken by %s: %d findings, want one: %v", c.rule, c.file, len(found), found)
			continue
		}
		f := found[0]
		if f.rule != c.rule || !strings.HasPrefix(f.String(), c.where+":") || !strings.Contains(f.message, c.says) {
			t.Errorf("%s broken by %s: %v, want %s: …%s…", c.rule, c.file, f, c.where, c.says)
		}
	}
	for _, r := range rules {
		if broken[r.name] == 0 {
			t.Errorf("no tree breaks the rule %s", r.name)
		}
	}
}

func TestUnreadableTrees(t *testing.T) {
	for name, tree := range map[string]fstest.MapFS{
		"no go.mod":     {},
		"no module":     {"go.mod": {Data: []byte("go 1.26\n")}},
		"broken source": {"go.mod": {Data: []byte("module x\n")}, "gateway/x.go": {Data: []byte("pakage x")}},
	} {
		if r, err := scan(tree); err == nil {
			t.Errorf("%s: read as %v", name, r)
		}
	}
}
