package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// plainTest runs what the race detector would disturb, tests that count
// allocations for instance, without it: those in files of their own, marked
// "//go:build !race".
func plainTest(ctx context.Context, m *machine) error {
	packages, tests, err := withoutRace(m.root)
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		return errors.New(`no test file begins with "//go:build !race"; take this step out`)
	}
	return m.quietly(ctx, m.root, "go", append([]string{"test", "-timeout", testTimeout, "-run", "^(" + strings.Join(tests, "|") + ")$"}, packages...)...)
}

// testFunction finds the tests of a file.
var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// withoutRace lists the packages that have such tests, as patterns for go test,
// and the tests' names.
func withoutRace(root string) (packages, tests []string, err error) {
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "node_modules" || strings.HasPrefix(name, ".") && file != root {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(text), "//go:build !race\n") {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		packages = append(packages, "./"+path.Clean(filepath.ToSlash(dir)))
		for _, m := range testFunction.FindAllStringSubmatch(string(text), -1) {
			tests = append(tests, m[1])
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("looking for tests that want no race detector: %w", err)
	}
	slices.Sort(packages)
	slices.Sort(tests)
	return slices.Compact(packages), slices.Compact(tests), nil
}
