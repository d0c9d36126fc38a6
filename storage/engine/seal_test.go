package engine

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The layout is on disk: a change is a decision.
func TestSealIsPinned(t *testing.T) {
	got := hex.EncodeToString(encodeSeal(manifestState{1, 2, 3}, manifestState{0x01020304, 0x05, 0x06}))
	want := "7265756e61534c01" +
		"00000001" + "0000000000000002" + "0000000000000003" + "0000000000000000" +
		"01020304" + "0000000000000005" + "0000000000000006" + "0000000000000000" +
		"123699a247a0c00d"
	if got != want {
		t.Errorf("seal:\n%s, want\n%s", got, want)
	}
}

func FuzzSeal(f *testing.F) {
	f.Add(encodeSeal(manifestState{1, 2, 3}, manifestState{}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		states, err := decodeSeal(data)
		if err != nil && !errors.Is(err, ErrDamaged) || len(states) > 2 {
			t.Errorf("%x: %v, %v", data, states, err)
		}
	})
}

func FuzzManifestMarker(f *testing.F) {
	f.Add("marker.manifest.000001.MANIFEST-000001 x")
	f.Add("marker.manifest.000009.MANIFEST-000002 marker.manifest.10.MANIFEST-000003")
	f.Fuzz(func(t *testing.T, names string) {
		base, found := manifestMarker(strings.Fields(names))
		if found && !strings.Contains(names, base) || !found && base != "" {
			t.Errorf("%q: %q, %v", names, base, found)
		}
		if n, ok := manifestNumber(base); ok && n == 0 {
			t.Errorf("%q is number 0", base)
		}
	})
}

// A power cut at any operation of an opening or of a few new MANIFESTs leaves
// a folder that opens with everything in it: the seal is never ahead.
func TestPowerCutAtOpen(t *testing.T) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, seed))
	check := func(at int64, fs vfs.FS, n int) {
		t.Helper()
		for range 2 {
			db := mustOpen(t, Options{FS: fs})
			for i := range n {
				if found, err := db.Get(fmt.Appendf(nil, "k%d", i), func([]byte) error { return nil }); !found || err != nil {
					t.Fatalf("cut %d: key %d: %v, %v (seed %d)", at, i, found, err, seed)
				}
			}
			mustSet(t, db, "more", "x")
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
			mustClose(t, db)
		}
	}
	for round := range 6 {
		for at := int64(0); ; at++ {
			mem := vfs.NewCrashableMem()
			cut := &cutter{FS: mem, mem: mem, rng: rng}
			for range round { // MANIFESTs before
				mustClose(t, mustOpen(t, Options{FS: cut}))
			}
			n := 0
			if round > 0 {
				db := mustOpen(t, Options{FS: cut})
				for n = range 5 {
					mustSet(t, db, fmt.Sprintf("k%d", n), "v")
				}
				n++
				mustClose(t, db)
			}
			cut.after(at)
			db := mustOpen(t, Options{FS: cut})
			mustSet(t, db, "another", "v")
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
			mustClose(t, db)
			if cut.clone == nil {
				break
			}
			check(at, cut.clone, n)
		}
	}
}

// What Pebble would take for a new or an older store is refused, before it
// deletes anything.
func TestLostMarker(t *testing.T) {
	mem := vfs.NewMem()
	db := mustOpen(t, Options{FS: mem})
	mustSet(t, db, "a", "1")
	mustClose(t, db)
	db = mustOpen(t, Options{FS: mem}) // a second MANIFEST
	mustSet(t, db, "b", "2")
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)
	list := func() string {
		names, err := mem.List("data")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(names, "\n")
	}
	var marker, older string
	for _, name := range strings.Fields(list()) {
		if strings.HasPrefix(name, "marker.manifest.") {
			marker = name
		}
		if strings.HasPrefix(name, "MANIFEST-") && (older == "" || name < older) {
			older = name
		}
	}
	if strings.HasSuffix(marker, older) {
		t.Fatalf("no older MANIFEST in %s", list())
	}
	before := len(strings.Fields(list()))
	for _, to := range []string{"marker.manifesT" + marker[len("marker.manifest"):], marker[:len(marker)-len(older)] + older} {
		if err := mem.Rename("data/"+marker, "data/"+to); err != nil {
			t.Fatal(err)
		}
		for _, ro := range []bool{true, false} {
			if db, err := Open(Options{Dir: "data", FS: mem, Logger: quiet(), ReadOnly: ro}); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", to, err)
				if err == nil {
					mustClose(t, db)
				}
			}
		}
		if n := len(strings.Fields(list())); n != before {
			t.Errorf("%d files of %d are left:\n%s", n, before, list())
		}
		if err := mem.Rename("data/"+to, "data/"+marker); err != nil {
			t.Fatal(err)
		}
	}
	db = mustOpen(t, Options{FS: mem})
	if got := scan(t, db.Iter, "a", "c"); got != "a=1 b=2" {
		t.Errorf("afterwards: %s", got)
	}
	mustClose(t, db)
}

func TestDecodeSeal(t *testing.T) {
	cur, next := manifestState{7, 100, 5}, manifestState{9, 3, 4}
	good := encodeSeal(cur, next)
	if states, err := decodeSeal(good); err != nil || len(states) != 2 || states[0] != cur || states[1] != next {
		t.Errorf("%v, %v", states, err)
	}
	if states, err := decodeSeal(encodeSeal(cur, manifestState{})); err != nil || len(states) != 1 {
		t.Errorf("%v, %v", states, err)
	}
	for _, data := range [][]byte{nil, make([]byte, sealBytes)} {
		if states, err := decodeSeal(data); err != nil || states != nil {
			t.Errorf("unwritten: %v, %v", states, err)
		}
	}
	for bit := range sealBytes * 8 {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := decodeSeal(bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("bit %d: %v", bit, err)
		}
	}
}
