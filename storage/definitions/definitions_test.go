package definitions_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/definitions"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/vault"
	"github.com/reuna/reuna/storage/verify"
)

var (
	master = bytes.Repeat([]byte{7}, 32)
	quiet  = slog.New(slog.DiscardHandler)
)

type folder struct {
	t   testing.TB
	fs  *vfs.MemFS
	db  *engine.DB
	v   *vault.Vault
	log *eventlog.Log
	*definitions.Store
}

func open(t testing.TB, fs *vfs.MemFS) *folder {
	t.Helper()
	f := &folder{t: t, fs: fs}
	var err error
	f.db, err = engine.Open(engine.Options{Dir: "data", FS: fs, CacheBytes: 1 << 20, Logger: quiet, Exit: func(int) {}})
	f.must(err)
	f.v, err = vault.Open(f.db, master)
	f.must(err)
	f.log, err = eventlog.Open(f.db, f.v, eventlog.Options{MinFree: -1, Logger: quiet}) // verify wants one
	f.must(err)
	f.Store, err = definitions.Open(f.db, f.v)
	f.must(err)
	return f
}

func (f *folder) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) close() {
	f.t.Helper()
	f.must(f.log.Close())
	f.must(f.db.Close())
}

func (f *folder) reopen() *folder {
	f.t.Helper()
	f.close()
	return open(f.t, f.fs)
}

func (f *folder) change(fn func(c *definitions.Change) error) {
	f.t.Helper()
	f.must(f.Change(fn))
}

func (f *folder) put(v definitions.Version) (got definitions.Version) {
	f.t.Helper()
	f.change(func(c *definitions.Change) (err error) { got, err = c.Put(v); return err })
	return got
}

func (f *folder) verify() {
	f.t.Helper()
	r, err := verify.Run(context.Background(), verify.Options{DB: f.db, Vault: f.v, NoAudit: true})
	f.must(err)
	f.must(r.Err())
}

func version(name, body string, at int64) definitions.Version {
	return definitions.Version{Kind: definitions.Trait, Name: name, At: at, Actor: "ann", Source: definitions.API, Body: json.RawMessage(body)}
}

