package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

// Opened is what opening a folder took, until a person could be read.
type Opened struct {
	Evicted bool    `json:"evicted"` // none of the folder's pages were in the system's cache
	Millis  float64 `json:"millis"`  // until the first profile was read
	Parts   Opening `json:"parts"`
	First   float64 `json:"firstProfileMillis"`
	Filter  float64 `json:"filterMillis"` // from then until the filter of message ids was filled, beside
	Before  Memory  `json:"memoryBefore"`
	Memory  Memory  `json:"memory"` // after the filter was filled
	Mixed   *Mixed  `json:"mixed,omitempty"`
}

// Mixed is what ten seconds of mixed traffic did.
type Mixed struct {
	Events int     `json:"events"`
	Rate   float64 `json:"perSecond"`
	Write  Times   `json:"write"` // from its moment until durable
	Read   Times   `json:"read"`  // the device's profile after it
	Memory Memory  `json:"memory"`
	Took   Took    `json:"took"`
}

// Times are percentiles in milliseconds.
type Times struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func timesOf(list []time.Duration) Times {
	if len(list) == 0 {
		return Times{}
	}
	slices.Sort(list)
	at := func(p float64) float64 { return millis(list[min(len(list)-1, int(p*float64(len(list))))]) }
	return Times{at(0.50), at(0.99), millis(list[len(list)-1])}
}

// reopen opens a folder in this fresh process and reads a profile. mixed is how
// many events of mixed traffic follow, at rate a second.
func reopen(p Population, dir string, evict bool, mixed int, rate float64, nonce uint64) (o Opened, err error) {
	o.Evicted = evict
	t, err := newTraffic(p, min(300, p.Persons))
	if err != nil {
		return o, err
	}
	if evict {
		if err := evictFolder(dataFolder(dir)); err != nil {
			return o, err
		}
	}
	settleMemory()
	if o.Before, err = memoryNow(); err != nil {
		return o, err
	}
	began := time.Now()
	w, err := open(dir, worldOptions{})
	if err != nil {
		return o, err
	}
	defer w.close(&err)
	reading := time.Now()
	profile, err := w.Device(p.anonymous(p.Persons/2 + 1))
	if err != nil {
		return o, err
	}
	o.Millis, o.First, o.Parts = millis(time.Since(began)), millis(time.Since(reading)), w.opened
	if profile.Profile == nil || profile.Profile.Events == 0 {
		return o, fmt.Errorf("visitor %d has no profile after opening", p.Persons/2+1)
	}
	began = time.Now()
	awaitFilter()
	o.Filter = millis(time.Since(began))
	if o.Memory, err = memoryNow(); err != nil {
		return o, err
	}
	if mixed > 0 {
		o.Mixed, err = mix10(w, t, mixed, rate, nonce)
	}
	return o, err
}

// filling says whether the store is still filling its filter of message ids,
// which only its goroutines tell: the one that does it, or one that has not
// begun yet and may be it.
func filling() bool {
	var b bytes.Buffer
	// Writing into a buffer does not fail.
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	text := b.String()
	return strings.Contains(text, "people.(*Store).fillFilter(") || strings.Contains(text, "]:\nsync.(*WaitGroup).Go.func")
}

// awaitFilter returns when it is filled. There is nothing to wait on, so it looks again and again.
func awaitFilter() {
	for filling() {
		time.Sleep(2 * time.Millisecond)
	}
}

// mix10 sends events at a rate, each at its moment whatever became of the ones
// before: three in ten by somebody new, the others by anybody of the upper half
// of the population. After each the device's profile is read, as an answer does.
func mix10(w *world, t *traffic, events int, rate float64, nonce uint64) (*Mixed, error) {
	const senders = 32
	watch := newWatch()
	began := time.Now()
	var mu sync.Mutex
	var writes, reads []time.Duration
	var failed error
	next := make(chan int, senders)
	var group sync.WaitGroup
	for s := range senders {
		group.Go(func() {
			r := rand.New(rand.NewPCG(nonce, uint64(s)))
			var items [1]people.Item
			for i := range next {
				due := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
				v, n := t.Persons/2+r.IntN(t.Persons/2), perTemplate
				if fresh := r.IntN(10) < 3; fresh {
					v, n = t.Persons+int(nonce)<<20+i, 0
				}
				var e event.Event
				t.event(&e, v, n, time.Now().UnixMilli(), r)
				ticket, err := take(w, &items, &e, n == 0)
				if err == nil {
					err = ticket.Wait()
				}
				written := time.Now()
				if err == nil {
					_, err = w.Device(e.AnonymousID)
				}
				read := time.Now()
				mu.Lock()
				writes, reads = append(writes, written.Sub(due)), append(reads, read.Sub(written))
				if err != nil && failed == nil {
					failed = err
				}
				mu.Unlock()
			}
		})
	}
	for i := range events {
		time.Sleep(time.Until(began.Add(time.Duration(float64(i) / rate * float64(time.Second)))))
		next <- i
	}
	close(next)
	group.Wait()
	m := &Mixed{Events: events, Rate: float64(events) / time.Since(began).Seconds(), Write: timesOf(writes), Read: timesOf(reads), Took: watch.read(int64(events))}
	var err error
	m.Memory, err = memoryNow()
	if failed != nil {
		return m, failed
	}
	return m, err
}

