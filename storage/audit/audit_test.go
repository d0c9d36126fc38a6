package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/vault"
)

var master = bytes.Repeat([]byte{7}, 32)

// bench is one install: a store in memory and a head file on the disk.
type bench struct {
	fs   vfs.FS
	file string
	now  int64 // ms since 1970
	logs bytes.Buffer

	db  *engine.DB
	log *Log
}

func newBench(t testing.TB) *bench {
	return &bench{fs: vfs.NewMem(), file: filepath.Join(t.TempDir(), "keys", "audit-head"), now: 1_700_000_000_000}
}

func (b *bench) options() Options {
	return Options{
		DB: b.db, HeadFile: b.file, HeadEvery: time.Hour,
		Now:    func() time.Time { return time.UnixMilli(b.now) },
		Logger: slog.New(slog.NewTextHandler(&b.logs, nil)),
	}
}

// tryOpen opens the store and the log; change may be nil.
func (b *bench) tryOpen(t testing.TB, change func(*Options)) error {
	t.Helper()
	var o Options
	if change != nil {
		change(&o)
	}
	var err error
	b.db, err = engine.Open(engine.Options{Dir: "data", FS: b.fs, CacheBytes: 1 << 20, ReadOnly: o.DB != nil, Logger: slog.New(slog.DiscardHandler), Exit: func(int) {}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(b.db, master)
	if err != nil {
		t.Fatal(err)
	}
	o = b.options()
	if change != nil {
		change(&o)
	}
	o.DB, o.Keys = b.db, v
	b.log, err = Open(o)
	return err
}

func (b *bench) open(t testing.TB, change func(*Options)) {
	t.Helper()
	if err := b.tryOpen(t, change); err != nil {
		t.Fatal(err)
	}
}

// readOnly is a change of options that opens the store for reading only.
func readOnly(o *Options) {
	if o.DB == nil {
		o.DB = new(engine.DB)
	}
}

func (b *bench) close(t testing.TB) {
	t.Helper()
	if b.log != nil {
		if err := b.log.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := b.db.Close(); err != nil {
		t.Error(err)
	}
	b.log = nil
}

func (b *bench) append(t testing.TB, e Entry) uint64 {
	t.Helper()
	n, err := b.log.Append(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fill appends entries until the log ends with last, at any speed.
func (b *bench) fill(t testing.TB, last uint64) {
	t.Helper()
	b.log.mu.Lock()
	n := last - b.log.tip.n
	b.log.mu.Unlock()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := b.log.Append(context.Background(), Entry{Actor: "key " + fmt.Sprint(i), Action: "person.read", Object: "p_x"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func (b *bench) read(t testing.TB, q Query) (all []Record) {
	t.Helper()
	if err := b.log.Read(context.Background(), q, func(r Record) (bool, error) { all = append(all, r); return true, nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func (b *bench) verify(t testing.TB, expect ...Head) Report {
	t.Helper()
	r, err := b.log.Verify(context.Background(), VerifyOptions{Expect: expect})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK != (len(r.Faults) == 0) {
		t.Errorf("OK is %v with %d faults", r.OK, len(r.Faults))
	}
	return r
}

func TestEntriesOutliveARestart(t *testing.T) {
	b := newBench(t)
	b.open(t, nil)
	entries := []Entry{
		{Actor: "ops", Role: "admin", Action: "person.read", Object: "p_abc", Outcome: "ok", Remote: "192.0.2.1", Detail: json.RawMessage(`{"view":"all"}`)},
		{Actor: "ops", Action: "x"},
		{Actor: "Zoë\n", Role: strings.Repeat("r", 64), Action: strings.Repeat("a", 64), Object: strings.Repeat("o", 512), Outcome: strings.Repeat("u", 64), Remote: strings.Repeat("1", 64), Detail: json.RawMessage(`"` + strings.Repeat("d", MaxDetail-2) + `"`)},
	}
	for i, e := range entries {
		if n := b.append(t, e); n != uint64(i+1) {
			t.Errorf("entry %d got number %d", i+1, n)
		}
		b.now += 1001
	}
	for range 2 {
		all := b.read(t, Query{From: 1})
		if len(all) != len(entries) {
			t.Fatalf("%d entries", len(all))
		}
		prev := genesis(b.log.PublicKey())
		for i, r := range all {
			if !reflect.DeepEqual(r.Entry, entries[i]) || r.N != uint64(i+1) || r.Prev != prev || r.Time.UnixMilli() != 1_700_000_000_000+1001*int64(i) {
				t.Errorf("%+v, want %+v", r, entries[i])
			}
			prev = r.Hash
		}
		if r := b.verify(t); !r.OK || r.Entries != 3 || r.First != 1 || r.Last != 3 {
			t.Errorf("%+v", r)
		}
		b.close(t)
		b.open(t, nil)
	}
	if n := b.append(t, entries[1]); n != 4 {
		t.Errorf("after a restart the numbers go on with %d", n)
	}
	b.close(t)
}

func TestEntriesThatAreRefused(t *testing.T) {
	b := newBench(t)
	b.open(t, nil)
	for name, e := range map[string]Entry{
		"Actor is empty":             {Action: "a"},
		"Action is empty":            {Actor: "a"},
		"Actor has 257 bytes":        {Actor: strings.Repeat("a", 257), Action: "a"},
		"Role has 65 bytes":          {Actor: "a", Action: "a", Role: strings.Repeat("a", 65)},
		"Object has 513 bytes":       {Actor: "a", Action: "a", Object: strings.Repeat("a", 513)},
		"Action audit.restored is":   {Actor: "reuna", Action: ActionRestored},
		"Outcome is not UTF-8":       {Actor: "a", Action: "a", Outcome: "\xff"},
		"Detail of 1 bytes is not":   {Actor: "a", Action: "a", Detail: []byte("{")},
		"Detail of 3 bytes is not":   {Actor: "a", Action: "a", Detail: []byte("\"\xff\"")},
		"Detail has 4097 bytes":      {Actor: "a", Action: "a", Detail: []byte(`"` + strings.Repeat("d", MaxDetail-1) + `"`)},
		"Remote has 65 bytes, at mo": {Actor: "a", Action: "a", Remote: strings.Repeat(":", 65)},
	} {
		if _, err := b.log.Append(context.Background(), e); !errors.Is(err, ErrEntry) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := b.append(t, Entry{Actor: "a", Action: "a", Detail: []byte(" { \"a\" : 1 }\n")}); n != 1 {
		t.Errorf("a refused entry took a number: %d", n)
	}
	if got := b.read(t, Query{}); string(got[0].Detail) != `{"a":1}` {
		t.Errorf("%s", got[0].Detail)
	}
	l := b.log
	b.close(t)
	for range 2 {
		if _, err := l.Append(context.Background(), Entry{Actor: "a", Action: "a"}); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	b.open(t, readOnly)
	if _, err := b.log.Append(context.Background(), Entry{Actor: "a", Action: "a"}); !errors.Is(err, engine.ErrReadOnly) {
		t.Error(err)
	}
	b.close(t)
}

// Entries that come at once share commits, and each caller gets its own number.
func TestManyAtOnce(t *testing.T) {
	b := newBench(t)
	b.open(t, nil)
	const callers, each = 32, 20
	var wg sync.WaitGroup
	var mu sync.Mutex
	said := map[uint64]string{}
	for c := range callers {
		wg.Go(func() {
			var before uint64
			for i := range each {
				name := fmt.Sprintf("%d/%d", c, i)
				n, err := b.log.Append(context.Background(), Entry{Actor: name, Action: "a"})
				if err != nil || n <= before {
					t.Errorf("%s: %d after %d, %v", name, n, before, err)
					return
				}
				before = n
				mu.Lock()
				said[n] = name
				mu.Unlock()
			}
		})
	}
	for range 20 { // meanwhile
		if r := b.verify(t); !r.OK {
			t.Fatalf("%+v", r)
		}
	}
	wg.Wait()
	all := b.read(t, Query{From: 1})
	if len(all) != callers*each {
		t.Fatalf("%d entries", len(all))
	}
	for i, r := range all {
		if r.N != uint64(i+1) || r.Actor != said[r.N] {
			t.Errorf("entry %d is %d %q, was %q", i+1, r.N, r.Actor, said[r.N])
		}
	}
	if r := b.verify(t); !r.OK || r.Entries != callers*each {
		t.Errorf("%+v", r)
	}
	b.close(t)
}

func TestRead(t *testing.T) {
	b := newBench(t)
	b.open(t, nil)
	for i := range 10 {
		b.append(t, Entry{Actor: []string{"anna", "ben"}[i%2], Action: []string{"person.read", "person.erase", "personal"}[i%3], Object: fmt.Sprintf("p_%d", i/5)})
	}
	for _, c := range []struct {
		name string
		q    Query
		want string
	}{
		{"all, newest first", Query{}, "10 9 8 7 6 5 4 3 2 1"},
		{"a page", Query{Limit: 3}, "10 9 8"},
		{"the page after it", Query{Limit: 3, Before: 8}, "7 6 5"},
		{"oldest first", Query{From: 8}, "8 9 10"},
		{"between", Query{From: 3, Before: 6}, "3 4 5"},
		{"behind the end", Query{From: 11}, ""},
		{"before the first", Query{Before: 1}, ""},
		{"far bounds", Query{From: 9, Before: 1 << 63}, "9 10"},
		{"one actor", Query{Actor: "ben", Limit: 2}, "10 8"},
		{"one action", Query{Action: "person.erase"}, "8 5 2"},
		{"a family of actions", Query{Action: "person.", From: 1}, "1 2 4 5 7 8 10"},
		{"one object", Query{Object: "p_0", From: 1}, "1 2 3 4 5"},
		{"all of these", Query{Actor: "anna", Action: "person.read", Object: "p_1"}, "7"},
	} {
		var got []string
		for _, r := range b.read(t, c.q) {
			got = append(got, fmt.Sprint(r.N))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
	calls, stop := 0, errors.New("stop")
	if err := b.log.Read(context.Background(), Query{}, func(Record) (bool, error) { calls++; return true, stop }); !errors.Is(err, stop) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	calls = 0
	if err := b.log.Read(context.Background(), Query{}, func(Record) (bool, error) { calls++; return calls < 4, nil }); err != nil || calls != 4 {
		t.Errorf("%v after %d calls", err, calls)
	}
	b.close(t)
}

func TestReadAndVerifyStopWithTheirContext(t *testing.T) {
	b := newBench(t)
	b.open(t, nil)
	b.fill(t, HeadInterval+1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.log.Read(ctx, Query{Actor: "nobody"}, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if r, err := b.log.Verify(ctx, VerifyOptions{}); !errors.Is(err, context.Canceled) || r.OK {
		t.Error(r.OK, err)
	}
	b.close(t)
}

// What was said stands in no file in clear, in the store or beside it.
func TestCanary(t *testing.T) {
	dir := t.TempDir()
	db, err := engine.Open(engine.Options{Dir: filepath.Join(dir, "data"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(db, master)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(Options{DB: db, Keys: v, HeadFile: filepath.Join(dir, "keys", "head"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := l.Append(context.Background(), Entry{Actor: "canary-actor", Role: "canary-role", Action: "canary-action", Object: "canary-object",
			Outcome: "canary-outcome", Remote: "canary-remote", Detail: []byte(`{"canary-detail":1}`)})
		if err != nil {
			t.Fatal(err)
		}
	}
	grep := func() {
		t.Helper()
		files := 0
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			data, err := os.ReadFile(path)
			if bytes.Contains(data, []byte("canary")) {
				t.Errorf("%s tells a canary", path)
			}
			return err
		})
		if err != nil || files < 4 {
			t.Errorf("%d files, %v", files, err)
		}
	}
	grep()
	if err := errors.Join(l.Close(), db.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
	grep()
}
