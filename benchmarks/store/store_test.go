package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
)

// TestMain lets the test's own binary be the child that does a step.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == stepCommand {
		if err := runStep(context.Background(), os.Args[2], os.Args[3], os.Stdout); err != nil {
			io.WriteString(os.Stderr, err.Error()+"\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestPopulationHasItsMean(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, mean := range []float64{1.5, 2, 2.5, 3, 6, 20} {
		p := Population{Persons: 100_000, Mean: mean, Seed: seed}
		sum, light := 0, 0
		for v := range p.Persons {
			n := p.events(v)
			if n < 1 || n > mostEvents {
				t.Fatalf("visitor %d has %d events", v, n)
			}
			if sum += n; n <= 3 {
				light++
			}
		}
		// Pareto's tail makes means of samples vary.
		if got := float64(sum) / float64(p.Persons); math.Abs(got/mean-1) > 0.15 {
			t.Errorf("mean of %g events: %g were drawn", mean, got)
		}
		if light < p.Persons*7/10 {
			t.Errorf("mean of %g events: %d of %d visitors have three or fewer", mean, light, p.Persons)
		}
	}
}

// A person's devices are the same whichever of them one asks for.
func TestPersonsAgree(t *testing.T) {
	p := Population{Persons: 1010, Mean: 3, Seed: 1}
	for v := range p.Persons {
		found := false
		for _, d := range p.person(v) {
			found = found || d == v
			if got := p.person(d); len(got) != len(p.person(v)) || got[0] != p.person(v)[0] {
				t.Errorf("visitor %d is of %v, %d of %v", v, p.person(v), d, got)
			}
			if p.login(v) >= 0 && userOf(d) != userOf(v) {
				t.Errorf("visitors %d and %d are one person and have the users %s and %s", v, d, userOf(v), userOf(d))
			}
		}
		if !found {
			t.Errorf("visitor %d is not of %v", v, p.person(v))
		}
	}
}

func TestEventsAreLikeTheirTemplatesButForIDs(t *testing.T) {
	p := Population{Persons: 100, Mean: 6, Seed: 3}
	x, err := newTraffic(p, 50)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	seen := map[string]bool{}
	var e event.Event
	for v := range p.Persons {
		for n := range p.events(v) {
			x.event(&e, v, n, 1_790_000_000_000+int64(n), r)
			if seen[e.MessageID] || len(e.MessageID) != 36 || e.MessageID[14] != '7' {
				t.Fatalf("messageId %q", e.MessageID)
			}
			seen[e.MessageID] = true
			page := e.Context.Path("pageViewId").Text()
			if seen[page] || len(page) != 36 {
				t.Fatalf("page view %q", page)
			}
			seen[page] = true
			for _, v := range []event.Value{e.Context, e.Properties, e.Traits} {
				if _, err := event.Check(string(v)); v != "" && err != nil {
					t.Fatalf("%s: %v", v, err)
				}
			}
			if login := p.login(v); (login >= 0 && n >= login) != (e.UserID != "") || (n == login) != (e.Type == event.Identify) {
				t.Fatalf("visitor %d logs in by event %d; event %d is %v of user %q", v, login, n, e.Type, e.UserID)
			}
		}
	}
	if x.json < 700 || x.json > 1200 {
		t.Errorf("bodies have %g bytes on average", x.json)
	}
}

// The whole way, with a few persons. The steps check what they read.
func TestAllSteps(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	r := runner{self: self, dir: filepath.Join(dir, "data"), log: &said, seconds: 0.1}
	r.save = func(run Run) error { // also half of it can be shown
		part := &Report{Runs: []Run{run}}
		part.markdown(io.Discard)
		_, err := part.picture().WriteTo(io.Discard)
		return err
	}
	r.run.Population = Population{Persons: leastPersons, Mean: 3, Seed: 1}
	if err := r.all(t.Context()); err != nil {
		t.Fatalf("%v; it said:\n%s", err, &said)
	}
	for _, s := range []*Size{&r.run.Loaded, &r.run.InUse, &r.run.Settled} {
		sum := uint64(0)
		for _, x := range s.Spaces {
			sum += x.Bytes
		}
		if float64(sum) < 0.9*float64(s.Tables) || s.Tables == 0 {
			t.Errorf("the spaces have %d bytes, all tables %d", sum, s.Tables)
		}
	}
	loaded, settled := r.run.Loaded.Spaces, r.run.Settled.Spaces
	for i := range loaded {
		switch loaded[i].Name {
		case "messages taken", "tail index":
			if want := r.run.Loaded.Events; loaded[i].Keys != want {
				t.Errorf("%d keys for %s, expected one for each of %d events", loaded[i].Keys, loaded[i].Name, want)
			}
		case "histories":
			if loaded[i].Keys != 0 || settled[i].Keys == 0 {
				t.Errorf("%d chunks before settling and %d after", loaded[i].Keys, settled[i].Keys)
			}
		}
	}
	report, err := loadReport(dir)
	if err != nil {
		t.Fatal(err)
	}
	report.add(r.run)
	report.add(r.run)
	if err := report.save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := loadReport(dir)
	if err != nil || len(again.Runs) != 1 {
		t.Fatalf("%d runs came back, %v", len(again.Runs), err)
	}
	var a, b bytes.Buffer
	report.markdown(&a)
	again.markdown(&b)
	if a.String() != b.String() {
		t.Errorf("the report reads back as\n%s\ninstead of\n%s", b.String(), a.String())
	}
}

// Copies are as many as they should be, none of them stands in the place of
// another record, and the persons who were there before are as they were.
func TestCopies(t *testing.T) {
	dir := t.TempDir()
	p := Population{Persons: 1000, Mean: 3, Seed: 5}
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t.Context(), p, dir, time.Now().Add(-spread).UnixMilli(), t.Logf); err != nil {
		t.Fatal(err)
	}
	if _, err := settle(t.Context(), dir, everything, 0); err != nil {
		t.Fatal(err)
	}
	count := func() (n int64) {
		s, err := size(t.Context(), dir, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range s.Spaces {
			n += x.Keys
		}
		return n
	}
	before := count()
	c, err := multiply(t.Context(), dir, 4)
	if err != nil {
		t.Fatal(err)
	}
	// Blocks of the log and the vault's few keys of its own are not copied.
	if after := count(); after != before+c.Records || c.Records < 3*(before-2000) || c.Records > 3*before {
		t.Errorf("%d records became %d with %d copied", before, after, c.Records)
	}
	if _, err := read(p, dir, 50); err != nil {
		t.Error(err)
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ args, fault string }{
		{"", ""},
		{"-quick", ""},
		{"-persons 5000,10000 -events-per-person 4", ""},
		{"-persons 10", "-persons"},
		{"-persons x", "-persons"},
		{"-events-per-person 1", "-events-per-person"},
		{"more", "unexpected argument"},
		{"-persons 20000 -copies 5", ""},
		{"-persons 10000 -copies 5", "-persons"},
		{"-copies 65", "-copies"},
		{"-show", ""},
		{"-show -quick", "-show"},
	} {
		_, err := parse(strings.Fields(c.args), io.Discard)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q: %v, expected %q", c.args, err, c.fault)
		}
	}
}
