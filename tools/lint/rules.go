package main

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// finding is one place that breaks one rule.
type finding struct {
	rule    string
	path    string
	line    int // 0: the whole file or folder
	message string
}

func (f finding) String() string {
	if f.line > 0 {
		return fmt.Sprintf("%s:%d: %s (%s)", f.path, f.line, f.message, f.rule)
	}
	return fmt.Sprintf("%s: %s (%s)", f.path, f.message, f.rule)
}

// rule is one row of the table.
type rule struct {
	name  string
	says  string
	check func(*repo) []finding
}

// rules is the table. Never changed after start.
var rules = []rule{
	{"floors", "a package imports only what lies below it; packages of gateway/ never import each other", floors},
	{"rooms", "fasthttp only in gateway, tools and benchmarks; Pebble only in storage; esbuild only in tag", rooms},
	{"pure", "identity imports the standard library without I/O, itself, the rule engine where rules are, and telephone plans where identifiers are", pure},
	{"comment", "each package has exactly one package comment, which begins with its name", comments},
	{"length", "a source file has at most 500 lines", length},
	{"layout", "nothing at the root but the fixed folders and files", layout},
}

// lint runs every rule; findings are sorted by place.
func lint(r *repo) []finding {
	var all []finding
	for _, rule := range rules {
		for _, f := range rule.check(r) {
			f.rule = rule.name
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b finding) int {
		return cmp.Or(strings.Compare(a.path, b.path), a.line-b.line)
	})
	return all
}

// within says that dir is folder or lies in it.
func within(dir, folder string) bool {
	return dir == folder || strings.HasPrefix(dir, folder+"/")
}

func withinAny(dir string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return within(dir, f) })
}

// floor is what the packages of one folder may import of this module, besides
// their own folder.
type floor struct {
	folder string
	below  []string
}

// tower is the floors from the top; a package is on the first whose folder it
// is in. A package of gateway/ that is not named here is on the floor "each".
var tower = []floor{
	{"tools", []string{"tools", "benchmarks", "gateway", "storage", "identity", "tag"}},
	{"benchmarks", []string{"tools", "benchmarks", "gateway", "storage", "identity", "tag"}},
	{"gateway/app", []string{"gateway", "storage", "identity", "tag"}},
	{"storage", []string{"storage", "identity"}},
	{"identity", []string{"identity"}},
	{"tag", []string{"tag"}},
}

// main only wires: flags, config, app.Run.
var gatewayMain = []string{"gateway/app", "gateway/config"}

// each is what one subject of the gateway may import.
var each = []string{"storage", "identity", "tag"}

// allowed is what the package in dir may import of this module.
func allowed(dir string) []string {
	for _, f := range tower {
		if within(dir, f.folder) {
			return f.below
		}
	}
	if dir == "gateway" {
		return gatewayMain
	}
	if parts := strings.SplitN(dir, "/", 3); parts[0] == "gateway" {
		return append([]string{path.Join(parts[0], parts[1])}, each...)
	}
	return nil
}

func floors(r *repo) []finding {
	return eachImport(r, func(f file, imp imported) string {
		target, ours := strings.CutPrefix(imp.path, r.module+"/")
		if !ours || withinAny(target, allowed(f.dir())) {
			return ""
		}
		if f.isTest && strings.HasSuffix(f.pkg, "_test") && target == f.dir() {
			return "" // an external test of the package itself
		}
		if within(f.dir(), "gateway") && within(target, "gateway") {
			return fmt.Sprintf("%s imports its sibling %s; only gateway/app joins siblings: declare a small interface and let app wire it", f.dir(), target)
		}
		return fmt.Sprintf("%s imports %s, which does not lie below it; it may import %s", f.dir(), target, orNothing(allowed(f.dir())))
	})
}

// room keeps a module in its folders.
type room struct {
	module  string
	folders []string
	why     string
}

var kept = []room{
	{"github.com/valyala/fasthttp", []string{"gateway", "tools", "benchmarks"}, "HTTP is the gateway's; tools and benchmarks use it as a client and as the bare handler they compare with"},
	{"github.com/cockroachdb/pebble", []string{"storage"}, "only storage knows which engine keeps the data"},
	{"github.com/evanw/esbuild", []string{"tag"}, "only tag knows how its scripts are built"},
	{"github.com/tdewolff", []string{"tag"}, "only tag knows how its scripts are built"},
	{"github.com/ua-parser", []string{"benchmarks"}, "another reader of user agents is there to measure ours against"},
}

