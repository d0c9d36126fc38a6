package people

import (
	"runtime"
	"time"
)

// pace has a run give way: often, to whoever waits for a processor, and for so
// long that it uses no more than its share of one; and less than that where
// others were waiting, since then it is in somebody's way.
type pace struct {
	rest  float64       // that a moment's work is followed by
	owed  time.Duration // of rest
	began time.Time
	calls int
}

func newPace(share float64) pace { return pace{rest: 1/share - 1, began: time.Now()} }

const (
	// quantum is how long work goes on before it gives way. Without that others wait
	// for up to ten milliseconds, since that is when the runtime looks.
	quantum = 200 * time.Microsecond
	// shortest is the least that is slept: less takes as long.
	shortest = time.Millisecond
	// longest is the most that is added for others at a time, so that on a machine
	// that is always busy a run gets on.
	longest = time.Millisecond
)

// tick is called often, between pieces of work that are shorter than a quantum.
func (p *pace) tick() {
	worked := time.Since(p.began)
	if worked < quantum {
		return
	}
	p.owed += time.Duration(float64(worked) * p.rest)
	if p.owed < shortest {
		before := time.Now()
		runtime.Gosched()
		p.began = time.Now()
		p.owed += min(p.began.Sub(before), longest)
		return
	}
	slept := time.Now()
	time.Sleep(p.owed)
	p.began = time.Now()
	p.owed = max(p.owed-p.began.Sub(slept), -shortest)
}

// few is tick for pieces that are shorter than a look at the clock.
func (p *pace) few() {
	if p.calls++; p.calls%32 == 0 {
		p.tick()
	}
}
