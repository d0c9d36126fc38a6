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
)

// ErrKeyFile is under every error about the master key's file.
var ErrKeyFile = errors.New("master key file")

// LoadOrCreateMasterKey reads the 32-byte master key from a file of 64
// hexadecimal digits, or makes one with mode 0600. A file that others than its
// owner may read is refused. The file belongs outside the data folder, and
// into a backup of its own: without it the folder is noise.
func LoadOrCreateMasterKey(path string) (key []byte, created bool, err error) {
	key, err = loadMaster(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	key = randomKey()
	switch err = createMaster(path, key); {
	case errors.Is(err, fs.ErrExist): // another process was first
		key, err = loadMaster(path)
		return key, false, err
	case err != nil:
		return nil, false, fmt.Errorf("%w %s cannot be made: %w", ErrKeyFile, path, err)
	}
	return key, true, nil
}

func loadMaster(path string) ([]byte, error) {
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
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
