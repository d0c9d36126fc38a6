package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func newChunkCodec(t testing.TB) *ChunkCodec {
	t.Helper()
	c, err := NewChunkCodec()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// told is an entry as a chunk tells it.
type told struct {
	seq      uint64
	received int64
	time     int64
	entry    string
}

func (e told) addTo(b *ChunkBuilder) { b.Add(e.seq, e.received, e.time, []byte(e.entry)) }

// tell reads a decoded chunk whole.
func tell(plain []byte, h ChunkHeader) (out []told, err error) {
	err = ChunkEntries(plain, h, func(seq uint64, received, time int64, entry []byte) (bool, error) {
		out = append(out, told{seq, received, time, string(entry)})
		return true, nil
	})
	return out, err
}

// invent makes n entries, numbered from a number above after on.
func invent(r *rand.Rand, n int, after uint64) []told {
	moments := [...]int64{0, 1_700_000_000_000, math.MaxInt64, math.MinInt64}
	out := make([]told, n)
	for i := range out {
		after += 1 + r.Uint64N(5)
		e := told{seq: after, received: 1_700_000_000_000 + r.Int64N(1e6)}
		e.time = e.received - r.Int64N(1e5)
		if r.IntN(20) == 0 {
			e.received, e.time = moments[r.IntN(4)], moments[r.IntN(4)]
		}
		text := make([]byte, r.IntN(400))
		for i := range text {
			text[i] = byte(r.IntN(1 + r.IntN(256)))
		}
		e.entry = string(text)
		out[i] = e
	}
	return out
}

// Formats on disk: version 1 stays readable and these bytes stay its bytes.
func TestChunkGolden(t *testing.T) {
	h := ChunkHeader{Count: 2, Bytes: 300, First: 1000, Last: 1300, MinTime: 1_700_000_000_000, MaxTime: 1_700_000_000_133, Packing: 2}
	if got := hex.EncodeToString(h.Append(nil)); got != "01"+"02"+"02"+"ac02"+"ac02"+"80a0abfef962"+"8501" {
		t.Errorf("header: %s", got)
	}
	var b ChunkBuilder
	b.Add(7, 1000, 990, []byte("ab"))
	b.Add(8, 990, 990, nil)
	b.Add(300, 990, 991, []byte("c"))
	if got := hex.EncodeToString(b.buf); got != "02"+"00"+"d00f"+"13"+"6162"+"00"+"01"+"13"+"00"+"01"+"a402"+"00"+"02"+"63" {
		t.Errorf("entries: %s", got)
	}
	if got := string(AppendChunkBinding(nil, []byte("key"))); got != "reuna history chunkkey" {
		t.Errorf("binding: %q", got)
	}
}

// A chunk that version 1 wrote with dictionary 1, zstd frame and all.
func TestChunkGoldenValue(t *testing.T) {
	value, err := hex.DecodeString(goldenChunk)
	if err != nil {
		t.Fatal(err)
	}
	h, plain, err := newChunkCodec(t).Decode(value, plainSealer{}, []byte("a key"), 7, new(Scratch))
	if err != nil {
		t.Fatal(err)
	}
	got, err := tell(plain, h)
	if want := goldenEntries(); err != nil || !slices.Equal(got, want) || h.Packing != PackedZstd+1 {
		t.Errorf("%v, packing %d\n%v\nwant %v", err, h.Packing, got, want)
	}
}

func goldenEntries() []told {
	return []told{
		{7, 1_700_000_000_000, 1_699_999_999_990, `{"path":"/pricing","referrer":"https://www.google.com/"}`},
		{9, 1_700_000_001_000, 1_700_000_001_000, `{"path":"/signup","referrer":"https://www.google.com/"}`},
	}
}

func TestChunkRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := newChunkCodec(t)
	var b, joined ChunkBuilder
	var scratch Scratch
	for range 300 {
		b.Reset()
		want := invent(r, 1+r.IntN(30), r.Uint64()>>1)
		for _, e := range want {
			e.addTo(&b)
		}
		key := []byte{1, 2, 3}
		value := c.Encode([]byte("kept"), &b, plainSealer{}, key)
		if !bytes.HasPrefix(value, []byte("kept")) {
			t.Fatalf("Encode appends: %.4q", value)
		}
		value = value[4:]
		first := want[0].seq
		h, plain, err := c.Decode(value, plainSealer{}, key, first, &scratch)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tell(plain, h)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v\nread %v\nwant %v", err, got, want)
		}
		lo, hi := want[0].time, want[0].time
		for _, e := range want {
			lo, hi = min(lo, e.time), max(hi, e.time)
		}
		last := want[len(want)-1].seq
		if h.Count != len(want) || h.First != first || h.Last != last || h.MinTime != lo || h.MaxTime != hi || b.Count() != len(want) || b.First() != first || b.Last() != last {
			t.Fatalf("header %+v", h)
		}

		// A chunk that grows holds what one made at once would.
		more := invent(r, 1+r.IntN(10), last)
		joined.Reset()
		if err := joined.AddChunk(plain, h); err != nil {
			t.Fatal(err)
		}
		var tail ChunkBuilder
		for i, e := range more {
			e.addTo(&b)
			if i < len(more)/2 {
				e.addTo(&joined)
			} else {
				e.addTo(&tail)
			}
		}
		tailHeader, tailPlain, err := c.Decode(c.Encode(nil, &tail, plainSealer{}, nil), plainSealer{}, nil, tail.First(), new(Scratch))
		if err != nil {
			t.Fatal(err)
		}
		if err := joined.AddChunk(tailPlain, tailHeader); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(joined.buf, b.buf) || joined.count != b.count || joined.first != b.first || joined.last != b.last || joined.min != b.min || joined.max != b.max {
			t.Fatalf("joined %+v\nat once %+v", joined, b)
		}
		if err := joined.AddChunk(plain, h); err == nil {
			t.Fatal("an older chunk is appended")
		}

		_, _, moved := c.Decode(value, plainSealer{}, []byte{1, 2, 4}, first, new(Scratch))
		_, _, cut := c.Decode(value[:len(value)-1], plainSealer{}, key, first, new(Scratch))
		_, _, newer := c.Decode(append([]byte{2}, value[1:]...), plainSealer{}, key, first, new(Scratch))
		for what, err := range map[string]error{"moved": moved, "cut": cut, "newer version": newer} {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

func TestChunkKeepsEntriesRawThatZstdCannotShorten(t *testing.T) {
	c := newChunkCodec(t)
	for name, b := range map[string][]byte{"nothing": nil, "random": randomBytes(700)} {
		var builder ChunkBuilder
		builder.Add(5, 9, 9, b)
		h, plain, err := c.Decode(c.Encode(nil, &builder, openSealer{}, nil), openSealer{}, nil, 5, new(Scratch))
		if err != nil || h.Packing != PackedRaw {
			t.Fatalf("%s: packing %d, %v", name, h.Packing, err)
		}
		if got, err := tell(plain, h); err != nil || len(got) != 1 || got[0].entry != string(b) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func randomBytes(n int) []byte {
	r := rand.NewChaCha8([32]byte{7})
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint64())
	}
	return b
}

func TestChunkEntriesChecksTheHeader(t *testing.T) {
	var b ChunkBuilder
	b.Add(7, 5, 4, []byte("one"))
	b.Add(9, 6, 6, []byte("two"))
	good := ChunkHeader{Count: 2, Bytes: b.Len(), First: 7, Last: 9, MinTime: 4, MaxTime: 6}
	if got, err := tell(b.buf, good); err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	for name, change := range map[string]func(*ChunkHeader){
		"one more":  func(h *ChunkHeader) { h.Count++ },
		"one fewer": func(h *ChunkHeader) { h.Count-- },
		"last":      func(h *ChunkHeader) { h.Last++ },
		"first":     func(h *ChunkHeader) { h.First = math.MaxUint64 },
		"min":       func(h *ChunkHeader) { h.MinTime-- },
		"max":       func(h *ChunkHeader) { h.MaxTime++ },
	} {
		h := good
		change(&h)
		if _, err := tell(b.buf, h); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: ChunkEntries: %v", name, err)
		}
		var joined ChunkBuilder
		joined.Add(1, 1, 1, nil)
		before := joined
		before.buf = bytes.Clone(joined.buf)
		if err := joined.AddChunk(b.buf, h); !errors.Is(err, ErrMalformed) || !bytes.Equal(joined.buf, before.buf) || joined.count != 1 {
			t.Errorf("%s: AddChunk: %v", name, err)
		}
	}
	n := 0
	if err := ChunkEntries(b.buf, good, func(uint64, int64, int64, []byte) (bool, error) { n++; return false, nil }); err != nil || n != 1 {
		t.Errorf("stopping: %d entries, %v", n, err)
	}
}

func TestChunkBuilderRefusesAnOlderEntry(t *testing.T) {
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "entry 4 is added to a chunk that ends with entry 4") {
			t.Errorf("panic: %s", p)
		}
	}()
	var b ChunkBuilder
	b.Add(4, 0, 0, nil)
	b.Add(4, 0, 0, nil)
}

