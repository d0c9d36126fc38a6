package verify_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/verify"
)

// Each of these does one thing to a sound folder, which has to be found and
// named. Those who do it have all the keys: what a seal shows is the least of it.
var tamperings = []struct {
	name  string
	space keyspace.Space // of one of the faults,
	says  string         // and a part of what it says
	do    func(f *folder)
}{
	{"a block in the middle is gone", keyspace.LogBlock, "are missing", func(f *folder) {
		list := f.all(keyspace.LogBlock)
		f.drop(list[len(list)/2].k)
	}},
	{"the last block is gone", keyspace.Cursor, "but the log ends with", func(f *folder) {
		list := f.all(keyspace.LogBlock)
		f.drop(list[len(list)-1].k)
	}},
	{"the first block is gone", keyspace.LogBlock, "are missing", func(f *folder) { f.drop(f.all(keyspace.LogBlock)[0].k) }},
	{"two blocks are exchanged", keyspace.LogBlock, "seal is broken", func(f *folder) {
		list := f.all(keyspace.LogBlock)
		f.swap(list[0], list[1])
	}},
	{"a block is changed", keyspace.LogBlock, "seal is broken", func(f *folder) {
		p := f.all(keyspace.LogBlock)[3]
		p.v[len(p.v)/2] ^= 4
		f.put(p.k, p.v)
	}},
	{"an entry has a kind that never was", keyspace.LogBlock, "kind 9", func(f *folder) {
		f.reblock(f.all(keyspace.LogBlock)[2], func(_ int, b []byte) []byte { return []byte{9} })
	}},
	{"events are blanked that nobody erased", keyspace.Event, "which is not this owner's", func(f *folder) {
		for _, p := range f.all(keyspace.LogBlock) {
			f.reblock(p, func(_ int, b []byte) []byte { return []byte{0} })
		}
	}},
	{"the log says that it begins later", keyspace.Meta, "are in neither", func(f *folder) {
		list := f.all(keyspace.LogBlock)
		first, _ := keyspace.ParseLogBlock(list[len(list)-1].k)
		f.commit(func(b *engine.Batch) {
			b.DeleteRange(list[0].k, list[len(list)-1].k)
			head := record.AppendUvarint([]byte{1}, first)
			b.Set(keyspace.AppendMeta(nil, keyspace.MetaHead), record.AppendVarint(head, 0))
		})
	}},
	{"the origin is gone", keyspace.Meta, "entries have no name without it", func(f *folder) {
		f.drop(keyspace.AppendMeta(nil, keyspace.MetaOrigin))
	}},
	{"an epoch's key is gone", keyspace.LogBlock, "which is not there", func(f *folder) {
		h, _, _ := record.ParseHeader(f.all(keyspace.LogBlock)[0].v)
		f.drop(keyspace.AppendVaultID(nil, keyspace.VaultEpoch, h.Epoch))
	}},
	{"keys of old epochs were kept", keyspace.VaultKey, "should have been destroyed", func(f *folder) {
		list := f.keys(keyspace.VaultEpoch)
		for i := range uint32(2) {
			f.put(keyspace.AppendVaultID(nil, keyspace.VaultEpoch, i), list[0].v)
		}
	}},
	{"a reader is beyond the end", keyspace.Cursor, "are missing", func(f *folder) { f.cursor("reports", 1<<40) }},
	{"a reader's state is changed", keyspace.Reader, "does not open", func(f *folder) {
		f.put(keyspace.AppendReader(nil, "people", "b"), append([]byte{1}, make([]byte, 40)...))
	}},
	{"a reader's state is of a newer program", keyspace.Reader, "version 9", func(f *folder) {
		f.put(keyspace.AppendReader(nil, "people", "b"), []byte{9, 1, 2})
	}},
	{"a reader's cursor is gone", keyspace.Cursor, "up to which entry is not known", func(f *folder) {
		f.put(keyspace.AppendReader(nil, "reports", "b"), []byte{1})
	}},
	{"people's cursor is gone", keyspace.Cursor, "what people was made from is not known", func(f *folder) {
		f.drop(keyspace.AppendCursor(nil, "people"))
	}},
	{"the histories' cursor is gone", keyspace.Cursor, "though the log has given up", func(f *folder) {
		f.drop(keyspace.AppendCursor(nil, "history"))
	}},
	{"the histories' cursor went back", keyspace.Meta, "are in neither", func(f *folder) { f.cursor("history", 3) }},
	{"the histories' cursor went ahead of people", keyspace.Cursor, "ahead of", func(f *folder) { f.cursor("history", 1<<20) }},
	{"an index entry is gone", keyspace.Event, "cannot be found by its owner", func(f *folder) { f.drop(f.all(keyspace.Event)[5].k) }},
	{"an index entry leads to another's event", keyspace.Event, "is not this owner's", func(f *folder) {
		list := f.all(keyspace.Event)
		k := bytes.Clone(list[0].k)
		copy(k[len(k)-8:], list[len(list)-1].k[len(k)-8:])
		f.put(k, nil)
	}},
	{"an index entry has another time", keyspace.Event, "gives entry", func(f *folder) {
		k := f.all(keyspace.Event)[0].k
		f.drop(k)
		k[24]++
		f.put(k, nil)
	}},
	{"a chunk is gone", keyspace.Facet, "but there are", func(f *folder) { p, _, _, _ := f.long(); f.drop(p.k) }},
	{"two chunks are exchanged", keyspace.History, "seal is broken", func(f *folder) {
		list := f.all(keyspace.History)
		f.swap(list[0], list[len(list)-1])
	}},
	{"an event is taken out of a chunk", keyspace.Facet, "but there are", func(f *folder) {
		_, m, owner, list := f.long()
		f.rechunk(m, owner, slices.Delete(list, 1, 2))
	}},
	{"a chunk is there twice", keyspace.History, "but the chunk before it ends with", func(f *folder) {
		_, m, owner, list := f.long()
		f.rechunk(m, owner, list[1:])
	}},
	{"a chunk stands in another month", keyspace.History, "in another month", func(f *folder) {
		p, m, owner, list := f.long()
		f.rechunk(m+40, owner, list)
		f.drop(p.k)
	}},
	{"a chunk is another facet's", keyspace.History, "of another facet", func(f *folder) {
		p, m, _, list := f.long()
		for _, x := range f.all(keyspace.Facet) {
			if !bytes.Equal(x.k[1:], p.k[5:21]) {
				f.drop(p.k)
				f.rechunk(m, [16]byte(x.k[1:]), list)
				return
			}
		}
	}},
	{"a chunk has an entry that never settled", keyspace.History, "is newer than the cursor", func(f *folder) {
		_, m, owner, list := f.long()
		x := list[len(list)-1]
		x.seq = 1 << 30
		f.rechunk(m, owner, append(list, x))
	}},
	{"a facet is gone", keyspace.Facet, "is missing", func(f *folder) { f.drop(f.all(keyspace.Facet)[0].k) }},
	{"two facets are exchanged", keyspace.Facet, "do not open", func(f *folder) {
		list := f.all(keyspace.Facet)
		f.swap(list[0], list[1])
	}},
	{"a facet has one more event", keyspace.Facet, "but there are", func(f *folder) {
		f.refacet(f.all(keyspace.Facet)[2], func(x *facet.Facet) { x.Events++ })
	}},
	{"a facet began earlier", keyspace.Facet, "but there are", func(f *folder) {
		f.refacet(f.all(keyspace.Facet)[2], func(x *facet.Facet) { x.First-- })
	}},
	{"a facet is another's", keyspace.Facet, "holds another facet", func(f *folder) {
		f.refacet(f.all(keyspace.Facet)[2], func(x *facet.Facet) { x.Key.UserID = "mallory" })
	}},
	{"a facet is of a version to come", keyspace.Facet, "use a newer program", func(f *folder) {
		f.reseal(f.all(keyspace.Facet)[0], func(plain []byte) []byte { plain[0] = 77; return plain })
	}},
	{"a facet is behind its events", keyspace.Facet, "ends with entry 1", func(f *folder) {
		x, err := verify.ReadErasure(f.all(keyspace.Erasure)[0].v)
		if err != nil {
			f.t.Fatal(err)
		}
		list := slices.DeleteFunc(f.all(keyspace.Facet), func(p pair) bool { return slices.Contains(x.Facets, [16]byte(p.k[1:])) })
		f.refold(list[0], 1)
	}},
	{"a facet's key is gone", keyspace.Facet, "no such key", func(f *folder) {
		k := f.all(keyspace.Facet)[0].k
		f.drop(keyspace.AppendVault(nil, keyspace.VaultFacet, k[1:]))
	}},
	{"two facets' keys are exchanged", keyspace.VaultKey, "do not open", func(f *folder) {
		list := f.keys(keyspace.VaultFacet)
		f.swap(list[0], list[1])
	}},
	{"an identifier lost a facet", keyspace.Node, "cannot be found by its", func(f *folder) { f.drop(f.all(keyspace.Node)[0].k) }},
	{"an identifier has a facet that is not there", keyspace.Node, "that is not there", func(f *folder) {
		k := f.all(keyspace.Node)[0].k
		k[len(k)-1]++
		f.put(k, nil)
	}},
	{"an identifier has another's facet", keyspace.Node, "not this identifier's", func(f *folder) {
		k := f.all(keyspace.Node)[0].k
		k[1]++
		f.put(k, nil)
	}},
	{"evidence is gone from one side", keyspace.Pair, "is missing", func(f *folder) { f.drop(f.all(keyspace.Pair)[0].k) }},
	{"evidence is gone from both sides", keyspace.Pair, "is missing", func(f *folder) {
		p := f.all(keyspace.Pair)[0]
		x, y, _ := keyspace.ParsePair(p.k)
		f.drop(p.k)
		f.drop(keyspace.AppendPair(nil, y, x))
	}},
	{"evidence was added on one side", keyspace.Pair, "no event", func(f *folder) { f.link(f.all(keyspace.Pair)[0]) }},
	{"evidence was taken away on one side", keyspace.Pair, "lacks evidence", func(f *folder) {
		f.reseal(f.all(keyspace.Pair)[0], func(plain []byte) []byte {
			p, _ := graph.DecodePair(plain)
			empty := graph.NewPair(p.A, p.B)
			return empty.AppendBinary(nil)
		})
	}},
	{"evidence is about others", keyspace.Pair, "about others", func(f *folder) {
		f.reseal(f.all(keyspace.Pair)[0], func(plain []byte) []byte {
			p := graph.NewPair(id.ID{Type: "email", Value: "x"}, id.ID{Type: "email", Value: "y"})
			return p.AppendBinary(nil)
		})
	}},
	{"a message taken is forgotten", keyspace.Dedupe, "taken a second time", func(f *folder) {
		for _, p := range f.all(keyspace.Dedupe) {
			f.drop(p.k)
		}
	}},
	{"a message taken is of a version to come", keyspace.Dedupe, "use a newer program", func(f *folder) {
		p := f.all(keyspace.Dedupe)[0]
		p.v[0] = 9
		f.put(p.k, p.v)
	}},
	{"two sessions are exchanged", keyspace.Session, "do not open", func(f *folder) {
		list := f.all(keyspace.Session)
		f.swap(list[0], list[1])
	}},
	{"a session has another user", keyspace.Session, "something else than entry", func(f *folder) {
		f.reseal(f.all(keyspace.Session)[0], func(plain []byte) []byte {
			r := record.NewReader(plain)
			r.Byte()
			r.Uvarint()
			head := bytes.Clone(plain[:len(plain)-r.Len()])
			r.Bytes()
			return append(record.AppendString(head, "mallory"), r.Rest()...)
		})
	}},
	{"a session that still holds is gone", keyspace.Session, "is missing", func(f *folder) { f.drop(f.all(keyspace.Session)[0].k) }},
	{"a standing is gone", keyspace.Standing, "is missing", func(f *folder) { f.drop(f.member().standing) }},
	{"a standing has lost an audience", keyspace.Standing, "the entries say", func(f *folder) {
		f.restand(f.member().standing, func(x *segment.Standing) { x.In = nil })
	}},
	{"a standing is since another time", keyspace.Standing, "the entries say", func(f *folder) {
		f.restand(f.member().standing, func(x *segment.Standing) { x.In[0].Since++ })
	}},
	{"a standing has an audience that nobody told of", keyspace.Member, "is missing", func(f *folder) {
		f.restand(f.member().standing, func(x *segment.Standing) { x.In = append(x.In, segment.Member{Audience: 77}) })
	}},
	{"a standing is another's", keyspace.Standing, "do not open", func(f *folder) {
		list := f.all(keyspace.Standing)
		f.swap(list[0], list[1])
	}},
	{"a member is gone", keyspace.Member, "is missing", func(f *folder) { f.drop(f.member().k) }},
	{"a member is since another time", keyspace.Member, "says since", func(f *folder) {
		f.put(f.member().k, record.AppendVarint([]byte{1}, 5))
	}},
	{"somebody is in an audience who is not", keyspace.Member, "no standing says", func(f *folder) {
		k := f.member().k
		k[len(k)-1]++
		f.put(k, record.AppendVarint([]byte{1}, 5))
	}},
	{"nobody wakes a standing", keyspace.Due, "holds until", func(f *folder) { f.drop(f.all(keyspace.Due)[0].k) }},
	{"a standing is woken that is not due", keyspace.Due, "is due in this second", func(f *folder) {
		k := f.all(keyspace.Due)[0].k
		k[8]++
		f.put(k, nil)
	}},
	{"a refused message in the log is not listed", keyspace.Quarantine, "is a refused message", func(f *folder) {
		list := f.all(keyspace.Quarantine)
		f.drop(list[len(list)-1].k)
	}},
	{"the quarantine lists an event", keyspace.Quarantine, "no refused message", func(f *folder) {
		list := f.all(keyspace.Event)
		k := list[0].k
		f.put(append([]byte{byte(keyspace.Quarantine)}, k[len(k)-8:]...), nil)
	}},
	{"a settled refused message was changed", keyspace.Quarantine, "do not open", func(f *folder) {
		p := f.all(keyspace.Quarantine)[0]
		p.v[len(p.v)-1] ^= 1
		f.put(p.k, p.v)
	}},
	{"a wrapped key has no wrapping key", keyspace.VaultKey, "which is not there", func(f *folder) {
		p := f.keys(keyspace.VaultFacet)[0]
		r := record.NewReader(p.v)
		r.Byte()
		r.Uvarint()
		f.put(p.k, append(record.AppendUvarint([]byte{1}, 1<<31), r.Rest()...))
	}},
	{"a tombstone is gone", keyspace.Tombstone, "is missing or too old", func(f *folder) { f.drop(f.all(keyspace.Tombstone)[0].k) }},
	{"the name of one who may come back is gone", keyspace.Again, "has no name", func(f *folder) { f.drop(f.all(keyspace.Again)[0].k) }},
	{"an erased facet is back", keyspace.Facet, "should be gone", func(f *folder) {
		x, err := verify.ReadErasure(f.all(keyspace.Erasure)[0].v)
		if err != nil || len(x.Facets) == 0 {
			f.t.Fatalf("%+v, %v", x, err)
		}
		for _, p := range f.all(keyspace.Facet) { // that of who came back
			if slices.Contains(x.Facets, [16]byte(p.k[1:])) {
				f.refold(p, 3)
			}
		}
	}},
	{"an erased facet's history is back", keyspace.History, "erased its facet", func(f *folder) {
		x, err := verify.ReadErasure(f.all(keyspace.Erasure)[0].v)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, p := range f.all(keyspace.History) {
			m, owner, _, _, _ := keyspace.ParseHistory(p.k)
			if slices.Contains(x.Facets, owner) {
				list := f.items(p)
				list[0].seq = 3
				f.rechunk(m, owner, list[:1])
				return
			}
		}
		f.t.Fatal("nobody came back")
	}},
	{"the audit log has a gap", keyspace.Audit, "are missing", func(f *folder) { f.put(keyspace.AppendAudit(nil, 3), []byte{1}) }},
	{"a key of no space", 0x77, "no space", func(f *folder) { f.put([]byte{0x77, 1}, nil) }},
	{"a key that is cut short", keyspace.Facet, "is not one of space", func(f *folder) { f.put([]byte{byte(keyspace.Facet), 1}, nil) }},
	{"a setting that no version knows", keyspace.Meta, "no setting", func(f *folder) { f.put(keyspace.AppendMeta(nil, "colour"), nil) }},
}

