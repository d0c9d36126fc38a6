package app

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/storage/vault"
)

// keys are the program's own secrets.
type keys struct {
	master     []byte
	masterFile string // "" when the config names the key
	admin      string // "" when only the config's admin_keys count
	adminFile  string // "" when the operator gave the key
}

// keyDir is where generated keys live: beside the data folder, never in it, so
// that a copy of the folder opens nothing.
func keyDir(dataDir string) string {
	return strings.TrimRight(filepath.Clean(dataDir), string(filepath.Separator)) + ".keys"
}

func (a *App) openKeys() (err error) {
	if text := a.cfg.MasterKey; !text.IsZero() {
		if a.keys.master, err = config.MasterKeyBytes(text.Reveal()); err != nil {
			return fmt.Errorf("master_key: %w", err)
		}
		return nil
	}
	dir := keyDir(a.cfg.DataDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w; the master key is kept beside the data folder unless master_key says otherwise", err)
	}
	a.keys.masterFile = filepath.Join(dir, "master.key")
	a.keys.master, a.created, err = vault.LoadOrCreateMasterKey(a.keys.masterFile)
	return err
}

// setAdminKey finds the desk's key that the config does not name: the one of the
// environment, or, where there is no other, one that is made at the first start
// and kept beside the master key.
func (a *App) setAdminKey() error {
	if a.o.AdminKey != "" {
		if len(a.o.AdminKey) < 16 {
			return errors.New("REUNA_ADMIN_KEY has fewer than 16 characters; choose a longer one")
		}
		a.keys.admin = a.o.AdminKey
		return nil
	}
	if len(a.cfg.AdminKeys) > 0 {
		return nil // the config's keys come and go with it
	}
	dir := keyDir(a.cfg.DataDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	a.keys.adminFile = filepath.Join(dir, "admin.key")
	text, err := os.ReadFile(a.keys.adminFile)
	if errors.Is(err, os.ErrNotExist) {
		a.keys.admin = "ak_" + strings.ToLower(rand.Text())
		return os.WriteFile(a.keys.adminFile, []byte(a.keys.admin+"\n"), 0o600)
	}
	if err != nil {
		return err
	}
	if a.keys.admin = strings.TrimSpace(string(text)); len(a.keys.admin) < 16 {
		return fmt.Errorf("%s holds no key of at least 16 characters; delete it to get a new one", a.keys.adminFile)
	}
	return nil
}

// derived is a name that this install always makes the same: generated write
// keys outlive restarts without being stored anywhere.
func (a *App) derived(prefix, use string) string {
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(a.vault.Subkey(use))
	return prefix + strings.ToLower(text[:20])
}
