package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// browsers are those that the browser tests drive: the names under which they
// look for each, and Debian's package.
var browsers = []struct {
	says, packaged string
	names          []string
}{
	{"Chromium", "chromium", []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}},
	{"Firefox", "firefox-esr", []string{"firefox-esr", "firefox"}},
}

// install fetches what the tests need and the machine lacks. What fails is
// reported here once; the steps that needed it then say so too.
func install(ctx context.Context, m *machine) error {
	return errors.Join(installBrowsers(ctx, m), installPackages(ctx, m))
}

func installBrowsers(ctx context.Context, m *machine) error {
	var missing, packages []string
	for _, b := range browsers {
		at := ""
		for _, name := range b.names {
			if found, err := m.lookPath(name); err == nil {
				at = found
				break
			}
		}
		if at == "" {
			missing, packages = append(missing, b.says), append(packages, b.packaged)
			continue
		}
		fmt.Fprintf(m.out, "browser: %s\n", at)
	}
	if len(missing) == 0 {
		return nil
	}
	none := "no " + strings.Join(missing, " and no ") + " on PATH"
	byHand := "install with: apt-get update && apt-get install " + strings.Join(packages, " ")
	if _, err := m.lookPath("apt-get"); err != nil {
		return errors.New(none + " and no apt-get to install with; use this system's own package manager")
	}
	if !m.isRoot {
		return errors.New(none + ", and only root can install that; as root, " + byHand)
	}
	fmt.Fprintf(m.out, "browser: %s, installing Debian's %s\n", none, strings.Join(packages, " and "))
	if err := m.quietly(ctx, m.root, "apt-get", "update"); err != nil {
		return fmt.Errorf("the package lists could not be fetched: %w", err)
	}
	// Fonts are only recommended by the browsers, but pages without any have no text to measure.
	// PHP, 3 MB, is for the README's helper that signs tokens; where it is not, that one is not run.
	args := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	if err := m.quietly(ctx, m.root, "apt-get", append(args, "fonts-liberation", "php-cli")...); err != nil {
		return fmt.Errorf("installing %s failed; %s: %w", strings.Join(packages, " and "), byHand, err)
	}
	return nil
}

// installPackages runs npm ci in each folder with a package.json whose
// installed packages are missing or older than its lock.
func installPackages(ctx context.Context, m *machine) error {
	folders, err := packageFolders(m)
	if err != nil {
		return err
	}
	var failed []error
	for _, dir := range folders {
		fresh, err := upToDate(filepath.Join(m.root, filepath.FromSlash(dir)))
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if fresh {
			fmt.Fprintf(m.out, "packages of %s: there\n", dir)
			continue
		}
		if _, err := m.lookPath("npm"); err != nil {
			return errors.Join(append(failed, errors.New("npm is not on PATH; install Node 20 or newer with npm"))...)
		}
		fmt.Fprintf(m.out, "packages of %s: npm ci\n", dir)
		if err := m.quietly(ctx, filepath.Join(m.root, filepath.FromSlash(dir)), "npm", "ci", "--no-audit", "--no-fund"); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", dir, err))
		}
	}
	return errors.Join(failed...)
}

func packageFolders(m *machine) ([]string, error) {
	var folders []string
	err := m.walk(func(p string, d fs.DirEntry) error {
		if d.Name() == "package.json" && !d.IsDir() {
			folders = append(folders, path.Dir(p))
		}
		return nil
	})
	return folders, err
}

// upToDate says that npm's record of what it installed in dir is not older than
// the lock it was installed from.
func upToDate(dir string) (bool, error) {
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return false, fmt.Errorf("packages are installed from a lock: %w", err)
	}
	have, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return !have.ModTime().Before(lock.ModTime()), nil
}
