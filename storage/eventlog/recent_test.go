package eventlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Several who follow, each at its own pace, get every entry once and in order, while
// some are appended, overwritten and given up; and once Overwrite has returned, nobody
// gets what stood there.
func TestFollowersGetWhatTheDiskHas(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	s := openStore(t, vfs.NewMem(), Options{MaxBlock: 1000})
	defer s.close(t)
	const entries = 5000
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for who := range uint64(4) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, who))
			for at := uint64(0); at < entries; {
				most, next := 1+r.IntN(300), at
				n, err := s.log.Follow(ctx, at, most, func(seq uint64, _ int64, entry []byte) error {
					if next++; seq != next {
						return fmt.Errorf("entry %d comes after %d", seq, next-1)
					}
					if got := string(entry); got != entryText(seq) && got != "gone" {
						return fmt.Errorf("entry %d is %q", seq, got)
					}
					return nil
				})
				if err != nil || uint64(n) != next-at || n > most {
					t.Errorf("seed %d: %d of %d entries behind %d: %v", seed, n, most, at, err)
					return
				}
				at = next
			}
		})
	}
	r := rand.New(rand.NewPCG(seed, 99))
	for i := uint64(1); i <= entries; i++ {
		_, ticket := s.log.Append([]byte(entryText(i)), int64(i))
		if r.IntN(50) > 0 {
			continue
		}
		if err := ticket.Wait(); err != nil {
			t.Fatal(err)
		}
		seq := 1 + r.Uint64N(i)
		if r.IntN(3) > 0 {
			seq = i - r.Uint64N(min(i, 20)) // that the followers are about to read
		}
		if _, err := s.log.Overwrite([]uint64{seq}, []byte("gone")); err != nil {
			t.Fatal(err)
		}
		_, err := s.log.Follow(ctx, seq-1, 1, func(_ uint64, _ int64, entry []byte) error {
			if string(entry) != "gone" {
				return fmt.Errorf("entry %d is %q after it was overwritten", seq, entry)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if err := s.log.Barrier().Wait(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	r0 := &s.log.recent
	if len(r0.list) > recentBlocks || r0.bytes > recentBytes || len(r0.spare) > keepSpare {
		t.Errorf("%d blocks of %d bytes are kept, and %d spare ones", len(r0.list), r0.bytes, len(r0.spare))
	}
	if _, err := s.log.Trim(entries); err != nil {
		t.Fatal(err)
	}
	if len(r0.list) > 0 || r0.bytes != 0 {
		t.Errorf("%d blocks of %d bytes are kept that were given up", len(r0.list), r0.bytes)
	}
}

// Nothing is kept for followers that there are none of.
func TestNobodyFollows(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{})
	defer s.close(t)
	fillBlocks(t, s, 3)
	if len(s.log.recent.list) != 0 {
		t.Error("blocks are kept that nobody asked for")
	}
}

// Who follows closely opens no block.
func TestFollowCloselyAllocations(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{})
	defer s.close(t)
	ctx := context.Background()
	at := uint64(0)
	follow := func() {
		n, err := s.log.Follow(ctx, at, 1000, func(uint64, int64, []byte) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		at += uint64(n)
	}
	_, ticket := s.log.Append([]byte("first"), 1)
	if err := ticket.Wait(); err != nil {
		t.Fatal(err)
	}
	follow() // from the disk
	for range 10 {
		if _, ticket = s.log.Append([]byte(entryText(1)), 1); ticket.Wait() != nil {
			t.Fatal(ticket.Wait())
		}
	}
	begin := at
	if n := testing.AllocsPerRun(100, func() { at = begin; follow() }); n > 6 {
		t.Errorf("%v allocations for ten blocks that are at hand", n)
	}
}
