package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Report is everything that was found.
type Report struct {
	Runs []Run `json:"runs"`
}

// Names of the results' files.
const (
	resultFile  = "store.json"
	tableFile   = "store.md"
	pictureFile = "store.svg"
)

// loadReport reads what earlier runs have found; an empty report when there was none.
func loadReport(dir string) (*Report, error) {
	r := &Report{}
	path := filepath.Join(dir, resultFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s is not a report (%w): remove it to begin anew", path, err)
	}
	return r, nil
}

// add puts a run in, in the place of an earlier one with as many persons.
func (r *Report) add(run Run) {
	r.Runs = append(slices.DeleteFunc(r.Runs, func(x Run) bool { return x.Total() == run.Total() }), run)
	slices.SortFunc(r.Runs, func(a, b Run) int { return a.Total() - b.Total() })
}

// save writes the report, its tables and its picture.
func (r *Report) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, resultFile), append(data, '\n'), 0o644); err != nil {
		return err
	}
	err = write(filepath.Join(dir, tableFile), func(out io.Writer) error {
		r.markdown(out)
		return nil
	})
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, pictureFile), func(out io.Writer) error {
		_, err := r.picture().WriteTo(out)
		return err
	})
}

func write(path string, what func(io.Writer) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return what(f)
}
