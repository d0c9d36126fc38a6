package app

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/migrate"
	"github.com/reuna/reuna/storage/vault"
)

// keys are the program's own secrets.
type keys struct {
	master    master
	admin     string // "" when only the config's admin_keys count
	adminFile string // "" when the operator gave the key
}

// What lies in the key folder.
const (
	masterFile = "master.key"
	adminFile  = "admin.key"
	ledgerFile = "erasures" // who was erased, as keyed hashes: restores go by it
)

// keyDir is where generated keys live: beside the data folder, never in it, so
// that a copy of the folder opens nothing.
func keyDir(dataDir string) string {
	return strings.TrimRight(filepath.Clean(dataDir), string(filepath.Separator)) + ".keys"
}

// master is where the key of a data folder comes from.
type master struct {
	file string // the generated key's file; "" when the config names the key
	// key and next are the config's, 32 bytes each; nil when it has none.
	key, next []byte
}

// masterOf reads what the config says of the master key.
func masterOf(cfg *config.Config) (m master, err error) {
	if cfg.MasterKey.IsZero() {
		m.file = filepath.Join(keyDir(cfg.DataDir), masterFile)
		return m, nil
	}
	if m.key, err = config.MasterKeyBytes(cfg.MasterKey.Reveal()); err != nil {
		return m, fmt.Errorf("master_key: %w", err)
	}
	if !cfg.NextMasterKey.IsZero() {
		if m.next, err = config.MasterKeyBytes(cfg.NextMasterKey.Reveal()); err != nil {
			return m, fmt.Errorf("next_master_key: %w", err)
		}
	}
	return m, nil
}

// others are the keys beside the present one that a backup may have been made
// under.
func (m master) others() (keys [][]byte, err error) {
	if m.file != "" {
		keys, err = vault.FormerMasterKeys(m.file)
	}
	if m.next != nil {
		keys = append(keys, m.next)
	}
	return keys, err
}

// open opens the vault of a data folder, after bringing a folder of an older
// format up. created says that the key was made now; moved that next_master_key
// opened the folder, since a rotation is through that the config does not tell of.
func (m master) open(db *engine.DB, log *slog.Logger) (v *vault.Vault, created, moved bool, err error) {
	if m.file != "" {
		if db.Format() < engine.FormatVersion {
			key, err := vault.LoadMasterKey(m.file)
			if err != nil {
				return nil, false, false, err
			}
			if err := migrate.Up(db, key, log); err != nil {
				return nil, false, false, err
			}
		}
		v, created, err = vault.OpenWithFile(db, m.file)
		return v, created, false, err
	}
	if err := migrate.Up(db, m.key, log); err != nil {
		return nil, false, false, err
	}
	v, err = vault.Open(db, m.key)
	if errors.Is(err, vault.ErrWrongMaster) && m.next != nil {
		if v, nerr := vault.Open(db, m.next); !errors.Is(nerr, vault.ErrWrongMaster) {
			return v, false, nerr == nil, nerr
		}
	}
	if errors.Is(err, vault.ErrWrongMaster) {
		err = fmt.Errorf("%w: master_key has the fingerprint %s; set the key that was in use when the gateway last ran", err, vault.Fingerprint(m.key))
	}
	return v, false, false, err
}

// bytes is the key itself, without opening a folder.
func (m master) bytes() ([]byte, error) {
	if m.file == "" {
		return m.key, nil
	}
	return vault.LoadMasterKey(m.file)
}

func (a *App) openKeys() (err error) {
	dir := keyDir(a.cfg.DataDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w; keys, the head of the audit log and the list of erasures are kept beside the data folder", err)
	}
	a.keys.master, err = masterOf(a.cfg)
	return err
}

// openVault opens the keys in the folder.
func (a *App) openVault() error {
	v, created, moved, err := a.keys.master.open(a.db, a.log)
	if err != nil {
		return err
	}
	a.vault, a.created = v, created
	if moved {
		a.log.Warn("next_master_key opens the data folder, master_key no longer does: put next_master_key in the place of master_key", "fingerprint", v.Fingerprint())
	}
	return nil
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
	a.keys.adminFile = filepath.Join(keyDir(a.cfg.DataDir), adminFile)
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
