package eventlog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/vault"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// onWALSync has fn called before each sync of the write-ahead log.
func onWALSync(inner vfs.FS, fn func() error) vfs.FS {
	return errorfs.Wrap(inner, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			return fn()
		}
		return nil
	}))
}

// slowDisk holds every sync until it is told to go on.
type slowDisk struct {
	mu      sync.Mutex
	held    bool
	free    *sync.Cond
	waiting int
	syncs   int
}

func newSlowDisk() *slowDisk {
	d := &slowDisk{}
	d.free = sync.NewCond(&d.mu)
	return d
}

func (d *slowDisk) sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs++
	d.waiting++
	d.free.Broadcast()
	for d.held {
		d.free.Wait()
	}
	d.waiting--
	return nil
}

func (d *slowDisk) hold() { d.mu.Lock(); d.held = true; d.mu.Unlock() }

func (d *slowDisk) release() { d.mu.Lock(); d.held = false; d.free.Broadcast(); d.mu.Unlock() }

func (d *slowDisk) awaitSync() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.waiting == 0 {
		d.free.Wait()
	}
}

// While the disk is slow appends return at once, nothing is readable or
// acknowledged before its time, Admit refuses over the bound, and all that
// came meanwhile shares one block.
func TestSlowDisk(t *testing.T) {
	disk := newSlowDisk()
	s := openStore(t, onWALSync(vfs.NewMem(), disk.sync), Options{QueueBytes: 5000})
	_, ticket := s.log.Append([]byte("warm"), 1) // makes the epoch key
	if err := ticket.Wait(); err != nil {
		t.Fatal(err)
	}
	disk.hold()
	entry := bytes.Repeat([]byte("e"), 100)
	_, first := s.log.Append(entry, 2)
	disk.awaitSync() // entry 2 is under way; the rest queues behind it
	var tickets []Ticket
	for s.log.Admit() == nil {
		_, ticket := s.log.Append(entry, 3)
		tickets = append(tickets, ticket)
		entry[0]++ // Append has copied it
	}
	var busy ErrBusy
	if err := s.log.Admit(); !errors.As(err, &busy) || busy.Limit != 5000 || busy.Queued < 5000 || busy.Queued > 5200 || busy.Queued != s.log.Queued() {
		t.Errorf("Admit over the bound: %v", err)
	}
	for i, ticket := range append(tickets, first, s.log.Barrier()) {
		select {
		case <-ticket.Done():
			t.Fatalf("ticket %d is done before the sync", i)
		default:
		}
	}
	n := uint64(len(tickets)) + 2
	if s.log.Durable() != 1 || s.log.LastSeq() != n || s.log.NextSeq() != n+1 {
		t.Errorf("durable %d, last %d, next %d", s.log.Durable(), s.log.LastSeq(), s.log.NextSeq())
	}
	read := 0
	count := func(uint64, int64, []byte) (bool, error) { read++; return true, nil }
	if err := s.log.Read(1, count); err != nil || read != 1 {
		t.Errorf("%d entries are readable, %v", read, err)
	}
	if err := s.log.Get(2, nil); !errors.Is(err, ErrNoEntry) {
		t.Errorf("an entry under way is readable: %v", err)
	}
	disk.release()
	if err := s.log.Barrier().Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.log.Admit(); err != nil && s.log.Queued() == 0 {
		t.Error(err)
	}
	blocks := blockStarts(t, s)
	if want := []uint64{1, 2, 3}; len(blocks) != 3 || blocks[2] != want[2] {
		t.Errorf("blocks begin at %v, want %v", blocks, want)
	}
	for i := range tickets {
		if err := s.log.Get(uint64(i)+3, func(at int64, e []byte) error {
			if at != 3 || e[0] != 'e'+byte(i) || len(e) != 100 {
				t.Errorf("entry %d: %d %q", i+3, at, e)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	s.close(t)
}

func blockStarts(t *testing.T, s store) (starts []uint64) {
	t.Helper()
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.LogBlock))
	if err := s.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		first, h, err := blockAt(k, v)
		starts = append(starts, first)
		if h.Count > 1 && h.Bytes > s.log.opt.MaxBlock+32 {
			t.Errorf("the block at %d has %d bytes", first, h.Bytes)
		}
		return true, err
	}); err != nil {
		t.Fatal(err)
	}
	return starts
}

