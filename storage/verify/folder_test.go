package verify_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/vault"
	"github.com/reuna/reuna/storage/verify"
)

// folder is a store's files in the hands of somebody who has the master key and
// means no good.
type folder struct {
	t  testing.TB
	db *engine.DB
	v  *vault.Vault
}

type pair struct{ k, v []byte }

// all lists the records of a space.
func (f *folder) all(s keyspace.Space) (list []pair) {
	f.t.Helper()
	lower, upper := keyspace.Bounds([]byte{byte(s)})
	err := f.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		list = append(list, pair{bytes.Clone(k), bytes.Clone(v)})
		return true, nil
	})
	if err != nil || len(list) == 0 {
		f.t.Fatalf("space %#02x: %d records, %v", byte(s), len(list), err)
	}
	return list
}

// keys lists the wrapped keys of a kind.
func (f *folder) keys(kind byte) []pair {
	f.t.Helper()
	return slices.DeleteFunc(f.all(keyspace.VaultKey), func(p pair) bool { return p.k[1] != kind })
}

func (f *folder) commit(change func(b *engine.Batch)) {
	f.t.Helper()
	b := f.db.NewBatch()
	change(b)
	if err := b.Commit(true); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) drop(k []byte)   { f.t.Helper(); f.commit(func(b *engine.Batch) { b.Delete(k) }) }
func (f *folder) put(k, v []byte) { f.t.Helper(); f.commit(func(b *engine.Batch) { b.Set(k, v) }) }

func (f *folder) swap(x, y pair) {
	f.t.Helper()
	f.commit(func(b *engine.Batch) { b.Set(x.k, y.v); b.Set(y.k, x.v) })
}

