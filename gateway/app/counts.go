package app

import (
	"sync"
	"time"
)

// countRest is for how many times as long as a count took its result stands: who looks at
// an audience of hundreds of thousands every second has it counted every few, which costs
// the machine one part in as many.
const countRest = 50

// counts are how many are in which audience. A small audience is counted whenever it is
// asked for.
type counts struct {
	mu   sync.Mutex // held while one is counted: who asks meanwhile is given the same
	list map[uint32]counted
}

type counted struct {
	n     int64
	state string // of its backfill: what was counted before it ended is not what it came to
	until time.Time
}

// of gives the number of an audience, by its id, as count says it or said it lately.
func (c *counts) of(id uint32, state string, now func() time.Time, count func(id uint32) (int64, error)) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := now()
	if x, ok := c.list[id]; ok && x.state == state && began.Before(x.until) {
		return x.n, nil
	}
	n, err := count(id)
	if err != nil {
		return 0, err
	}
	ended := now()
	for other, x := range c.list {
		if !ended.Before(x.until) {
			delete(c.list, other)
		}
	}
	if c.list == nil {
		c.list = map[uint32]counted{}
	}
	c.list[id] = counted{n, state, ended.Add(countRest * ended.Sub(began))}
	return n, nil
}
