// Command verify-audit checks the activity log of a data folder that no gateway
// has open, or of a copy of one, and changes nothing in it:
//
//	go run ./tools/verify-audit -data data -expect head-of-march.json -keep head-of-april.json
//
// An auditor keeps the head that a run wrote, elsewhere, and expects it in the
// next: then even who has the install's keys cannot change what was logged
// before, unseen.
//
// Exit status: 0 the log is whole, 1 it is not, 2 it could not be checked.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/vault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	exitWhole  = 0
	exitFaults = 1
	exitUsage  = 2
)

type settings struct {
	data, master, headFile, keep string
	expect                       []audit.Head
}

func parse(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("verify-audit", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&s.data, "data", "", "data `folder` (required)")
	f.StringVar(&s.master, "master", "", "`file` of the master key (default DATA.keys/master.key)")
	f.StringVar(&s.headFile, "head-file", "", "`file` of the newest head (default DATA.keys/"+audit.HeadFileName+")")
	f.StringVar(&s.keep, "keep", "", "write the newest good head to this new `file`, to keep it elsewhere")
	var expect []string
	f.Func("expect", "`file` of a head that was kept: the log must still have it; may be given more than once", func(path string) error {
		expect = append(expect, path)
		return nil
	})
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: verify-audit takes flags only", f.Arg(0))
	case s.data == "":
		return nil, errors.New("-data is missing: name the data folder")
	}
	keys := strings.TrimRight(filepath.Clean(s.data), string(filepath.Separator)) + ".keys"
	if s.master == "" {
		s.master = filepath.Join(keys, "master.key")
	}
	if s.headFile == "" {
		s.headFile = filepath.Join(keys, audit.HeadFileName)
	}
	for _, path := range expect {
		h, err := audit.ReadHeadFile(path)
		if err != nil {
			return nil, fmt.Errorf("-expect: %s: %w", path, err)
		}
		s.expect = append(s.expect, h)
	}
	return s, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitWhole
	}
	var report audit.Report
	if err == nil {
		report, err = verify(ctx, s, stderr)
	}
	if err == nil && s.keep != "" && report.Head != nil {
		err = keep(s.keep, *report.Head)
	}
	if err == nil {
		var out bytes.Buffer
		write(&out, s, report)
		_, err = stdout.Write(out.Bytes())
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "verify-audit: %v\n", err)
		return exitUsage
	case !report.OK:
		return exitFaults
	}
	return exitWhole
}

func verify(ctx context.Context, s *settings, stderr io.Writer) (report audit.Report, err error) {
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := engine.Open(engine.Options{Dir: s.data, ReadOnly: true, Logger: logger})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	master, err := vault.LoadMasterKey(s.master)
	if err != nil {
		return report, err
	}
	keys, err := vault.Open(db, master)
	if err != nil {
		return report, err
	}
	log, err := audit.Open(audit.Options{DB: db, Keys: keys, HeadFile: s.headFile, Logger: logger})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	last := time.Now()
	return log.Verify(ctx, audit.VerifyOptions{Expect: s.expect, Progress: func(done, total uint64) {
		if time.Since(last) >= 5*time.Second {
			last = time.Now()
			fmt.Fprintf(stderr, "%d of %d entries\n", done, total)
		}
	}})
}

// keep never writes over a file: that could be the only copy of an older head.
func keep(path string, h audit.Head) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("-keep: %s is there already (%v): name a new file", path, err)
	}
	if err := audit.WriteHeadFile(path, h); err != nil {
		return fmt.Errorf("-keep: %w", err)
	}
	return nil
}

func write(w io.Writer, s *settings, r audit.Report) {
	verdict := "WHOLE"
	if !r.OK {
		verdict = "NOT WHOLE"
	}
	fmt.Fprintf(w, "%s  the activity log of %s: %d entries, from %d to %d, %d good heads\n", verdict, s.data, r.Entries, r.First, r.Last, r.Heads)
	if r.Head != nil {
		fmt.Fprintf(w, "newest head: entry %d, signed %s by key %s\n", r.Head.N, r.Head.Time.Format("2006-01-02 15:04:05 MST"), r.Head.Key)
	}
	if n := len(s.expect); n > 0 {
		fmt.Fprintf(w, "expected heads: %d\n", n)
	} else {
		fmt.Fprintln(w, "no head was expected with -expect, so a log that was written anew with the install's own keys would not be seen")
	}
	for _, f := range r.Faults {
		fmt.Fprintf(w, "fault  %-10s %s\n", f.Kind, f.Text)
	}
	if r.More > 0 {
		fmt.Fprintf(w, "and %d more\n", r.More)
	}
	for _, f := range r.Notes {
		fmt.Fprintf(w, "note   %-10s %s\n", f.Kind, f.Text)
	}
}
