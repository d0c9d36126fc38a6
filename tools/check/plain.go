package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// plainTest runs what the race detector would disturb, tests that count
// allocations for instance, without it: every test of the packages that keep some
// in a file of their own, marked "//go:build !race".
func plainTest(ctx context.Context, m *machine) error {
	packages, err := withoutRace(m.root)
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		return errors.New(`no test file begins with "//go:build !race"; take this step out`)
	}
	return m.quietly(ctx, m.root, "go", append([]string{"test", "-timeout", testTimeout}, packages...)...)
}

// withoutRace lists the packages that have such tests, as patterns for go test.
func withoutRace(root string) (packages []string, err error) {
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
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for tests that want no race detector: %w", err)
	}
	slices.Sort(packages)
	return slices.Compact(packages), nil
}
