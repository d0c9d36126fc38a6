package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/backup"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/vault"
)

// folder is a data folder, open for reading.
type folder struct {
	db     *engine.DB
	dir    string // that is open
	name   string // as it was given
	key    string // a file, or env:NAME
	vault  *vault.Vault
	given  *id.Types // of the configuration; nil without one
	remove string    // a folder of links to a backup, taken away at the end
}

func openFolder(s *settings, stderr io.Writer) (f *folder, err error) {
	f = &folder{dir: s.data, name: s.data, key: s.key}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if s.config != "" {
		if f.given, err = readTypes(s.config); err != nil {
			return f, err
		}
	}
	if s.snapshot != "" {
		if err := f.linkSnapshot(s.snapshot); err != nil {
			return f, err
		}
	}
	if info, err := os.Stat(f.dir); errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("there is no folder %s: -data names the gateway's data_dir", f.dir)
	} else if err == nil && !info.IsDir() {
		return f, fmt.Errorf("%s is a file: -data names the gateway's data_dir, a folder", f.dir)
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	f.db, err = engine.Open(engine.Options{Dir: f.dir, ReadOnly: true, Logger: logger})
	switch {
	case errors.Is(err, engine.ErrInUse):
		return f, fmt.Errorf("data folder %s is open in a gateway, which alone may read it while it runs: stop the gateway, or make a backup at its desk and show that with -snapshot", f.name)
	case err != nil:
		return f, err
	case f.db.Format() < engine.FormatVersion:
		return f, fmt.Errorf("data folder %s has format %d, and this program shows %d: start the gateway on it once, which brings it up", f.name, f.db.Format(), engine.FormatVersion)
	}
	return f, nil
}

func (f *folder) close() (err error) {
	if f.db != nil {
		err = f.db.Close()
	}
	if f.remove != "" {
		err = errors.Join(err, os.RemoveAll(f.remove))
	}
	return err
}

// linkSnapshot makes a folder of links to the files of a backup's newest
// snapshot: they are read where they lie.
func (f *folder) linkSnapshot(dir string) error {
	list, err := backup.List(dir)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("backup folder %s holds no snapshot", dir)
	}
	newest := list[0]
	for _, x := range list {
		if x.ID > newest.ID { // ids sort by age
			newest = x
		}
	}
	if f.remove, err = os.MkdirTemp("", "reuna-inspect-"); err != nil {
		return err
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for _, x := range newest.Files {
		object := filepath.Join(root, "objects", x.SHA256[:2], x.SHA256)
		if err := os.Symlink(object, filepath.Join(f.remove, x.Name)); err != nil {
			return err
		}
	}
	f.dir, f.name = f.remove, fmt.Sprintf("%s, snapshot %s", dir, newest.ID)
	return nil
}

// keys opens the vault, once.
func (f *folder) keys() (*vault.Vault, error) {
	if f.vault != nil {
		return f.vault, nil
	}
	master, err := readMaster(f.key)
	if err != nil {
		return nil, err
	}
	f.vault, err = vault.Open(f.db, master)
	return f.vault, err
}

func readMaster(from string) ([]byte, error) {
	name, ok := strings.CutPrefix(from, "env:")
	if !ok {
		return vault.LoadMasterKey(from)
	}
	text := os.Getenv(name)
	if text == "" {
		return nil, fmt.Errorf("-key: the environment has no %s", name)
	}
	master, err := config.MasterKeyBytes(text)
	if err != nil {
		return nil, fmt.Errorf("-key: %s: %w", name, err)
	}
	return master, nil
}

// types are the install's identifier types, or those that every install has.
func (f *folder) types() *id.Types {
	if f.given != nil {
		return f.given
	}
	return id.Default()
}

func readTypes(path string) (*id.Types, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	var rules []id.Rule
	for name, x := range cfg.Identifiers {
		normalise, err := id.Normaliser(x.Normalise, cfg.PhoneRegion)
		if err != nil {
			return nil, fmt.Errorf("%s: identifiers.%s.normalise: %w", path, name, err)
		}
		rules = append(rules, id.Rule{
			Name: name, From: x.From, MaxPerPerson: x.MaxPerPerson, MaxPersons: x.MaxPersons, Normalise: normalise,
			Blocked: x.Blocked, BlockedPatterns: x.BlockedPatterns,
		})
	}
	return id.NewTypes(id.Options{Rules: rules, PhoneRegion: cfg.PhoneRegion})
}