// After a sync that failed every waiter is told, nothing is acknowledged any
// more, and OnFatal is called once.
func TestFailedSync(t *testing.T) {
	var broken atomic.Bool
	fatal := make(chan error, 10)
	disk := onWALSync(vfs.NewMem(), func() error {
		if broken.Load() {
			return errors.New("injected")
		}
		return nil
	})
	exits := make(chan int, 100)
	db, err := engine.Open(engine.Options{Dir: "data", FS: disk, Logger: quiet(), Exit: func(code int) { exits <- code }})
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(db, master)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(db, v, Options{Logger: quiet(), OnFatal: func(err error) { fatal <- err }})
	if err != nil {
		t.Fatal(err)
	}
	if _, ticket := l.Append([]byte("good"), 1); ticket.Wait() != nil {
		t.Fatal(ticket.Wait())
	}
	broken.Store(true)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, ticket := l.Append([]byte("lost"), 2)
			if err := ticket.Wait(); !errors.Is(err, ErrFailed) {
				t.Errorf("a waiter is told %v", err)
			}
		})
	}
	wg.Wait()
	if err := <-fatal; !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "entries 2 to") {
		t.Errorf("OnFatal: %v", err)
	}
	if code := <-exits; code != engine.ExitFatal {
		t.Errorf("exit code %d", code)
	}
	broken.Store(false)
	seq, ticket := l.Append([]byte("late"), 3)
	for what, err := range map[string]error{"Admit": l.Admit(), "Append": ticket.Wait(), "Barrier": l.Barrier().Wait(), "Close": l.Close()} {
		if !errors.Is(err, ErrFailed) {
			t.Errorf("%s afterwards: %v", what, err)
		}
	}
	if seq != 0 || l.Durable() != 1 || len(fatal) != 0 {
		t.Errorf("seq %d, durable %d, %d more calls of OnFatal", seq, l.Durable(), len(fatal))
	}
}

func TestDiskFull(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem, Options{MinFree: 1000, Logger: quiet()})
	defer s.close(t)
	for _, c := range []struct {
		avail uint64
		full  bool
	}{{999, true}, {1000, false}, {0, true}, {1 << 63, false}} {
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: c.avail, TotalBytes: 1 << 63})
		s.log.measureSpace()
		var full ErrDiskFull
		if err := s.log.Admit(); errors.As(err, &full) != c.full || c.full && (full.Free != int64(c.avail) || full.Need != 1000) {
			t.Errorf("%d bytes free: %v", c.avail, err)
		}
	}
}

func TestClosed(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{})
	for range 100 {
		s.log.Append([]byte("x"), 1)
	}
	if err := s.log.Close(); err != nil || s.log.Durable() != 100 {
		t.Errorf("Close drains to %d: %v", s.log.Durable(), err)
	}
	seq, ticket := s.log.Append([]byte("x"), 1)
	if err := ticket.Wait(); seq != 0 || !errors.Is(err, ErrClosed) || !errors.Is(s.log.Admit(), ErrClosed) {
		t.Errorf("after Close: %d, %v", seq, err)
	}
	if err := errors.Join(s.log.Barrier().Wait(), Ticket{}.Wait()); err != nil {
		t.Error(err)
	}
	read := 0
	if err := s.log.Read(1, func(uint64, int64, []byte) (bool, error) { read++; return true, nil }); err != nil || read != 100 {
		t.Errorf("a closed log reads %d entries, %v", read, err)
	}
	s.close(t)
}

