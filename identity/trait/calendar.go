package trait

import (
	"strings"
	"sync"
	"time"

	"github.com/reuna/reuna/identity/event"
)

// Units of a streak, and of the time since something.
const (
	Second = "second"
	Minute = "minute"
	Hour   = "hour"
	Day    = "day"
	Week   = "week"
	Month  = "month"
)

func streakUnits() []string { return []string{Day, Week, Month} }
func sinceUnits() []string  { return []string{Second, Minute, Hour, Day} }

// unitMillis is a unit of a fixed length in ms.
func unitMillis(unit string) int64 {
	switch unit {
	case Minute:
		return 60_000
	case Hour:
		return 3_600_000
	case Day:
		return 86_400_000
	}
	return 1000
}

// zones keeps the time zones that were asked for, since finding one reads a file,
// and the names that are none: what devices say of themselves is not to be believed.
// (The world has about 600.)
type zones struct {
	mu    sync.RWMutex
	known map[string]*time.Location // nil: there is none of that name
}

const (
	maxZones     = 2000
	maxZoneBytes = 64
)

// find gives the zone of an IANA name, nil when there is none.
func (z *zones) find(name string) *time.Location {
	if name == "" || len(name) > maxZoneBytes {
		return nil
	}
	z.mu.RLock()
	at, ok := z.known[name]
	z.mu.RUnlock()
	if ok {
		return at
	}
	name = strings.Clone(name) // a location keeps it, and whose text it is may be written to
	at = location(name)
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.known == nil {
		z.known = map[string]*time.Location{}
	}
	if len(z.known) < maxZones {
		z.known[name] = at
	}
	return at
}

// location finds a zone; the machine's own is nobody's.
func location(name string) *time.Location {
	at, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name == "" {
		return nil
	}
	return at
}

// ofPerson is a person's zone: the device's, else the place's, else UTC.
func (z *zones) ofPerson(d *event.Device, g *event.Geo) *time.Location {
	if at := z.find(d.Timezone); at != nil {
		return at
	}
	if at := z.find(g.Timezone); at != nil {
		return at
	}
	return time.UTC
}

// period is the number of the day, week (from Monday on) or month that holds a
// time, such that the next has the next number.
func period(unit string, ms int64, zone *time.Location) int64 {
	if unit == Month {
		y, m, _ := time.UnixMilli(ms).In(zone).Date()
		return int64(y)*12 + int64(m) - 1
	}
	days := floorDiv(ms+ahead(ms, zone), unitMillis(Day))
	if unit == Week { // 1970 began on a Thursday
		return floorDiv(days+3, 7)
	}
	return days
}

// ahead is by how much clocks in a zone are ahead of UTC's, in ms.
func ahead(ms int64, zone *time.Location) int64 {
	if zone == time.UTC {
		return 0
	}
	_, seconds := time.UnixMilli(ms).In(zone).Zone()
	return int64(seconds) * 1000
}

// beginning is when a period begins, in ms.
func beginning(unit string, n int64, zone *time.Location) int64 {
	switch unit {
	case Month:
		return time.Date(int(floorDiv(n, 12)), time.Month(n-12*floorDiv(n, 12)+1), 1, 0, 0, 0, 0, zone).UnixMilli()
	case Week:
		n = 7*n - 3
	}
	return time.Date(1970, 1, 1+int(n), 0, 0, 0, 0, zone).UnixMilli()
}

func floorDiv(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}
