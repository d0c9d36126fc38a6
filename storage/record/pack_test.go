package record

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestPack(t *testing.T) {
	p, err := NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	random := make([]byte, 300)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for _, plain := range [][]byte{nil, []byte("x"), random, []byte(strings.Repeat("Organic Search", 50)), bytes.Repeat([]byte{0}, 100_000)} {
		packed := p.Pack([]byte("head"), plain)
		if len(packed) > 4+1+len(plain) {
			t.Errorf("%d bytes became %d", len(plain), len(packed)-4)
		}
		got, err := p.Unpack([]byte("head"), packed[4:])
		if err != nil || string(packed[:4]) != "head" || !bytes.Equal(got[4:], plain) {
			t.Errorf("%d bytes come back as %d, %v", len(plain), len(got)-4, err)
		}
	}
	if n := len(p.Pack(nil, []byte(strings.Repeat("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", 2)))); n > 45 {
		t.Errorf("the dictionary does not help: %d bytes", n)
	}
}

// TestPackedStaysReadable pins what this program writes, and reads what those before it
// wrote of short records.
func TestPackedStaysReadable(t *testing.T) {
	p, err := NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	plain := strings.Repeat("\x06Direct\x08(direct)\x06(none)\x06Mobile", 3)
	for _, golden := range []string{
		goldenZstd, // until records of up to 4 KB became S2 blocks
		goldenS2,
		"\x00" + plain,
	} {
		if got, err := p.Unpack(nil, []byte(golden)); err != nil || string(got) != plain {
			t.Errorf("%x is read as %q, %v", golden, got, err)
		}
	}
	if got := p.Pack(nil, []byte(plain)); string(got) != goldenS2 {
		t.Errorf("packed as %q", got)
	}
	for _, damaged := range []string{"", "\x04", "\x40", "\x43\x05", goldenS2[:len(goldenS2)-1], "\x42\xff\xff\xff\xff\x07", "\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", "\x42"} {
		if got, err := p.Unpack([]byte("x"), []byte(damaged)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x is read as %q, %v", damaged, got, err)
		}
	}
}

func TestPackAllocatesNothing(t *testing.T) {
	p, err := NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	plain := []byte(strings.Repeat("\x06Direct\x08(direct)\x06(none)\x06Mobile", 30))
	buf := p.Pack(nil, plain)
	if n := testing.AllocsPerRun(100, func() { buf = p.Pack(buf[:0], plain) }); n > 0 {
		t.Errorf("%.1f allocations", n)
	}
}

func FuzzUnpack(f *testing.F) {
	p, err := NewPacker()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Pack(nil, []byte("some plain text, some plain text")))
	f.Add([]byte{0})
	f.Add([]byte(goldenZstd))
	f.Fuzz(func(t *testing.T, packed []byte) {
		plain, err := p.Unpack(nil, packed)
		if err != nil {
			return
		}
		if again, err := p.Unpack(nil, p.Pack(nil, plain)); err != nil || !bytes.Equal(again, plain) {
			t.Errorf("%x is %x, which does not come back: %v", packed, plain, err)
		}
	})
}

// What a text of 90 bytes is packed as.
const (
	goldenZstd = "\x03!\x02Zm\x00\x00\b\x06\x03\xf0\t\x93 f\f%\xd54\x16"
	goldenS2   = "BZZ\x8f\x02\x18\x06Mobile\xee\x1e\x00"
)
