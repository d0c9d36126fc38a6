package tagserve

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"sync"

	"github.com/andybalholm/brotli"
)

// Packs keeps what was compressed, for who serves most of the same texts again:
// to compress them as far as it goes takes longer than all else that New does.
// The zero value is empty and ready, and may be used by several at once.
type Packs struct {
	mu   sync.Mutex
	kept map[[sha256.Size]byte]pack
}

// pack is a text in its compressed forms. They are never written again.
type pack struct{ brotli, gzip []byte }

// mostPacks are kept, some ten kilobytes each; beyond them all go.
const mostPacks = 2000

// of compresses a text whose hash is sum, once.
func (p *Packs) of(sum [sha256.Size]byte, text []byte) (made pack, err error) {
	p.mu.Lock()
	made, ok := p.kept[sum]
	p.mu.Unlock()
	if ok {
		return made, nil
	}
	if made.brotli, err = compress(text, func(w *bytes.Buffer) writer { return brotli.NewWriterLevel(w, brotli.BestCompression) }); err != nil {
		return made, err
	}
	if made.gzip, err = compress(text, func(w *bytes.Buffer) writer {
		z, _ := gzip.NewWriterLevel(w, gzip.BestCompression) // its only error is a level that does not exist
		return z
	}); err != nil {
		return made, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept == nil || len(p.kept) >= mostPacks {
		p.kept = map[[sha256.Size]byte]pack{}
	}
	p.kept[sum] = made
	return made, nil
}

type writer interface {
	Write([]byte) (int, error)
	Close() error
}

func compress(text []byte, to func(*bytes.Buffer) writer) ([]byte, error) {
	var b bytes.Buffer
	w := to(&b)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
