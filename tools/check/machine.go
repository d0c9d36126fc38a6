package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// machine is what steps may touch: the tree, the programs on it, and where to
// print. Tests replace its functions.
type machine struct {
	root     string
	out      io.Writer
	verbose  bool
	isRoot   bool
	lookPath func(name string) (string, error)
	// command runs a program in dir with both its outputs going to w.
	command func(ctx context.Context, w io.Writer, dir, name string, args ...string) error
}

// killDelay is how long an interrupted program may take to end by itself.
const killDelay = 10 * time.Second

func (m *machine) execute(ctx context.Context, w io.Writer, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = w, w
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = killDelay
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), err)
	}
	return nil
}

// quietly runs a command and shows its output only if it fails, or always with -v.
func (m *machine) quietly(ctx context.Context, dir, name string, args ...string) error {
	if m.verbose {
		return m.command(ctx, m.out, dir, name, args...)
	}
	var kept bytes.Buffer
	err := m.command(ctx, &kept, dir, name, args...)
	if err != nil {
		_, writeErr := m.out.Write(kept.Bytes())
		err = errors.Join(err, writeErr)
	}
	return err
}

// walk visits our own files: not those that git or npm keep, nor hidden ones.
// Paths are relative to the root, with slashes.
func (m *machine) walk(visit func(path string, d fs.DirEntry) error) error {
	return fs.WalkDir(os.DirFS(m.root), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && p != "." && (name == "node_modules" || name[0] == '.' || name[0] == '_') {
			return fs.SkipDir
		}
		return visit(p, d)
	})
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
			return "", errors.New("no go.mod here or above; run it inside the module")
		}
		dir = up
	}
}
