package vault

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

var (
	crashSeeds = flag.Int("crash.seeds", 20, "power cuts that TestPowerCut tries")
	crashSeed  = flag.Uint64("crash.seed", 0, "the one seed that TestPowerCut tries, when not 0")
)

// A power cut at any moment of making, dropping, rewrapping and rotating, with
// any part of what was not synced surviving: every key that was durable and not
// dropped opens what it sealed, every dropped one is gone, and one of the two
// master keys of a rotation opens the folder.
func TestPowerCut(t *testing.T) {
	base := rand.Uint64()
	for i := range *crashSeeds {
		seed := base + uint64(i)
		if *crashSeed != 0 {
			seed = *crashSeed
		}
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { powerCut(t, seed) }) || *crashSeed != 0 {
			return
		}
	}
}

const (
	crashWorkers = 3
	crashOwners  = 18
)

// crashOwner spreads the owners over three groups.
func crashOwner(i int) [16]byte { return [16]byte{byte(i / crashWorkers % 3), 0, byte(i)} }

// states are what something may be after a cut: list from durable on. A state
// enters the list before it is committed.
type states[T any] struct {
	list    []T
	durable int
}

func (s *states[T]) add(x T)       { s.list = append(s.list, x) }
func (s *states[T]) possible() []T { return s.list[s.durable:] }
func (s *states[T]) settle(x T)    { s.list, s.durable = []T{x}, 0 }

// crashWorld knows what was done to a folder. Whoever changes it holds mu.
type crashWorld struct {
	mu      sync.Mutex
	owners  [crashOwners]states[[]byte] // what the key sealed; nil for none
	masters states[[]byte]
	floors  states[uint32]    // epochs below were dropped
	epochs  map[uint32][]byte // what a durable epoch key sealed
	install []byte
	done    int // batches ended in this run
	stop    bool
	moved   sync.Cond
}

// step counts a batch that has ended.
func (w *crashWorld) step() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done++
	w.moved.Broadcast()
}

// wait waits until so many batches have ended; false when the run is over.
func (w *crashWorld) wait(until int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.done < until && !w.stop {
		w.moved.Wait()
	}
	return !w.stop
}

func powerCut(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	var fs vfs.FS = vfs.NewCrashableMem()
	w := &crashWorld{epochs: map[uint32][]byte{}}
	w.moved.L = &w.mu
	w.masters.settle(master)
	w.floors.settle(0)
	for i := range w.owners {
		w.owners[i].settle(nil)
	}
	day := int64(0)
	for range 1 + r.IntN(3) {
		db := openDB(t, fs)
		v := w.check(t, db)
		fs = w.run(t, v, r, &day, fs.(*vfs.MemFS))
		closeDB(t, db)
	}
	db := openDB(t, fs)
	w.check(t, db)
	closeDB(t, db)
}

