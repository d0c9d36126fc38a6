package growth

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
)

// The test binary is also the gateway that is measured.
const asGateway = "gateway"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asGateway {
		if err := gateway(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func gateway(args []string) error {
	f := flag.NewFlagSet(asGateway, flag.ContinueOnError)
	file, data := f.String("config", "", ""), f.String("data", "", "")
	site, desk := f.String("site-addr", "", ""), f.String("desk-addr", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := config.Load(*file)
	if err != nil {
		return err
	}
	c.DataDir, c.SiteAddr, c.DeskAddr = *data, *site, *desk
	a, err := app.Start(app.Options{Config: c, AdminKey: os.Getenv("REUNA_ADMIN_KEY")})
	if err != nil {
		return err
	}
	err = a.Wait(ctx)
	if cerr := a.Close(); err == nil {
		err = cerr
	}
	return err
}

// A whole run: every answer holds a person's history, or Run fails.
func TestAWholeRun(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	o := Options{
		Gateway: []string{self, asGateway}, Cache: t.TempDir(), Sizes: []int{500, 2000}, Seed: 3, Rounds: 2,
		Round: 300 * time.Millisecond, Rate: 200, Connections: 4, Log: &log,
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	for _, s := range r.Sizes {
		if s.Came == 0 || len(s.Each) != o.Rounds || s.Each[1].Came < s.Each[0].Came || s.Cost.Median <= 0 || s.Rates.Min <= 0 || s.P99 < s.P50 || s.Clean <= 0 || s.Killed <= 0 || s.Memory.Resident == 0 {
			t.Errorf("%+v", s)
		}
	}
	if got := r.Sizes[0].Ratio; got.Min != 1 || got.Max != 1 {
		t.Errorf("ratio of the first size to itself: %+v", got)
	}
	var table strings.Builder
	if err := r.Table(&table); err != nil || !strings.Contains(table.String(), "come back") {
		t.Errorf("%v\n%s", err, &table)
	}
	if err := r.Save(t.TempDir()); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(o.Cache)
	if err != nil || len(left) != len(o.Sizes) {
		t.Errorf("%v, %v: expected the two populations and no copies", left, err)
	}
	// The next run finds the folders, as they were.
	log.Reset()
	o.Sizes = o.Sizes[:1]
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatalf("the second run: %v\n%s", err, &log)
	}
	if strings.Contains(log.String(), "filling") {
		t.Errorf("the second run has filled the folder again:\n%s", &log)
	}
}

func TestEverybodyComesOnce(t *testing.T) {
	p := Population{Persons: 10_000, Seed: 1}
	came, one := make([]bool, p.Persons), 0
	for place := range p.Persons {
		v := p.turn(place)
		if came[v] {
			t.Fatalf("person %d comes twice", v)
		}
		came[v] = true
		if p.eventsOf(v) == 1 {
			one++
		}
	}
	if total := p.total(); one < 7300 || one > 7700 || total < 14_000 || total > 15_000 {
		t.Errorf("%d of %d leave one event, all together %d", one, p.Persons, total)
	}
}

func TestMissedBars(t *testing.T) {
	s := Size{Persons: 5, Hot: 1, Clean: 1, Killed: 5, Memory: measure.Memory{Resident: 1e9}, Ratio: measure.Spread{Median: 1.5}}
	r := &Report{Sizes: []Size{s}}
	if err := r.Missed(); err != nil {
		t.Errorf("all bars are held: %v", err)
	}
	for want, change := range map[string]func(*Size){
		"an event cost 1.60 times": func(s *Size) { s.Ratio.Median = 1.6 },
		"1.1e+09 bytes":            func(s *Size) { s.Memory.Resident = 1.1e9 },
		"a start took 1.10 s":      func(s *Size) { s.Clean = 1.1 },
		"kill -9 took 5.10 s":      func(s *Size) { s.Killed = 5.1 },
	} {
		worse := s
		change(&worse)
		r.Sizes[0] = worse
		if err := r.Missed(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v: expected %q", err, want)
		}
	}
}
