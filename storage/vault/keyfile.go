package vault

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/reuna/reuna/storage/engine"
)

// ErrKeyFile is under every error about the master key's file.
var ErrKeyFile = errors.New("master key file")

// OpenWithFile is Open with the key of MasterKeyFor.
func OpenWithFile(db *engine.DB, path string) (v *Vault, created bool, err error) {
	key, created, err := MasterKeyFor(db, path)
	if err != nil {
		return nil, false, err
	}
	v, err = Open(db, key)
	return v, created, err
}

// MasterKeyFor reads the folder's master key from the file at path. For a new
// folder the file is made, where there is none: created then says so. A folder
// that has keys is opened by no other, so nothing is made for it. A rotation
// that was cut short between the folder and the file is finished: the staged
// key takes the file's place when it is the folder's.
func MasterKeyFor(db *engine.DB, path string) (key []byte, created bool, err error) {
	owner, err := storedPrint(db)
	if err != nil {
		return nil, false, fmt.Errorf("vault: %w", err)
	}
	if owner == "" {
		return LoadOrCreateMasterKey(path)
	}
	key, err = LoadMasterKey(path)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case err == nil && Fingerprint(key) == owner:
		return key, false, nil
	case err == nil:
		err = wrongMaster(db, owner, Fingerprint(key))
	case missing:
		err = fmt.Errorf("%w %s is missing: data folder %s opens only with master key %s: put its file back", ErrKeyFile, path, db.Dir(), owner)
	default:
		return nil, false, err
	}
	next, nextErr := LoadMasterKey(staged(path))
	if nextErr != nil && !errors.Is(nextErr, fs.ErrNotExist) {
		return nil, false, errors.Join(err, nextErr)
	}
	if nextErr == nil && Fingerprint(next) == owner {
		return next, false, PromoteMasterKey(path)
	}
	// A folder that was brought back from a backup made before a rotation.
	if old, oldErr := LoadMasterKey(former(path, owner)); oldErr == nil {
		return old, false, nil
	}
	return nil, false, err
}

// FormerMasterKeys reads the keys that were rotated out of the file at path,
// newest names last.
func FormerMasterKeys(path string) (keys [][]byte, err error) {
	names, err := filepath.Glob(former(path, "*"))
	for _, name := range names {
		key, kerr := LoadMasterKey(name)
		if err = errors.Join(err, kerr); kerr == nil {
			keys = append(keys, key)
		}
	}
	return keys, err
}

// former is where the key with that fingerprint stays after a rotation.
func former(path, fingerprint string) string { return path + ".was-" + fingerprint }

// RotateFile makes a new master key, has the folder opened by it from now on,
// and puts it into the file at path in the old one's place. A crash in between
// is healed by MasterKeyFor. It may be called again after an error.
func (v *Vault) RotateFile(path string) error {
	next, err := StageMasterKey(path)
	if err == nil && Fingerprint(next) == v.Fingerprint() { // an earlier call got as far as the folder
		if err = PromoteMasterKey(path); err == nil {
			next, err = StageMasterKey(path)
		}
	}
	if err == nil {
		err = v.RotateMaster(next)
	}
	if err != nil {
		return err
	}
	return PromoteMasterKey(path)
}

func staged(path string) string { return path + ".next" }

// StageMasterKey makes the next master key in the file path + ".next", mode
// 0600, synced. One that is there already is given again: it may be the only
// one that opens the folder.
func StageMasterKey(path string) (next []byte, err error) {
	next, _, err = LoadOrCreateMasterKey(staged(path))
	return next, err
}

// PromoteMasterKey puts the staged key in the place of the one at path, which
// is lost. It belongs after the folder was rotated.
//
// The key that was there stays beside it, under its fingerprint: backups that
// were made under it open with no other. Who keeps none may delete it.
func PromoteMasterKey(path string) error {
	if old, err := LoadMasterKey(path); err == nil {
		if err := os.Link(path, former(path, Fingerprint(old))); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w %s cannot be kept: %w", ErrKeyFile, path, err)
		}
	}
	if err := os.Rename(staged(path), path); err != nil {
		return fmt.Errorf("%w %s cannot take the place of %s: %w", ErrKeyFile, staged(path), path, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%w %s: folder: %w", ErrKeyFile, path, err)
	}
	return nil
}

// LoadOrCreateMasterKey reads the 32-byte master key from a file of 64
// hexadecimal digits, or makes one with mode 0600. A file that others than its
// owner may read is refused. The file belongs outside the data folder, and
// into a backup of its own: without it the folder is noise.
func LoadOrCreateMasterKey(path string) (key []byte, created bool, err error) {
	key, err = LoadMasterKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	key = randomKey()
	switch err = createMaster(path, key); {
	case errors.Is(err, fs.ErrExist): // another process was first
		key, err = LoadMasterKey(path)
		return key, false, err
	case err != nil:
		return nil, false, fmt.Errorf("%w %s cannot be made: %w", ErrKeyFile, path, err)
	}
	return key, true, nil
}

// LoadMasterKey reads the master key from its file. One that others than its
// owner may read is refused; a missing one gives fs.ErrNotExist.
func LoadMasterKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrKeyFile, path, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%w %s has mode %04o, so others can read it: wanted 0600: run chmod 600 %s", ErrKeyFile, path, mode, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrKeyFile, path, err)
	}
	key, err := parseMaster(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w %s %w: put back the file that belongs to the data folder", ErrKeyFile, path, err)
	}
	return key, nil
}

// parseMaster never puts the text it was given into its error.
func parseMaster(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	key, err := hex.DecodeString(text)
	if err != nil {
		return nil, errors.New("does not hold hexadecimal digits only")
	}
	if len(key) != keyBytes {
		return nil, fmt.Errorf("holds %d hexadecimal digits, wanted %d", len(text), 2*keyBytes)
	}
	return key, nil
}

// createMaster puts the whole file in place at once: after a crash there is
// either no key file or a good one.
func createMaster(path string, key []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".master-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // unlike a rename, never over an existing key
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