func TestVersionsAreNumberedThroughDeletions(t *testing.T) {
	f := open(t, vfs.NewMem())
	if v := f.put(version("orders", `{"kind":"count"}`, 10)); v.Number != 1 {
		t.Fatalf("the first version is number %d", v.Number)
	}
	if v := f.put(version("orders", `{"kind":"count"}`, 20)); v.Number != 1 || v.At != 10 {
		t.Errorf("saying the same again made version %d of %d", v.Number, v.At)
	}
	f.put(version("orders", `{"kind":"sum"}`, 30))
	gone := version("orders", "", 40)
	f.change(func(c *definitions.Change) error { _, err := c.Delete(gone); return err })
	if v, ok := f.Get(definitions.Trait, "orders"); !ok || !v.Deleted || v.Number != 3 || v.Body != nil {
		t.Errorf("after the deletion: %+v, %t", v, ok)
	}
	if list := f.Latest(definitions.Trait); len(list) != 0 {
		t.Errorf("a deleted definition is listed: %+v", list)
	}
	f = f.reopen()
	if v := f.put(version("orders", `{"kind":"sum"}`, 50)); v.Number != 4 {
		t.Errorf("what came back is version %d, want 4", v.Number)
	}
	f.put(version("another", `1`, 50))
	var numbers []uint32
	history, err := f.History(definitions.Trait, "orders")
	f.must(err)
	for _, v := range history {
		numbers = append(numbers, v.Number)
	}
	if !slices.Equal(numbers, []uint32{4, 3, 2, 1}) {
		t.Errorf("history %v, want 4 to 1", numbers)
	}
	for at, want := range map[int64]string{9: "", 10: `{"kind":"count"}`, 39: `{"kind":"sum"}`, 40: "", 50: `1 {"kind":"sum"}`} {
		list, err := f.At(at)
		f.must(err)
		var bodies []string
		for _, v := range list {
			bodies = append(bodies, string(v.Body))
		}
		if got := strings.Join(bodies, " "); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
	f.verify()
	f.close()
}

func TestWhatIsRefused(t *testing.T) {
	f := open(t, vfs.NewMem())
	long := strings.Repeat("x", 513)
	for name, fn := range map[string]func(c *definitions.Change) error{
		"no body":     func(c *definitions.Change) error { _, err := c.Put(version("a", "", 1)); return err },
		"no JSON":     func(c *definitions.Change) error { _, err := c.Put(version("a", "{", 1)); return err },
		"no name":     func(c *definitions.Change) error { _, err := c.Put(version("", "1", 1)); return err },
		"a long name": func(c *definitions.Change) error { _, err := c.Put(version(long, "1", 1)); return err },
		"a large body": func(c *definitions.Change) error {
			_, err := c.Put(version("a", `"`+strings.Repeat("x", definitions.MaxBody)+`"`, 1))
			return err
		},
		"another kind": func(c *definitions.Change) error {
			v := version("a", "1", 1)
			v.Kind = "goal"
			_, err := c.Put(v)
			return err
		},
		"another source": func(c *definitions.Change) error {
			v := version("a", "1", 1)
			v.Source = "mail"
			_, err := c.Put(v)
			return err
		},
		"nothing to delete":   func(c *definitions.Change) error { _, err := c.Delete(version("a", "", 1)); return err },
		"no fingerprint":      func(c *definitions.Change) error { _, err := c.Reserve(""); return err },
		"an unknown series":   func(c *definitions.Change) error { return c.Begin(1, 7) },
		"an unknown audience": func(c *definitions.Change) error { return c.Swept("a", "b") },
		"a job without name":  func(c *definitions.Change) error { return c.Note(definitions.Job{}) },
		"many numbers": func(c *definitions.Change) error {
			return c.Note(definitions.Job{Name: "fill", IDs: make([]uint32, 5000)})
		},
		"a skipped state": func(c *definitions.Change) error {
			x, err := c.Reserve("f")
			if err != nil {
				return nil
			}
			return c.Finish(x.ID)
		},
		"a change that fails later": func(c *definitions.Change) error {
			if _, err := c.Put(version("a", "1", 1)); err != nil {
				return nil
			}
			return fmt.Errorf("no")
		},
	} {
		if err := f.Change(fn); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if len(f.Latest(definitions.Trait))+len(f.Series())+len(f.Audiences())+len(f.Jobs()) != 0 {
		t.Error("a refused change left something")
	}
	f.close()
}

// TestNumbersAreNeverGivenTwice: a series and an audience that were dropped and
// come back are others.
func TestNumbersAreNeverGivenTwice(t *testing.T) {
	f := open(t, vfs.NewMem())
	series, audiences := map[uint32]bool{}, map[uint32]bool{}
	for range 5 {
		var x definitions.Series
		var a definitions.Audience
		f.change(func(c *definitions.Change) (err error) {
			if x, err = c.Reserve("print"); err != nil {
				return err
			}
			series[x.ID] = true // and is given up again
			a, err = c.Audience("fans")
			return err
		})
		f = f.reopen()
		f.change(func(c *definitions.Change) (err error) {
			if x, err = c.Reserve("print"); err != nil {
				return err
			}
			y, err := c.Reserve("print") // in one change the same again is the same
			if err == nil && y != x {
				t.Errorf("reserved again: %+v, was %+v", y, x)
			}
			return err
		})
		if series[x.ID] || audiences[a.ID] {
			t.Fatalf("series %d and audience %d: given before", x.ID, a.ID)
		}
		series[x.ID], audiences[a.ID] = true, true
		f.change(func(c *definitions.Change) error { return c.Begin(77, x.ID) })
		f.change(func(c *definitions.Change) error {
			if y, err := c.Reserve("print"); err != nil || y.ID != x.ID || y.State != definitions.Filling {
				t.Errorf("what is being filled was reserved again: %+v, %v", y, err)
			}
			return nil
		})
		f.change(func(c *definitions.Change) error { return c.Swept("fans", "rules 1") })
		f = f.reopen()
		if got, ok := f.SeriesOf("print"); !ok || got != (definitions.Series{ID: x.ID, Fingerprint: "print", State: definitions.Filling, Since: 77}) {
			t.Errorf("series %+v", got)
		}
		if got := f.Audiences(); len(got) != 1 || got[0] != (definitions.Audience{ID: a.ID, Name: "fans", Swept: "rules 1"}) {
			t.Errorf("audiences %+v", got)
		}
		f.verify()
		f.change(func(c *definitions.Change) error { return c.Finish(x.ID) })
		f.change(func(c *definitions.Change) error { c.Drop(x.ID); c.Retire("fans"); return nil })
		f = f.reopen()
	}
	f.close()
}

func TestJobsGoOn(t *testing.T) {
	f := open(t, vfs.NewMem())
	j := definitions.Job{Name: "fill", IDs: []uint32{3, 5}, UpTo: 1 << 40, Position: definitions.Hash{1, 255}, Events: 12, Share: 0.25, Begun: -1, Seen: 9}
	f.change(func(c *definitions.Change) error { return c.Note(j) })
	f = f.reopen()
	if got, ok := f.Job("fill"); !ok || !reflect.DeepEqual(got, j) {
		t.Errorf("%+v, want %+v", got, j)
	}
	f.verify()
	f.change(func(c *definitions.Change) error { c.End("fill"); return nil })
	f = f.reopen()
	if len(f.Jobs()) != 0 {
		t.Error("a job that ended is there")
	}
	f.close()
}

// TestAPowerCutTakesWholeChanges cuts the power at any time: what was changed
// before stands, and of the change that was being made all or nothing.
func TestAPowerCutTakesWholeChanges(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	f := open(t, vfs.NewCrashableMem())
	for n := range 30 {
		f.change(func(c *definitions.Change) error {
			if _, err := c.Put(version("a", fmt.Sprint(n), int64(n))); err != nil {
				return err
			}
			x, err := c.Reserve(fmt.Sprint("print", n))
			if err != nil {
				return err
			}
			return c.Note(definitions.Job{Name: "fill", IDs: []uint32{x.ID}})
		})
		after := f.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: r})
		f.close()
		f = open(t, after)
		v, _ := f.Get(definitions.Trait, "a")
		x, _ := f.SeriesOf(fmt.Sprint("print", n))
		j, _ := f.Job("fill")
		if v.Number != uint32(n+1) || int(x.ID) != n+1 || !slices.Equal(j.IDs, []uint32{x.ID}) {
			t.Fatalf("after the power cut %d: version %d, series %d, job of %v", n, v.Number, x.ID, j.IDs)
		}
		f.verify()
	}
	f.close()
}

// TestNothingIsReadableWithoutTheKey looks for what was said in every key and
// value.
func TestNothingIsReadableWithoutTheKey(t *testing.T) {
	f := open(t, vfs.NewMem())
	f.change(func(c *definitions.Change) error {
		_, err := c.Put(version("secret name", `"secret body"`, 1))
		if err == nil {
			_, err = c.Reserve("secret print")
		}
		if err == nil {
			_, err = c.Audience("secret audience")
		}
		if err == nil {
			err = c.Note(definitions.Job{Name: "secret job"})
		}
		return err
	})
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Definition))
	n := 0
	f.must(f.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		n++
		if bytes.Contains(k, []byte("secret")) || bytes.Contains(v, []byte("secret")) {
			t.Errorf("record %s can be read", hex.EncodeToString(k))
		}
		return true, nil
	}))
	if n != 5 {
		t.Errorf("%d records, want 5", n)
	}
	f.close()
}
