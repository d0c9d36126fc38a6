package enrich

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packed is a package as npm packs it.
func packed(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for name, text := range files {
		if err := archive.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func sumOf(data []byte) string {
	sum := sha512.Sum512(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func TestEveryFixtureIsPinned(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range fixtures() {
		if f.version == "" || f.license == "" || f.source == "" || f.what == "" || len(f.files) == 0 {
			t.Errorf("%s: something is not told: %+v", f.name, f)
		}
		if sum, err := base64.StdEncoding.DecodeString(f.sum); !f.goModule && (err != nil || len(sum) != sha512.Size) {
			t.Errorf("%s %s: the sum is no SHA-512: %v", f.name, f.version, err)
		}
		if seen[f.name+f.version] || seen[f.sum] && f.sum != "" {
			t.Errorf("%s %s stands twice", f.name, f.version)
		}
		seen[f.name+f.version], seen[f.sum] = true, true
	}
}

// TestAKeptFixtureNeedsNoNetwork also shows what a run without one says.
func TestAKeptFixtureNeedsNoNetwork(t *testing.T) {
	dir := t.TempDir()
	s := &store{dir: filepath.Join(dir, "kept"), log: io.Discard}
	data := packed(t, map[string]string{"data/agents.js": "one", "other.js": "two"})
	f := &fixture{name: "some", version: "1.0.0", sum: sumOf(data), files: []string{"data/agents.js", "data/none.js"}}
	ctx := context.Background()

	t.Setenv("PATH", dir) // no npm
	if _, err := s.open(ctx, f); err == nil || !strings.Contains(err.Error(), "npm is not on the PATH") || !strings.Contains(err.Error(), "some 1.0.0") {
		t.Errorf("without npm: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte("#!/bin/sh\necho 'no such host' >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.open(ctx, f); err == nil || !strings.Contains(err.Error(), "no such host") || !strings.Contains(err.Error(), "the first run needs the network") {
		t.Errorf("without a network: %v", err)
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) != 0 {
		t.Errorf("a failed fetch leaves %v, %v", left, err)
	}

	// An npm that packs what it finds beside itself.
	if err := os.WriteFile(filepath.Join(dir, "some.tgz"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n/bin/cp '" + filepath.Join(dir, "some.tgz") + "' some-1.0.0.tgz\n"
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{"fetched", "kept"} {
		files, err := s.open(ctx, f)
		if err != nil || string(files["data/agents.js"]) != "one" || len(files) != 1 {
			t.Fatalf("%s: %q, %v", run, files, err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "npm")); err != nil { // the second time there is none
			t.Fatal(err)
		}
	}

	kept := filepath.Join(s.dir, "some-1.0.0.tgz")
	if err := os.WriteFile(kept, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.open(ctx, f); err == nil || !strings.Contains(err.Error(), kept) {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestSharesAreReadAndSampled(t *testing.T) {
	release := func(agents string) map[string][]byte {
		return map[string][]byte{
			"data/browsers.js": []byte(`module.exports={A:"chrome",B:"kaios",C:"novel"};`),
			"data/agents.js":   []byte("module.exports={" + agents + "};"),
		}
	}
	old := release(`A:{A:{"0":12.5,mB:.25,K:1e-1},B:"webkit",C:["","A"],E:"Chrome",F:{"0":1577836800,mB:null}},B:{A:{A:0.05},E:"KaiOS",F:{}}`)
	new := release(`A:{A:{"0":20},E:"Chrome",F:{"0":1735689600}},B:{A:{A:0.2},E:"KaiOS",F:{A:1735603200}}`)
	share, day, err := readShares(old)
	if err != nil || share["chrome"] != 12.85 || share["kaios"] != 0.05 || day.Format("2006-01-02") != "2020-01-01" {
		t.Fatalf("%v %v %v", share, day, err)
	}
	found, err := common([]map[string][]byte{new, old})
	if err != nil || len(found) != 2 || found[0].Key != "chrome" || found[0].Most != 20 || found[0].When.Year() != 2025 || found[1].Key != "kaios" {
		t.Errorf("%+v %v", found, err)
	}
	if found, err = common([]map[string][]byte{old}); err != nil || len(found) != 1 {
		t.Errorf("0.05 %% is not common: %+v %v", found, err)
	}
	if _, err := common([]map[string][]byte{release(`C:{A:{A:3},F:{}}`)}); err == nil || !strings.Contains(err.Error(), "novel") {
		t.Errorf("a browser that nobody has named families for: %v", err)
	}
	for _, broken := range []string{"", "module.exports=", "module.exports=3;", "module.exports={A:", "module.exports={A:1 B:2}", "module.exports={A}", "module.exports=" + strings.Repeat("[", 1_000_000)} {
		if v, err := readTable([]byte(broken)); err == nil {
			t.Errorf("%.30q is read as %v", broken, v)
		}
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add([]byte(`module.exports={A:{A:{H:0.0092277},B:"ms",C:["",1],E:"IE",F:{mB:962323200}}};`))
	f.Add([]byte(`module.exports={"0":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if v, err := readTable(text); (err == nil) != (v != nil) {
			t.Errorf("%q: %v, %v", text, v, err)
		}
	})
}

func TestVisitorsAreJoined(t *testing.T) {
	older, err := readVisitors(map[string][]byte{"dist/user-agents.json": []byte(`[
		{"userAgent":"a","deviceCategory":"desktop","weight":0.25}, {"userAgent":"b","deviceCategory":"mobile","weight":0.5}, {"userAgent":"a","deviceCategory":"tablet","weight":0.125},
		{"userAgent":"a","deviceCategory":"desktop","weight":0.125}]`)})
	if err != nil || len(older) != 2 || older[0].agent != "a" || older[0].weight != 0.5 || older[0].kind != "desktop" {
		t.Fatalf("%+v %v", older, err)
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(w, `[{"userAgent":"a","deviceCategory":"tablet","weight":1}]`); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	newer, err := readVisitors(map[string][]byte{"src/user-agents.json.gz": zipped.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	all := joinVisitors([][]labelled{older, newer})
	if len(all) != 2 || all[0].weight != 0.75 || all[0].kind != "tablet" || all[1].weight != 0.25 {
		t.Errorf("%+v", all)
	}
	if _, err := readVisitors(map[string][]byte{"dist/user-agents.json": []byte(`[{"userAgent":""}]`)}); err == nil {
		t.Error("a visitor without an agent is taken")
	}
}

func TestCoreIsRead(t *testing.T) {
	files := map[string][]byte{
		"regexes.yaml":           []byte("user_agent_parsers:\n  - regex: '(Firefox)/(\\d+)'\nos_parsers:\n  - regex: '(Linux)'\ndevice_parsers:\n  - regex: '(Nexus 7)'\n"),
		"tests/test_ua.yaml":     []byte("test_cases:\n  - user_agent_string: 'x Firefox/3 y'\n    family: 'Firefox'\n    major: '3'\n    minor:\n"),
		"tests/test_os.yaml":     []byte("test_cases:\n  - user_agent_string: 'Linux'\n    family: 'Linux'\n    major:\n"),
		"tests/test_device.yaml": []byte("test_cases:\n  - user_agent_string: 'a'\n    family: 'iPad'\n  - user_agent_string: 'b'\n    family: 'Nokia N70'\n    brand: 'Nokia'\n    model: 'N70'\n"),
	}
	c, err := readCore(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.browsers) != 1 || c.browsers[0].major != "3" || len(c.systems) != 1 || len(c.devices) != 1 || c.devices[0].kind != "tablet" {
		t.Errorf("%+v", c)
	}
	if got := (uapGo{c.oracle}).read(&c.browsers[0]); got.browser != "Firefox" || got.major != "3" {
		t.Errorf("uap-go says %+v", got)
	}
	files["tests/test_os.yaml"] = []byte("test_cases: []\n")
	if _, err := readCore(files); err == nil || !strings.Contains(err.Error(), "test_os.yaml") {
		t.Errorf("without cases: %v", err)
	}
}

func TestCrawlersAreRead(t *testing.T) {
	all, err := readCrawlers(map[string][]byte{"crawler-user-agents.json": []byte(`[{"pattern":"x","instances":["x/1","x/2"],"tags":["seo"]}]`)})
	if err != nil || len(all) != 2 || all[1].agent != "x/2" || all[0].tags[0] != "seo" {
		t.Errorf("%+v %v", all, err)
	}
	for _, text := range []string{"[]", "{"} {
		if _, err := readCrawlers(map[string][]byte{"crawler-user-agents.json": []byte(text)}); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
