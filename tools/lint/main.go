// Command lint checks what the compiler does not: which folder may import
// which, that each package says what it is, that files stay short, and that the
// root holds what it should. The rules are the table in rules.go.
//
//	go run ./tools/lint
//
// It prints each finding as file:line: message and exits 1 when there is one.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", "", "the module's root (default: the nearest folder above with a go.mod)")
	list := flag.Bool("list", false, "print the rules and stop")
	flag.Parse()
	if *list {
		for _, r := range rules {
			fmt.Printf("%-12s %s\n", r.name, r.says)
		}
		return
	}
	n, err := run(*root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		os.Exit(2)
	}
	if n > 0 {
		fmt.Printf("%d findings\n", n)
		os.Exit(1)
	}
}

// run prints the findings for the tree at root and counts them.
func run(root string) (int, error) {
	if root == "" {
		var err error
		if root, err = moduleRoot(); err != nil {
			return 0, err
		}
	}
	r, err := scan(os.DirFS(root))
	if err != nil {
		return 0, err
	}
	found := lint(r)
	for _, f := range found {
		fmt.Println(f)
	}
	return len(found), nil
}

// moduleRoot is the nearest folder, from the working folder up, with a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod here or above; run it inside the module, or give -root")
		}
		dir = up
	}
}
