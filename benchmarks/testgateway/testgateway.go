// Package testgateway lets a test binary be the gateway that it measures.
package testgateway

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
)

// asGateway is the first argument of a test binary that is to be a gateway.
const asGateway = "gateway"

// Main is a package's TestMain: m is its testing.M.
func Main(m interface{ Run() int }) {
	if len(os.Args) > 1 && os.Args[1] == asGateway {
		if err := run(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Command runs this test binary as a gateway.
func Command() ([]string, error) {
	self, err := os.Executable()
	return []string{self, asGateway}, err
}

func run(args []string) error {
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
