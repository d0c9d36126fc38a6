package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// target is one fuzz test.
type target struct {
	dir  string // from the root
	name string
}

// fuzz runs each target alone, as go test can only fuzz one at a time.
func fuzz(ctx context.Context, m *machine, each time.Duration) error {
	targets, err := fuzzTargets(m)
	if err != nil {
		return err
	}
	failed := 0
	for _, t := range targets {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := m.quietly(ctx, m.root, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(), "./"+t.dir)
		if err != nil {
			failed++
			fmt.Fprintf(m.out, "FAIL %s %s\n", t.dir, t.name)
			continue
		}
		fmt.Fprintf(m.out, "ok   %s %s\n", t.dir, t.name)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d targets failed; the inputs are kept under testdata/fuzz: fix the cause and commit them", failed, len(targets))
	}
	if len(targets) == 0 {
		return fmt.Errorf("no fuzz target found; expected functions FuzzX(*testing.F) in test files")
	}
	return nil
}

// fuzzTargets finds every func FuzzX(*testing.F) in the tree.
func fuzzTargets(m *machine) ([]target, error) {
	var targets []target
	err := m.walk(func(p string, d fs.DirEntry) error {
		if d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(m.root, filepath.FromSlash(p)), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && isFuzz(fn) {
				targets = append(targets, target{path.Dir(p), fn.Name.Name})
			}
		}
		return nil
	})
	return targets, err
}

func isFuzz(fn *ast.FuncDecl) bool {
	if fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") || fn.Type.Params.NumFields() != 1 {
		return false
	}
	star, ok := fn.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "F"
}
