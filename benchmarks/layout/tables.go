package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/reuna/reuna/storage/record"
)

// newest is the dictionary that this program's events are written for.
const newest = 2

// content is a dictionary's own, without the tables before it.
func content(dict []byte) ([]byte, error) {
	if !isFormatted(dict) {
		return dict, nil
	}
	d, err := zstd.InspectDictionary(dict)
	if err != nil {
		return nil, err
	}
	return d.Content(), nil
}

// isFormatted tells zstd's dictionary format (RFC 8878, section 5) from raw content.
func isFormatted(dict []byte) bool {
	return bytes.HasPrefix(dict, []byte{0x37, 0xa4, 0x30, 0xec})
}

// tables makes the line that begins a dictionary's file: zstd's tables of how
// literals, and lengths and distances of matches, are spread in chunks of one
// to three events of all the sites. They are counts; no text goes into them.
func tables(w io.Writer, sites []traffic, dict []byte, id uint32, seed uint64) error {
	history, err := content(dict)
	if err != nil {
		return err
	}
	var samples [][]byte
	for _, t := range sites {
		for perVisitor := 1; perVisitor <= 3; perVisitor++ {
			entries, err := t.population(200, perVisitor, seed+2) // other visitors than those who are measured
			if err != nil {
				return err
			}
			plains, _, err := chunks(entries)
			if err != nil {
				return err
			}
			samples = append(samples, plains...)
		}
	}
	made, err := zstd.BuildDict(zstd.BuildDictOptions{ID: id, Contents: samples, History: history, Offsets: [3]int{1, 4, 8}, Level: zstd.SpeedFastest})
	if err != nil {
		return err
	}
	var line strings.Builder
	for _, b := range made[:len(made)-len(history)] {
		fmt.Fprintf(&line, `\x%02x`, b)
	}
	_, err = fmt.Fprintf(w, "\n# zstd's tables.\n%s\n", line.String())
	return err
}

// static is the dictionary that chunks are written with.
func static() []byte { return record.ChunkDictionary(newest) }
