package main

import (
	"bytes"
	"context"
	"slices"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

// Copied is what multiplying a folder's records took.
type Copied struct {
	Copies  int   `json:"copies"`
	Records int64 `json:"records"`
	Took    Took  `json:"took"`
}

// copied are the kinds of records that are multiplied: where their hashes begin
// in the key, and the bytes that all of one kind begin with.
var copied = [...]struct {
	prefix []byte
	hashes []int
}{
	{[]byte{byte(keyspace.VaultKey), keyspace.VaultFacet}, []int{2}},
	{[]byte{byte(keyspace.Facet)}, []int{1}},
	{[]byte{byte(keyspace.Node)}, []int{1, 17}},
	{[]byte{byte(keyspace.Pair)}, []int{1, 17}},
	{[]byte{byte(keyspace.Dedupe)}, []int{1}},
	{[]byte{byte(keyspace.History)}, []int{5}},
}

// mostCopies is how many can be told apart by the first six bits of a hash.
const mostCopies = 64

// multiply writes every record of every person again, copies−1 times, under
// hashes that differ in their first six bits. So a folder gets the size and the
// shape of one with that many times the persons in minutes instead of hours.
// What is copied cannot be opened, since a record is bound to its place: only
// the first persons can be read. The log is not copied.
func multiply(ctx context.Context, dir string, copies int) (c Copied, err error) {
	c.Copies = copies
	db, err := engine.Open(engine.Options{Dir: dataFolder(dir)})
	if err != nil {
		return c, err
	}
	defer func() {
		if e := db.Close(); err == nil {
			err = e
		}
	}()
	w := newWatch()
	for _, kind := range copied {
		n, err := multiplyKind(ctx, db, kind.prefix, kind.hashes, copies)
		if err != nil {
			return c, err
		}
		c.Records += n
	}
	c.Took = w.read(c.Records)
	return c, nil
}

type record struct{ key, value []byte }

// multiplyKind copies all records of a kind. They are held in memory meanwhile,
// and copies written in the order of their keys, so that compaction has little
// to do.
func multiplyKind(ctx context.Context, db *engine.DB, prefix []byte, hashes []int, copies int) (n int64, err error) {
	var originals [mostCopies][]record // by the first six bits of the first hash
	lower, upper := keyspace.Bounds(prefix)
	err = db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		p := k[hashes[0]] >> 2
		originals[p] = append(originals[p], record{bytes.Clone(k), bytes.Clone(v)})
		return true, nil
	})
	if err != nil {
		return 0, err
	}
	for p := range mostCopies {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		var list []record
		for i := 1; i < copies; i++ {
			for _, r := range originals[p^i] {
				key := bytes.Clone(r.key)
				for _, at := range hashes {
					key[at] ^= byte(i) << 2
				}
				list = append(list, record{key, r.value})
			}
		}
		slices.SortFunc(list, func(a, b record) int { return bytes.Compare(a.key, b.key) })
		if err := writeAll(db, list); err != nil {
			return n, err
		}
		n += int64(len(list))
	}
	return n, nil
}

func writeAll(db *engine.DB, list []record) error {
	b := db.NewBatch()
	defer func() { b.Discard() }()
	for _, r := range list {
		b.Set(r.key, r.value)
		if b.Len() > 1<<20 {
			if err := b.Commit(false); err != nil {
				return err
			}
			b = db.NewBatch()
		}
	}
	return b.Commit(false)
}
