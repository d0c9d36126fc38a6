// Command gateway runs Reuna: the tracking gateway, its store and its desk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	_ "time/tzdata" // persons' own time zones, on machines that have no files of them

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // also: something is wrong with what was checked
	exitUsage  = 2 // wrong flags or a faulty configuration
)

type flags struct {
	config, data, siteAddr, deskAddr string
	check, version                   bool
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return command(args[0], args[1:], stdout, stderr)
	}
	var f flags
	set := flag.NewFlagSet("gateway", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.Usage = func() {
		fmt.Fprintln(stderr, "gateway [flags]          runs the gateway\ngateway COMMAND [flags]  "+commandNames()+"\n\nFlags of the gateway:")
		set.PrintDefaults()
	}
	set.StringVar(&f.config, "config", "", "configuration `file`; without one the gateway runs with its defaults")
	set.StringVar(&f.data, "data", "", "data `folder` (setting data_dir; default ./reuna-data)")
	set.StringVar(&f.siteAddr, "site-addr", "", "`address` that browsers and SDKs reach (setting site_addr; default 127.0.0.1:8080); port 0 picks a free one")
	set.StringVar(&f.deskAddr, "desk-addr", "", "`address` for operators (setting desk_addr; default 127.0.0.1:8081)")
	set.BoolVar(&f.check, "check", false, "check the configuration, print every fault with its line and column, and exit")
	set.BoolVar(&f.version, "version", false, "print the version and exit")
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case set.NArg() > 0:
		fmt.Fprintf(stderr, "gateway takes no arguments behind its flags (a command such as restore comes first); seen: %s\n", strings.Join(set.Args(), " "))
		return exitUsage
	}
	if f.version {
		fmt.Fprintln(stdout, "reuna", version())
		return exitOK
	}
	cfg, err := f.read()
	if err == nil {
		err = app.CheckDefinitions(cfg)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	if f.check {
		fmt.Fprintf(stdout, "the configuration is good: %d sites, %d traits, %d segments, %d placements\n",
			len(cfg.Sites), len(cfg.Traits), len(cfg.Segments), len(cfg.Placements))
		return exitOK
	}
	shortTurns()
	return f.serve(cfg, stdout, stderr)
}

// read gives the configuration with the flags laid over it.
func (f *flags) read() (cfg *config.Config, err error) {
	cfg = config.Default()
	if f.config != "" {
		if cfg, err = config.Load(f.config); err != nil {
			return nil, err
		}
	}
	for _, x := range []struct {
		flag string
		to   *string
	}{{f.data, &cfg.DataDir}, {f.siteAddr, &cfg.SiteAddr}, {f.deskAddr, &cfg.DeskAddr}} {
		if x.flag != "" {
			*x.to = x.flag
		}
	}
	return cfg, cfg.Validate()
}

func (f *flags) serve(cfg *config.Config, stdout, stderr io.Writer) int {
	log := logger(cfg, stderr)
	// Ask for the signals before anything is opened: one that comes early must
	// still end in an orderly close.
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)

	a, err := app.Start(app.Options{
		Config: cfg, Reread: f.read, AdminKey: os.Getenv("REUNA_ADMIN_KEY"), Version: version(), Logger: log, Stdout: stdout,
	})
	if err != nil {
		fmt.Fprintf(stderr, "the gateway cannot start: %v\n", err)
		return exitFailed
	}
	go func() {
		for range hup {
			if err := a.Reload(); err != nil {
				log.Error("reload refused; what ran before runs on", "err", err)
			}
		}
	}()
	failed := a.Wait(stop)
	cancel() // a second signal ends the program at once
	log.Info("stopping")
	if err := errors.Join(failed, a.Close()); err != nil {
		log.Error("stopped with a failure", "err", err)
		return exitFailed
	}
	log.Info("stopped")
	return exitOK
}

func logger(cfg *config.Config, out io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		level = slog.LevelInfo // Validate knows no other names
	}
	o := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, o))
	}
	return slog.New(slog.NewTextHandler(out, o))
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "development"
	}
	return info.Main.Version
}
