package memo

import (
	"hash/maphash"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// A table may forget, and never mixes up: what it gives for a key is that key's.
func TestTable(t *testing.T) {
	type entry struct {
		key   uint32
		value uint64
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	hash := maphash.MakeSeed()
	table := NewTable[entry](64)
	value := func(key uint32) uint64 { return uint64(key)*7 + 1 }
	find := func(key uint32, h uint64) *entry {
		a, b := table.Candidates(h)
		for _, x := range []*entry{a, b} {
			if x != nil && x.key == key {
				return x
			}
		}
		return nil
	}
	found := 0
	for range 100_000 {
		key := r.Uint32N(100) // more than fit
		h := maphash.Comparable(hash, key)
		if x := find(key, h); x != nil {
			if found++; x.value != value(key) {
				t.Fatalf("key %d has %d", key, x.value)
			}
			continue
		}
		table.Put(h, &entry{key, value(key)})
		if x := find(key, h); x == nil || x.value != value(key) {
			t.Fatalf("key %d is not there at once", key)
		}
	}
	if found < 20_000 {
		t.Errorf("of 100,000 only %d were remembered", found)
	}
}

func TestInternerDoesNotAllocate(t *testing.T) {
	in := NewInterner(16)
	text := []byte("Summer Sale")
	first := in.Text(text)
	if n := testing.AllocsPerRun(100, func() {
		in.Text(text)
		in.Lower("UTM_Source")
		in.Unescaped("summer+sale%21")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	text[0] = 'x'
	if first != "Summer Sale" {
		t.Error("the text is the buffer's")
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "Ab%C3%A4+c", "%", "%4", "%zz", "a%ffb", strings.Repeat("%C3%A4", 100), strings.Repeat("ä", 200), " x "} {
		f.Add(s)
	}
	in := NewInterner(64)
	f.Fuzz(func(t *testing.T, s string) {
		if got := in.Unescaped(s); !utf8.ValidString(got) || len(got) > MaxText {
			t.Errorf("Unescaped(%q) = %q", s, got)
		} else if want, err := url.QueryUnescape(s); err == nil && utf8.ValidString(want) && len(want) <= MaxText && got != strings.Trim(want, " ") && got != strings.TrimSpace(want) {
			t.Errorf("Unescaped(%q) = %q, net/url says %q", s, got, want)
		}
		lower := strings.Map(func(r rune) rune {
			if r >= 'A' && r <= 'Z' {
				r |= 0x20
			}
			return r
		}, s)
		if utf8.ValidString(s) && len(s) <= MaxText && in.Lower(s) != lower {
			t.Errorf("Lower(%q) = %q", s, in.Lower(s))
		}
		if cut := Cut(s, 7); len(cut) > 7 || !strings.HasPrefix(s, cut) || utf8.ValidString(s) && !utf8.ValidString(cut) {
			t.Errorf("Cut(%q) = %q", s, cut)
		}
	})
}
