package collect

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// pace is a Rate in the terms of the generic cell rate algorithm, which keeps a
// whole token bucket in one number: the time at which it would be full again.
type pace struct {
	interval  int64 // nanoseconds a request costs
	tolerance int64 // how far ahead of now the number may be
}

func newPace(r Rate) pace {
	const most = 1 << 60 // 36 years: sums of three stay within an int64
	interval := int64(min(float64(time.Second)/r.PerSecond, most))
	burst := min(int64(max(r.Burst, 1)), most/max(interval, 1))
	return pace{interval: interval, tolerance: (burst - 1) * interval}
}

// next takes a request at now (nanoseconds): the number afterwards, or how long
// the sender has to wait.
func (p pace) next(full, now int64) (int64, time.Duration) {
	// A number further ahead than any request can have put it means that the
	// clock went back; nobody is to wait for it to come round again.
	if full < now || full > now+p.tolerance+p.interval {
		full = now
	}
	if wait := full - p.tolerance - now; wait > 0 {
		return full, time.Duration(wait)
	}
	return full + p.interval, 0
}

// bucket limits one key. Its zero value is full.
type bucket struct{ full atomic.Int64 }

func (b *bucket) take(p pace, now int64) time.Duration {
	for {
		old := b.full.Load()
		full, wait := p.next(old, now)
		if wait > 0 || b.full.CompareAndSwap(old, full) {
			return wait
		}
	}
}

const (
	addressSets = 4096 // a power of two
	addressWays = 8
)

// addressLimits limits client addresses, an IPv6 network of 64 bits counting as
// one. It remembers at most addressSets × addressWays of them in 0.8 MB. Where a
// set is full, the address with the least to pay back is forgotten, so those
// that overdo it stay remembered.
type addressLimits struct {
	pace pace
	seed maphash.Seed
	sets [addressSets]addressSet
}

type addressSet struct {
	mu    sync.Mutex
	slots [addressWays]struct {
		addr netip.Addr
		full int64
	}
}

func newAddressLimits(r Rate) *addressLimits {
	return &addressLimits{pace: newPace(r), seed: maphash.MakeSeed()}
}

func (l *addressLimits) take(addr netip.Addr, now int64) time.Duration {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			addr = p.Addr()
		}
	}
	b := addr.As16()
	set := &l.sets[maphash.Bytes(l.seed, b[:])%addressSets]
	set.mu.Lock()
	defer set.mu.Unlock()
	slot := &set.slots[0]
	for i := range set.slots {
		s := &set.slots[i]
		if s.addr == addr {
			slot = s
			break
		}
		if s.full < slot.full {
			slot = s
		}
	}
	if slot.addr != addr {
		slot.addr, slot.full = addr, 0
	}
	var wait time.Duration
	slot.full, wait = l.pace.next(slot.full, now)
	return wait
}

// admit holds the client's address against its rate. A peer on the same machine
// that forwards for nobody is exempt: it is the site's own server, or a test.
func (c *call) admit() *failure {
	l := c.s.addresses
	if l == nil || !c.req.Client.IsValid() || c.direct && c.peer.IsLoopback() {
		return nil
	}
	if wait := l.take(c.req.Client, c.now.UnixNano()); wait > 0 {
		return tooMany("address_rate", "too many requests from this address; the limit is a setting (limits.requests_per_second_per_address)", wait)
	}
	return nil
}

// admitKey holds the write key against its rate.
func (c *call) admitKey() *failure {
	p := c.sites.pace
	if p == (pace{}) {
		return nil
	}
	if wait := c.key.bucket.take(p, c.now.UnixNano()); wait > 0 {
		return tooMany("key_rate", "too many requests with this write key; the limit is a setting (limits.requests_per_second_per_key)", wait)
	}
	return nil
}
