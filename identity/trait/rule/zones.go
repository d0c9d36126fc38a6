package rule

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// zones keeps the time zones that rules have asked for, and the names that are
// none: finding one reads a file, and a name may be one that a visitor sent. When
// there are too many it begins anew; there are about 600 in the world.
type zones struct {
	mu    sync.RWMutex
	known map[string]*time.Location // nil: no zone is called so
}

const (
	maxZones    = 1000
	maxZoneName = 64 // bytes
)

// find takes a name of the IANA's data base (Europe/Helsinki) or a distance
// from UTC (+02:00), as CEL does; "" is UTC.
func (z *zones) find(name string) (*time.Location, error) {
	z.mu.RLock()
	at, ok := z.known[name]
	z.mu.RUnlock()
	if !ok {
		name = strings.Clone(name) // a location keeps it, and whose text it is may be written to
		at = locate(name)
		z.mu.Lock()
		if z.known == nil || len(z.known) >= maxZones {
			z.known = map[string]*time.Location{}
		}
		if len(name) <= maxZoneName {
			z.known[name] = at
		}
		z.mu.Unlock()
	}
	if at == nil {
		return nil, fmt.Errorf("saw the time zone %q, expected a name such as Europe/Helsinki or a distance such as +02:00", excerpt(name))
	}
	return at, nil
}

func locate(name string) *time.Location {
	if len(name) > maxZoneName || name == "Local" { // the machine's own is nobody's
		return nil
	}
	if strings.Contains(name, ":") {
		text := name
		if text[0] != '+' && text[0] != '-' {
			text = "+" + text
		}
		t, err := time.Parse("-07:00", text)
		if err != nil {
			return nil
		}
		_, offset := t.Zone()
		return time.FixedZone(name, offset)
	}
	at, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return at
}
