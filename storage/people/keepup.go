package people

import (
	"context"
	"errors"
	"time"

	"github.com/reuna/reuna/storage/engine"
)

// clockJump is how far the wall's clock may part from the machine's own between
// two passes.
const clockJump = time.Hour

// firstPass is how long after a start settling begins.
const firstPass = 10 * time.Minute

// keepUp settles, and forgets what is too old, now and then, until the store closes.
func (s *Store) keepUp() {
	// Soon after a start, or a program that is started daily would never get to it.
	tick := time.NewTimer(min(s.o.SettleEvery, firstPass))
	defer tick.Stop()
	seen, first := time.Now(), true
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // ends with the function: stop is closed before running is awaited
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		tick.Reset(s.o.SettleEvery)
		began := time.Now()
		done, err := s.Settle(ctx, s.o.Tail)
		if first {
			first = false // what is deleted waits until the clock was watched for a while
		} else if jump := began.Round(0).Sub(seen.Round(0)) - began.Sub(seen); jump.Abs() > clockJump {
			// What is deleted by age is gone: a clock that runs ten years ahead for an
			// hour must not be believed.
			s.log.Warn("the clock jumped; nothing is deleted by age until it was steady for a while", "by", jump.Round(time.Second), "while", s.o.SettleEvery)
		} else if err == nil {
			events := time.Time{}
			if s.o.KeepEvents > 0 {
				events = s.o.Now().Add(-s.o.KeepEvents)
			}
			if err = s.Expire(events, s.o.Now().Add(-s.o.KeepRefused)); err == nil {
				err = s.forgetMessages(ctx, s.o.Now().Add(-s.o.DedupeWindow))
			}
		}
		seen = began
		switch {
		case errors.Is(err, context.Canceled) || errors.Is(err, engine.ErrClosed):
			return
		case err != nil:
			// Events go on being taken; what waits for this is only room on the disk.
			s.log.Error("entries could not be moved from the log into histories; trying again later", "err", err)
		case done.Entries > 0:
			s.log.Info("entries were moved from the log into histories", "entries", done.Entries, "chunks", done.Chunks, "took", time.Since(began).Round(time.Millisecond))
		}
		s.mu.Lock()
		s.stats.SettleErr = err
		s.mu.Unlock()
	}
}
