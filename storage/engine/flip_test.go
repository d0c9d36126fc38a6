package engine

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var flips = flag.Int("engine.flips", 400, "bits to flip in TestFlippedBits")

// kindOf names what a file of the folder is for.
func kindOf(name string) string {
	switch {
	case strings.HasSuffix(name, ".sst"):
		return "table"
	case strings.HasSuffix(name, ".log"):
		return "log"
	case strings.HasPrefix(name, "MANIFEST"):
		return "MANIFEST"
	case strings.HasPrefix(name, "OPTIONS"):
		return "OPTIONS"
	case strings.HasPrefix(name, "marker."):
		return "marker"
	}
	return name // LAST, LOCK
}

// crashedFolder is a folder as a killed process leaves it: tables in several
// levels, a log that nobody closed, a mark. It returns what is in it: keys are
// numbered in the order of their commits, each with a sync.
func crashedFolder(t *testing.T) (files map[string][]byte, values map[string]string) {
	dir := t.TempDir()
	db := mustOpen(t, Options{Dir: dir})
	rng := rand.New(rand.NewPCG(3, 3))
	values = map[string]string{}
	for i := range 120 {
		v := make([]byte, 100+rng.IntN(2000))
		for j := range v {
			v[j] = byte(rng.Uint32())
		}
		k := fmt.Sprintf("k%04d", i)
		mustSet(t, db, k, string(v))
		values[k] = string(v)
		if err := db.Mark().Store(uint64(i)); err != nil {
			t.Fatal(err)
		}
		switch i {
		case 30, 70:
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		case 40:
			if err := db.Compact(context.Background(), []byte("k"), []byte("l")); err != nil {
				t.Fatal(err)
			}
		}
	}
	files = map[string][]byte{}
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range names {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, db)
	return files, values
}

// outcome of a flip, from the safest to the worst.
const (
	harmless = "harmless"          // all is there
	refused  = "refused at open"   // with an error that names the reason
	noticed  = "noticed at a read" // with an error that names the file
	exposed  = "exposed by the mark"
	silent   = "SILENT LOSS"
	wrong    = "WRONG DATA"
)

// tryFlipped opens the folder and reads everything.
func tryFlipped(t *testing.T, mem vfs.FS, values map[string]string) (outcome string, detail error) {
	db, err := Open(Options{Dir: "data", FS: mem, Logger: quiet(), CacheBytes: 1 << 20, Exit: func(code int) { t.Errorf("exit %d", code) }})
	if err != nil {
		return refused, err
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	outcome = harmless
	last := -1
	seen := map[string]string{}
	err = db.Iter([]byte("k"), []byte("l"), func(k, v []byte) (bool, error) { seen[string(k)] = string(v); return true, nil })
	if err != nil {
		outcome, detail = noticed, err
	}
	for i, misses := 0, 0; i < len(values) && misses < 3; i++ { // Pebble looks long at a bad block
		k := fmt.Sprintf("k%04d", i)
		v, ok := seen[k]
		found, gerr := db.Get([]byte(k), func(got []byte) error {
			if string(got) != values[k] {
				outcome = wrong
			}
			return nil
		})
		switch {
		case ok && v != values[k]:
			return wrong, nil
		case gerr != nil:
			outcome, detail, misses = noticed, gerr, misses+1
		case found:
			last = i
		}
	}
	if outcome == harmless && len(seen) < len(values) {
		// The owner of the mark looks for the entry that it names.
		if seq, ok := db.Mark().Load(); ok && seq == uint64(len(values)-1) && last < int(seq) {
			if len(seen) != last+1 {
				return silent, fmt.Errorf("%d keys, the last is %d: a hole", len(seen), last)
			}
			return exposed, fmt.Errorf("the last %d commits are gone", len(values)-len(seen))
		}
		return silent, fmt.Errorf("%d of %d keys, the last is %d", len(seen), len(values), last)
	}
	if outcome == harmless && len(seen) > len(values) {
		return wrong, fmt.Errorf("%d keys of %d", len(seen), len(values))
	}
	return outcome, detail
}

func writeFile(fs vfs.FS, name string, data []byte) error {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Clone(data)) // which the file may change
	return errors.Join(err, f.Close())
}

// A flipped bit in any file of a folder is an error that says where, or does no
// harm. Nothing that the store gives out is wrong, and nothing below the mark is
// lost unseen.
func TestFlippedBits(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	files, values := crashedFolder(t)
	byKind := map[string][]string{}
	for name := range files {
		byKind[kindOf(name)] = append(byKind[kindOf(name)], name)
	}
	var kinds []string
	for kind, names := range byKind {
		kinds = append(kinds, kind)
		sort.Strings(names)
	}
	slices.Sort(kinds)
	if len(kinds) != 8 {
		t.Errorf("kinds of files: %v", kinds)
	}
	counts := map[string]int{}
	for n := range *flips {
		kind := kinds[n%len(kinds)]
		name := byKind[kind][rng.IntN(len(byKind[kind]))]
		good := files[name]
		at, to := -1, name
		bad := bytes.Clone(good)
		switch {
		case len(good) > 0:
			at = rng.IntN(len(good) * 8)
			if kind == "log" { // most of a log is room for more
				at = rng.IntN(len(bytes.TrimRight(good, "\x00"))*8 + 64)
				at = min(at, len(good)*8-1)
			}
			bad[at/8] ^= 1 << (at % 8)
		case kind == "marker": // it has no content: its name says all
			b := []byte(name)
			at = rng.IntN(len(b) * 8)
			b[at/8] ^= 1 << (at % 8)
			if bytes.ContainsAny(b, "/\x00") {
				continue
			}
			to = string(b)
		}
		mem := vfs.NewMem()
		if err := mem.MkdirAll("data", 0o700); err != nil {
			t.Fatal(err)
		}
		for f, data := range files {
			if f == name {
				f, data = to, bad
			}
			if err := writeFile(mem, "data/"+f, data); err != nil {
				t.Fatal(err)
			}
		}
		outcome, detail := tryFlipped(t, mem, values)
		counts[kind+": "+outcome]++
		if outcome == exposed {
			counts[kind+": "+detail.Error()]++
		}
		what := fmt.Sprintf("bit %d of %s (now %q), seed %d: %s: %v", at, name, to, seed, outcome, detail)
		switch {
		case outcome == silent || outcome == wrong:
			t.Error(what)
		case outcome == noticed && !errors.Is(detail, ErrDamaged):
			t.Errorf("not told as damage: %s", what)
		case outcome == refused && !errors.Is(detail, ErrDamaged) && !strings.Contains(detail.Error(), "data folder data "):
			t.Errorf("the error names no folder: %s", what)
		}
	}
	var lines []string
	for what, n := range counts {
		lines = append(lines, fmt.Sprintf("%s: %d", what, n))
	}
	slices.Sort(lines)
	t.Logf("%d flips:\n%s", *flips, strings.Join(lines, "\n"))
}
