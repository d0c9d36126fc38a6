package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/gateway/collect"
)

// drainTime is how long requests in flight may take once the gateway stops.
const drainTime = 10 * time.Second

// listen opens both listeners and serves them. The handlers look the front up
// for each request, so that a reload changes it between two of them.
func (a *App) listen() (err error) {
	l := a.cfg.Limits
	a.front.Load().collect.Configure(&a.siteSrv, collect.HTTP{
		ReadTimeout: l.ReadTimeout, WriteTimeout: l.WriteTimeout, IdleTimeout: l.IdleTimeout,
		Connections: l.Connections, Stream: fronts(a.cfg),
	})
	a.siteSrv.Handler = func(ctx *fasthttp.RequestCtx) { a.front.Load().collect.Handle(ctx) }
	a.front.Load().desk.Configure(&a.deskSrv)
	a.deskSrv.Handler = func(ctx *fasthttp.RequestCtx) { a.front.Load().desk.Handle(ctx) }
	if a.site, err = net.Listen("tcp", a.cfg.SiteAddr); err != nil {
		return inUse("site_addr", a.cfg.SiteAddr, err)
	}
	a.site = collect.LimitPeers(a.site, l.ConnectionsPerAddress, a.cfg.TrustedProxies)
	stop := a.stop(&a.siteSrv, a.site)
	a.opened("site listener", func() error {
		// What a site's own server streams without an end does not hold up the stop.
		late := time.AfterFunc(drainTime/2, a.endProxied)
		defer a.endProxied()
		defer late.Stop()
		return stop()
	})
	if a.desk, err = net.Listen("tcp", a.cfg.DeskAddr); err != nil {
		return inUse("desk_addr", a.cfg.DeskAddr, err)
	}
	a.opened("desk listener", a.stop(&a.deskSrv, a.desk))
	go a.serve(&a.siteSrv, a.site)
	go a.serve(&a.deskSrv, a.desk)
	return nil
}

func inUse(setting, addr string, err error) error {
	return fmt.Errorf("%s %s: %w; stop what listens there, or choose another address", setting, addr, err)
}

func (a *App) serve(s *fasthttp.Server, l net.Listener) {
	if err := s.Serve(l); err != nil && !a.draining.Load() {
		a.served <- fmt.Errorf("serving %s: %w", l.Addr(), err)
	}
}

func (a *App) stop(s *fasthttp.Server, l net.Listener) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		err := s.ShutdownWithContext(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			a.log.Warn("some connections were still open when the time to drain was over", "address", l.Addr().String())
			err = nil
		}
		// Shutdown knows only a listener that is being served already.
		if cerr := l.Close(); err == nil && cerr != nil && !errors.Is(cerr, net.ErrClosed) {
			err = cerr
		}
		return err
	}
}

const runName = "run.json"

// runFile is what DIR/run.json holds while the gateway is ready.
type runFile struct {
	Site string `json:"site"`
	Desk string `json:"desk"`
	PID  int    `json:"pid"`
}

// writeRunFile tells other programs where the gateway is. It appears whole: who
// finds it can read it.
func (a *App) writeRunFile() error {
	text, err := json.Marshal(runFile{a.SiteURL(), a.DeskURL(), os.Getpid()})
	if err != nil {
		return err
	}
	path := filepath.Join(a.cfg.DataDir, runName)
	part := path + ".part"
	if err := os.WriteFile(part, append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	a.opened("run file", func() error { return os.Remove(path) })
	return nil
}