func TestTooLarge(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{MaxBlock: 10})
	defer s.close(t)
	seq, ticket := s.log.Append(make([]byte, 16<<20+1), 1)
	if err := ticket.Wait(); seq != 0 || !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d, %v", seq, err)
	}
	// One larger than a block is a block of its own, never split.
	for _, n := range []int{5, 1000, 5, 16 << 20} {
		s.log.Append(make([]byte, n), 1)
	}
	if err := s.log.Barrier().Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.log.Get(4, func(_ int64, e []byte) error {
		if len(e) != 16<<20 {
			t.Errorf("%d bytes", len(e))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// fillBlocks writes n blocks of five entries. They are handed over whole: with
// Append the committer might take the first before the fifth is there.
func fillBlocks(t *testing.T, s store, n int) {
	t.Helper()
	l := s.log
	for range n {
		l.mu.Lock()
		seg := &segment{first: l.last + 1}
		for range 5 {
			seg.build.Add([]byte("entry"), 1)
		}
		l.last += 5
		l.queued.Add(int64(seg.build.Len()))
		l.segs, l.next = append(l.segs, seg), newGroup(l.stuck)
		l.mu.Unlock()
		l.kick()
		if err := l.Barrier().Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// alter changes the block that holds seq behind the log's back.
func alter(t *testing.T, s store, seq uint64, fn func(b *engine.Batch, key, block []byte)) (first uint64) {
	t.Helper()
	first, err := s.log.blockOf(seq)
	if err != nil {
		t.Fatal(err)
	}
	key := keyspace.AppendLogBlock(nil, first)
	b := s.db.NewBatch()
	if _, err := s.db.Get(key, func(v []byte) error { fn(b, key, bytes.Clone(v)); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	return first
}

func readAll(l *Log) (n int, err error) {
	err = l.Read(1, func(_ uint64, _ int64, e []byte) (bool, error) {
		if string(e) != "entry" {
			return false, errors.New("wrong data was given out")
		}
		n++
		return true, nil
	})
	return n, err
}

// One flipped bit anywhere in a block is found, and the block is named.
func TestFlippedBit(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 40 {
		mem := vfs.NewMem()
		s := openStore(t, mem, Options{})
		fillBlocks(t, s, 3)
		bit := -1
		first := alter(t, s, uint64(1+r.IntN(15)), func(b *engine.Batch, key, block []byte) {
			bit = r.IntN(8 * len(block))
			block[bit/8] ^= 1 << (bit % 8)
			b.Set(key, block)
		})
		before := int(first) - 1
		n, err := readAll(s.log)
		var damage *DamageError
		var gap *GapError // a flipped count
		if errors.As(err, &damage) && damage.First != first && damage.First != first+5 || !errors.As(err, &damage) && !errors.As(err, &gap) || n > before {
			t.Errorf("bit %d of block %d: %d entries read, %v", bit, first, n, err)
		}
		s.close(t)
		if first+5 > 15 {
			if _, err := tryOpen(t, mem, Options{}); err == nil {
				t.Errorf("bit %d of the last block: the log opens", bit)
			}
		}
	}
}

func TestGapsAreNamed(t *testing.T) {
	drop := func(b *engine.Batch, key, _ []byte) { b.Delete(key) }
	for _, c := range []struct {
		name   string
		change func(t *testing.T, s store)
		from   uint64
		to     uint64
	}{
		{"first block", func(t *testing.T, s store) { alter(t, s, 1, drop) }, 1, 5},
		{"middle block", func(t *testing.T, s store) { alter(t, s, 7, drop) }, 6, 10},
		{"end, a reader was beyond it", func(t *testing.T, s store) {
			b := s.db.NewBatch()
			if err := errors.Join(s.log.SetCursor(b, Cursor{Name: "people", Seq: 14}), b.Commit(true)); err != nil {
				t.Fatal(err)
			}
			alter(t, s, 15, drop)
			if err := s.db.Mark().Store(0); err != nil { // a power cut may take it
				t.Fatal(err)
			}
		}, 11, 14},
		{"end, which had been noted", func(t *testing.T, s store) { alter(t, s, 15, drop) }, 11, 15},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := vfs.NewMem()
			s := openStore(t, mem, Options{})
			fillBlocks(t, s, 3)
			c.change(t, s)
			_, err := readAll(s.log)
			var gap *GapError
			if !errors.As(err, &gap) || gap.From != c.from {
				t.Errorf("read: %v", err)
			}
			s.close(t)
			_, err = tryOpen(t, mem, Options{})
			if !errors.As(err, &gap) || gap.From != c.from || gap.To != c.to {
				t.Errorf("open: %v", err)
			}
		})
	}
}

func TestBlocksDoNotMove(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{})
	defer s.close(t)
	fillBlocks(t, s, 3)
	var stolen []byte
	alter(t, s, 1, func(_ *engine.Batch, _, block []byte) { stolen = block })
	alter(t, s, 6, func(b *engine.Batch, key, _ []byte) { b.Set(key, stolen) })
	n, err := readAll(s.log)
	var damage *DamageError
	if n != 5 || !errors.As(err, &damage) || damage.First != 6 {
		t.Errorf("a block in another's place: %d entries, %v", n, err)
	}
}

// Nothing of an entry, and no key, stands readable in any file of the folder.
func TestCanary(t *testing.T) {
	dir := t.TempDir()
	db, err := engine.Open(engine.Options{Dir: dir, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(db, master)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(db, v, Options{})
	if err != nil {
		t.Fatal(err)
	}
	canary := []byte("canary-4711@example.com")
	for i := range 100 {
		l.Append(append([]byte{byte(i)}, canary...), 1)
		if i%10 == 0 {
			if err := l.Barrier().Wait(); err != nil {
				t.Fatal(err)
			}
		}
		if i == 50 {
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	secrets := [][]byte{canary, master, v.InstallKey(), v.Subkey("hash"), []byte(hex.EncodeToString(master))}
	if err := errors.Join(l.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	files := 0
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for i, s := range secrets {
			if bytes.Contains(data, s) {
				t.Errorf("secret %d stands in %s", i, filepath.Base(path))
			}
		}
		files++
		return err
	}); err != nil || files < 4 {
		t.Error(files, err)
	}
}
