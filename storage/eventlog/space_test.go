package eventlog

import (
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/reuna/reuna/storage/vault"
)

// fullDisk has no room for a file of a kind while it is full.
type fullDisk struct {
	full atomic.Bool
	kind string // how the name ends
}

func (d *fullDisk) wrap(inner vfs.FS) vfs.FS {
	return errorfs.Wrap(inner, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && d.full.Load() && strings.HasSuffix(op.Path, d.kind) {
			return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
		}
		return nil
	}))
}

// While the disk is full Admit refuses, senders are told after CommitWait, reads
// go on and nothing is acknowledged; with room it all goes on, and every entry
// that got a number is there.
func TestFullDisk(t *testing.T) {
	disk := &fullDisk{kind: ".log"}
	mem := vfs.NewMem()
	s := openStore(t, disk.wrap(mem), Options{MinFree: -1, CommitWait: 30 * time.Millisecond, Logger: quiet()})
	for round := range uint64(3) {
		fillBlocks(t, s, 1)
		disk.full.Store(true)
		var told sync.WaitGroup
		var tickets []Ticket
		for range 5 {
			seq, ticket := s.log.Append([]byte("entry"), 1)
			tickets = append(tickets, ticket)
			told.Go(func() {
				err := ticket.WaitUnlessFull()
				var full ErrDiskFull
				if !errors.As(err, &full) || full.Since.IsZero() || !contains(err, "the disk is full since") {
					t.Errorf("entry %d: %v", seq, err)
				}
			})
		}
		tickets = append(tickets, s.log.Barrier())
		told.Wait()
		var full ErrDiskFull
		if err := s.log.Admit(); !errors.As(err, &full) || full.Since.IsZero() {
			t.Errorf("Admit: %v", err)
		}
		if n, err := readAll(s.log); uint64(n) != round*10+5 || err != nil {
			t.Errorf("%d entries can be read, %v", n, err)
		}
		for _, ticket := range tickets {
			select {
			case <-ticket.Done():
				t.Error("a ticket is done without room")
			default:
			}
		}
		disk.full.Store(false)
		for _, ticket := range tickets {
			if err := errors.Join(ticket.Wait(), ticket.WaitUnlessFull()); err != nil {
				t.Error(err)
			}
		}
		if n, err := readAll(s.log); uint64(n) != round*10+10 || err != nil {
			t.Errorf("%d entries can be read, %v", n, err)
		}
		for s.log.Admit() != nil {
			time.Sleep(time.Millisecond)
		}
	}
	s.close(t)
	s = openStore(t, mem, Options{})
	if n, err := readAll(s.log); n != 30 || err != nil {
		t.Errorf("%d entries after a restart, %v", n, err)
	}
	s.close(t)
}

// A disk that is full for less than CommitWait is only slow.
func TestBrieflyFullDisk(t *testing.T) {
	disk := &fullDisk{kind: ".log"}
	s := openStore(t, disk.wrap(vfs.NewMem()), Options{MinFree: -1, CommitWait: time.Minute, Logger: quiet()})
	defer s.close(t)
	fillBlocks(t, s, 1)
	disk.full.Store(true)
	_, ticket := s.log.Append([]byte("entry"), 1)
	for s.log.Admit() == nil {
		time.Sleep(time.Millisecond)
	}
	s.log.tellStuck()
	disk.full.Store(false)
	if err := ticket.WaitUnlessFull(); err != nil {
		t.Error(err)
	}
}

// Waiting with an eye on the disk allocates nothing.
func TestWaitUnlessFullCostsNothing(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{})
	defer s.close(t)
	_, ticket := s.log.Append([]byte("entry"), 1)
	if err := ticket.Wait(); err != nil {
		t.Fatal(err)
	}
	refusal := refused(ErrTooLarge)
	if n := testing.AllocsPerRun(100, func() {
		if ticket.WaitUnlessFull() != nil || (Ticket{}).WaitUnlessFull() != nil || refusal.WaitUnlessFull() == nil {
			t.Error("wrong answer")
		}
		s.log.tellStuck()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Also when it is the day's first entry, whose key finds no room: reads go on.
func TestFullDiskAtANewDay(t *testing.T) {
	disk := &fullDisk{kind: ".log"}
	var now atomic.Int64
	s := openStore(t, disk.wrap(vfs.NewMem()), Options{MinFree: -1, Logger: quiet(), Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	defer s.close(t)
	fillBlocks(t, s, 1)
	now.Add(vault.EpochMillis)
	disk.full.Store(true)
	_, ticket := s.log.Append([]byte("entry"), 1)
	for s.log.Admit() == nil {
		time.Sleep(time.Millisecond)
	}
	read := make(chan int, 1)
	go func() {
		n, err := readAll(s.log)
		if err != nil {
			t.Error(err)
		}
		read <- n
	}()
	select {
	case n := <-read:
		if n != 5 {
			t.Errorf("%d entries", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("a read waits for room")
	}
	disk.full.Store(false)
	if err := ticket.Wait(); err != nil {
		t.Error(err)
	}
}
