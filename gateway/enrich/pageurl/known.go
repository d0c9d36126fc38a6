package pageurl

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/reuna/reuna/gateway/enrich/memo"
)

// known remembers texts of a site that are clean as they are: its pages have the same
// addresses and titles for everybody, and reading one for secrets takes ten times as long
// as finding it here.
//
// Invariants: what is in it needed no change by this very Cleaner's settings, so nothing in it is
// about a person; a text comes in when it is seen for the second time soon, so that addresses which never
// come again cost no memory and push nobody out; it holds knownTexts of longestKnown bytes at most. It
// may be used by several goroutines.
type known struct {
	seed maphash.Seed
	list *memo.Table[knownText]
	once []atomic.Uint32 // part of the hash of a text that was seen once
}

type knownText struct {
	text string
	how  how
}

const (
	knownTexts    = 4096
	longestKnown  = 256
	shortestKnown = 8 // reading less is as fast
)

func newKnown() *known {
	return &known{maphash.MakeSeed(), memo.NewTable[knownText](knownTexts), make([]atomic.Uint32, knownTexts)}
}

// has says that raw is known to be clean; when it does not, put takes the hash. A nil
// *known knows nothing.
func (k *known) has(raw string, h how) (hash uint64, clean bool) {
	if k == nil || len(raw) < shortestKnown || len(raw) > longestKnown {
		return 0, false
	}
	hash = maphash.String(k.seed, raw) ^ uint64(h)<<57
	a, b := k.list.Candidates(hash)
	return hash, a != nil && a.how == h && a.text == raw || b != nil && b.how == h && b.text == raw
}

// put says that raw is clean.
func (k *known) put(hash uint64, raw string, h how) {
	if hash == 0 {
		return
	}
	mark := uint32(hash>>32) | 1
	if door := &k.once[hash%knownTexts]; door.Load() != mark {
		door.Store(mark)
		return
	}
	k.list.Put(hash, &knownText{strings.Clone(raw), h})
}
