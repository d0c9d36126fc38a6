package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	goformat "go/format"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// format names each Go file that gofmt would change. It formats in memory, so
// that it needs no gofmt on PATH and changes nothing. Files under testdata may
// be wrong on purpose.
func format(ctx context.Context, m *machine) error {
	var wrong []string
	err := m.walk(func(p string, d fs.DirEntry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(p) != ".go" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(m.root, filepath.FromSlash(p)))
		if err != nil {
			return err
		}
		formatted, err := goformat.Source(text)
		if err != nil {
			fmt.Fprintf(m.out, "%s: %v\n", p, err)
			wrong = append(wrong, p)
		} else if !bytes.Equal(text, formatted) {
			wrong = append(wrong, p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return errors.New("not formatted; run: gofmt -w " + strings.Join(wrong, " "))
	}
	return nil
}
