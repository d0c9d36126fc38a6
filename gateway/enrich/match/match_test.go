package match

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// occurrences is what Find must find, by the standard library's search: each
// literal everywhere, by its end, the longest first.
func occurrences(literals []string, text string) []Hit {
	var hits []Hit
	for l, literal := range literals {
		for from := 0; ; {
			i := strings.Index(text[from:], literal)
			if i < 0 {
				break
			}
			hits = append(hits, Hit{int32(l), int32(from + i + len(literal))})
			from += i + 1
		}
	}
	return ordered(literals, hits)
}

// ordered sorts hits by end, then the longest first; equal literals by index.
func ordered(literals []string, hits []Hit) []Hit {
	slices.SortFunc(hits, func(a, b Hit) int {
		if a.End != b.End {
			return int(a.End - b.End)
		}
		if d := len(literals[b.Literal]) - len(literals[a.Literal]); d != 0 {
			return d
		}
		return int(a.Literal - b.Literal)
	})
	return hits
}

func check(t *testing.T, literals []string, text string) {
	t.Helper()
	s, err := New(literals)
	if err != nil {
		t.Fatalf("New(%q): %v", literals, err)
	}
	got := s.Find(text, nil)
	if want := occurrences(literals, text); !slices.Equal(got, want) {
		t.Fatalf("%q in %q\n got %v\nwant %v", literals, text, got, want)
	}
	folded, err := NewFolded(literals)
	if err != nil {
		t.Fatalf("NewFolded(%q): %v", literals, err)
	}
	low := make([]string, len(literals))
	for i := range low {
		low[i] = asciiLower(literals[i])
	}
	got = folded.Find(text, nil)
	if want := occurrences(low, asciiLower(text)); !slices.Equal(got, want) {
		t.Fatalf("folded %q in %q\n got %v\nwant %v", literals, text, got, want)
	}
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func TestFind(t *testing.T) {
	every := make([]string, 256)
	for i := range every {
		every[i] = string([]byte{byte(i)})
	}
	for _, c := range []struct {
		literals []string
		text     string
	}{
		{nil, "anything"},
		{[]string{"a"}, ""},
		{[]string{"he", "she", "his", "hers"}, "ushers and his She"},
		{[]string{"a", "aa", "aaa", "aa"}, "aaaaa"},
		{[]string{"bot", "Googlebot", "Googlebot-Image", "googlebot"}, "Googlebot-Image/1.0 robot"},
		{[]string{"abcd", "bc", "c"}, "abcabcd"},
		{[]string{"\x00", "\xff\xfe", "é"}, "\x00a\xff\xfe\xc3\xa9"},
		{every, "all bytes \x00\x01\xff"},
	} {
		check(t, c.literals, c.text)
	}
}

// Many sets over few letters: the more alike, the more failure links.
func TestFindAgainstIndex(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	word := func(most int) string {
		b := make([]byte, 1+rng.IntN(most))
		for i := range b {
			b[i] = "abAc"[rng.IntN(4)]
		}
		return string(b)
	}
	for range 2000 {
		literals := make([]string, 1+rng.IntN(12))
		for i := range literals {
			literals[i] = word(6)
		}
		check(t, literals, word(60))
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New([]string{"a", ""}); err == nil || !strings.Contains(err.Error(), "literal 1 is empty") {
		t.Errorf("an empty literal: %v", err)
	}
	long := make([]string, 256)
	for i := range long {
		long[i] = string([]byte{byte(i)}) + strings.Repeat(string([]byte{byte(i)}), 1000)
	}
	if _, err := New(long); err == nil || !strings.Contains(err.Error(), "bytes for their table") {
		t.Errorf("a table without bounds: %v", err)
	}
}

// More states than 16 bits can number.
func TestWideStates(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	literals := make([]string, 1000)
	for i := range literals {
		b := make([]byte, 100)
		for j := range b {
			b[j] = 'a' + byte(rng.IntN(2))
		}
		literals[i] = string(b)
	}
	s, err := New(literals)
	if err != nil {
		t.Fatal(err)
	}
	if s.wide == nil {
		t.Fatalf("%d bytes: the states fitted into 16 bits", s.Size())
	}
	text := strings.Join(literals[:50], "b")
	if got, want := s.Find(text, nil), occurrences(literals, text); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	s, err := NewFolded([]string{"bot", "Googlebot", "Chrome/", "Safari"})
	if err != nil {
		t.Fatal(err)
	}
	var room [32]Hit
	if n := testing.AllocsPerRun(100, func() {
		if len(s.Find(agent, room[:0])) != 2 {
			t.Error("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLongTextIsRead(t *testing.T) {
	s, err := New([]string{"a", "aa", "aaaaaaaaab"})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("a", 1<<20)
	if got := len(s.Find(text, nil)); got != 2<<20-1 {
		t.Errorf("%d hits", got)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("he,she,his,hers", "ushers")
	f.Add("a,aa,aaa", "aaaa")
	f.Add("Bot,bot,\xff", "roBot\xff\x00")
	f.Fuzz(func(t *testing.T, list, text string) {
		literals := strings.Split(list, ",")
		if len(list) > 300 || len(text) > 3000 || slices.Contains(literals, "") {
			return
		}
		check(t, literals, text)
	})
}

const agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 and some more text until it has 150 B"

func BenchmarkFind(b *testing.B) {
	// 1,500 names such as robots have, made of syllables.
	rng := rand.New(rand.NewPCG(1, 2))
	syllables := strings.Fields("bot crawl er spi der web seo link mon site scan feed check ing preview data ai search ex plor net Mo zi Chro me Saf Ge ko")
	literals := make([]string, 1500)
	for i := range literals {
		for range 3 + rng.IntN(3) {
			literals[i] += syllables[rng.IntN(len(syllables))]
		}
	}
	s, err := NewFolded(literals)
	if err != nil {
		b.Fatal(err)
	}
	var room [32]Hit
	b.ReportAllocs()
	b.ReportMetric(float64(s.Size()), "table-bytes")
	for b.Loop() {
		s.Find(agent, room[:0])
	}
}

func BenchmarkNew(b *testing.B) {
	literals := make([]string, 1500)
	for i := range literals {
		literals[i] = fmt.Sprintf("robot-%x", i*7919)
	}
	for b.Loop() {
		if _, err := New(literals); err != nil {
			b.Fatal(err)
		}
	}
}
