package graph

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/id"
)

var (
	userOne   = id.ID{Type: id.UserID, Value: "u1"}
	deviceOne = id.ID{Type: id.AnonymousID, Value: "a1"}
)

// randomPairLog is evidence between two identifiers, stated from either side.
func randomPairLog(rng *rand.Rand) []Evidence {
	log := make([]Evidence, rng.IntN(12))
	for i := range log {
		e := Evidence{Kind: Kind(1 + rng.IntN(3)), A: userOne, B: deviceOne, Trust: id.Trust(1 + rng.IntN(3)), Time: rng.Int64N(20) - 5}
		e.ID[3], e.Lifts[3] = byte(rng.IntN(5)), byte(rng.IntN(5))
		if rng.IntN(2) == 0 {
			e.A, e.B = e.B, e.A
		}
		log[i] = e
	}
	return log
}

func pairOf(log []Evidence) Pair {
	p := NewPair(userOne, deviceOne)
	for _, e := range log {
		p.Add(e)
	}
	return p
}

// Any split, order and repetition of the same evidence ends in the same bytes.
func TestPairIsAMonoid(t *testing.T) {
	seed := testSeed(t)
	for round := range 20_000 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		log := randomPairLog(rng)
		want := pairOf(log)
		parts := make([]Pair, 1+rng.IntN(3))
		for i := range parts {
			parts[i] = NewPair(deviceOne, userOne)
		}
		for _, i := range rng.Perm(len(log)) {
			parts[rng.IntN(len(parts))].Add(log[i])
			parts[rng.IntN(len(parts))].Add(log[i])
		}
		var got Pair
		for _, i := range rng.Perm(len(parts)) {
			got.Merge(&parts[i])
		}
		a, b := want.AppendBinary(nil), got.AppendBinary(nil)
		if !bytes.Equal(a, b) {
			t.Fatalf("round %d:\n%x\n%x\n%s", round, a, b, logText(log))
		}
		back, err := DecodePair(a)
		if err != nil || !bytes.Equal(back.AppendBinary(nil), a) {
			t.Fatalf("round %d: %x came back as %+v, %v", round, a, back, err)
		}
		if c := back.Merge(&want); c.Changed() {
			t.Fatalf("round %d: merging what is there already changed %v", round, c)
		}
	}
}

// Change speaks exactly when the bytes or a view's sight of the pair change.
func TestChangeTellsWhatChanged(t *testing.T) {
	seed := testSeed(t)
	for round := range 20_000 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		p := NewPair(userOne, deviceOne)
		for _, e := range randomPairLog(rng) {
			before, was := p.AppendBinary(nil), [2]state{p.at(0), p.at(1)}
			c := p.Add(e)
			if changed := !bytes.Equal(before, p.AppendBinary(nil)); changed != c.Changed() {
				t.Fatalf("round %d: Changed is %v, the bytes say %v", round, c.Changed(), changed)
			}
			for v, w := range was {
				now := p.at(id.View(v))
				if now.holds() != p.holds(id.View(v)) {
					t.Fatalf("round %d: holds and at disagree", round)
				}
				if now.cut && w.cut {
					now, w = state{cut: true}, state{cut: true}
				}
				newest := now.newest != w.newest
				now.newest, w.newest = Stamp{}, Stamp{}
				if c.Newest(id.View(v)) != newest || c.Shape(id.View(v)) != (now != w) {
					t.Fatalf("round %d: %08b after %v for %v view: %+v to %+v", round, c, e, id.View(v), w, now)
				}
			}
		}
	}
}

