package engine

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/DataDog/zstd"
)

// TestTablesCompressionStandIn holds the stand-in to what Pebble relies on: the
// bound suffices, so that nothing is allocated anew, and what went in comes out.
func TestTablesCompressionStandIn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	c := zstd.NewCtx()
	for _, n := range []int{0, 1, 100, 4 << 10, 128 << 10, 300 << 10} {
		for _, level := range []int{1, 3, 9} {
			src := make([]byte, n)
			for i := range src { // half of it does not compress at all
				if i%2 == 0 || n > 128<<10 {
					src[i] = byte(r.Uint32())
				}
			}
			dst := make([]byte, zstd.CompressBound(n))
			packed, err := c.CompressLevel(dst, src, level)
			if err != nil || len(packed) == 0 || &packed[0] != &dst[0] {
				t.Fatalf("%d bytes at level %d: %d bytes, %v, or in other memory than was given", n, level, len(packed), err)
			}
			back := make([]byte, n)
			if m, err := c.DecompressInto(back, packed); err != nil || m != n || !bytes.Equal(back, src) {
				t.Fatalf("%d bytes at level %d: %d came back, %v", n, level, m, err)
			}
			if n > 0 {
				if _, err := c.DecompressInto(make([]byte, n-1), packed); err == nil {
					t.Errorf("%d bytes fitted into %d", n, n-1)
				}
				if _, err := c.DecompressInto(back, packed[:len(packed)/2]); err == nil {
					t.Errorf("half of %d packed bytes was taken", len(packed))
				}
			}
		}
	}
}
