package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

// hand changes the store behind the log's back.
type hand struct {
	t  *testing.T
	db *engine.DB
	// With the keys, as only the install itself has them.
	log   *Log
	file  string
	at512 []byte // the head file as it was at entry 512
}

func at(n uint64) []byte     { return keyspace.AppendAudit(nil, n) }
func headAt(n uint64) []byte { return keyspace.AppendAuditHead(nil, n) }

func (h *hand) get(key []byte) (val []byte) {
	h.t.Helper()
	found, err := h.db.Get(key, func(v []byte) error { val = slices.Clone(v); return nil })
	if err != nil || !found {
		h.t.Fatalf("key %x: found %v, %v", key, found, err)
	}
	return val
}

func (h *hand) set(key, val []byte) {
	h.t.Helper()
	b := h.db.NewBatch()
	if b.Set(key, val); val == nil {
		b.Delete(key)
	}
	if err := b.Commit(false); err != nil { // the close writes it
		h.t.Fatal(err)
	}
}

func (h *hand) flip(key []byte, i int) {
	v := h.get(key)
	v[i] ^= 4
	h.set(key, v)
}

func (h *hand) delete(from, to uint64) {
	for n := from; n <= to; n++ {
		h.set(at(n), nil)
	}
}

// rewrite makes entries from..to anew, from one on with another text, the way
// the install would; heads signs the stored heads on the way too.
func (h *hand) rewrite(from, to uint64, heads bool) tip {
	prev := tip{n: from - 1}
	r, err := h.log.open(from-1, h.get(at(from-1)), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	prev.hash = r.Hash
	for n := from; n <= to; n++ {
		if r, err = h.log.open(n, h.get(at(n)), nil); err != nil {
			h.t.Fatal(err)
		}
		if n == from {
			r.Actor = "somebody else"
		}
		prev = tip{n, h.log.seal(n, r.Time.UnixMilli(), prev.hash, r.appendFields(nil, r.Detail))}
		h.set(at(n), h.log.sealed)
		if heads && (n%HeadInterval == 0 || n == to) {
			h.set(headAt(n), h.log.signHead(prev, 1).appendValue(nil))
		}
	}
	return prev
}

func (h *hand) writeFile(content []byte) {
	if err := os.WriteFile(h.file, content, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// tamperings are done to a log of 600 entries whose heads are signed at 256,
// 512 and 600, and what Verify says of them in a store open for reading only.
var tamperings = []struct {
	name string
	do   func(h *hand)
	want string // kind first-last, …
}{
	{"nothing", func(h *hand) {}, ""},
	{"an entry edited", func(h *hand) { h.flip(at(300), 40) }, "damaged 300-300"},
	{"the first edited", func(h *hand) { h.flip(at(1), 0) }, "damaged 1-1"},
	{"an entry under a head edited", func(h *hand) { h.flip(at(512), 40) }, "damaged 512-512"},
	{"an entry cut short", func(h *hand) { h.set(at(300), h.get(at(300))[:11]) }, "damaged 300-300"},
	{"an entry emptied", func(h *hand) { h.set(at(300), []byte{}) }, "damaged 300-300"},
	{"an entry deleted", func(h *hand) { h.delete(300, 300) }, "missing 300-300"},
	{"the first deleted", func(h *hand) { h.delete(1, 1) }, "missing 1-1"},
	{"many deleted", func(h *hand) { h.delete(250, 520) }, "missing 250-520"},
	{"two deletions", func(h *hand) { h.delete(5, 6); h.delete(9, 9) }, "missing 5-6, missing 9-9"},
	{"two swapped", func(h *hand) {
		a, b := h.get(at(300)), h.get(at(301))
		h.set(at(300), b)
		h.set(at(301), a)
	}, "moved 300-300, moved 301-301"},
	{"the rest moved up by one over a deleted entry", func(h *hand) {
		for n := uint64(597); n < 600; n++ {
			h.set(at(n), h.get(at(n+1)))
		}
		h.delete(600, 600)
	}, "moved 597-597, moved 598-598, moved 599-599, truncated 597-600"},
	{"one copied over another", func(h *hand) { h.set(at(20), h.get(at(10))) }, "moved 20-20"},
	{"one inserted behind the end", func(h *hand) { h.set(at(601), h.get(at(10))) }, "moved 601-601"},
	{"noise inserted behind the end", func(h *hand) { h.set(at(1<<60), make([]byte, 300)) }, "damaged 1152921504606846976-1152921504606846976"},
	{"a key of another length", func(h *hand) { h.set(at(300)[:5], []byte("x")) }, "damaged 0-0"},
	{"the end cut", func(h *hand) { h.delete(590, 600) }, "truncated 590-600"},
	{"the end cut with its stored head", func(h *hand) { h.delete(590, 600); h.set(headAt(600), nil) }, "truncated 590-600"},
	{"everything cut", func(h *hand) {
		h.delete(1, 600)
		for _, n := range []uint64{256, 512, 600} {
			h.set(headAt(n), nil)
		}
	}, "truncated 1-600"},
	{"everything put back to an older state", func(h *hand) { h.delete(513, 600); h.set(headAt(600), nil); h.writeFile(h.at512) }, ""}, // TestExpected sees it
	{"a head removed", func(h *hand) { h.set(headAt(512), nil) }, "head 512-512"},
	{"a head changed", func(h *hand) { h.flip(headAt(512), 10) }, "head 512-512"},
	{"a head's signature changed", func(h *hand) { h.flip(headAt(256), 60) }, "head 256-256"},
	{"a head cut short", func(h *hand) { h.set(headAt(512), h.get(headAt(512))[:50]) }, "head 512-512"},
	{"a head copied to another entry", func(h *hand) { h.set(headAt(300), h.get(headAt(512))) }, "head 300-300"},
	{"a head forged behind the end", func(h *hand) { h.set(headAt(700), h.get(headAt(600))) }, "head 700-700"},
	{"a head forged far behind it", func(h *hand) { h.set(headAt(1<<40), h.get(headAt(600))) }, "head 1099511627776-1099511627776"},
	{"the head file removed", func(h *hand) {
		if err := os.Remove(h.file); err != nil {
			h.t.Fatal(err)
		}
	}, "head_file 0-0"},
	{"the head file emptied", func(h *hand) { h.writeFile(nil) }, "head_file 0-0"},
	{"the head file edited", func(h *hand) {
		h.writeFile([]byte(strings.Replace(string(h.at512), `"n": 512`, `"n": 511`, 1)))
	}, "head_file 511-511"},
	{"another install's head file", func(h *hand) {
		other := Log{sign: ed25519.NewKeyFromSeed(make([]byte, 32))}
		other.public = other.sign.Public().(ed25519.PublicKey)
		if err := WriteHeadFile(h.file, other.signHead(tip{n: 600}, 1)); err != nil {
			h.t.Fatal(err)
		}
	}, "head_file 600-600"},
	{"with the keys, an entry written anew", func(h *hand) { h.rewrite(300, 300, false) }, "chain 301-301"},
	{"with the keys, an entry under a head written anew", func(h *hand) { h.rewrite(512, 512, false) }, "head 512-512, chain 513-513"},
	{"with the keys, the last written anew", func(h *hand) { h.rewrite(600, 600, false) }, "head 600-600, head_file 600-600"},
	{"with the keys, half the log written anew", func(h *hand) { h.rewrite(300, 600, false) }, "head 512-512, head 600-600, head_file 600-600"},
	{"with the keys, its heads too", func(h *hand) { h.rewrite(300, 600, true) }, "head_file 600-600"},
	{"with the keys, the head file too", func(h *hand) {
		if err := WriteHeadFile(h.file, h.log.signHead(h.rewrite(300, 600, true), 1)); err != nil {
			h.t.Fatal(err)
		}
	}, ""}, // TestExpected sees it
}

// tampered makes the log of 600 entries, has it changed, and opens it for
// reading only.
func tampered(t *testing.T, do func(*hand)) (*bench, Head) {
	t.Helper()
	b := newBench(t)
	b.open(t, nil)
	b.fill(t, 512)
	if _, err := b.log.Sign(); err != nil {
		t.Fatal(err)
	}
	at512, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	b.fill(t, 600)
	l := b.log
	b.close(t)
	kept, err := l.Head()
	if err != nil || kept.N != 600 {
		t.Fatalf("the head after Close is %d, %v", kept.N, err)
	}
	db, err := engine.Open(engine.Options{Dir: "data", FS: b.fs, CacheBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h := &hand{t: t, db: db, log: l, file: b.file, at512: at512}
	for n := uint64(1); n < 600; n++ {
		if n%HeadInterval != 0 {
			h.set(headAt(n), nil) // one was signed there when the log was that long for a moment
		}
	}
	do(h)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b.open(t, readOnly)
	return b, kept
}

func said(r Report) string {
	var s []string
	for _, f := range r.Faults {
		s = append(s, fmt.Sprintf("%s %d-%d", f.Kind, f.From, f.To))
	}
	return strings.Join(s, ", ")
}

func TestTampering(t *testing.T) {
	for _, c := range tamperings {
		t.Run(c.name, func(t *testing.T) {
			b, kept := tampered(t, c.do)
			r := b.verify(t)
			if got := said(r); got != c.want {
				t.Errorf("Verify says %q, wanted %q\n%+v", got, c.want, r.Faults)
			}
			if c.want == "" && (r.First != 1 || r.Entries != r.Last || r.Head == nil || r.Head.N != r.Last || r.Head.Verify(b.log.PublicKey()) != nil) {
				t.Errorf("%+v", r)
			}
			// What does not open is shown, and nothing is shown that was not written.
			if err := b.log.Read(context.Background(), Query{}, func(r Record) (bool, error) {
				if r.Fault == "" && r.Object != "p_x" {
					t.Errorf("%+v", r)
				}
				return true, nil
			}); err != nil {
				t.Error(err)
			}
			// Who kept a head sees also what the install itself cannot.
			if got := b.verify(t, kept); c.name != "nothing" && got.OK {
				t.Errorf("with the kept head: %+v", got)
			}
			b.close(t)
		})
	}
}

func TestExpected(t *testing.T) {
	for _, c := range tamperings {
		want := map[string]string{
			"nothing":                               "",
			"everything put back to an older state": "truncated 513-600",
			"with the keys, the head file too":      "expected 600-600",
		}
		says, ok := want[c.name]
		if !ok {
			continue
		}
		b, kept := tampered(t, c.do)
		if got := said(b.verify(t, kept)); got != says {
			t.Errorf("%s: %q, wanted %q", c.name, got, says)
		}
		forged := kept
		forged.N++
		if got := said(b.verify(t, forged)); got != "expected 601-601" {
			t.Errorf("%s: a forged head is expected: %q", c.name, got)
		}
		b.close(t)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	b, _ := tampered(t, func(h *hand) {
		for n := uint64(1); n <= 300; n++ {
			h.flip(at(2*n), 30)
		}
	})
	if r := b.verify(t); len(r.Faults) != MaxFaults || r.More != 200 || r.Entries != 300 {
		t.Errorf("%d faults and %d more, %d entries", len(r.Faults), r.More, r.Entries)
	}
	b.close(t)
}

// A loss that is found at a start stays told for ever, in numbers that are not
// given again, unless the start says that it follows a restore.
func TestGoingOnAfterALoss(t *testing.T) {
	cut := func(h *hand) { h.delete(590, 600); h.set(headAt(600), nil) }
	noFile := func(h *hand) {
		if err := os.Remove(h.file); err != nil {
			h.t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name     string
		do       func(*hand)
		restored bool
		next     uint64
		action   string
		detail   string
		faults   string
		notes    int
	}{
		{"the end cut", cut, false, 601, ActionLost, `{"first":590,"last":600}`, "missing 590-600", 0},
		{"the end cut, restored", cut, true, 601, ActionRestored, `{"first":590,"last":600}`, "", 1},
		{"no head file", noFile, false, 601, ActionHeadFile, `{"last":600}`, "head_file 601-601", 0},
		{"no head file, restored", noFile, true, 601, ActionRestored, `{"last":600}`, "", 0},
		{"nothing, restored", func(*hand) {}, true, 601, ActionRestored, "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, kept := tampered(t, c.do)
			b.close(t)
			for i := range 3 {
				b.open(t, func(o *Options) { o.Restored = c.restored && i == 0 })
				if n := b.append(t, Entry{Actor: "a", Action: "b"}); n != c.next+1+uint64(i) {
					t.Errorf("start %d: number %d", i, n)
				}
				r := b.verify(t)
				if said(r) != c.faults || len(r.Notes) != c.notes {
					t.Errorf("start %d: %+v", i, r)
				}
				if got := b.read(t, Query{From: c.next, Limit: 1})[0]; got.N != c.next || got.Action != c.action || string(got.Detail) != c.detail || got.Actor != "reuna" {
					t.Errorf("start %d: %+v", i, got)
				}
				// Its own head, from before, is still the chain's.
				if r := b.verify(t, kept); said(r) != c.faults {
					t.Errorf("start %d: %+v", i, r)
				}
				b.close(t)
			}
		})
	}
}

// An end that does not open, and a head file that is not this install's, keep
// the log from going on over them.
func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*hand)
		want error
		says string
	}{
		{"the last entry edited", func(h *hand) { h.flip(at(600), 40) }, ErrDamaged, "entry 600"},
		{"noise behind the end", func(h *hand) { h.set(at(900), []byte("noise")) }, ErrDamaged, "entry 900"},
		{"the head file edited", func(h *hand) { h.writeFile([]byte("{}")) }, ErrHeadFile, "kind"},
		{"the head file forged", func(h *hand) {
			h.writeFile([]byte(strings.Replace(string(h.at512), `"n": 512`, `"n": 9`, 1)))
		}, ErrHeadFile, "forged"},
	} {
		b, _ := tampered(t, c.do)
		b.close(t)
		before, err := os.ReadFile(b.file)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.tryOpen(t, nil); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
		if after, err := os.ReadFile(b.file); err != nil || string(after) != string(before) {
			t.Errorf("%s: the head file was changed: %v", c.name, err)
		}
		b.close(t)
	}
}