func rooms(r *repo) []finding {
	return eachImport(r, func(f file, imp imported) string {
		for _, k := range kept {
			if within(imp.path, k.module) && !withinAny(f.dir(), k.folders) {
				return fmt.Sprintf("imports %s outside %s; %s", imp.path, strings.Join(k.folders, ", "), k.why)
			}
		}
		return ""
	})
}

// The exceptions of identity, by folder, and what its tests may use besides.
var (
	ruleEngine     = "github.com/google/cel-go"
	ruleFolders    = []string{"identity/trait", "identity/segment"}
	phonePlans     = "github.com/nyaruka/phonenumbers"
	phoneFolders   = []string{"identity/id"}
	testHelpers    = []string{"github.com/cockroachdb/datadriven"}
	outsideEffects = []string{"os", "os/exec", "net", "net/http", "syscall", "database/sql"}
)

func pure(r *repo) []finding {
	return eachImport(r, func(f file, imp imported) string {
		if !within(f.dir(), "identity") || within(imp.path, r.module) {
			return ""
		}
		first, _, _ := strings.Cut(imp.path, "/")
		switch standard := !strings.Contains(first, "."); {
		case standard && !f.isTest && slices.Contains(outsideEffects, imp.path):
			return fmt.Sprintf("imports %s; identity is pure: take what is needed as an argument", imp.path)
		case standard:
			return ""
		case within(imp.path, ruleEngine) && withinAny(f.dir(), ruleFolders):
			return ""
		case within(imp.path, phonePlans) && withinAny(f.dir(), phoneFolders):
			return ""
		case f.isTest && withinAny(imp.path, testHelpers):
			return ""
		}
		return fmt.Sprintf("imports %s; identity imports only the standard library and itself (and %s in %s, %s in %s)",
			imp.path, ruleEngine, strings.Join(ruleFolders, ", "), phonePlans, strings.Join(phoneFolders, ", "))
	})
}

func eachImport(r *repo, fault func(file, imported) string) []finding {
	var found []finding
	for _, f := range r.files {
		for _, imp := range f.imports {
			if message := fault(f, imp); message != "" {
				found = append(found, finding{path: f.path, line: imp.line, message: message})
			}
		}
	}
	return found
}

// comments looks at the files that go doc reads: the ones that are no tests, or
// the tests of a folder that has nothing else.
func comments(r *repo) []finding {
	sources := map[string][]file{}
	var dirs []string
	for _, onlyTests := range []bool{false, true} {
		for _, f := range r.files {
			have, seen := sources[f.dir()]
			if !f.isGo || f.isTest != onlyTests || onlyTests && seen && !have[0].isTest {
				continue
			}
			if !seen {
				dirs = append(dirs, f.dir())
			}
			sources[f.dir()] = append(have, f)
		}
	}
	var found []finding
	for _, dir := range dirs {
		var with []file
		for _, f := range sources[dir] {
			if f.doc != "" {
				with = append(with, f)
			}
		}
		if len(with) == 0 {
			found = append(found, finding{path: dir, message: "the package has no package comment; say in one file what it is"})
			continue
		}
		for _, f := range with[1:] {
			found = append(found, finding{path: f.path, line: f.docLine, message: "a second package comment, besides that in " + with[0].path + "; keep one"})
		}
		f := with[0]
		if begin := "Package " + strings.TrimSuffix(f.pkg, "_test") + " "; f.pkg != "main" && !strings.HasPrefix(f.doc, begin) {
			found = append(found, finding{path: f.path, line: f.docLine, message: fmt.Sprintf("the package comment should begin with %q", begin)})
		}
	}
	return found
}

const maxLines = 500

func length(r *repo) []finding {
	var found []finding
	for _, f := range r.files {
		if f.lines > maxLines {
			found = append(found, finding{path: f.path, line: maxLines + 1,
				message: fmt.Sprintf("%d lines, expected at most %d; split it by subject", f.lines, maxLines)})
		}
	}
	return found
}

// atRoot is all that the root may hold, besides dot-files.
var atRoot = []string{"gateway", "tag", "identity", "storage", "tools", "benchmarks", "go.mod", "go.sum", "README.md", "LICENSE"}

func layout(r *repo) []finding {
	var found []finding
	for _, name := range r.root {
		if !slices.Contains(atRoot, name) {
			found = append(found, finding{path: name, message: "does not belong at the root, which holds " + strings.Join(atRoot, ", ")})
		}
	}
	return found
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "nothing of this module"
	}
	return strings.Join(names, ", ")
}