// link adds an operator's link to a pair's record.
func (f *folder) link(p pair) {
	f.reseal(p, func(plain []byte) []byte {
		x, err := graph.DecodePair(plain)
		if err != nil {
			f.t.Fatal(err)
		}
		x.Add(graph.Evidence{ID: graph.EvidenceID{9}, Kind: graph.Link, A: x.A, B: x.B, Trust: id.Admin, Time: 1 << 45})
		return x.AppendBinary(nil)
	})
}

func TestEachTamperingIsFoundAndNamed(t *testing.T) {
	w := openWriter(t, vfs.NewCrashableMem(), begin)
	w.fill()
	w.close()
	for _, x := range tamperings {
		t.Run(x.name, func(t *testing.T) {
			fs := w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
			f := &folder{t: t}
			f.db, f.v = openFolder(t, fs)
			x.do(f)
			if err := f.db.Close(); err != nil {
				t.Fatal(err)
			}
			f.db, f.v = openFolder(t, fs)
			defer f.db.Close()
			report := check(t, f.db, f.v, w.clock, nil)
			for _, fault := range report.Faults {
				if fault.Space == x.space && strings.Contains(fault.What, x.says) {
					return
				}
			}
			t.Errorf("no fault in %s says %q: %v", verify.SpaceName(x.space), x.says, report.Err())
		})
	}
}

// A key that seals nothing is left by nobody's fault; it is told, and harmless.
func TestAnOrphanedKeyIsAWarning(t *testing.T) {
	w := openWriter(t, vfs.NewMem(), begin)
	w.fill()
	w.close()
	f := &folder{t: t}
	f.db, f.v = openFolder(t, w.fs)
	defer f.db.Close()
	before := check(t, f.db, f.v, w.clock, nil)
	f.commit(func(b *engine.Batch) {
		if _, err := f.v.FacetKey([16]byte{1, 2, 3}, true, b); err != nil {
			t.Fatal(err)
		}
	})
	after := check(t, f.db, f.v, w.clock, nil)
	if err := after.Err(); err != nil {
		t.Error(err)
	}
	if after.WarnCount != before.WarnCount+1 || !slices.ContainsFunc(after.Warnings, func(x verify.Fault) bool { return strings.Contains(x.What, "orphan") }) {
		t.Errorf("warnings: %v", after.Warnings)
	}
}