func (f *folder) key(owner []byte) *vault.Key {
	f.t.Helper()
	k, err := f.v.FacetKey([16]byte(owner), false, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return k
}

// reseal writes a sealed record anew, with what change makes of it. The owner's
// hash follows the key's first byte.
func (f *folder) reseal(p pair, change func(plain []byte) []byte) {
	f.t.Helper()
	key := f.key(p.k[1:17])
	plain, err := key.Open(nil, p.v, p.k)
	if err != nil {
		f.t.Fatal(err)
	}
	f.put(p.k, key.Seal(nil, change(plain), p.k))
}

// refacet writes a facet's record anew.
func (f *folder) refacet(p pair, change func(x *facet.Facet)) {
	f.t.Helper()
	f.reseal(p, func(plain []byte) []byte {
		x, applied, err := verify.ReadFacet(f.packer(), plain)
		if err != nil {
			f.t.Fatal(err)
		}
		change(x)
		return facetRecord(x, applied)
	})
}

// facetRecord is the record of a facet into which entries up to one were folded.
func facetRecord(x *facet.Facet, applied uint64) []byte {
	return x.AppendBinary(record.AppendUvarint([]byte{2, record.PackedRaw, 1, 0}, applied))
}

// refold says of a facet's record that it ends with another entry.
func (f *folder) refold(p pair, applied uint64) {
	f.t.Helper()
	f.reseal(p, func(plain []byte) []byte {
		x, _, err := verify.ReadFacet(f.packer(), plain)
		if err != nil {
			f.t.Fatal(err)
		}
		return facetRecord(x, applied)
	})
}

// member is the first who is in an audience, and the place of their standing.
func (f *folder) member() (m struct{ k, standing []byte }) {
	f.t.Helper()
	m.k = f.all(keyspace.Member)[0].k
	_, h, err := keyspace.ParseMember(m.k)
	if err != nil {
		f.t.Fatal(err)
	}
	m.standing = keyspace.AppendStanding(nil, h)
	return m
}

// restand writes a standing anew.
func (f *folder) restand(k []byte, change func(x *segment.Standing)) {
	f.t.Helper()
	_, err := f.db.Get(k, func(v []byte) error {
		f.reseal(pair{k, bytes.Clone(v)}, func(plain []byte) []byte {
			r := record.NewReader(plain)
			r.Byte()
			r.Uvarint()
			r.Bytes()
			r.Bytes()
			r.Varint()
			head := bytes.Clone(plain[:len(plain)-r.Len()])
			x, err := segment.DecodeStanding(r.Rest())
			if err != nil {
				f.t.Fatal(err)
			}
			change(x)
			head, err = x.AppendBinary(head)
			if err != nil {
				f.t.Fatal(err)
			}
			return head
		})
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

type item struct {
	seq            uint64
	receivedAt, at int64
	bytes          []byte
}

// items are the entries of a chunk.
func (f *folder) items(p pair) (list []item) {
	f.t.Helper()
	c := f.chunks()
	defer c.Close()
	_, owner, _, first, err := keyspace.ParseHistory(p.k)
	if err != nil {
		f.t.Fatal(err)
	}
	h, plain, err := c.Decode(p.v, f.key(owner[:]), p.k, first, &record.Scratch{})
	if err == nil {
		err = record.ChunkEntries(plain, h, func(seq uint64, receivedAt, at int64, b []byte) (bool, error) {
			list = append(list, item{seq, receivedAt, at, bytes.Clone(b)})
			return true, nil
		})
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

// rechunk writes a chunk of items.
func (f *folder) rechunk(m keyspace.Month, owner keyspace.Hash, list []item) {
	f.t.Helper()
	c := f.chunks()
	defer c.Close()
	var b record.ChunkBuilder
	for _, x := range list {
		b.Add(x.seq, x.receivedAt, x.at, x.bytes)
	}
	k := keyspace.AppendHistory(nil, m, owner, 1, b.First())
	f.put(k, c.Encode(nil, &b, f.key(owner[:]), k))
}

func (f *folder) packer() *record.Packer {
	f.t.Helper()
	p, err := record.NewPacker()
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

func (f *folder) chunks() *record.ChunkCodec {
	f.t.Helper()
	c, err := record.NewChunkCodec()
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// long gives a chunk of several events, and its owner.
func (f *folder) long() (p pair, m keyspace.Month, owner keyspace.Hash, list []item) {
	f.t.Helper()
	for _, p := range f.all(keyspace.History) {
		m, owner, _, _, err := keyspace.ParseHistory(p.k)
		if err != nil {
			f.t.Fatal(err)
		}
		if list := f.items(p); len(list) > 2 && list[0].bytes[0] == 1 {
			return p, m, owner, list
		}
	}
	f.t.Fatal("no chunk holds several events")
	return p, m, owner, list
}

// reblock writes a log block anew, with what change makes of its entries.
func (f *folder) reblock(p pair, change func(i int, b []byte) []byte) {
	f.t.Helper()
	c, err := record.NewCodec()
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close()
	h, _, err := record.ParseHeader(p.v)
	if err != nil {
		f.t.Fatal(err)
	}
	first, err := keyspace.ParseLogBlock(p.k)
	if err != nil {
		f.t.Fatal(err)
	}
	key, err := f.v.EpochKey(h.Epoch)
	if err != nil {
		f.t.Fatal(err)
	}
	origin := f.origin()
	plain, err := c.Decode(p.v, key, origin, first, &record.Scratch{})
	if err != nil {
		f.t.Fatal(err)
	}
	var b record.Builder
	err = record.Entries(plain, h, func(i int, at int64, e []byte) (bool, error) {
		b.Add(change(i, e), at)
		return true, nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	v, _ := c.Encode(nil, &b, key, h.Epoch, origin, first, h.High)
	f.put(p.k, v)
}

func (f *folder) origin() (h keyspace.Hash) {
	f.t.Helper()
	_, err := f.db.Get(keyspace.AppendMeta(nil, keyspace.MetaOrigin), func(v []byte) error {
		copy(h[:], v[2:]) // version, how many, the first
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return h
}

// cursor moves a reader.
func (f *folder) cursor(name string, seq uint64) {
	v := record.AppendUvarint([]byte{2}, seq)
	f.put(keyspace.AppendCursor(nil, name), record.AppendVarint(record.AppendVarint(v, 0), -1))
}
