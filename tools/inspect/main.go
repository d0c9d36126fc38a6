// Command inspect shows what a data folder holds that no gateway has open, or a
// backup of one, and changes nothing in it:
//
//	go run ./tools/inspect -data reuna-data -svg bytes.svg
//	go run ./tools/inspect -data reuna-data -verify
//	go run ./tools/inspect -data reuna-data -person email:ada@example.com
//	go run ./tools/inspect -snapshot backups
//
// Without the master key it shows the folder's shape: key spaces, sizes, the
// log's ends, cursors. -person and -verify need the key. What -person prints is
// personal data: it is the operator's tool.
//
// Exit status: 0 shown, and no fault; 1 -verify found faults; 2 it could not be shown.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/verify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	exitOK     = 0
	exitFaults = 1
	exitUsage  = 2
)

type settings struct {
	data, snapshot, key, config, person, view, svg string
	verify, json, ascii                            bool
	memory                                         int
}

func parse(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("inspect", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&s.data, "data", "", "data `folder`")
	f.StringVar(&s.snapshot, "snapshot", "", "backup `folder`, of which the newest snapshot is shown in place of a data folder")
	f.StringVar(&s.key, "key", "", "the master key: a `file`, or env:NAME (default DATA.keys/master.key)")
	f.StringVar(&s.config, "config", "", "the gateway's configuration `file`, for its identifier types")
	f.StringVar(&s.person, "person", "", "show one person's records, by `TYPE:VALUE`, such as email:ada@example.com")
	f.StringVar(&s.view, "view", "verified", "whose word counts for -person: verified or all")
	f.BoolVar(&s.verify, "verify", false, "check that all records agree")
	f.IntVar(&s.memory, "facts", 1_000_000, "how many `facts` -verify holds in memory at a time, at about 200 bytes each")
	f.BoolVar(&s.json, "json", false, "print JSON")
	f.BoolVar(&s.ascii, "ascii", false, "draw bars with ASCII alone, as is done when the output is no terminal")
	f.StringVar(&s.svg, "svg", "", "write a picture of where the bytes are to this `file`")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: inspect takes flags only", f.Arg(0))
	case s.data == "" && s.snapshot == "":
		return nil, errors.New("-data is missing: name the data folder, or a backup folder with -snapshot")
	case s.data != "" && s.snapshot != "":
		return nil, errors.New("-data and -snapshot are both given: one of them names what to show")
	case s.snapshot != "" && s.key == "" && (s.verify || s.person != ""):
		return nil, errors.New("-key is missing: a backup holds no master key; name the file that belongs to the install")
	case s.view != "verified" && s.view != "all":
		return nil, fmt.Errorf("-view is %q: expected verified or all", s.view)
	case s.memory < 1:
		return nil, fmt.Errorf("-facts is %d: expected 1 or more", s.memory)
	}
	if s.key == "" {
		s.key = filepath.Join(strings.TrimRight(filepath.Clean(s.data), string(filepath.Separator))+".keys", "master.key")
	}
	return s, nil
}

func (s *settings) idView() id.View {
	if s.view == "all" {
		return id.AllView
	}
	return id.VerifiedView
}

// answer is all that one run shows.
type answer struct {
	Overview *overview `json:"overview"`
	Person   *person   `json:"person,omitempty"`
	Verified *verified `json:"verified,omitempty"`
}

// verified is what -verify found.
type verified struct {
	OK         bool     `json:"ok"`
	Events     uint64   `json:"events"`
	Tail       uint64   `json:"entriesInLog"`
	Settled    uint64   `json:"entriesSettled"`
	Checked    uint64   `json:"facetsCounted"`
	Uncertain  uint64   `json:"facetsWithDeletedEvents"`
	FaultCount int      `json:"faultCount"`
	Faults     []fault  `json:"faults"` // the first of them
	NoteCount  int      `json:"noteCount"`
	Notes      []fault  `json:"notes"` // what the next start mends, or does no harm
	Left       []string `json:"notVerified"`
}

type fault struct {
	Space string `json:"space"`
	Key   string `json:"key,omitempty"`
	What  string `json:"what"`
}

func verifiedOf(r *verify.Report) *verified {
	v := &verified{
		OK: r.OK(), Events: r.Events, Tail: r.Tail, Settled: r.Settled, Checked: r.Checked, Uncertain: r.Uncertain,
		FaultCount: r.FaultCount, NoteCount: r.WarnCount, Faults: []fault{}, Notes: []fault{}, Left: append([]string{}, r.NotVerified...),
	}
	for _, x := range r.Faults {
		v.Faults = append(v.Faults, fault{verify.SpaceName(x.Space), x.Key, x.What})
	}
	for _, x := range r.Warnings {
		v.Notes = append(v.Notes, fault{verify.SpaceName(x.Space), x.Key, x.What})
	}
	return v
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	var a answer
	if err == nil {
		a, err = look(ctx, s, stderr)
	}
	if err == nil && s.svg != "" {
		err = writeFile(s.svg, picture(a.Overview))
	}
	if err == nil {
		err = a.write(stdout, s)
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "inspect: %v\n", err)
		return exitUsage
	case a.Verified != nil && !a.Verified.OK:
		return exitFaults
	}
	return exitOK
}

func look(ctx context.Context, s *settings, stderr io.Writer) (a answer, err error) {
	f, err := openFolder(s, stderr)
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	show := progress(stderr)
	if a.Overview, err = f.overview(ctx, show); err != nil {
		return a, err
	}
	if s.person != "" {
		if a.Person, err = f.person(ctx, s.person, s.idView()); err != nil {
			return a, err
		}
	}
	if s.verify {
		keys, err := f.keys()
		if err != nil {
			return a, err
		}
		report, err := verify.Run(ctx, verify.Options{DB: f.db, Vault: keys, Types: f.given, MaxFacts: s.memory, MaxFaults: maxFaults, Progress: show})
		if err != nil {
			return a, err
		}
		a.Verified = verifiedOf(&report)
	}
	return a, nil
}

const maxFaults = 20 // that are told; all are counted

// progress tells every few seconds how far a step is.
func progress(w io.Writer) func(step string, done, total uint64) {
	last := time.Now()
	return func(step string, done, total uint64) {
		if time.Since(last) < 3*time.Second {
			return
		}
		last = time.Now()
		if total == 0 {
			fmt.Fprintf(w, "%s: %d\n", step, done)
			return
		}
		fmt.Fprintf(w, "%s: %d of %d\n", step, done, total)
	}
}

func (a *answer) write(w io.Writer, s *settings) error {
	var out bytes.Buffer
	if s.json {
		e := json.NewEncoder(&out)
		e.SetIndent("", "  ")
		if err := e.Encode(a); err != nil {
			return err
		}
	} else {
		t := text{&out, fullBlocks}
		if s.ascii || !isTerminal(w) {
			t.blocks = asciiBlocks
		}
		t.overview(a.Overview)
		if a.Person != nil {
			t.person(a.Person)
		}
		if a.Verified != nil {
			t.verified(a.Verified)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func writeFile(path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("-svg: %w", err)
	}
	return nil
}
