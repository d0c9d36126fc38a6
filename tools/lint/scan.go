package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// repo is what the rules look at. Paths are slash-separated, from the root.
type repo struct {
	module string   // the module's path
	root   []string // the root's entries, without what git ignores
	files  []file   // source files, in the order of their paths
}

// file is one source file; the Go fields are empty for other languages.
type file struct {
	path    string
	lines   int
	isGo    bool
	isTest  bool // its name ends in _test.go
	pkg     string
	doc     string // the package comment
	docLine int
	imports []imported
}

type imported struct {
	path string
	line int
}

func (f file) dir() string { return path.Dir(f.path) }

// sourceKinds are the extensions of files that people write and read.
var sourceKinds = []string{".go", ".ts", ".js", ".mjs", ".css", ".html"}

// scan reads the tree: its layout, and the head and length of each source file.
// testdata holds material of tests, and what git ignores is not ours: both are left out.
func scan(tree fs.FS) (*repo, error) {
	r := &repo{}
	mod, err := fs.ReadFile(tree, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("no module to check: %w", err)
	}
	for line := range bytes.Lines(mod) {
		if name, ok := strings.CutPrefix(string(line), "module "); ok {
			r.module = strings.TrimSpace(name)
		}
	}
	if r.module == "" {
		return nil, errors.New("go.mod has no module line")
	}
	ignored, err := ignoredNames(tree)
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == "." {
			return err
		}
		atRoot := !strings.Contains(p, "/")
		skip := ignored(d.Name(), atRoot) || atRoot && strings.HasPrefix(p, ".")
		if atRoot && !skip {
			r.root = append(r.root, p)
		}
		if d.IsDir() {
			if skip || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if skip || !slices.Contains(sourceKinds, path.Ext(p)) {
			return nil
		}
		f, err := readFile(tree, p)
		r.files = append(r.files, f)
		return err
	})
	return r, err
}

// ignoredNames reads the names in the root's .gitignore: plain names and globs
// without a slash inside; a slash in front holds a name to the root.
func ignoredNames(tree fs.FS) (func(name string, atRoot bool) bool, error) {
	text, err := fs.ReadFile(tree, ".gitignore")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var anywhere, rootOnly []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(strings.TrimSpace(line), "/")
		name, anchored := strings.CutPrefix(line, "/")
		switch {
		case name == "" || name[0] == '#':
		case anchored:
			rootOnly = append(rootOnly, name)
		default:
			anywhere = append(anywhere, name)
		}
	}
	matches := func(patterns []string, name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			ok, err := path.Match(p, name)
			return ok && err == nil
		})
	}
	return func(name string, atRoot bool) bool {
		return matches(anywhere, name) || atRoot && matches(rootOnly, name)
	}, nil
}

func readFile(tree fs.FS, p string) (file, error) {
	f := file{path: p, isGo: path.Ext(p) == ".go", isTest: strings.HasSuffix(p, "_test.go")}
	text, err := fs.ReadFile(tree, p)
	if err != nil {
		return f, err
	}
	f.lines = bytes.Count(text, []byte("\n"))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		f.lines++
	}
	if !f.isGo {
		return f, nil
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, p, text, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return f, err
	}
	f.pkg = parsed.Name.Name
	f.doc, f.docLine = packageComment(set, parsed)
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return f, fmt.Errorf("%s: import %s: %w", p, spec.Path.Value, err)
		}
		f.imports = append(f.imports, imported{name, set.Position(spec.Pos()).Line})
	}
	return f, nil
}

func packageComment(set *token.FileSet, f *ast.File) (string, int) {
	if f.Doc == nil {
		return "", 0
	}
	return f.Doc.Text(), set.Position(f.Doc.Pos()).Line
}
