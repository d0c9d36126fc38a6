package people

import (
	"runtime"
	"sync"
	"time"
)

// pace is for work aside that the kernel does not see to. It has a run use what others
// leave of one processor, and give way when they need it: it takes a nap every few milliseconds, and where it wakes late others
// are waiting for a processor too, so it works less between its naps; where it
// wakes in time, a little more.
type pace struct {
	least float64       // share of one processor that it uses however busy the others are
	share float64       // that it uses now
	owed  time.Duration // of rest
	began time.Time
	calls int
	free  bool // the kernel sees to it: there is nothing to do
	// turn, if there is one, is for runs that must not work at the same moment: so that
	// on two processors one is always there for whoever comes.
	turn sync.Locker
}

func newPace(least float64) pace { return pace{least: least, share: least, began: time.Now()} }

const (
	// quantum is how long work goes on before it lets goroutines by that wait for
	// the same processor. Without that they wait for up to ten milliseconds, since
	// that is when the runtime looks.
	quantum = 400 * time.Microsecond
	// shortest is the least that is slept: less takes as long.
	shortest = time.Millisecond
	// longest is the most that is added for others at a time, so that on a machine
	// that is always busy a run gets on.
	longest = time.Millisecond
	// late is how much later than asked for a nap ends when somebody else was at
	// work. On an idle machine it is a tenth of a millisecond.
	late = 400 * time.Microsecond
	// mostShare is what is used of a processor that nobody else wants: a nap of a
	// millisecond after each of work, since only then others get to the network
	// where the other processors are at work too.
	mostShare = 0.5
	// A nap that ends in time adds to the share, one that ends late takes a part of
	// it: while one in six is late it stays as it is.
	shareMore, shareLess = 0.02, 0.8
)

// begin is called before work, and after waiting for others.
func (p *pace) begin() {
	if p.free = machine.unpaced(); !p.free && p.turn != nil {
		p.turn.Lock()
	}
	p.began = time.Now()
}

// end is called after work, and before waiting for others.
func (p *pace) end() {
	if !p.free && p.turn != nil {
		p.turn.Unlock()
	}
}

// tick is called often, between pieces of work that are shorter than a quantum.
func (p *pace) tick() {
	if p.free {
		return
	}
	worked := time.Since(p.began)
	if worked < quantum {
		return
	}
	p.owed += time.Duration(float64(worked) * (1/p.share - 1))
	if p.owed < shortest {
		before := time.Now()
		runtime.Gosched()
		p.began = time.Now()
		p.owed += min(p.began.Sub(before), longest)
		return
	}
	p.end()
	slept := time.Now()
	time.Sleep(p.owed)
	p.learn(time.Since(slept) - p.owed)
	p.begin()
	p.owed = max(p.owed-p.began.Sub(slept), -shortest)
}

// learn sets the share by how late a nap ended.
func (p *pace) learn(by time.Duration) {
	if by > late {
		p.share = max(p.least, p.share*shareLess)
	} else {
		p.share = max(p.least, min(p.share+shareMore, mostShare))
	}
}

// few is tick for pieces that are shorter than a look at the clock.
func (p *pace) few() {
	if p.calls++; p.calls%32 == 0 {
		p.tick()
	}
}