func TestChunksDoNotAllocate(t *testing.T) {
	c := newChunkCodec(t)
	var b ChunkBuilder
	var value []byte
	var scratch Scratch
	entry := bytes.Repeat([]byte("entry "), 60)
	key := make([]byte, 31)
	var failed error
	n := testing.AllocsPerRun(100, func() {
		b.Reset()
		for i := range 20 {
			b.Add(uint64(1+i), int64(i), int64(i), entry)
		}
		value = c.Encode(value[:0], &b, plainSealer{}, key)
		h, plain, err := c.Decode(value, plainSealer{}, key, 1, &scratch)
		if err == nil {
			err = ChunkEntries(plain, h, func(uint64, int64, int64, []byte) (bool, error) { return true, nil })
		}
		if err != nil {
			failed = err
		}
	})
	if n > 0 || failed != nil {
		t.Errorf("%.1f allocations a chunk, %v", n, failed)
	}
}

// Whatever bytes stand where a chunk should, decoding ends with an error or
// with entries that agree with the header; it never panics, and whatever reads
// can be written and read again.
func FuzzChunk(f *testing.F) {
	c := newChunkCodec(f)
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 4 {
		var b ChunkBuilder
		for _, e := range invent(r, 1+10*n, 6) {
			e.addTo(&b)
		}
		value := c.Encode(nil, &b, openSealer{}, nil)
		f.Add(value, b.First())
		f.Add(value[:len(value)/2], b.First())
	}
	var scratch Scratch
	f.Fuzz(func(t *testing.T, value []byte, first uint64) {
		h, plain, err := c.Decode(value, openSealer{}, nil, first, &scratch)
		if err != nil {
			return
		}
		if again, _, err := ParseChunkHeader(h.Append(nil), first); err != nil || again != h || len(plain) != h.Bytes {
			t.Fatalf("%+v, again %+v, %v", h, again, err)
		}
		entries, err := tell(plain, h)
		var joined ChunkBuilder
		if joinErr := joined.AddChunk(plain, h); (joinErr == nil) != (err == nil) {
			t.Fatalf("ChunkEntries: %v, AddChunk: %v", err, joinErr)
		}
		if err != nil {
			return
		}
		var b ChunkBuilder
		for _, e := range entries {
			e.addTo(&b)
		}
		h2, plain, err := c.Decode(c.Encode(nil, &b, openSealer{}, nil), openSealer{}, nil, first, new(Scratch))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := tell(plain, h2); err != nil || !slices.Equal(again, entries) {
			t.Fatalf("%v: %v, again %v", err, entries, again)
		}
	})
}

const goldenChunk = "0102027d02ec9fabfef962f207257265756e6120686973746f7279206368756e6b61206b65790102027d02ec9fabfef962f2072921017d1d010070380080a0abfef962133702d00f000600be2a6052300062531dab8441e180d680eb11"
