package trait

import (
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
)

// zoneOf is the definition's time zone for a profile.
func (d *definition) zoneOf(p *facet.Profile) *time.Location {
	if p == nil {
		return d.zone(&event.Device{}, &event.Geo{})
	}
	return d.zone(&p.Device, &p.Geo)
}

func readDays(d *definition, c *Computed, v *Value) {
	v.known = true
	list := c.series(d).Moments("")
	if d.Window == 0 || len(list) == 0 {
		v.n = int64(len(list))
		return
	}
	zone := d.zoneOf(c.p)
	today := period(Day, c.now, zone)
	first := today - int64(d.Window/day) + 1
	for _, n := range list {
		if n >= first && n <= today {
			v.n++
		}
	}
	if list[len(list)-1] >= first { // some are still to go, or to come
		v.Until = beginning(Day, today+1, zone)
	}
}

// readStreak counts back from this period or the one before; Longest looks for the
// longest row there was.
func readStreak(d *definition, c *Computed, v *Value) {
	v.known = true
	list := c.series(d).Moments("")
	if len(list) == 0 {
		return
	}
	if d.Longest {
		row := int64(0)
		for i, n := range list {
			if i == 0 || list[i-1] != n-1 {
				row = 0
			}
			row++
			v.n = max(v.n, row)
		}
		return
	}
	zone := d.zoneOf(c.p)
	now := period(d.unit, c.now, zone)
	end := len(list)
	for end > 0 && list[end-1] > now { // a zone that is ahead of the person's present one
		end--
	}
	if end < len(list) {
		v.Until = beginning(d.unit, list[end], zone)
	}
	if end == 0 || list[end-1] < now-1 {
		return
	}
	for i := end - 1; i >= 0 && list[i] == list[end-1]-int64(end-1-i); i-- {
		v.n++
	}
	v.Until = min(v.Until, beginning(d.unit, list[end-1]+2, zone))
}
