// Package app is the running program: it opens the store, wires the gateway's
// subjects together, serves both listeners, and drains in the reverse order.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/define"
	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/gateway/insight/experiment"
	"github.com/reuna/reuna/gateway/insight/loss"
	"github.com/reuna/reuna/gateway/ops"
	"github.com/reuna/reuna/gateway/tagserve"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/token"
	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/definitions"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/erasure"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

// Options say what to run.
type Options struct {
	Config *config.Config
	// Reread reads the configuration anew, with the flags that were given; it is
	// what Reload uses. Nil: Reload re-reads the geo files alone.
	Reread func() (*config.Config, error)
	// AdminKey is the first admin key, from REUNA_ADMIN_KEY; "" makes one.
	AdminKey string
	Version  string
	// DemoFanFor is how long a purchase makes a fan in the demo shop; 0: as long as
	// the shop has it.
	DemoFanFor time.Duration
	// Packs has tags that were compressed before, for who starts several gateways
	// in one process; nil: this one keeps its own, for Reload.
	Packs  *tagserve.Packs
	Logger *slog.Logger
	Stdout io.Writer      // for the first start's greeting; nil: none
	Exit   func(code int) // when the store can no longer be trusted; nil: os.Exit
}

// App is one gateway: one data folder, two listeners.
type App struct {
	o   Options
	cfg *config.Config
	log *slog.Logger

	keys     keys
	db       *engine.DB
	vault    *vault.Vault
	events   *eventlog.Log
	audit    *audit.Log
	people   *people.Store
	erasures *erasure.Worker
	ops      *ops.Desk
	loss     *loss.Reader
	types    *id.Types
	enricher *enrich.Enricher
	salts    *salts
	links    *token.Links
	meters   *meters

	kept        *definitions.Store
	defs        *define.Manager
	judge       *judge
	experiments atomic.Pointer[experiment.Reader] // nil until it is open

	front    atomic.Pointer[front] // replaced by Reload, whole
	reload   sync.Mutex
	draining atomic.Bool

	proxied    context.Context // of what goes on between visitors and sites' own servers
	endProxied context.CancelFunc

	site, desk     net.Listener
	siteSrv        fasthttp.Server
	deskSrv        fasthttp.Server
	served         chan error
	open           []step // what was opened, to be closed in reverse
	fatal          sync.Once
	created, first bool // the master key was made now; so was the folder
}

// step is one thing that was opened and how to close it.
type step struct {
	name  string
	close func() error
}

// Start opens everything and serves. On an error nothing is left open.
func Start(o Options) (started *App, err error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Exit == nil {
		o.Exit = os.Exit
	}
	if o.Packs == nil {
		o.Packs = new(tagserve.Packs)
	}
	a := &App{o: o, cfg: o.Config, log: o.Logger, served: make(chan error, 2)}
	a.proxied, a.endProxied = context.WithCancel(context.Background())
	a.meters = newMeters(a)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.closeAll())
		}
	}()
	err = a.openAll([]opening{
		{"data folder", a.openFolder},
		{"keys", a.openKeys},
		{"store", a.openStore},
		{"vault", a.openVault},
		{"admin key", a.setAdminKey},
		{"event log", a.openLog},
		{"audit log", a.openAudit},
		{"definitions", a.openDefinitions},
		{"people", a.openPeople},
		{"new definitions", a.startDefinitions},
		{"experiments", a.openExperiments},
		{"erasures", a.openErasures},
		{"loss figures", a.openLoss},
		{"enrichment", a.openEnricher},
		{"geo files", a.watchGeo},
		{"salt", a.openSalts},
		{"links", a.openLinks},
		{"operations", a.openOperations},
		{"sites", a.openFront},
		{"listeners", a.listen},
		{"run file", a.writeRunFile},
	})
	if err != nil {
		return nil, err
	}
	a.log.Info("ready", "site", a.SiteURL(), "desk", a.DeskURL(), "pid", os.Getpid())
	a.greet()
	return a, nil
}

// opening is one thing to open. What it opens it notes with opened.
type opening struct {
	name string
	do   func() error
}

