package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// plainSealer binds its text the way a cipher does, so that the block's layout
// can be pinned and fuzzed without one.
type plainSealer struct{}

func (plainSealer) Seal(dst, plain, aad []byte) []byte {
	return AppendBytes(AppendBytes(dst, aad), plain)
}

func (plainSealer) Open(dst, sealed, aad []byte) ([]byte, error) {
	r := NewReader(sealed)
	bound, plain := r.Bytes(), r.Bytes()
	if err := r.Done("seal"); err != nil {
		return nil, err
	}
	if !bytes.Equal(bound, aad) {
		return nil, errors.New("bound to something else")
	}
	return append(dst, plain...), nil
}

var origin = [16]byte{1, 2, 3}

func newCodec(t testing.TB) *Codec {
	t.Helper()
	c, err := NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Formats on disk: version 1 stays readable and these bytes stay its bytes.
func TestGolden(t *testing.T) {
	h := Header{Epoch: 3, Count: 2, Bytes: 300, Min: 1_700_000_000_000, Max: 1_700_000_000_005, High: 1_700_000_000_133}
	if got := hex.EncodeToString(h.Append(nil)); got != "01"+"03"+"02"+"ac02"+"80a0abfef962"+"05"+"8001" {
		t.Errorf("header: %s", got)
	}
	var b Builder
	b.Add([]byte("ab"), 1000)
	b.Add(nil, 990)
	b.Add([]byte("c"), 990)
	if got := hex.EncodeToString(b.buf); got != "02"+"d00f"+"6162"+"00"+"13"+"01"+"00"+"63" {
		t.Errorf("entries: %s", got)
	}
	if got := string(AppendBinding(nil, [16]byte([]byte("0123456789abcdef")), 1)); got != "reuna log block0123456789abcdef\x00\x00\x00\x00\x00\x00\x00\x01" {
		t.Errorf("binding: %q", got)
	}
	v := AppendString(AppendVarint(AppendUvarint([]byte{1}, 300), -2), "hi")
	if got := hex.EncodeToString(v); got != "01"+"ac02"+"03"+"026869" {
		t.Errorf("value: %s", got)
	}
}

// A block that version 1 wrote, zstd frame and all.
func TestGoldenBlock(t *testing.T) {
	block, err := hex.DecodeString(goldenBlock)
	if err != nil {
		t.Fatal(err)
	}
	got := decodeAll(t, newCodec(t), block, 7)
	if strings.Join(got, " ") != "1000:ab 990: 990:c" {
		t.Errorf("entries: %v", got)
	}
}

func decodeAll(t testing.TB, c *Codec, block []byte, first uint64) (out []string) {
	t.Helper()
	h, _, err := ParseHeader(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := c.Decode(block, plainSealer{}, origin, first, new(Scratch))
	if err != nil {
		t.Fatal(err)
	}
	if err := Entries(plain, h, func(_ int, at int64, e []byte) (bool, error) {
		out = append(out, strconv.FormatInt(at, 10)+":"+string(e))
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBlockRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := newCodec(t)
	var b Builder
	for range 300 {
		b.Reset()
		var want []string
		high := int64(r.Uint64())
		wantHigh := high
		for range 1 + r.IntN(50) {
			e := bytes.Repeat([]byte{byte(r.IntN(256))}, r.IntN(3000))
			at := []int64{math.MinInt64, math.MaxInt64, 0, int64(r.Uint64()), 1_700_000_000_000 + r.Int64N(1000)}[r.IntN(5)]
			b.Add(e, at)
			wantHigh = max(wantHigh, at)
			want = append(want, strconv.FormatInt(at, 10)+":"+string(e))
		}
		block, newHigh := c.Encode([]byte("kept"), &b, plainSealer{}, 9, origin, 5, high)
		if !bytes.HasPrefix(block, []byte("kept")) || newHigh != wantHigh {
			t.Fatalf("Encode appends: %.4q, high %d, want %d", block, newHigh, wantHigh)
		}
		got := decodeAll(t, c, block[4:], 5)
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Fatal("entries differ")
		}
		for what, err := range map[string]error{
			"moved":         second(c.Decode(block[4:], plainSealer{}, origin, 6, new(Scratch))),
			"in other log":  second(c.Decode(block[4:], plainSealer{}, [16]byte{}, 5, new(Scratch))),
			"cut":           second(c.Decode(block[4:len(block)-1], plainSealer{}, origin, 5, new(Scratch))),
			"newer version": second(c.Decode(append([]byte{2}, block[5:]...), plainSealer{}, origin, 5, new(Scratch))),
		} {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

func second(_ []byte, err error) error { return err }

func TestReaderStopsAtTheFirstFault(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		read func(*Reader)
		says string
	}{
		"short":         {[]byte{1}, func(r *Reader) { r.Fixed(2) }, "2 bytes wanted, 1 left"},
		"empty byte":    {nil, func(r *Reader) { r.Byte() }, "1 bytes wanted, 0 left"},
		"long announce": {[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, func(r *Reader) { r.Bytes() }, "announced"},
		"endless":       {bytes.Repeat([]byte{0x80}, 11), func(r *Reader) { r.Uvarint() }, "no number that ends"},
		"endless int":   {[]byte{0x80}, func(r *Reader) { r.Varint() }, "no number that ends"},
		"left over":     {[]byte{1, 2}, func(r *Reader) { r.Byte() }, "1 bytes left over"},
		"version 0":     {[]byte{0}, func(r *Reader) { r.Version("thing", 3) }, "thing has version 0, this program reads 1 to 3"},
		"version 4":     {[]byte{4}, func(r *Reader) { r.Version("thing", 3) }, "thing has version 4"},
	} {
		r := NewReader(c.in)
		c.read(r)
		err := r.Done("value")
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if r.Byte() != 0 || r.Uvarint() != 0 || r.Varint() != 0 || r.Bytes() != nil || r.String() != "" || r.Rest() != nil {
			t.Errorf("%s: it reads on", name)
		}
		if r.Done("value").Error() != err.Error() {
			t.Errorf("%s: the first fault is replaced", name)
		}
	}
}

func TestEntriesChecksTheHeader(t *testing.T) {
	var b Builder
	b.Add([]byte("one"), 5)
	b.Add([]byte("two"), 6)
	good := Header{Count: 2, Bytes: b.Len(), Min: 5, Max: 6}
	for name, h := range map[string]Header{
		"one more":  {Count: 3, Min: 5, Max: 6},
		"one fewer": {Count: 1, Min: 5, Max: 5},
		"min":       {Count: 2, Min: 4, Max: 6},
		"max":       {Count: 2, Min: 5, Max: 7},
	} {
		if err := Entries(b.buf, h, func(int, int64, []byte) (bool, error) { return true, nil }); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	n := 0
	if err := Entries(b.buf, good, func(int, int64, []byte) (bool, error) { n++; return false, nil }); err != nil || n != 1 {
		t.Errorf("stopping: %d entries, %v", n, err)
	}
}

func TestEncodeDoesNotAllocate(t *testing.T) {
	c := newCodec(t)
	var b Builder
	var block []byte
	entry := bytes.Repeat([]byte("entry "), 60)
	if n := testing.AllocsPerRun(100, func() {
		b.Reset()
		for i := range 20 {
			b.Add(entry, int64(i))
		}
		block, _ = c.Encode(block[:0], &b, plainSealer{}, 1, origin, 1, 0)
	}); n > 0 {
		t.Errorf("%.1f allocations a block", n)
	}
}

// Whatever bytes stand where a block should, decoding ends with an error or
// with entries that agree with the header; it never panics.
func FuzzDecode(f *testing.F) {
	c := newCodec(f)
	golden, err := hex.DecodeString(goldenBlock)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	var b Builder
	for i := range 100 {
		b.Add(bytes.Repeat([]byte("event "), i), int64(i))
	}
	block, _ := c.Encode(nil, &b, openSealer{}, 1, origin, 7, 0)
	f.Add(block)
	f.Add(block[:len(block)/2])
	var scratch Scratch
	f.Fuzz(func(t *testing.T, block []byte) {
		plain, err := c.Decode(block, openSealer{}, origin, 7, &scratch)
		if err != nil {
			return
		}
		h, n, err := ParseHeader(block)
		if err != nil || n > len(block) || len(plain) != h.Bytes {
			t.Fatalf("decoded without a header: %v", err)
		}
		total, count := 0, 0
		err = Entries(plain, h, func(i int, _ int64, e []byte) (bool, error) {
			total += len(e)
			count++
			return true, nil
		})
		if err == nil && (count != h.Count || total > len(plain)) {
			t.Fatalf("%d entries of %d, %d bytes of %d", count, h.Count, total, len(plain))
		}
	})
}

// openSealer seals nothing, so that the fuzzer reaches what is behind the seal.
type openSealer struct{}

func (openSealer) Seal(dst, plain, _ []byte) []byte           { return append(dst, plain...) }
func (openSealer) Open(dst, sealed, _ []byte) ([]byte, error) { return append(dst, sealed...), nil }

func FuzzEntries(f *testing.F) {
	var b Builder
	b.Add([]byte("one"), 5)
	b.Add([]byte("two"), -6)
	f.Add(b.buf, 2)
	f.Fuzz(func(t *testing.T, plain []byte, count int) {
		h := Header{Count: count % 1000, Bytes: len(plain)}
		var again Builder
		err := Entries(plain, h, func(_ int, at int64, e []byte) (bool, error) {
			again.Add(e, at)
			return true, nil
		})
		if err == nil && h.Count > 0 && len(again.buf) > len(plain) {
			t.Fatalf("%x is read, but written as %x", plain, again.buf)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(Header{Epoch: 1, Count: 1, Bytes: 9, Min: -4, Max: 4, High: 1 << 40}.Append(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, err := ParseHeader(in)
		if err != nil {
			return
		}
		again, m, err := ParseHeader(h.Append(nil))
		if err != nil || again != h || m > n {
			t.Fatalf("%x: %+v, again %+v, %v", in[:n], h, again, err)
		}
	})
}

const goldenBlock = "0103030abc0f0ae807307265756e61206c6f6720626c6f636b0102030000000000000000000000000000000000000000070103030abc0f0ae8071328b52ffd000051000002d00f61620013010063"
