package app

import (
	"errors"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/gateway/collect"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
)

const codeDiskFull = "disk_full"

// Unready says why the gateway cannot take events now. Code and Message are for
// whoever asks; Err, which may name files, is for the log.
type Unready struct {
	Code, Message string
	Err           error
}

func (u *Unready) Error() string {
	if u.Err == nil {
		return u.Message
	}
	return u.Message + ": " + u.Err.Error()
}

// Unwrap gives the detail.
func (u *Unready) Unwrap() error { return u.Err }

// Ready says why the gateway cannot take events now; nil when it can.
func (a *App) Ready() *Unready {
	if a.draining.Load() {
		return &Unready{Code: "draining", Message: "the gateway is stopping"}
	}
	if err := a.db.Healthy(); err != nil {
		return unready(err)
	}
	if err := a.people.Healthy(); err != nil {
		return &Unready{"people_failed", "what is known of people could not be kept in step with the log; restart the gateway, its log says more", err}
	}
	return unready(a.events.Admit())
}

// unready tells the store's reasons apart.
func unready(err error) *Unready {
	var busy eventlog.ErrBusy
	var full eventlog.ErrDiskFull
	var gap *eventlog.GapError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &full), errors.Is(err, engine.ErrFull):
		return &Unready{codeDiskFull, "the disk has too little space left to take events; reads and erasures go on, and it passes by itself when there is space (setting limits.min_free)", err}
	case errors.As(err, &busy):
		return &Unready{"queue_full", "more events wait for the disk than limits.queue_bytes allows; it passes when the disk has caught up", err}
	case errors.As(err, &gap), errors.Is(err, engine.ErrDamaged):
		return &Unready{"storage_damaged", "what is on the disk is damaged; restore a backup, the gateway's log says what is wrong", err}
	case errors.Is(err, eventlog.ErrClosed), errors.Is(err, engine.ErrClosed):
		return &Unready{"draining", "the gateway is stopping", err}
	}
	return &Unready{"storage_failed", "the store failed, and takes nothing until the gateway is restarted; its log says why", err}
}

// siteReady and deskReady say the same in the listeners' words.
func (a *App) siteReady() error {
	if u := a.Ready(); u != nil {
		return &collect.NotReady{Code: u.Code, Message: u.Message, Err: u}
	}
	return nil
}

func (a *App) deskReady() error {
	if u := a.Ready(); u != nil {
		return &admin.NotReady{Code: u.Code, Message: u.Message, Err: u}
	}
	return nil
}
