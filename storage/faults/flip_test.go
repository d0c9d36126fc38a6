package faults

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/record"
)

var flips = flag.Int("flips", 120, "bits that TestFlippedBits flips")

// kindOf names what a file of the folder is for.
func kindOf(name string) string {
	switch ext := filepath.Ext(name); {
	case ext == ".sst":
		return "table"
	case ext == ".log":
		return "log"
	case strings.HasPrefix(name, "MANIFEST"):
		return "MANIFEST"
	case strings.HasPrefix(name, "OPTIONS"):
		return "OPTIONS"
	case strings.HasPrefix(name, "marker."):
		return "marker"
	}
	return name
}

// folder is a data folder as a killed process leaves it, in every file of which
// there is something: tables of several flushes and compactions, a write-ahead
// log that nobody closed, keys, histories, an erased person, one half-way.
func folder(t *testing.T) (c config, files map[string][]byte) {
	t.Helper()
	c = newConfig(vfs.Default)
	c.dir = filepath.Join(t.TempDir(), "data")
	w, err := open(c)
	must(t, err)
	w = life(w, func(step string, err error) bool { t.Fatalf("%s: %v", step, err); return false })
	_, err = w.erase(6)
	must(t, errors.Join(err, w.db.Flush(), w.page(0), w.identify(6), w.Checkpoint(), w.page(1), w.refuse(), w.page(7)))
	// Until two looks are the same: deletions and compactions may be under way.
	for {
		before := files
		files, err = readFolder(c.dir)
		if err == nil && maps.EqualFunc(before, files, bytes.Equal) {
			break
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	must(t, w.end())
	return c, files
}

func readFolder(dir string) (files map[string][]byte, err error) {
	files = map[string][]byte{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[d.Name()], err = os.ReadFile(path)
		return err
	})
	return files, err
}

// One flipped bit in any file: the store says what is damaged, or all that it
// gives out is right and nothing is missing.
func TestFlippedBits(t *testing.T) {
	seed := rand.Uint64() >> 16
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c, files := folder(t)
	byKind := map[string][]string{}
	for name, data := range files {
		if len(data) > 0 {
			byKind[kindOf(name)] = append(byKind[kindOf(name)], name)
		}
	}
	kinds := make([]string, 0, len(byKind))
	for kind, names := range byKind {
		kinds = append(kinds, kind)
		sort.Strings(names)
	}
	sort.Strings(kinds)
	for _, name := range byKind["log"] {
		t.Logf("%s: %d bytes", name, len(strings.TrimRight(string(files[name]), "\x00")))
	}
	outcomes := map[string]map[string]int{}
	for i := range *flips {
		kind := kinds[i/2%len(kinds)]
		if i%2 == 0 { // the large ones more often
			kind = []string{"table", "log"}[i/2%2]
		}
		name := byKind[kind][r.IntN(len(byKind[kind]))]
		end := len(files[name])
		for kind == "log" && end > 1 && files[name][end-1] == 0 {
			end-- // Pebble makes its logs longer than what is in them
		}
		bit := r.IntN(8 * end)
		outcome, err := flip(t, c, files, name, bit)
		if err != nil {
			t.Errorf("bit %d of %s (%d bytes): %v", bit, name, len(files[name]), err)
		}
		if outcomes[kind] == nil {
			outcomes[kind] = map[string]int{}
		}
		outcomes[kind][outcome]++
	}
	for _, kind := range kinds {
		t.Logf("%-8s %v", kind, outcomes[kind])
	}
	for _, kind := range []string{"table", "log"} {
		if _, ok := outcomes[kind]; !ok {
			t.Errorf("there is no %s to damage", kind)
		}
	}
}

func flip(t *testing.T, c config, files map[string][]byte, name string, bit int) (outcome string, err error) {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		return "", err
	}
	for other, data := range files {
		if other == name {
			data = slices.Clone(data)
			data[bit/8] ^= 1 << (bit % 8)
		}
		if err := os.WriteFile(filepath.Join(dir, other), data, 0o600); err != nil {
			return "", err
		}
	}
	c.dir = dir
	defer os.RemoveAll(dir)
	defer func() {
		if p := recover(); p != nil {
			outcome, err = "panic", fmt.Errorf("panic: %v", p)
		}
	}()
	w, err := open(c)
	if err != nil {
		if kindOf(name) == "OPTIONS" && strings.Contains(err.Error(), "options") {
			return "refused", nil // Pebble tells which of the options in its file it does not understand
		}
		return "refused", named(err)
	}
	damage := w.judge()
	if damage == nil {
		damage = w.db.Healthy()
	}
	if err := w.end(); damage == nil && err != nil {
		damage = err
	}
	if damage == nil {
		damage = verified(c)
		if damage != nil {
			return "found by verify", nil // what it says names the record
		}
		return "all is right", nil
	}
	// A fault that only our knowledge of the truth shows is one that the store
	// has not seen.
	if wrong := new(wrongError); errors.As(damage, &wrong) {
		return "wrong", damage
	}
	return "named", named(damage)
}

// named is nil when the error says that something is damaged or missing.
func named(err error) error {
	var gap *eventlog.GapError
	var damage *eventlog.DamageError
	if errors.Is(err, engine.ErrDamaged) || errors.Is(err, record.ErrMalformed) || errors.As(err, &gap) || errors.As(err, &damage) {
		return nil
	}
	return fmt.Errorf("the error names no damage: %w", err)
}
