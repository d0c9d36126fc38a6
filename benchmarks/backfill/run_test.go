package backfill

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/benchmarks/testgateway"
)

func TestMain(m *testing.M) { testgateway.Main(m) }

// A whole run: the audience has the size that it must have, or Run fails.
func TestAWholeRun(t *testing.T) {
	command, err := testgateway.Command()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	o := Options{
		Gateway: command, Cache: t.TempDir(), Devices: 1000, Seed: 3, Rate: 200,
		Calm: 600 * time.Millisecond, Round: 200 * time.Millisecond, Connections: 4, Log: &log,
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	if r.Size == 0 || r.Filled <= 0 || r.Ready < r.Filled || r.Before.Requests == 0 || r.During.Requests == 0 || r.After.P99 < r.After.P50 {
		t.Errorf("%+v", r)
	}
	if err := r.Table(io.Discard); err != nil {
		t.Error(err)
	}
	if err := r.Save(t.TempDir()); err != nil {
		t.Error(err)
	}
	// The second run finds the folder, as it was.
	log.Reset()
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatalf("the second run: %v\n%s", err, &log)
	}
	if strings.Contains(log.String(), "filling") {
		t.Errorf("the second run has filled the folder again:\n%s", &log)
	}
}
