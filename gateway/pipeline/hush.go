package pipeline

import (
	"sync/atomic"
	"time"
)

// hush is how long a request that makes a new claim takes to learn of whom: to
// read somebody who is not in memory takes 0.04 to 0.4 ms on a good disk, a
// stranger a tenth of that. On a slower disk it grows until one in thirty takes
// longer, and those stand out by their own time alone: to round it up would only
// show them better. To wait for the slowest of all would make every claim as slow
// as the worst stall of a busy processor. The zero hush is ready for use.
type hush struct{ over atomic.Int64 } // leastHush, ns; of two at once one may be lost

const (
	leastHush = time.Millisecond
	mostHush  = 20 * time.Millisecond
)

// rest is what is left of the hush for a request that took so long. An eighth up
// against a 256th down comes to rest where one in 32 takes longer.
func (h *hush) rest(took time.Duration) time.Duration {
	now := leastHush + time.Duration(h.over.Load())
	next := now - now/256
	if took > now {
		next = now + now/8
	}
	h.over.Store(int64(min(max(next, leastHush), mostHush) - leastHush))
	return now - took
}

// meet looks up who the events name. The time that it takes for a claim is the
// same whether those are known or not (storage/people, Meet).
func (p *Pipeline) meet(j *job) error {
	began := time.Now()
	news, err := p.o.People.Meet(j.items, j.r.AnonymousID, j.r.Fresh)
	if news {
		pause(p.hush.rest(time.Since(began)))
	}
	return err
}
