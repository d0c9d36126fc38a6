package engine

import "sync/atomic"

// gate counts the calls under way and closes once. An RWMutex would deadlock
// here: a read inside another read's callback waits for the writer that waits
// for the first. At a closed gate the inner call is turned away instead.
type gate struct {
	state atomic.Int64 // calls under way, plus shut once closing
	empty chan struct{}
}

const shut = 1 << 62

func (g *gate) init() { g.empty = make(chan struct{}, 1) }

func (g *gate) enter() bool {
	if g.state.Add(1) < shut {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.state.Add(-1) == shut {
		select {
		case g.empty <- struct{}{}:
		default:
		}
	}
}

// inside is the number of calls under way.
func (g *gate) inside() int { return int(g.state.Load() & (shut - 1)) }

func (g *gate) closed() bool { return g.state.Load() >= shut }

// close shuts the gate and waits until nobody is inside, or until dead is
// closed; false when another call has shut it before.
func (g *gate) close(dead <-chan struct{}) bool {
	for {
		n := g.state.Load()
		if n >= shut {
			return false
		}
		if g.state.CompareAndSwap(n, n+shut) {
			break
		}
	}
	for g.state.Load() != shut {
		select {
		case <-g.empty:
		case <-dead:
			return true
		}
	}
	return true
}
