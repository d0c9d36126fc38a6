package vault

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/keyspace"
)

// Makers, droppers, readers, the log, Rewrap and RotateMaster all at once, for
// the race detector; and in the end every key is the one that was committed.
func TestEverythingAtOnce(t *testing.T) {
	r := seeded(t)
	fs := vfs.NewMem()
	v, db := open(t, fs)
	v.facets.init(8, 8)
	const owners = 24
	name := func(i int) [16]byte { return [16]byte{byte(i % 3), 0, byte(i)} } // in three groups
	var mu sync.Mutex
	sealed := map[[16]byte][]byte{}
	working, tick := sync.WaitGroup{}, make(chan struct{})
	for w := range 3 {
		own := rand.New(rand.NewPCG(r.Uint64(), 0))
		working.Go(func() {
			for range 400 {
				select {
				case tick <- struct{}{}: // one of the others may go on
				default:
				}
				h := name(own.IntN(owners/3)*3 + w)
				b := db.NewBatch()
				if own.IntN(4) == 0 {
					v.DropFacetKey(h, b)
					commit(t, b)
					mu.Lock()
					delete(sealed, h)
					mu.Unlock()
					continue
				}
				k, err := v.FacetKey(h, true, b)
				if err != nil {
					t.Error(err)
					return
				}
				if own.IntN(3) == 0 {
					b.Discard()
					continue
				}
				if err := b.Commit(false); err != nil {
					t.Error(err)
				}
				mu.Lock()
				sealed[h] = k.Seal(nil, []byte("data"), h[:])
				mu.Unlock()
			}
		})
	}
	var others sync.WaitGroup
	loop := func(fn func(own *rand.Rand, i int) error) {
		own := rand.New(rand.NewPCG(r.Uint64(), 0))
		others.Go(func() {
			i := 0
			for range tick {
				if err := fn(own, i); err != nil {
					t.Error(err)
				}
				i++
			}
		})
	}
	loop(func(own *rand.Rand, _ int) error {
		_, err := v.FacetKey(name(own.IntN(owners)), false, nil)
		if errors.Is(err, ErrNoKey) {
			err = nil
		}
		return err
	})
	loop(func(own *rand.Rand, _ int) error {
		return v.Rewrap(context.Background(), []int{own.IntN(3) * 4, LogGroup}, nil)
	})
	loop(func(own *rand.Rand, _ int) error { return v.RotateMaster(randomKey()) })
	loop(func(own *rand.Rand, i int) error {
		k, err := v.Epoch(int64(i) * EpochMillis)
		if err != nil {
			return err
		}
		b := db.NewBatch()
		v.DropEpochs(k.ID()-uint32(own.IntN(int(min(k.ID(), 3)))), b)
		if err := b.Commit(false); err != nil {
			return err
		}
		_, err = v.EpochKey(k.ID())
		return err
	})
	working.Wait()
	close(tick)
	others.Wait()
	last := randomKey()
	if err := v.RotateMaster(last); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		checkKeys(t, v, sealed)
		checkGroups(t, v)
		if n := len(records(t, db, keyspace.VaultFacet)); n != len(sealed) {
			t.Errorf("%d keys are stored, wanted %d", n, len(sealed))
		}
		closeDB(t, db)
		db = openDB(t, fs)
		var err error
		if v, err = Open(db, last); err != nil {
			t.Fatal(err)
		}
	}
	closeDB(t, db)
}

// Makers of the same keys, each with a batch of its own: what any committed
// batch sealed opens.
func TestMakersAtOnce(t *testing.T) {
	r := seeded(t)
	fs := vfs.NewMem()
	v, db := open(t, fs)
	type seal struct {
		owner  [16]byte
		sealed []byte
	}
	var mu sync.Mutex
	var kept []seal
	var makers sync.WaitGroup
	for range 4 {
		own := rand.New(rand.NewPCG(r.Uint64(), 0))
		makers.Go(func() {
			for i := range 100 {
				b := db.NewBatch()
				var mine []seal
				for range 3 {
					h := [16]byte{byte(i), byte(own.IntN(4))}
					k, err := v.FacetKey(h, true, b)
					if err != nil {
						t.Error(err)
						return
					}
					mine = append(mine, seal{h, k.Seal(nil, []byte("data"), nil)})
				}
				if own.IntN(3) == 0 {
					b.Discard()
					continue
				}
				if err := b.Commit(false); err != nil {
					t.Error(err)
				}
				mu.Lock()
				kept = append(kept, mine...)
				mu.Unlock()
			}
		})
	}
	makers.Wait()
	closeDB(t, db)
	v, db = open(t, fs)
	defer closeDB(t, db)
	for _, s := range kept {
		k, err := v.FacetKey(s.owner, false, nil)
		if err == nil {
			_, err = k.Open(nil, s.sealed, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