// run has everybody at work until a random moment, and gives the disk as a
// power cut at that moment leaves it.
func (w *crashWorld) run(t *testing.T, v *Vault, r *rand.Rand, day *int64, fs *vfs.MemFS) *vfs.MemFS {
	v.facets.init(6, 6)
	w.stop = false
	var all sync.WaitGroup
	loop := func(fn func(own *rand.Rand) error, every int) {
		own := rand.New(rand.NewPCG(r.Uint64(), 1))
		all.Go(func() {
			for next := own.IntN(every); w.wait(next); next += own.IntN(2 * every) {
				if err := fn(own); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range crashWorkers {
		loop(func(own *rand.Rand) error { defer w.step(); return w.work(v, own, n) }, 1)
	}
	loop(func(own *rand.Rand) error {
		groups := []int{own.IntN(3) * 4, LogGroup, own.IntN(Groups)}
		return v.Rewrap(context.Background(), groups[:1+own.IntN(3)], nil)
	}, 5)
	loop(func(own *rand.Rand) error { return w.rotate(v) }, 50)
	loop(func(own *rand.Rand) error { *day++; return w.epoch(v, own, *day) }, 10)
	w.wait(r.IntN(100))
	if r.IntN(3) == 0 {
		if err := v.db.Flush(); err != nil {
			t.Error(err)
		}
	}
	w.wait(r.IntN(200))
	w.mu.Lock() // what is durable by now must be in the clone, and nothing unknown
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: rand.New(rand.NewPCG(r.Uint64(), 2))})
	then := w.snapshot()
	w.stop, w.done = true, 0
	w.moved.Broadcast()
	w.mu.Unlock()
	all.Wait()
	w.restore(then)
	return crashed
}

// work makes or drops keys of the worker's own owners in one batch.
func (w *crashWorld) work(v *Vault, r *rand.Rand, n int) error {
	b := v.db.NewBatch()
	defer b.Discard()
	after := map[int][]byte{}
	for range 1 + r.IntN(4) {
		i := r.IntN(crashOwners/crashWorkers)*crashWorkers + n
		h := crashOwner(i)
		if r.IntN(3) == 0 {
			v.DropFacetKey(h, b)
			b.Delete(keyspace.AppendFacet(nil, h))
			after[i] = nil
			continue
		}
		k, err := v.FacetKey(h, true, b)
		if err != nil {
			return err
		}
		after[i] = k.Seal(nil, []byte("data"), h[:])
		b.Set(keyspace.AppendFacet(nil, h), after[i])
	}
	if r.IntN(5) == 0 {
		return nil
	}
	w.mu.Lock()
	for i, sealed := range after {
		w.owners[i].add(sealed)
	}
	w.mu.Unlock()
	sync := r.IntN(3) == 0
	if err := b.Commit(sync); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if sync { // and with it everything that this worker committed before
		for i := n; i < crashOwners; i += crashWorkers {
			w.owners[i].durable = len(w.owners[i].list) - 1
		}
	}
	return nil
}

func (w *crashWorld) rotate(v *Vault) error {
	next := randomKey()
	w.mu.Lock()
	w.masters.add(next)
	w.mu.Unlock()
	if err := v.RotateMaster(next); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.masters.durable = len(w.masters.list) - 1
	return nil
}

func (w *crashWorld) epoch(v *Vault, r *rand.Rand, day int64) error {
	k, err := v.Epoch(day * EpochMillis)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.epochs[k.ID()] = k.Seal(nil, []byte("block"), nil)
	w.mu.Unlock()
	if r.IntN(2) == 0 {
		return nil
	}
	b := v.db.NewBatch()
	defer b.Discard()
	before := k.ID() - min(k.ID(), uint32(r.IntN(4)))
	v.DropEpochs(before, b)
	if r.IntN(3) == 0 {
		return nil
	}
	w.mu.Lock()
	w.floors.add(max(before, w.floors.list[len(w.floors.list)-1]))
	w.mu.Unlock()
	sync := r.IntN(2) == 0
	if err := b.Commit(sync); err != nil || !sync {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.floors.durable = len(w.floors.list) - 1
	return nil
}

// snapshot copies what is known, with mu held.
func (w *crashWorld) snapshot() *crashWorld {
	return &crashWorld{owners: w.owners, masters: w.masters, floors: w.floors, epochs: maps.Clone(w.epochs)}
}

func (w *crashWorld) restore(then *crashWorld) {
	w.owners, w.masters, w.floors, w.epochs = then.owners, then.masters, then.floors, then.epochs
}

// check opens the folder, compares it with what is possible, and takes what it
// finds as the new truth.
func (w *crashWorld) check(t *testing.T, db *engine.DB) *Vault {
	t.Helper()
	var v *Vault
	for _, m := range w.masters.possible() {
		x, err := Open(db, m)
		switch {
		case err == nil && v == nil:
			v = x
			w.masters.settle(m)
		case !errors.Is(err, ErrWrongMaster):
			t.Fatal("a master key:", err)
		}
	}
	if v == nil {
		t.Fatal("no master key opens the folder")
	}
	if w.install == nil {
		w.install = v.InstallKey()
	}
	if !bytes.Equal(w.install, v.InstallKey()) {
		t.Fatal("the install key changed")
	}
	w.checkKeys(t, v)
	checkGroups(t, v)
	if err := v.Rewrap(context.Background(), append(v.Unfinished(), 0), nil); err != nil || len(v.Unfinished()) > 0 {
		t.Fatal("finishing:", err, v.Unfinished())
	}
	w.checkKeys(t, v)
	checkGroups(t, v)
	return v
}

func (w *crashWorld) checkKeys(t *testing.T, v *Vault) {
	t.Helper()
	for i := range w.owners {
		h, found := crashOwner(i), false
		k, err := v.FacetKey(h, false, nil)
		if err != nil && !errors.Is(err, ErrNoKey) {
			t.Fatal(err)
		}
		stored := []byte(nil)
		if _, err := v.db.Get(keyspace.AppendFacet(nil, h), func(val []byte) error { stored = bytes.Clone(val); return nil }); err != nil {
			t.Fatal(err)
		}
		for _, sealed := range w.owners[i].possible() {
			if !bytes.Equal(stored, sealed) || (sealed == nil) != (err != nil) {
				continue
			}
			if sealed != nil {
				if got, err := k.Open(nil, sealed, h[:]); err != nil || string(got) != "data" {
					continue
				}
			}
			w.owners[i].settle(sealed)
			found = true
			break
		}
		if !found {
			t.Fatalf("owner %d: %v, which is none of the possible states %x", i, err, w.owners[i].possible())
		}
	}
	sure, maybe := w.floors.possible()[0], w.floors.possible()[0]
	for _, f := range w.floors.possible() {
		maybe = max(maybe, f)
	}
	lost := uint32(0) // the highest that was dropped
	for id, sealed := range w.epochs {
		k, err := v.EpochKey(id)
		switch {
		case errors.Is(err, ErrNoKey) && id < maybe:
			lost = max(lost, id)
			delete(w.epochs, id)
			continue
		case err != nil || id < sure:
			t.Fatalf("epoch %d, dropped below %d or up to %d: %v", id, sure, maybe, err)
		}
		if got, err := k.Open(nil, sealed, nil); err != nil || string(got) != "block" {
			t.Fatalf("epoch %d: %q, %v", id, got, err)
		}
	}
	for id := range w.epochs {
		if id < lost {
			t.Fatalf("epoch %d was kept, %d dropped", id, lost)
		}
	}
	w.floors.settle(max(sure, lost+1))
	if lost == 0 {
		w.floors.settle(sure)
	}
}
