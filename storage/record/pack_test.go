package record

import (
	"bytes"
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

func FuzzUnpack(f *testing.F) {
	p, err := NewPacker()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Pack(nil, []byte("some plain text, some plain text")))
	f.Add([]byte{0})
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
