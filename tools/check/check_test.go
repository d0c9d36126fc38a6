package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var errExit = errors.New("exit status 1")

// bench is a machine whose programs are pretended: it writes down each command
// and answers with fail.
type bench struct {
	machine
	printed bytes.Buffer
	ran     []string
	fail    map[string]string // command prefix: what it prints before it fails
}

// newBench makes a tree of the files, with only the named programs on PATH.
func newBench(t *testing.T, files map[string]string, programs ...string) *bench {
	t.Helper()
	b := &bench{fail: map[string]string{}}
	b.root, b.out = t.TempDir(), &b.printed
	for name, text := range files {
		at := filepath.Join(b.root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.lookPath = func(name string) (string, error) {
		if slices.Contains(programs, name) {
			return "/bin/" + name, nil
		}
		return "", errors.New("not found")
	}
	b.command = func(_ context.Context, w io.Writer, dir, name string, args ...string) error {
		line := strings.Join(append([]string{name}, args...), " ")
		rel, err := filepath.Rel(b.root, dir)
		if err != nil {
			t.Fatal(err)
		}
		b.ran = append(b.ran, rel+"$ "+line)
		for prefix, says := range b.fail {
			if strings.HasPrefix(line, prefix) {
				fmt.Fprint(w, says)
				return errExit
			}
		}
		fmt.Fprint(w, "all is well\n")
		return nil
	}
	return b
}

func TestRunGoesOnAfterAFailure(t *testing.T) {
	b := newBench(t, nil)
	b.fail["go vet"] = "x.go:1: a fault\n"
	steps := choose(allSteps(options{}), options{run: regexp.MustCompile("^(vet|staticcheck|lint)$")})
	if n := run(context.Background(), &b.printed, b.machine, steps); n != 1 {
		t.Errorf("%d failed, want 1", n)
	}
	want := []string{".$ go vet ./...", ".$ go tool staticcheck ./...", ".$ go run ./tools/lint"}
	if !slices.Equal(b.ran, want) {
		t.Errorf("ran %q, want %q", b.ran, want)
	}
	out := b.printed.String()
	if !strings.HasSuffix(out, "\n2 passed, 1 failed\n") {
		t.Errorf("the last line is not the count: %q", out)
	}
	if !strings.Contains(out, "x.go:1: a fault\n") || strings.Contains(out, "all is well") {
		t.Errorf("output of failures only is wanted: %q", out)
	}
}

func TestEveryStepPassesOnASoundTree(t *testing.T) {
	b := newBench(t, map[string]string{"tag/package.json": "{}", "tag/package-lock.json": "{}", "a/a.go": "package a\n",
		"a/b/alloc_test.go": "//go:build !race\n\npackage b\n\nfunc TestB(t *testing.T) {}\n\nfunc TestA(t *testing.T) {}\n", "a/b/b_test.go": "package b\n", "tag/node_modules/c/c_test.go": "//go:build !race\n"},
		"chromium", "firefox-esr", "npm")
	b.verbose = true
	steps := choose(allSteps(options{}), options{})
	if n := run(context.Background(), &b.printed, b.machine, steps); n != 0 {
		t.Errorf("%d failed:\n%s", n, &b.printed)
	}
	out := b.printed.String()
	if !strings.HasSuffix(out, fmt.Sprintf("\n%d passed, 0 failed\n", len(steps))) || !strings.Contains(out, "all is well") {
		t.Errorf("printed %q", out)
	}
	if !slices.Contains(b.ran, ".$ go test -timeout 20m -run ^(TestA|TestB)$ ./a/b") {
		t.Errorf("ran %q", b.ran)
	}
}

func TestInterruptedRunFails(t *testing.T) {
	b := newBench(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	steps := allSteps(options{})
	if n := run(ctx, &b.printed, b.machine, steps); n != len(steps) || len(b.ran) != 0 {
		t.Errorf("%d of %d failed, ran %q", n, len(steps), b.ran)
	}
}

func TestSteps(t *testing.T) {
	names := func(o options) string {
		var all []string
		for _, s := range choose(allSteps(o), o) {
			all = append(all, s.name)
		}
		return strings.Join(all, " ")
	}
	for _, c := range []struct {
		o    options
		want string
	}{
		{options{}, "install format vet staticcheck lint tag-types tag-tests plain-test go-test"},
		{options{fuzz: time.Second}, "install format vet staticcheck lint tag-types tag-tests plain-test go-test fuzz"},
		{options{run: regexp.MustCompile("tag")}, "tag-types tag-tests"},
		{options{run: regexp.MustCompile("fuzz")}, ""},
		{options{run: regexp.MustCompile("^fuzz"), fuzz: time.Second}, "fuzz"},
	} {
		if got := names(c.o); got != c.want {
			t.Errorf("%+v: %s; want %s", c.o, got, c.want)
		}
	}
}

func TestInstallBrowsers(t *testing.T) {
	const update, get, fonts = ".$ apt-get update", ".$ apt-get install -y --no-install-recommends ", " fonts-liberation php-cli"
	for _, c := range []struct {
		name     string
		programs []string
		isRoot   bool
		fail     string
		ran      []string
		says     string
	}{
		{"there", []string{"chromium", "firefox-esr", "apt-get"}, true, "", nil, ""},
		{"there under other names", []string{"google-chrome", "firefox"}, false, "", nil, ""},
		{"fetched", []string{"apt-get"}, true, "", []string{update, get + "chromium firefox-esr" + fonts}, ""},
		{"one is missing", []string{"chromium", "apt-get"}, true, "", []string{update, get + "firefox-esr" + fonts}, ""},
		{"not root", []string{"firefox", "apt-get"}, false, "", nil, "no Chromium on PATH, and only root can install that; as root"},
		{"no apt-get", nil, true, "", nil, "no Chromium and no Firefox on PATH and no apt-get"},
		{"no network", []string{"apt-get"}, true, "apt-get update", []string{update}, "package lists"},
		{"no such package", []string{"apt-get"}, true, "apt-get install", []string{update, get + "chromium firefox-esr" + fonts}, "apt-get install chromium firefox-esr"},
	} {
		b := newBench(t, nil, c.programs...)
		b.isRoot = c.isRoot
		if c.fail != "" {
			b.fail[c.fail] = "E: no\n"
		}
		err := installBrowsers(context.Background(), &b.machine)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want …%s…", c.name, err, c.says)
		}
		if !slices.Equal(b.ran, c.ran) {
			t.Errorf("%s: ran %q, want %q", c.name, b.ran, c.ran)
		}
	}
}

func TestInstallPackages(t *testing.T) {
	b := newBench(t, map[string]string{
		"tag/package.json":                                         "{}",
		"tag/package-lock.json":                                    "{}",
		"tag/node_modules/x/package.json":                          "{}",
		"gateway/app/testdata/sdk/package.json":                    "{}",
		"gateway/app/testdata/sdk/package-lock.json":               "{}",
		"gateway/app/testdata/sdk/node_modules/.package-lock.json": "{}",
		".cache/package.json":                                      "{}",
	}, "npm")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(b.root, "gateway/app/testdata/sdk/package-lock.json"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := installPackages(context.Background(), &b.machine); err != nil {
		t.Fatal(err)
	}
	if want := []string{"tag$ npm ci --no-audit --no-fund"}; !slices.Equal(b.ran, want) {
		t.Errorf("ran %q, want %q", b.ran, want)
	}

	now := time.Now().Add(time.Hour) // the lock changed after the packages were installed
	if err := os.Chtimes(filepath.Join(b.root, "gateway/app/testdata/sdk/package-lock.json"), now, now); err != nil {
		t.Fatal(err)
	}
	b.ran = nil
	b.fail["npm"] = "npm error\n"
	if err := installPackages(context.Background(), &b.machine); !errors.Is(err, errExit) || len(b.ran) != 2 {
		t.Errorf("ran %q: %v", b.ran, err)
	}

	without := newBench(t, map[string]string{"tag/package.json": "{}", "tag/package-lock.json": "{}"})
	if err := installPackages(context.Background(), &without.machine); err == nil || !strings.Contains(err.Error(), "Node 20") {
		t.Errorf("without npm: %v", err)
	}
	unlocked := newBench(t, map[string]string{"tag/package.json": "{}"}, "npm")
	if err := installPackages(context.Background(), &unlocked.machine); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a lock: %v", err)
	}
}

func TestFormat(t *testing.T) {
	b := newBench(t, map[string]string{
		"a/good.go":          "package a\n",
		"a/testdata/bad.go":  "package  a\n",
		"node_modules/b.go":  "package  b\n",
		"a/loose.go":         "package  a\n",
		"a/unreadable.go":    "pakage a\n",
		"a/not-go.txt":       "x",
		".git/hooks/hook.go": "package  h\n",
	})
	err := format(context.Background(), &b.machine)
	if err == nil || !strings.HasSuffix(err.Error(), "gofmt -w a/loose.go a/unreadable.go") {
		t.Errorf("format: %v", err)
	}
}

func TestFuzzTargets(t *testing.T) {
	const head = "package a\nimport \"testing\"\n"
	b := newBench(t, map[string]string{
		"a/a_test.go":          head + "func FuzzOne(f *testing.F) {}\nfunc FuzzHelper(t *testing.T) {}\nfunc TestX(t *testing.T) {}\n",
		"b/c/b_test.go":        head + "func FuzzTwo(f *testing.F) {}\ntype x int\nfunc (x) FuzzThree(f *testing.F) {}\n",
		"b/b.go":               head + "func FuzzNot(f *testing.F) {}\n",
		"b/testdata/b_test.go": head + "func FuzzNot(f *testing.F) {}\n",
	})
	if err := fuzz(context.Background(), &b.machine, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	want := []string{".$ go test -run ^$ -fuzz ^FuzzOne$ -fuzztime 3s ./a", ".$ go test -run ^$ -fuzz ^FuzzTwo$ -fuzztime 3s ./b/c"}
	if !slices.Equal(b.ran, want) {
		t.Errorf("ran %q, want %q", b.ran, want)
	}
	b.fail["go test -run ^$ -fuzz ^FuzzOne$"] = "--- FAIL\n"
	if err := fuzz(context.Background(), &b.machine, time.Second); err == nil || len(b.ran) != 4 {
		t.Errorf("a failing target: %v after %q", err, b.ran)
	}
	if err := fuzz(context.Background(), &newBench(t, nil).machine, time.Second); err == nil {
		t.Error("a tree without targets passes")
	}
}

func TestGoTestOutput(t *testing.T) {
	const printed = `# example.com/house/c [example.com/house/c.test]
c/c.go:3:2: undefined: x
ok  	example.com/house/a	0.1s
noise of a package that passes
ok  	example.com/house/b	(cached)
FAIL	example.com/house/c [build failed]
?   	example.com/house/d	[no test files]
--- FAIL: TestX (0.00s)
    x_test.go:1: seen 1, want 2
FAIL
FAIL	example.com/house/e	0.2s
more noise
ok  	example.com/house/f	1.0s
FAIL
`
	const want = `# example.com/house/c [example.com/house/c.test]
c/c.go:3:2: undefined: x
ok  	example.com/house/a	0.1s
ok  	example.com/house/b	(cached)
FAIL	example.com/house/c [build failed]
--- FAIL: TestX (0.00s)
    x_test.go:1: seen 1, want 2
FAIL	example.com/house/e	0.2s
ok  	example.com/house/f	1.0s
`
	for _, chunk := range []int{1, 7, 4096} { // however the pipe cuts it
		b := newBench(t, nil)
		b.command = func(_ context.Context, w io.Writer, _, _ string, _ ...string) error {
			for rest := []byte(printed); len(rest) > 0; {
				n := min(chunk, len(rest))
				if _, err := w.Write(rest[:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			return errExit
		}
		err := goTest(context.Background(), &b.machine)
		if err == nil || !strings.HasPrefix(err.Error(), "2 of 5 packages failed") {
			t.Errorf("by %d: %v", chunk, err)
		}
		if got := b.printed.String(); got != want {
			t.Errorf("by %d: printed\n%s\nwant\n%s", chunk, got, want)
		}
	}
	b := newBench(t, nil)
	b.fail["go test"] = "go: no module here"
	if err := goTest(context.Background(), &b.machine); err == nil || !strings.Contains(b.printed.String(), "no module here") {
		t.Errorf("what go test itself says is lost: %v %q", err, &b.printed)
	}
}

func TestCommandsSayTheirExit(t *testing.T) {
	m := machine{root: t.TempDir(), out: io.Discard}
	var out bytes.Buffer
	if err := m.execute(context.Background(), &out, m.root, "sh", "-c", "echo out; echo err >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("err = %v", err)
	}
	if out.String() != "out\nerr\n" {
		t.Errorf("printed %q", &out)
	}
}
