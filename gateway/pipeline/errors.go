package pipeline

import (
	"errors"
	"time"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
)

// Unavailable says that the request was not taken and may be sent again.
type Unavailable struct {
	Code       string
	Message    string // safe for the sender
	RetryAfter time.Duration
	Err        error // for the log
}

func (e *Unavailable) Error() string { return e.Message }

// Unwrap gives the detail.
func (e *Unavailable) Unwrap() error { return e.Err }

// unavailable turns what the store says into what a sender may hear.
func unavailable(err error) error {
	var busy eventlog.ErrBusy
	var full eventlog.ErrDiskFull
	var behind people.ErrBehind
	switch {
	case err == nil:
		return nil
	case errors.As(err, &busy):
		return &Unavailable{"queue_full", busy.Error() + "; send it again later, or raise limits.queue_bytes", time.Second, err}
	case errors.As(err, &behind):
		return &Unavailable{"store_behind", "the gateway takes events faster than its disk keeps up with; send it again later", time.Second, err}
	case errors.As(err, &full), errors.Is(err, engine.ErrFull):
		return &Unavailable{"disk_full", "the gateway's disk has too little space left to keep events; send it again later", 30 * time.Second, err}
	case errors.Is(err, eventlog.ErrClosed):
		return &Unavailable{"draining", "the gateway is stopping; send it again in a moment", 2 * time.Second, err}
	}
	return &Unavailable{"storage_failed", "the gateway could not store the events; send them again later", 5 * time.Second, err}
}
