package growth

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/benchmarks/testgateway"
)

func TestMain(m *testing.M) { testgateway.Main(m) }

// A whole run: every answer holds a person's history, or Run fails.
func TestAWholeRun(t *testing.T) {
	command, err := testgateway.Command()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	o := Options{
		Gateway: command, Cache: t.TempDir(), Sizes: []int{500, 2000}, Seed: 3, Rounds: 2,
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
