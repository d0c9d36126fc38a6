package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/backup"
	"github.com/reuna/reuna/storage/people"
)

// Settled is what moving entries from the tail into histories took.
type Settled struct {
	Age     float64 `json:"ageHours"` // entries older than this
	Slice   int     `json:"sliceBytes"`
	Events  int64   `json:"events"`
	Chunks  int64   `json:"chunksWritten"`
	Took    Took    `json:"took"`
	Written Written `json:"written"`
	Heap    uint64  `json:"heap"`
}

// everything is an age that all entries have.
const everything = -1 << 60

func settle(ctx context.Context, dir string, age time.Duration, slice int) (s Settled, err error) {
	w, err := open(dir, worldOptions{slice: slice})
	if err != nil {
		return s, err
	}
	defer w.close(&err)
	watch, before := newWatch(), writtenBy(w.db)
	done, err := w.Settle(ctx, age)
	if err != nil {
		return s, err
	}
	s = Settled{Age: age.Hours(), Slice: slice, Events: done.Events, Chunks: done.Chunks, Took: watch.read(done.Events), Written: writtenBy(w.db).minus(before), Heap: heapNow()}
	return s, nil
}

// Erased is what erasing a person took.
type Erased struct {
	Events  int64   `json:"events"`
	Facets  int64   `json:"facets"`
	Blocks  int64   `json:"entriesOverwritten"`
	Groups  int64   `json:"groups"`
	Ranges  int64   `json:"ranges"`
	Erase   float64 `json:"eraseMillis"` // until nobody can read the person any more
	Shred   float64 `json:"shredMillis"` // until nothing is left on the disk
	CPU     float64 `json:"cpuMillis"`
	Written Written `json:"written"`
	Disk    int64   `json:"writtenBytes"`
}

// erase erases some of the persons who have logged in, whom no other step reads.
func erase(ctx context.Context, p Population, dir string, visitors []int) (list []Erased, err error) {
	w, err := open(dir, worldOptions{})
	if err != nil {
		return nil, err
	}
	defer w.close(&err)
	for _, v := range visitors {
		who := id.ID{Type: id.AnonymousID, Value: p.anonymous(v)}
		watch, before := newWatch(), writtenBy(w.db)
		began := time.Now()
		e, err := w.Erase(who, people.EraseRequest{View: id.VerifiedView, Requested: began.UnixMilli(), Reason: "benchmark"})
		if err != nil {
			return list, fmt.Errorf("erasing visitor %d: %w", v, err)
		}
		erased := time.Since(began)
		began = time.Now()
		if err := w.Shred(ctx, e, nil); err != nil {
			return list, err
		}
		took := watch.read(0)
		c := e.Counts
		list = append(list, Erased{
			Events: c.Events, Facets: c.Facets, Blocks: c.Overwritten, Groups: c.Groups, Ranges: c.Ranges,
			Erase: millis(erased), Shred: millis(time.Since(began)), CPU: 1000 * took.CPU, Written: writtenBy(w.db).minus(before), Disk: took.Disk,
		})
		if _, err := w.Person(who, id.VerifiedView); !errors.Is(err, people.ErrUnknown) {
			return list, fmt.Errorf("visitor %d was erased and reading them gives %v", v, err)
		}
		if err := w.Finished(e, []byte("benchmark")); err != nil {
			return list, err
		}
	}
	return list, nil
}

// Backup is what a copy took.
type Backup struct {
	New    int64 `json:"newBytes"`
	Reused int64 `json:"reusedBytes"`
	Took   Took  `json:"took"`
}

// backUp copies the open folder into dir/backup.
func backUp(ctx context.Context, dir string) (b Backup, err error) {
	w, err := open(dir, worldOptions{})
	if err != nil {
		return b, err
	}
	defer w.close(&err)
	watch := newWatch()
	s, err := backup.Make(ctx, backup.Options{
		DB: w.db, Vault: w.vault, To: filepath.Join(dir, "backup"), Scratch: filepath.Join(dir, "scratch"),
		LastSeq: w.log.Durable(), Origin: w.log.Origin(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return b, err
	}
	return Backup{New: s.NewBytes, Reused: s.ReusedBytes, Took: watch.read(0)}, nil
}

// DiskSpeed is what the disk does without a store: for comparison with backups.
type DiskSpeed struct {
	Write float64 `json:"writeMBPerSecond"`
	Fsync float64 `json:"fsyncMillis"` // of 4 KiB, median of 50
}

func diskSpeed(dir string) (d DiskSpeed, err error) {
	f, err := os.CreateTemp(dir, "speed-")
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	piece := make([]byte, 1<<20)
	for i := range piece {
		piece[i] = byte(i * i)
	}
	const pieces = 128
	began := time.Now()
	for range pieces {
		if _, err := f.Write(piece); err != nil {
			return d, err
		}
	}
	if err := f.Sync(); err != nil {
		return d, err
	}
	d.Write = pieces * float64(len(piece)) / 1e6 / time.Since(began).Seconds()
	var list []float64
	for range 50 {
		began := time.Now()
		if _, err := f.Write(piece[:4096]); err != nil {
			return d, err
		}
		if err := f.Sync(); err != nil {
			return d, err
		}
		list = append(list, millis(time.Since(began)))
	}
	d.Fsync = measure.Of(list).Median
	return d, nil
}