func (a *App) openAll(list []opening) error {
	for _, x := range list {
		if err := x.do(); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	return nil
}

func (a *App) opened(name string, close func() error) { a.open = append(a.open, step{name, close}) }

func (a *App) openEnricher() (err error) {
	a.enricher, err = enrich.New(enrich.Options{
		City: a.cfg.Geo.City, Country: a.cfg.Geo.Country, ASN: a.cfg.Geo.ASN, IP: a.cfg.Retention.IP, Logger: a.log,
	})
	if err == nil {
		a.opened("enrichment", a.enricher.Close)
	}
	return err
}

// SiteURL is where browsers and SDKs reach the gateway.
func (a *App) SiteURL() string { return "http://" + a.site.Addr().String() }

// DeskURL is where operators do.
func (a *App) DeskURL() string { return "http://" + a.desk.Addr().String() }

// Reload takes a changed configuration and changed geo files in. What is faulty
// changes nothing. Addresses and folders keep until the next start.
func (a *App) Reload() error {
	a.reload.Lock()
	defer a.reload.Unlock()
	err := a.enricher.Reload()
	if a.o.Reread == nil {
		return err
	}
	cfg, cerr := a.o.Reread()
	if cerr != nil {
		return errors.Join(err, cerr)
	}
	for _, fixed := range []struct {
		name     string
		old, new string
	}{
		{"data_dir", a.cfg.DataDir, cfg.DataDir}, {"site_addr", a.cfg.SiteAddr, cfg.SiteAddr}, {"desk_addr", a.cfg.DeskAddr, cfg.DeskAddr},
		{"geo", fmt.Sprint(a.cfg.Geo), fmt.Sprint(cfg.Geo)}, {"identifiers", fmt.Sprint(a.cfg.Identifiers), fmt.Sprint(cfg.Identifiers)},
		{"phone_region", a.cfg.PhoneRegion, cfg.PhoneRegion}, {"identity", fmt.Sprint(a.cfg.Identity), fmt.Sprint(cfg.Identity)},
		{"retention", fmt.Sprint(a.cfg.Retention), fmt.Sprint(cfg.Retention)}, {"backup", fmt.Sprint(a.cfg.Backup), fmt.Sprint(cfg.Backup)},
		{"limits.min_free", fmt.Sprint(a.cfg.Limits.MinFree), fmt.Sprint(cfg.Limits.MinFree)},
		{"limits.commit_wait", fmt.Sprint(a.cfg.Limits.CommitWait), fmt.Sprint(cfg.Limits.CommitWait)},
	} {
		if fixed.old != fixed.new {
			a.log.Warn("this setting changes at the next start", "setting", fixed.name)
		}
	}
	if fronts(cfg) && !a.siteSrv.StreamRequestBody {
		a.log.Warn("the first upstream is in use, but takes no uploads above limits.batch until the next start")
	}
	fixed, cerr := fixedDefinitions(cfg, a.o.DemoFanFor)
	if cerr == nil {
		cerr = located(cfg, a.defs.Check(fixed, a.placements(cfg)))
	}
	if cerr != nil {
		return errors.Join(err, cerr)
	}
	f, cerr := a.newFront(cfg)
	if cerr == nil {
		cerr = a.note("config.reload", "ok")
	}
	if cerr == nil {
		cerr = located(cfg, a.defs.Fix(fixed, a.placements(cfg)))
	}
	if cerr == nil {
		a.front.Store(f)
		a.log.Info("configuration reloaded", "sites", len(f.sites))
	}
	return errors.Join(err, cerr)
}

// Wait returns when a listener fails.
func (a *App) Wait(ctx context.Context) error {
	select {
	case err := <-a.served:
		return err
	case <-ctx.Done():
		return nil
	}
}

// Close drains: readiness off, requests in flight answered, the store written.
func (a *App) Close() error {
	a.draining.Store(true)
	return a.closeAll()
}

func (a *App) closeAll() error {
	var errs []error
	for i := len(a.open) - 1; i >= 0; i-- {
		if err := a.open[i].close(); err != nil {
			errs = append(errs, fmt.Errorf("closing %s: %w", a.open[i].name, err))
		}
	}
	a.open = nil
	return errors.Join(errs...)
}
