package main

import (
	"context"
	"os"
	"strings"

	"github.com/reuna/reuna/identity/wire"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

// Size is where the bytes of a folder are.
type Size struct {
	Events int64   `json:"events"`
	Spaces []Space `json:"spaces"`
	Tables uint64  `json:"tableBytes"` // all tables
	WAL    uint64  `json:"walBytes"`   // live part of the write-ahead log
	Files  int64   `json:"fileBytes"`  // all files, log files for reuse among them
	Took   Took    `json:"compaction"`
}

// Space is one kind of record.
type Space struct {
	Name  string `json:"name"`
	Keys  int64  `json:"keys"`
	Plain int64  `json:"plainBytes"` // keys and values as they were written
	Bytes uint64 `json:"tableBytes"` // what they take in tables
}

// PerEvent is all bytes by events: tables and the live log.
func (s *Size) PerEvent() float64 { return float64(s.Tables+s.WAL) / float64(s.Events) }

var spaceNames = [...]struct {
	name string
	in   keyspace.Space
}{
	{"log tail", keyspace.LogBlock},
	{"tail index", keyspace.Event},
	{"histories", keyspace.History},
	{"facets", keyspace.Facet},
	{"names of facets", keyspace.Node},
	{"pairs", keyspace.Pair},
	{"wrapped keys", keyspace.VaultKey},
	{"messages taken", keyspace.Dedupe},
}

// size compacts the folder and says what is in it.
func size(ctx context.Context, dir string, events int64) (s Size, err error) {
	db, err := engine.Open(engine.Options{Dir: dataFolder(dir)})
	if err != nil {
		return s, err
	}
	defer func() {
		if e := db.Close(); err == nil {
			err = e
		}
	}()
	w := newWatch()
	if err := db.Flush(); err != nil {
		return s, err
	}
	if err := db.Compact(ctx, []byte{0}, []byte{0xff}); err != nil {
		return s, err
	}
	s.Events, s.Took = events, w.read(0)
	for _, n := range spaceNames {
		x := Space{Name: n.name}
		lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, n.in))
		if x.Bytes, err = db.SpaceUsage(lower, upper); err != nil {
			return s, err
		}
		err := db.Iter(lower, upper, func(k, v []byte) (bool, error) {
			x.Keys++
			x.Plain += int64(len(k) + len(v))
			return true, nil
		})
		if err != nil {
			return s, err
		}
		s.Spaces = append(s.Spaces, x)
	}
	if s.Tables, err = db.SpaceUsage([]byte{0}, []byte{0xff}); err != nil {
		return s, err
	}
	s.WAL = db.Metrics().WALBytes
	s.Files, err = folderBytes(dataFolder(dir))
	return s, err
}

func folderBytes(dir string) (n int64, err error) {
	list, err := os.ReadDir(dir)
	for _, entry := range list {
		if entry.IsDir() || strings.HasSuffix(entry.Name(), ".tmp") {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return n, err
		}
		n += info.Size()
	}
	return n, err
}

// forget deletes message ids that were taken before a time (ms since 1970), as
// the store does once an hour.
func forget(dir string, before int64) (n int, err error) {
	db, err := engine.Open(engine.Options{Dir: dataFolder(dir)})
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := db.Close(); err == nil {
			err = e
		}
	}()
	b := db.NewBatch()
	defer func() { b.Discard() }()
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Dedupe))
	err = db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		r := wire.NewReader(string(v[1:]))
		if at := r.Int(); r.Bad() || at >= before {
			return true, nil
		}
		n++
		b.Delete(k)
		if b.Len() < 1<<20 {
			return true, nil
		}
		err := b.Commit(false)
		b = db.NewBatch()
		return true, err
	})
	if err != nil {
		return n, err
	}
	return n, b.Commit(true)
}
