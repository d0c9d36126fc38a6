package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
)

// step is one row of the run.
type step struct {
	name string
	says string
	do   func(context.Context, *machine) error
}

// testTimeout ends a package's tests that hang. The whole run should take less
// than a quarter of an hour on two cores.
const testTimeout = "20m"

// allSteps is the run, in order: what must be fetched first, then the quick
// checks, then the tests.
func allSteps(o options) []step {
	steps := []step{
		{"install", "Chromium, Firefox and the packages of the tests, when missing", install},
		{"format", "every Go file is formatted as gofmt does", format},
		{"vet", "go vet", command("go", "vet", "./...")},
		{"staticcheck", "staticcheck", command("go", "tool", "staticcheck", "./...")},
		{"lint", "import rules, package comments, lengths, layout", command("go", "run", "./tools/lint")},
		{"tag-types", "the tag's types", inTag("npm", "run", "check")},
		{"tag-tests", "the tag's unit tests", inTag("npm", "test")},
		{"plain-test", "the Go tests that the race detector would disturb, without it", plainTest},
		{"go-test", "every Go test with the race detector, browser and SDK tests among them", goTest},
	}
	if o.fuzz > 0 {
		steps = append(steps, step{"fuzz", "each fuzz target for " + o.fuzz.String(), func(ctx context.Context, m *machine) error {
			return fuzz(ctx, m, o.fuzz)
		}})
	}
	return steps
}

// command is a step that runs one command at the root.
func command(name string, args ...string) func(context.Context, *machine) error {
	return func(ctx context.Context, m *machine) error {
		return m.quietly(ctx, m.root, name, args...)
	}
}

// inTag is a step that runs one command in the tag's folder.
func inTag(name string, args ...string) func(context.Context, *machine) error {
	return func(ctx context.Context, m *machine) error {
		if _, err := m.lookPath(name); err != nil {
			return fmt.Errorf("%s is not on PATH; install Node 20 or newer with npm", name)
		}
		return m.quietly(ctx, filepath.Join(m.root, "tag"), name, args...)
	}
}

// goTest runs one package more at a time than there are processors: the longest
// drive browsers and wait for them half of their time.
func goTest(ctx context.Context, m *machine) error {
	w := &testOutput{out: m.out, all: m.verbose}
	err := m.command(ctx, w, m.root, "go", "test", "-race", "-p", strconv.Itoa(runtime.NumCPU()+1), "-timeout", testTimeout, "./...")
	w.end(err != nil)
	if err != nil {
		return fmt.Errorf("%d of %d packages failed (%w)", w.failed, w.failed+w.passed, err)
	}
	fmt.Fprintf(m.out, "%d packages passed, %d have no tests\n", w.passed, w.untested)
	return nil
}
