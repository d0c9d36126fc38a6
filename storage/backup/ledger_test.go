package backup

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func entry(n int) LedgerEntry {
	return LedgerEntry{
		Seq: uint64(n), Origin: fmt.Sprintf("%032x", 77), Time: day.Add(time.Duration(n) * time.Millisecond),
		Identifiers: []string{fmt.Sprintf("%032x", n), fmt.Sprintf("%032x", n+1)}, Facets: []string{fmt.Sprintf("%032x", n+2)},
	}
}

func TestLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "erasures")
	if list, torn, err := ReadLedger(path); len(list) != 0 || torn || err != nil {
		t.Errorf("no file: %v, %v, %v", list, torn, err)
	}
	var want []LedgerEntry
	for n := 1; n < 30; n++ {
		want = append(want, entry(n))
		if err := AppendLedger(path, entry(n)); err != nil {
			t.Fatal(err)
		}
	}
	if got, torn, err := ReadLedger(path); !reflect.DeepEqual(got, want) || torn || err != nil {
		t.Errorf("%v, %v, %v", got, torn, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// The line on disk, byte for byte.
func TestLedgerLine(t *testing.T) {
	got, err := appendLine(nil, LedgerEntry{
		Seq: 7, Origin: strings.Repeat("0a", 16), Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.FixedZone("", 3600)),
		Identifiers: []string{strings.Repeat("0b", 16)}, Facets: []string{},
	})
	// printf '%s' '{"seq":7,…,"facets":[]}' | sha256sum | cut -c 1-16
	const want = `{"seq":7,"origin":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a","time":"2026-01-02T02:04:05.006Z","identifiers":["0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"],"facets":[],"sum":"7e1324a9b33c054c"}` + "\n"
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

func TestLedgerRefusesEntries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "erasures")
	for name, change := range map[string]func(*LedgerEntry){
		"no seq":      func(e *LedgerEntry) { e.Seq = 0 },
		"no origin":   func(e *LedgerEntry) { e.Origin = "" },
		"nobody":      func(e *LedgerEntry) { e.Identifiers = nil },
		"an address":  func(e *LedgerEntry) { e.Identifiers[0] = "ada@example.com" },
		"upper case":  func(e *LedgerEntry) { e.Facets[0] = strings.Repeat("AB", 16) },
		"a short one": func(e *LedgerEntry) { e.Facets[0] = "ab" },
	} {
		e := entry(1)
		if change(&e); !errors.Is(AppendLedger(path, e), ErrLedger) {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a refused entry made a file")
	}
}

// A file cut off anywhere has every entry before the cut, says that it is torn,
// and takes new entries.
func TestTornLedger(t *testing.T) {
	var text []byte
	var ends []int
	for n := 1; n <= 3; n++ {
		var err error
		if text, err = appendLine(text, entry(n)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, len(text))
	}
	path := filepath.Join(t.TempDir(), "erasures")
	for cut := range len(text) + 1 {
		if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		whole, torn := 0, cut > 0
		for _, end := range ends {
			if cut >= end-1 { // without its line end it is whole, too
				whole++
			}
			torn = torn && cut != end && cut != end-1
		}
		got, wasTorn, err := ReadLedger(path)
		if len(got) != whole || wasTorn != torn || err != nil {
			t.Fatalf("cut at %d: %d entries, torn %v, %v; wanted %d, %v", cut, len(got), wasTorn, err, whole, torn)
		}
		if err := AppendLedger(path, entry(9)); err != nil {
			t.Fatal(err)
		}
		again, wasTorn, err := ReadLedger(path)
		if err != nil || wasTorn || !reflect.DeepEqual(again, append(got, entry(9))) {
			t.Fatalf("cut at %d, then one more: %v, torn %v, %v", cut, again, wasTorn, err)
		}
	}
}

// Every flipped bit is seen.
func TestLedgerFlips(t *testing.T) {
	var text []byte
	for n := 1; n <= 3; n++ {
		text, _ = appendLine(text, entry(n))
	}
	for bit := range len(text) * 8 {
		flipped := bytes.Clone(text)
		flipped[bit/8] ^= 1 << (bit % 8)
		if got, torn, bad := parseLedger(flipped); bad == nil {
			t.Errorf("bit %d of byte %d (%q): %d entries, torn %v, no damage", bit%8, bit/8, text[bit/8], len(got), torn)
		} else if len(got) < 1 {
			t.Errorf("bit %d of byte %d: the sound lines are lost", bit%8, bit/8)
		}
	}
}

func TestLongLedgerLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "erasures")
	e := entry(1)
	for range 2000 {
		e.Facets = append(e.Facets, fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()))
	}
	for range 2 {
		if err := AppendLedger(path, e); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text[:len(text)-100], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := AppendLedger(path, e); err != nil {
		t.Fatal(err)
	}
	if got, torn, err := ReadLedger(path); err != nil || torn || len(got) != 1 || len(got[0].Facets) != 2001 {
		t.Errorf("%d entries, torn %v, %v", len(got), torn, err)
	}
}

// What the parser takes it gives back byte for byte, and it never panics.
func FuzzLedger(f *testing.F) {
	two, _ := appendLine(nil, entry(1))
	two, _ = appendLine(two, entry(2))
	f.Add(two)
	f.Add(two[:len(two)-1])
	f.Add(two[:len(two)-20])
	f.Add([]byte("\n\n{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, torn, bad := parseLedger(text)
		if bad != nil {
			if len(bad.Lines) == 0 || bad.Err == nil {
				t.Errorf("damage without a line: %+v", bad)
			}
			return
		}
		var again []byte
		for _, e := range list {
			var err error
			if again, err = appendLine(again, e); err != nil {
				t.Fatal(err)
			}
		}
		whole := bytes.HasPrefix(text, bytes.TrimSuffix(again, []byte("\n")))
		if !whole || !torn && len(text) > len(again) {
			t.Errorf("%q became %q, torn %v", text, again, torn)
		}
	})
}
