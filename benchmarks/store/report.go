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

// loadReport reads what earlier runs have found; an empty report when there was none.
func loadReport(dir string) (*Report, error) {
	r := &Report{}
	path := filepath.Join(dir, "store.json")
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
	r.Runs = append(slices.DeleteFunc(r.Runs, func(x Run) bool { return x.Persons == run.Persons }), run)
	slices.SortFunc(r.Runs, func(a, b Run) int { return a.Persons - b.Persons })
}

func (r *Report) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "store.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return write(filepath.Join(dir, "store.md"), r.markdown)
}

func write(path string, what func(io.Writer)) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	what(f)
	return nil
}

func (r *Report) markdown(out io.Writer) {
	for i := range r.Runs {
		run := &r.Runs[i]
		fmt.Fprintf(out, "\n## %d persons, %d events\n\n", run.Persons, run.Load.Events)
		fmt.Fprintf(out, "| bytes an event | loaded | in use | settled |\n|---|---|---|---|\n")
		for k := range run.Loaded.Spaces {
			fmt.Fprintf(out, "| %s |", run.Loaded.Spaces[k].Name)
			for _, s := range []*Size{&run.Loaded, &run.InUse, &run.Settled} {
				fmt.Fprintf(out, " %.1f |", float64(s.Spaces[k].Bytes)/float64(s.Events))
			}
			fmt.Fprintln(out)
		}
		fmt.Fprint(out, "| **all** |")
		for _, s := range []*Size{&run.Loaded, &run.InUse, &run.Settled} {
			fmt.Fprintf(out, " %.1f |", s.PerEvent())
		}
		fmt.Fprintln(out)
	}
}
