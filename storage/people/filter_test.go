package people

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func TestTheFilterNeverForgets(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	hash := func() (h Hash) {
		binary.LittleEndian.PutUint64(h[:], r.Uint64())
		binary.LittleEndian.PutUint64(h[8:], r.Uint64())
		return h
	}
	var f filter
	if f.never(hash()) {
		t.Fatal("a filter that is not whole is certain of something")
	}
	f.whole = true
	const n = 500_000 // some parts
	added := make([]Hash, n)
	for i := range added {
		added[i] = hash()
		f.add(added[i])
	}
	for _, h := range added {
		if f.never(h) {
			t.Fatalf("%x was added and is said to be new", h)
		}
	}
	perhaps := 0
	for range n {
		if !f.never(hash()) {
			perhaps++
		}
	}
	if share := float64(perhaps) / n; share > 0.03 {
		t.Errorf("%.1f %% of new keys are taken for old ones", 100*share)
	}
	f.keys = maxFiltered
	f.add(hash())
	if f.never(hash()) {
		t.Error("a filter that is full is certain of something")
	}
}
