package trait

import "github.com/reuna/reuna/identity/event"

// maxSplit is how many members of an event's properties, or traits, are kept
// apart; those of longer objects are looked for one by one.
const maxSplit = 32

// members are the members of one object of an event, found in one go when the
// first of them is asked for: many definitions read the same few.
type members struct {
	keys   [maxSplit]string
	values [maxSplit]event.Value
	n      int
	state  split
}

type split uint8

const (
	unsplit split = iota
	apart
	tooMany
)

// get is object.Get(key); object is the same until reset.
func (m *members) get(object event.Value, key string) event.Value {
	if m.state == unsplit {
		m.split(object)
	}
	if m.state == tooMany {
		return object.Get(key)
	}
	for i := range m.n {
		if m.keys[i] == key {
			return m.values[i]
		}
	}
	return ""
}

func (m *members) split(object event.Value) {
	m.state = apart
	object.Each(func(key string, v event.Value) bool {
		if m.n == maxSplit {
			m.state = tooMany
			return false
		}
		m.keys[m.n], m.values[m.n] = key, v
		m.n++
		return true
	})
}

// reset lets go of the object.
func (m *members) reset() {
	clear(m.keys[:m.n])
	clear(m.values[:m.n])
	m.n, m.state = 0, unsplit
}