// untilKilled sends for a while without a checkpoint, says so, and waits to be killed.
func untilKilled(p Population, dir string, events int, rate float64, nonce uint64, ready func()) error {
	t, err := newTraffic(p, min(300, p.Persons))
	if err != nil {
		return err
	}
	w, err := open(dir, worldOptions{every: time.Hour})
	if err != nil {
		return err
	}
	if _, err := mix10(w, t, events, rate, nonce); err != nil {
		return err
	}
	ready()
	time.Sleep(time.Minute)
	runtime.KeepAlive(w)
	return fmt.Errorf("nobody killed this process within a minute")
}

// Reads is reading persons at random.
type Reads struct {
	Persons  int     `json:"persons"`
	Events   float64 `json:"eventsEach"`
	Cold     Read    `json:"cold"` // never read before, nothing in the system's cache at the start
	Warm     Read    `json:"warm"` // the same persons again
	Timeline int     `json:"timelineLimit"`
}

// Read is one way of reading.
type Read struct {
	Profile  Times `json:"profile"`
	Timeline Times `json:"timeline"`
}

const timelineLimit = 50

// untouched is where visitors begin that no other step writes to or erases; up
// to half of the population.
const untouched = 400

// read reads persons at random, and checks that each has what was sent.
func read(p Population, dir string, persons int) (out Reads, err error) {
	if err := evictFolder(dataFolder(dir)); err != nil {
		return out, err
	}
	w, err := open(dir, worldOptions{})
	if err != nil {
		return out, err
	}
	defer w.close(&err)
	awaitFilter()
	if err := evictFolder(dataFolder(dir)); err != nil {
		return out, err
	}
	out.Persons, out.Timeline = persons, timelineLimit
	total := 0
	for _, into := range []*Read{&out.Cold, &out.Warm} {
		r := rand.New(rand.NewPCG(p.Seed, 77))
		var profiles, timelines []time.Duration
		for range persons {
			v := untouched + r.IntN(p.Persons/2-untouched)
			want := 0
			for _, d := range p.person(v) {
				want += p.events(d)
			}
			began := time.Now()
			who, err := w.Person(id.ID{Type: id.AnonymousID, Value: p.anonymous(v)}, id.VerifiedView)
			profiles = append(profiles, time.Since(began))
			if err != nil {
				return out, fmt.Errorf("visitor %d: %w", v, err)
			}
			if int(who.Profile.Events) != want {
				return out, fmt.Errorf("visitor %d has %d events, %d were sent: %v", v, who.Profile.Events, want, who.Cluster.Members)
			}
			found := 0
			began = time.Now()
			_, err = w.Timeline(who.Facets, people.Place{}, timelineLimit, func(people.Place, *event.Event) error { found++; return nil })
			timelines = append(timelines, time.Since(began))
			if err != nil || found != min(want, timelineLimit) {
				return out, fmt.Errorf("timeline of visitor %d has %d events of %d: %v", v, found, want, err)
			}
			total += want
		}
		into.Profile, into.Timeline = timesOf(profiles), timesOf(timelines)
	}
	out.Events = float64(total) / float64(2*persons)
	return out, nil
}

// Held is what memory grows to when many persons are read.
type Held struct {
	Hold    int    `json:"hold"`
	Read    int    `json:"personsRead"`
	Writing bool   `json:"writing"` // one event in a hundred reads, so that checkpoints come
	Facets  int    `json:"facetsHeld"`
	Before  Memory `json:"memoryBefore"`
	Memory  Memory `json:"memory"`
}

// hold reads many different persons' profiles.
func hold(ctx context.Context, p Population, dir string, bound, persons int, writing bool, nonce uint64) (h Held, err error) {
	h.Hold, h.Read, h.Writing = bound, persons, writing
	t, err := newTraffic(p, min(300, p.Persons))
	if err != nil {
		return h, err
	}
	w, err := open(dir, worldOptions{hold: bound})
	if err != nil {
		return h, err
	}
	defer w.close(&err)
	awaitFilter()
	settleMemory()
	if h.Before, err = memoryNow(); err != nil {
		return h, err
	}
	r := rand.New(rand.NewPCG(nonce, 5))
	var items [1]people.Item
	step := max(1, p.Persons/persons)
	for i := range persons {
		if err := ctx.Err(); err != nil {
			return h, err
		}
		v := (untouched + i*step) % p.Persons
		if _, err := w.Device(p.anonymous(v)); err != nil {
			return h, err
		}
		if writing && i%100 == 0 {
			var e event.Event
			t.event(&e, p.Persons/2+v/2, perTemplate, time.Now().UnixMilli(), r)
			if _, err := take(w, &items, &e, false); err != nil {
				return h, err
			}
		}
	}
	if err := w.Checkpoint(); err != nil {
		return h, err
	}
	h.Facets = w.Stats().Facets
	h.Memory, err = memoryNow()
	return h, err
}
