package engine

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// TableInfo is one table file of the store.
type TableInfo struct {
	File              string // name in the folder
	Level             int    // 0, the newest, to 6
	Bytes             uint64 // size of the file
	Keys              uint64 // entries, deletions among them
	Deletions         uint64 // of one key or of a range
	Smallest, Largest []byte // keys, both inclusive
}

// Tables lists the store's tables, sorted by level and, but for level 0, by
// key. It opens every table that is not open.
func (db *DB) Tables() ([]TableInfo, error) {
	if !db.uses.enter() {
		return nil, ErrClosed
	}
	defer db.uses.leave()
	return db.tables(true)
}

// tables is Tables; without counts it opens no file and leaves Keys and
// Deletions zero.
func (db *DB) tables(counts bool) ([]TableInfo, error) {
	var opts []pebble.SSTablesOption
	if counts {
		opts = append(opts, pebble.WithProperties())
	}
	levels, err := db.p.SSTables(opts...)
	if err != nil {
		return nil, readError(err)
	}
	var all []TableInfo
	for level, tables := range levels {
		for _, t := range tables {
			info := TableInfo{
				File: fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum)), Level: level, Bytes: t.Size,
				Smallest: bytes.Clone(t.Smallest.UserKey), Largest: bytes.Clone(t.Largest.UserKey),
			}
			if t.Properties != nil {
				info.Keys, info.Deletions = t.Properties.NumEntries, t.Properties.NumDeletions
			}
			all = append(all, info)
		}
	}
	return all, nil
}

// SpaceUsage estimates the bytes of table files that keys of [lower, upper)
// take; a nil bound is open. What is only in memory and the log is not counted.
func (db *DB) SpaceUsage(lower, upper []byte) (uint64, error) {
	if !db.uses.enter() {
		return 0, ErrClosed
	}
	defer db.uses.leave()
	all := mergeRanges([]Range{{lower, upper}}, nil)
	if upper == nil {
		tables, err := db.tables(false)
		if err != nil {
			return 0, err
		}
		all = mergeRanges([]Range{{lower, nil}}, tables)
	}
	if len(all) == 0 {
		return 0, nil
	}
	n, err := db.p.EstimateDiskUsage(all[0].Lower, all[0].Upper)
	if err != nil {
		return 0, readError(err)
	}
	return n, nil
}
