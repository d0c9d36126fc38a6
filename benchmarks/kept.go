package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/reuna/reuna/storage/engine"
)

// kept gives the bytes of a data folder's tables, once its write-ahead logs have been written
// into them. The logs are used again and again and do not grow: of a short run they are a quarter of
// all bytes, of a long one nothing. No gateway may have the folder open.
func kept(data string) (bytes int64, err error) {
	db, err := engine.Open(engine.Options{Dir: data, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, fmt.Errorf("the tables' size: %w", err)
	}
	if err := errors.Join(db.Flush(), db.Close()); err != nil {
		return 0, fmt.Errorf("writing the logs into the tables: %w", err)
	}
	err = filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) == ".log" {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}
