package main

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	"github.com/reuna/reuna/storage/engine"
)

// keep writes records to a store of its own, flushes and compacts it, and
// gives what they occupy: keys, values and the store's own structures.
func keep(fill func(set func(key, value []byte) error) error) (bytes int64, err error) {
	dir, err := os.MkdirTemp("", "layout")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := write(dir+"/store", fill); err != nil {
		return 0, err
	}
	// Tables that compaction replaced are gone once the store is closed.
	tables, err := filepath.Glob(dir + "/store/*.sst")
	if err != nil {
		return 0, err
	}
	for _, t := range tables {
		info, err := os.Stat(t)
		if err != nil {
			return 0, err
		}
		bytes += info.Size()
	}
	return bytes, nil
}

func write(dir string, fill func(set func(key, value []byte) error) error) (err error) {
	db, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	batch := db.NewBatch()
	defer func() { batch.Discard() }()
	err = fill(func(key, value []byte) error {
		batch.Set(key, value)
		if batch.Len() < 1<<20 {
			return nil
		}
		err := batch.Commit(false)
		batch = db.NewBatch()
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(batch.Commit(false), db.Flush(), db.Compact(context.Background(), []byte{0}, []byte{0xff}))
}

// historyKey is a chunk's key as storage/keyspace lays it out: month, owner's hash, origin, number.
func historyKey(dst []byte, owner int, first uint64) []byte {
	dst = append(dst, 0x0c, 0, 0, 7, 235)
	dst = ownerHash(dst, owner)
	dst = append(dst, 0, 0)
	return binary.BigEndian.AppendUint64(dst, first)
}

// ownerHash stands for a keyed hash: 16 bytes that look random.
func ownerHash(dst []byte, owner int) []byte {
	x := uint64(owner)*0x9e3779b97f4a7c15 + 1
	for range 2 {
		x ^= x >> 31
		x *= 0xbf58476d1ce4e5b9
		x ^= x >> 29
		dst = binary.BigEndian.AppendUint64(dst, x)
	}
	return dst
}

// indexedKey is the key that finds an event in a log block: owner's hash, time, number.
func indexedKey(dst []byte, e *entry) []byte {
	dst = ownerHash(append(dst, 0x07), e.owner)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.eventTime)^1<<63)
	return binary.BigEndian.AppendUint64(dst, e.seq)
}
