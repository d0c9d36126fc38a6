package backfill

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

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

// A whole run: the audience has the size that it must have, or Run fails.
func TestAWholeRun(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	o := Options{
		Gateway: []string{self, asGateway}, Cache: t.TempDir(), Devices: 1000, Seed: 3, Rate: 200,
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
