package behaviour

import (
	"math"
	"sync"
)

// ways is how many places a key may lie in.
const ways = 4

// table keeps values by 64-bit keys in fixed memory. A key may lie in one of
// four places that stand together; a newcomer pushes out the one of them that
// was quiet for longest.
//
// Invariant: an entry is read and written only while its set's lock is held,
// for a few instructions, and nobody holds two: take and find lock, done
// unlocks. Keys are seeded hashes and never 0, so nobody can choose who is
// pushed out. One lock for all was rejected: cores would wait for each other.
type table[V any] struct {
	sets []set[V]
	mask uint64
}

// set is laid out by cache lines of 64 bytes: all that finds a value stands in
// the first, and visitor and client are whole lines (a test holds them to it).
type set[V any] struct {
	mu   sync.Mutex
	keys [ways]uint64 // 0: free
	seen [ways]uint32 // seconds
	_    [8]byte
	all  [ways]V
}

// slot is one value, with its set locked until done.
type slot[V any] struct {
	value *V
	set   *set[V]
}

func (s slot[V]) done() { s.set.mu.Unlock() }

func newTable[V any](size int) *table[V] {
	n := 1
	for n*ways < size {
		n <<= 1
	}
	return &table[V]{sets: make([]set[V], n), mask: uint64(n - 1)}
}

// take is a key's value, which is zero when it is new.
func (t *table[V]) take(key uint64, now uint32) slot[V] {
	s := &t.sets[key&t.mask]
	s.mu.Lock()
	oldest := 0
	for i := range s.keys {
		if s.keys[i] == key {
			s.seen[i] = now
			return slot[V]{&s.all[i], s}
		}
		if s.seen[i] < s.seen[oldest] {
			oldest = i
		}
	}
	var none V
	s.keys[oldest], s.seen[oldest], s.all[oldest] = key, now, none
	return slot[V]{&s.all[oldest], s}
}

// find is a key's value when there is one; only then there is something to be
// done.
func (t *table[V]) find(key uint64) (slot[V], bool) {
	s := &t.sets[key&t.mask]
	s.mu.Lock()
	for i := range s.keys {
		if s.keys[i] == key {
			return slot[V]{&s.all[i], s}, true
		}
	}
	s.mu.Unlock()
	return slot[V]{}, false
}

// visitor is what is known of one visitor. Times are seconds.
type visitor struct {
	views     views
	maker     uint64 // the client that made it; 0: none that is public
	born      uint32 // when; 0: it came with its cookie
	rateUntil uint32
	softUntil uint32
	peak      uint16 // most page views within a minute
	soft      signs
	again     bool // it was seen again
	counted   bool // and its site's habits wait for that
	_         [7]byte
}

// views counts page views in steps of five seconds: the last twelve steps are a
// minute that is not yet full, so that what is counted did fall within 60 s. A
// robot must be faster by a twelfth to be sure to be found.
type views struct {
	step int64
	n    [steps]uint16
}

const (
	steps    = 12
	stepTime = 60_000 / steps // ms
)

// add counts a page view at a time in ms, and is how many there are in the
// minute that ends with the latest. Views from before it are left out.
func (v *views) add(at int64) int {
	step := max(at, 0) / stepTime
	if step >= v.step+steps {
		v.n, v.step = [steps]uint16{}, step
	}
	for v.step < step {
		v.step++
		v.n[v.step%steps] = 0
	}
	if step <= v.step-steps {
		return 0
	}
	if n := &v.n[step%steps]; *n < math.MaxUint16 {
		*n++
	}
	total := 0
	for _, n := range v.n {
		total += int(n)
	}
	return total
}

// client is what is known of one address with one agent. Times are seconds.
type client struct {
	fetched  uint32 // when it last asked for the script; 0: never
	spoke    uint32 // when it last sent an event
	until    uint32 // its new devices are one-hit devices until then,
	devices  uint16 // of which there were so many
	returned uint16 // and so many were seen again
	minutes  minutes
	_        [12]byte
}

// minutes are counts by the minute. The last ten that had patience to return
// are the window that is judged.
type minutes struct {
	now                           uint32
	made, back, pageless, fetches [spans]uint16
}

const spans = 10 + patience

// move begins the minute now.
func (m *minutes) move(now uint32) {
	if now >= m.now+spans {
		*m = minutes{now: now}
	}
	for m.now < now {
		m.now++
		i := m.now % spans
		m.made[i], m.back[i], m.pageless[i], m.fetches[i] = 0, 0, 0, 0
	}
}

// add counts one more in a minute, unless that is over and gone.
func (m *minutes) add(of *[spans]uint16, minute uint32) {
	if minute > m.now || minute+spans <= m.now {
		return
	}
	if n := &of[minute%spans]; *n < math.MaxUint16 {
		*n++
	}
}

// sum is how many there were within the window.
func (m *minutes) sum(of *[spans]uint16) int {
	total := 0
	for age := uint32(patience); age < spans && age <= m.now; age++ {
		total += int(of[(m.now-age)%spans])
	}
	return total
}
