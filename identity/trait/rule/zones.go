package rule

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// zones keeps the time zones that rules have asked for: finding one reads a
// file. There are about 600 in the world; a name that is none is not kept.
type zones struct {
	mu    sync.RWMutex
	known map[string]*time.Location
}

const maxZones = 1000

// find takes a name of the IANA's data base (Europe/Helsinki) or a distance
// from UTC (+02:00), as CEL does.
func (z *zones) find(name string) (*time.Location, error) {
	z.mu.RLock()
	at, ok := z.known[name]
	z.mu.RUnlock()
	if ok {
		return at, nil
	}
	if strings.Contains(name, ":") {
		text := name
		if text[0] != '+' && text[0] != '-' {
			text = "+" + text
		}
		t, err := time.Parse("-07:00", text)
		if err != nil {
			return nil, fmt.Errorf("saw the time zone %q, expected a name such as Europe/Helsinki or a distance such as +02:00", name)
		}
		_, offset := t.Zone()
		at = time.FixedZone(name, offset)
	} else {
		var err error
		if at, err = time.LoadLocation(name); err != nil || name == "Local" { // the machine's own is nobody's
			return nil, fmt.Errorf("saw the time zone %q, expected a name such as Europe/Helsinki or a distance such as +02:00", name)
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.known == nil {
		z.known = map[string]*time.Location{}
	}
	if len(z.known) < maxZones {
		z.known[strings.Clone(name)] = at
	}
	return at, nil
}
