package eventlog

import (
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/vault"
)

func contains(err error, parts ...string) bool {
	for _, p := range parts {
		if err == nil || !strings.Contains(err.Error(), p) {
			return false
		}
	}
	return true
}

// The layout is on disk: a change is a decision.
func TestHeadIsPinned(t *testing.T) {
	for want, h := range map[string]head{
		"0101ffffffffffffffffff01": {1, math.MinInt64},
		"01ac0280a0abfef962":       {300, 1_700_000_000_000},
	} {
		if got := hex.EncodeToString(appendHead(nil, h)); got != want {
			t.Errorf("%+v is %s, want %s", h, got, want)
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add(appendHead(nil, head{1, math.MinInt64}))
	f.Add(appendHead(nil, head{1 << 60, 1_700_000_000_000}))
	f.Fuzz(func(t *testing.T, val []byte) {
		h, err := parseHead(val)
		if err != nil {
			return
		}
		if again, err := parseHead(appendHead(nil, h)); err != nil || again != h || h.seq == 0 {
			t.Errorf("%x is %+v, then %+v, %v", val, h, again, err)
		}
	})
}

// A log that has given up everything numbers on, and what it wrote last is
// still known to be the highest time.
func TestAllTrimmed(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openStore(t, mem, Options{})
	const future = int64(2_000_000_000_000)
	s.log.Append([]byte("from a clock that ran ahead"), future)
	s.log.Append([]byte("right again"), 1000)
	if err := s.log.Barrier().Wait(); err != nil {
		t.Fatal(err)
	}
	for _, upTo := range []uint64{2, 1, 2, 77, math.MaxUint64} { // the same again changes nothing
		if head, err := s.log.Trim(upTo); head != 3 || err != nil {
			t.Fatalf("Trim(%d): %d, %v", upTo, head, err)
		}
	}
	for range 2 {
		cut := mem.CrashClone(vfs.CrashCloneCfg{})
		s.close(t)
		mem = cut
		s = openStore(t, mem, Options{})
		if s.log.Head() != 3 || s.log.LastSeq() != 2 || s.log.Durable() != 2 {
			t.Fatalf("reopened as %d to %d", s.log.Head(), s.log.LastSeq())
		}
		if err := s.log.Read(0, nil); err != nil {
			t.Error(err)
		}
		var trimmed *TrimmedError
		for what, err := range map[string]error{"Read": s.log.Read(2, nil), "Get": s.log.Get(1, nil)} {
			if !errors.As(err, &trimmed) || trimmed.Head != 3 {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := s.log.Get(3, nil); !errors.Is(err, ErrNoEntry) {
			t.Errorf("the next entry: %v", err)
		}
		if seq, err := s.log.SeekTime(0); seq != 3 || err != nil {
			t.Errorf("SeekTime: %d, %v", seq, err)
		}
	}
	seq, ticket := s.log.Append([]byte("next"), 2000)
	if err := ticket.Wait(); seq != 3 || err != nil {
		t.Fatal(seq, err)
	}
	if err := s.log.find(3, func(_ uint64, h record.Header, _ []byte) error {
		if h.High != future || h.Max != 2000 {
			t.Errorf("block 3 has the times %d and %d", h.Max, h.High)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, ms := range []int64{0, 2000, 2001, future} {
		want := uint64(3)
		if ms > 2000 {
			want = 4
		}
		if seq, err := s.log.SeekTime(ms); seq != want || err != nil {
			t.Errorf("SeekTime(%d): %d, %v", ms, seq, err)
		}
	}
	s.close(t)
}

// The key of a day goes with the day's last block, and the last key of a log
// that nobody writes to any more when its day is over.
func TestEpochKeysGoWithTheirBlocks(t *testing.T) {
	var now atomic.Int64
	const day = vault.EpochMillis
	s := openStore(t, vfs.NewMem(), Options{Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	defer s.close(t)
	keys := func() (n int) {
		lower, upper := keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultEpoch, nil))
		if err := s.db.Iter(lower, upper, func(_, _ []byte) (bool, error) { n++; return true, nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	trim := func(upTo uint64, want int) {
		t.Helper()
		for s.log.Barrier() != (Ticket{}) { // the committer rests soon
		}
		if _, err := s.log.Trim(upTo); err != nil || keys() != want {
			t.Errorf("after Trim(%d) there are %d keys, want %d (%v)", upTo, keys(), want, err)
		}
	}
	for range 4 {
		fillBlocks(t, s, 2)
		now.Add(day)
	}
	trim(0, 4)
	trim(5, 4) // half a day
	trim(10, 3)
	trim(12, 3)
	trim(33, 1)
	fillBlocks(t, s, 1) // a fifth day's
	trim(40, 1)
	trim(45, 1) // its own day is not over
	now.Add(day - 1)
	trim(45, 1)
	if key, err := s.v.EpochKey(5); err != nil || key.ID() != 5 {
		t.Error(err)
	}
	now.Add(1)
	trim(45, 1)
	if _, err := s.v.EpochKey(5); !errors.Is(err, vault.ErrNoKey) {
		t.Errorf("the key of the last day: %v", err)
	}
}

func TestOverwriteRefusesNumbersThatFall(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{})
	defer s.close(t)
	fillBlocks(t, s, 2)
	if n, err := s.log.Overwrite([]uint64{3, 5, 4}, nil); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := s.log.Overwrite([]uint64{3, 11}, []byte("x")); !errors.Is(err, ErrNoEntry) {
		t.Errorf("past the end: %v", err)
	}
	if n, err := readAll(s.log); n != 10 || err != nil { // nothing of it was done
		t.Errorf("%d entries, %v", n, err)
	}
}

// Overwrite of more than one batch holds is synced to its end, also when the
// last block fills a batch exactly.
func TestOverwriteIsSynced(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openStore(t, mem, Options{})
	noise := make([]byte, overwriteBytes+1000)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	var seqs []uint64
	for range 3 {
		for _, e := range [][]byte{[]byte("short"), noise} {
			seq, ticket := s.log.Append(e, 1)
			if err := ticket.Wait(); err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, seq)
		}
	}
	with := noise[:overwriteBytes+10] // does not get smaller by compression
	if n, err := s.log.Overwrite(seqs, with); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	cut := mem.CrashClone(vfs.CrashCloneCfg{})
	s.close(t)
	s = openStore(t, cut, Options{})
	defer s.close(t)
	if err := s.log.Read(0, func(seq uint64, _ int64, e []byte) (bool, error) {
		if string(e) != string(with) {
			t.Errorf("entry %d has its old text after a power cut", seq)
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Blocks are the keys of exactly the blocks that hold the entries.
func TestBlocks(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{})
	defer s.close(t)
	fillBlocks(t, s, 4)
	if _, err := s.log.Trim(5); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, first, last uint64 }{
		{6, 6, 6, 6}, {8, 10, 6, 6}, {8, 11, 6, 11}, {15, 16, 11, 16}, {20, 20, 16, 16}, {2, 7, 6, 6}, {3, 99, 6, 16},
	} {
		lower, upper := s.log.Blocks(c.from, c.to)
		var got []uint64
		if err := s.db.Iter(lower, upper, func(k, _ []byte) (bool, error) {
			first, err := keyspace.ParseLogBlock(k)
			got = append(got, first)
			return true, err
		}); err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 || got[0] != c.first || got[len(got)-1] != c.last {
			t.Errorf("entries %d to %d are in blocks %v, want %d to %d", c.from, c.to, got, c.first, c.last)
		}
	}
}

// Readers of every kind beside appends, trims and overwrites: an entry is
// itself or overwritten, and what was given up is called that and nothing else.
func TestReadersMeetTrims(t *testing.T) {
	var now atomic.Int64
	s := openStore(t, vfs.NewMem(), Options{MaxBlock: 300, Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	l := s.log
	var ended atomic.Bool
	var readers, all sync.WaitGroup
	var fails, trims atomic.Int64
	ok := func(what string, err error) {
		var trimmed *TrimmedError
		switch {
		case err == nil:
		case errors.As(err, &trimmed):
			trims.Add(1)
			if trimmed.Head <= trimmed.From || trimmed.Head > l.Head() {
				t.Errorf("%s: %v, the head is %d", what, err, l.Head())
			}
		default:
			fails.Add(1)
			t.Errorf("%s: %v", what, err)
		}
	}
	right := func(seq uint64, at int64, e []byte) {
		if string(e) != entryText(seq) && string(e) != "gone" || at != int64(seq) {
			t.Errorf("entry %d is %q at %d", seq, e, at)
		}
	}
	somewhere := func(r *rand.Rand) uint64 {
		h, end := l.Head(), l.Durable() // asked once: they move
		return h + r.Uint64N(max(1, end-min(h, end)))
	}
	reader := func(fn func(r *rand.Rand)) {
		for n := range 2 {
			readers.Go(func() {
				for r := rand.New(rand.NewPCG(uint64(n), 1)); !ended.Load() && fails.Load() == 0; {
					fn(r)
				}
			})
		}
	}
	reader(func(r *rand.Rand) {
		from := l.Head()
		if r.IntN(2) == 0 {
			from = somewhere(r)
		}
		next := from
		ok("Read", l.Read(from, func(seq uint64, at int64, e []byte) (bool, error) {
			if seq != next {
				t.Errorf("Read gives %d, want %d", seq, next)
			}
			next++
			right(seq, at, e)
			return true, nil
		}))
	})
	reader(func(r *rand.Rand) {
		if seq := somewhere(r); seq > 0 && seq <= l.Durable() {
			ok("Get", l.Get(seq, func(at int64, e []byte) error { right(seq, at, e); return nil }))
			ok("GetMany", l.GetMany([]uint64{seq, seq + 1, seq + 30}[:1+r.IntN(2)*min(2, int(l.Durable()-seq)/30)], func(seq uint64, at int64, e []byte) (bool, error) {
				right(seq, at, e)
				return true, nil
			}))
		}
	})
	reader(func(r *rand.Rand) {
		want := somewhere(r)
		got, err := l.SeekTime(int64(want))
		if ok("SeekTime", err); err == nil && got != want && (got < want || got > l.Head()) {
			t.Errorf("SeekTime(%d) gives %d, head %d", want, got, l.Head())
		}
		_, _, err = l.Expired(time.Second)
		ok("Expired", err)
	})
	all.Go(func() {
		for i := uint64(1); i <= 6000; i++ {
			_, ticket := l.Append([]byte(entryText(i)), int64(i))
			if i%10 == 0 {
				if err := ticket.Wait(); err != nil {
					t.Error(err)
				}
			}
			if i%500 == 0 {
				now.Add(vault.EpochMillis) // so that keys go too
			}
		}
		ended.Store(true)
	})
	all.Go(func() {
		for r := rand.New(rand.NewPCG(5, 5)); !ended.Load(); {
			_, err := l.Trim(somewhere(r))
			ok("Trim", err)
		}
	})
	all.Go(func() {
		for r := rand.New(rand.NewPCG(6, 6)); !ended.Load(); {
			if seq := somewhere(r); seq > 0 && seq+3 < l.Durable() {
				_, err := l.Overwrite([]uint64{seq, seq + 3}, []byte("gone"))
				ok("Overwrite", err)
			}
		}
	})
	all.Wait()
	readers.Wait()
	t.Logf("%d reads met a Trim", trims.Load())
	s.close(t)
}

// What a Trim does between two steps of a reader, one by one.
func TestTrimBetweenTheStepsOfARead(t *testing.T) {
	var now atomic.Int64
	s := openStore(t, vfs.NewMem(), Options{Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	defer s.close(t)
	fillBlocks(t, s, 2)
	now.Add(vault.EpochMillis)
	fillBlocks(t, s, 2) // under another key
	var trimmed *TrimmedError
	n := 0
	err := s.log.Read(1, func(seq uint64, _ int64, _ []byte) (bool, error) {
		if n++; seq == 5 {
			if _, err := s.log.Trim(10); err != nil {
				t.Fatal(err)
			}
		}
		return true, nil
	})
	// The iteration still sees block 6, but its key is gone.
	if !errors.As(err, &trimmed) || trimmed.From != 6 || trimmed.Head != 11 || n != 5 {
		t.Errorf("%d entries, %v", n, err)
	}
	n = 0
	if err := s.log.Read(11, func(seq uint64, _ int64, _ []byte) (bool, error) {
		if n++; seq == 15 {
			if _, err := s.log.Trim(15); err != nil {
				t.Fatal(err)
			}
		}
		return true, nil
	}); n != 10 || err != nil { // nothing it still needs has gone
		t.Errorf("%d entries, %v", n, err)
	}
}

// A head that lies ahead of its blocks, or behind them, is damage.
func TestWrongHead(t *testing.T) {
	for _, c := range []struct {
		name string
		val  []byte
		want string
	}{
		{"behind", appendHead(nil, head{1, 0}), "entries 1 to 5 are missing"},
		{"ahead", appendHead(nil, head{9, 0}), "entries before 9 were given up"},
		{"zero", []byte{1, 0, 0}, "entry 0"},
		{"newer", []byte{2, 1, 0}, "version 2"},
		{"short", []byte{1, 1}, ""},
	} {
		mem := vfs.NewMem()
		s := openStore(t, mem, Options{})
		fillBlocks(t, s, 3)
		if _, err := s.log.Trim(5); err != nil {
			t.Fatal(err)
		}
		b := s.db.NewBatch()
		b.Set(keyspace.AppendMeta(nil, keyspace.MetaHead), c.val)
		if err := b.Commit(true); err != nil {
			t.Fatal(err)
		}
		s.close(t)
		if _, err := tryOpen(t, mem, Options{}); err == nil || !contains(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A Trim that the disk refuses ends the store, not the truth: after a restart
// the log is as it was or as it should be.
func TestTrimOnAFailingDisk(t *testing.T) {
	var broken atomic.Bool
	mem := vfs.NewCrashableMem()
	disk := onWALSync(mem, func() error {
		if broken.Load() {
			return errors.New("injected")
		}
		return nil
	})
	db, err := engine.Open(engine.Options{Dir: "data", FS: disk, Logger: quiet(), Exit: func(int) {}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(db, master)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(db, v, Options{Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	s := store{db, v, l}
	fillBlocks(t, s, 3)
	broken.Store(true)
	if head, err := l.Trim(10); head != 1 || !errors.Is(err, engine.ErrFailed) {
		t.Errorf("%d, %v", head, err)
	}
	cut := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := errors.Join(l.Close(), db.Close()); err == nil {
		t.Error("the store closes as if nothing had been")
	}
	s = openStore(t, cut, Options{})
	defer s.close(t)
	if n, err := readAll(s.log); n != 15 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
}