func TestWhoMayLift(t *testing.T) {
	for _, c := range []struct {
		cut, lift     id.Trust
		verified, all bool // the cut still stands
	}{
		{id.Admin, 0, true, true},
		{id.Admin, id.Admin, false, false},
		{id.Admin, id.Verified, true, true},
		{id.Verified, id.Admin, false, false},
		{id.Claimed, 0, false, true},
		{id.Claimed, id.Claimed, false, false},
	} {
		p := NewPair(userOne, deviceOne)
		cutID := EvidenceID{9}
		if c.lift != 0 {
			p.Add(Evidence{ID: EvidenceID{8}, Kind: Lift, A: userOne, B: deviceOne, Trust: c.lift, Lifts: cutID})
		}
		p.Add(Evidence{ID: cutID, Kind: Cut, A: userOne, B: deviceOne, Trust: c.cut})
		if got := len(p.Cuts(id.VerifiedView)) > 0; got != c.verified {
			t.Errorf("%v cut, %v lift: stands at the verified view: %v", c.cut, c.lift, got)
		}
		if got := len(p.Cuts(id.AllView)) > 0; got != c.all {
			t.Errorf("%v cut, %v lift: stands at the view of all: %v", c.cut, c.lift, got)
		}
	}
}

func TestNobodyVouches(t *testing.T) {
	p := NewPair(userOne, deviceOne)
	for _, e := range []Evidence{
		{Kind: Link, A: userOne, B: deviceOne},
		{Kind: Link, A: userOne, B: deviceOne, Trust: 4},
		{A: userOne, B: deviceOne, Trust: id.Admin},
	} {
		if c := p.Add(e); c.Changed() || !p.IsEmpty() {
			t.Errorf("%+v changed the pair", e)
		}
	}
}

func TestAnotherPairPanics(t *testing.T) {
	for name, fn := range map[string]func(){
		"add":  func() { p := NewPair(userOne, deviceOne); p.Add(Evidence{A: userOne, B: id.ID{Type: "x", Value: "y"}}) },
		"self": func() { NewPair(userOne, userOne) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			fn()
		}()
	}
}

func goldenPairs() map[string]Pair {
	stamp := func(b byte) (x EvidenceID) {
		for i := range x {
			x[i] = b
		}
		return x
	}
	link := func(trust id.Trust, time int64, b byte) Evidence {
		return Evidence{ID: stamp(b), Kind: Link, A: userOne, B: deviceOne, Trust: trust, Time: time}
	}
	return map[string]Pair{
		"empty":  pairOf(nil),
		"single": pairOf([]Evidence{link(id.Claimed, 1_700_000_000_000, 1)}),
		"full": pairOf([]Evidence{
			link(id.Claimed, -1, 1), link(id.Verified, 5, 2), link(id.Verified, 300, 3), link(id.Admin, 5, 4), link(id.Admin, 5, 5),
			{ID: stamp(6), Kind: Cut, A: userOne, B: deviceOne, Trust: id.Admin, Time: 7},
			{ID: stamp(7), Kind: Lift, A: userOne, B: deviceOne, Trust: id.Admin, Time: 8, Lifts: stamp(6)},
			{ID: stamp(8), Kind: Lift, A: userOne, B: deviceOne, Trust: id.Verified, Time: 8, Lifts: stamp(9)},
		}),
	}
}

// The bytes are on disks already: a difference here needs a new version.
func TestPairBytesAreFixed(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("testdata", "pairs_v1.txt"))
	if err != nil {
		t.Fatal(err)
	}
	pairs := goldenPairs()
	for line := range strings.Lines(string(file)) {
		name, want, _ := strings.Cut(strings.TrimSpace(line), " ")
		p, ok := pairs[name]
		if !ok {
			t.Fatalf("no pair %q", name)
		}
		delete(pairs, name)
		if got := hex.EncodeToString(p.AppendBinary(nil)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
		b, err := hex.DecodeString(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodePair(b); err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%s: decoded %+v (%v), want %+v", name, got, err, p)
		}
		for n := range b {
			if _, err := DecodePair(b[:n]); err == nil {
				t.Errorf("%s: took the first %d of %d bytes", name, n, len(b))
			}
		}
	}
	if len(pairs) > 0 {
		t.Errorf("not in the file: %v", pairs)
	}
}

func FuzzDecodePair(f *testing.F) {
	for _, p := range goldenPairs() {
		f.Add(p.AppendBinary(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePair(b)
		if err != nil {
			return
		}
		if again := p.AppendBinary(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x is taken, and written as %x", b, again)
		}
		if q := p; q.Merge(&p).Changed() {
			t.Fatal("merged with itself it changes")
		}
	})
}
