package naive

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/trait"
)

// scored are the happenings of an affinity with their weights, as amounts of one
// unit where there is no Value.
func (p *person) scored() (list []happening) {
	for _, e := range p.events {
		at := e.Timestamp
		if p.d.Kind == trait.BestHour {
			list = append(list, happening{at, time.UnixMilli(at).In(p.eventZone(e, trait.Person)).Format("15"), 1e6})
			continue
		}
		by, value := p.d.By, p.d.Value
		list1, below1, in1 := strings.Cut(by, "[]")
		list2, below2, in2 := strings.Cut(value, "[]")
		switch {
		case value == "":
			for _, k := range keys(by, e) {
				list = append(list, happening{at, k, 1e6})
			}
		case in1 && in2 && list1 == list2:
			for _, item := range values(list1+"[]", e) {
				k, ok := key(item.Path(strings.TrimPrefix(below1, ".")))
				n, amount := micros(item.Path(strings.TrimPrefix(below2, ".")))
				if ok && amount && n > 0 {
					list = append(list, happening{at, k, n})
				}
			}
		default:
			sum := int64(0)
			for _, v := range values(value, e) {
				if n, ok := micros(v); ok && n > 0 {
					sum += n
				}
			}
			if sum > 0 {
				for _, k := range keys(by, e) {
					list = append(list, happening{at, k, sum})
				}
			}
		}
	}
	return list
}

func (p *person) favourite() event.Value {
	halfLife := p.d.HalfLife.Milliseconds()
	if halfLife == 0 {
		halfLife = 90 * 86_400_000
	}
	width := max(1000, (8*halfLife+95)/96)
	type bucket struct {
		key string
		n   int64
	}
	sums := map[bucket]int64{}
	for _, h := range p.scored() {
		if h.at/width >= (p.now-8*halfLife)/width {
			sums[bucket{h.key, h.at / width}] += h.micros
		}
	}
	var buckets []bucket
	for b := range sums {
		buckets = append(buckets, b)
	}
	slices.SortFunc(buckets, func(a, b bucket) int { return cmp.Compare(a.n, b.n) })
	scores := map[string]float64{}
	for _, b := range buckets {
		age := max(0, p.now-(b.n*width+width/2))
		scores[b.key] += float64(sums[b]) / 1e6 * math.Exp2(-float64(age)/float64(halfLife))
	}
	best := ""
	for k, s := range scores {
		if s >= 1.0/256 && (best == "" || s > scores[best]) {
			best = k
		}
	}
	for k, s := range scores { // of the same weight, but for rounding, the first by name
		if best != "" && s >= 1.0/256 && k < best && scores[best]-s <= 1e-12*scores[best] {
			best = k
		}
	}
	switch {
	case best == "":
		return ""
	case p.d.Kind == trait.BestHour:
		return event.Value(cmp.Or(strings.TrimPrefix(best, "0"), "0"))
	}
	return event.Quote(best)
}

// eventZone is the zone in which an event happened: the one that is named, else
// the device's, else the place's, else UTC.
func (p *person) eventZone(e *event.Event, preset string) *time.Location {
	return zone(cmp.Or(p.d.Timezone, preset), e.Device.Timezone, e.Geo.Timezone)
}

func zone(name, device, place string) *time.Location {
	names := []string{name}
	if name == trait.Person {
		names = []string{device, place}
	}
	for _, n := range names {
		if at, err := time.LoadLocation(n); n != "" && n != "Local" && err == nil {
			return at
		}
	}
	return time.UTC
}

// here is the zone of the person now: of the latest device that is known, else of
// the latest place.
func (p *person) here() *time.Location {
	var device, place string
	for _, e := range p.all {
		if e.Device != (event.Device{}) {
			device = e.Device.Timezone
		}
		if e.Geo != (event.Geo{}) {
			place = e.Geo.Timezone
		}
	}
	return zone(cmp.Or(p.d.Timezone, "UTC"), device, place)
}

// dates are the different first days of the units in which something happened, as
// UTC midnights, ascending: the newest 800.
func (p *person) dates() (list []time.Time) {
	for _, e := range p.events {
		list = append(list, p.begin(time.UnixMilli(e.Timestamp).In(p.eventZone(e, "UTC"))))
	}
	slices.SortFunc(list, time.Time.Compare)
	list = slices.CompactFunc(list, time.Time.Equal)
	return list[max(0, len(list)-800):]
}

// begin is the first day of the unit that holds a moment.
func (p *person) begin(t time.Time) time.Time {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	switch {
	case p.d.Kind == trait.Streak && p.d.Unit == "month":
		return day.AddDate(0, 0, 1-day.Day())
	case p.d.Kind == trait.Streak && p.d.Unit == "week":
		for day.Weekday() != time.Monday {
			day = day.AddDate(0, 0, -1)
		}
	}
	return day
}

func (p *person) before(t time.Time) time.Time {
	switch p.d.Unit {
	case "month":
		return t.AddDate(0, -1, 0)
	case "week":
		return t.AddDate(0, 0, -7)
	}
	return t.AddDate(0, 0, -1)
}

func (p *person) days() event.Value {
	today := p.begin(time.UnixMilli(p.now).In(p.here()))
	n := 0
	for _, day := range p.dates() {
		if p.d.Window == 0 || !day.After(today) && day.After(today.AddDate(0, 0, -int(p.d.Window/(24*time.Hour)))) {
			n++
		}
	}
	return encode(n)
}

func (p *person) streak() event.Value {
	list := p.dates()
	row := func(last time.Time) (n int) {
		for slices.ContainsFunc(list, last.Equal) {
			n, last = n+1, p.before(last)
		}
		return n
	}
	if p.d.Longest {
		most := 0
		for _, day := range list {
			most = max(most, row(day))
		}
		return encode(most)
	}
	today := p.begin(time.UnixMilli(p.now).In(p.here()))
	if n := row(today); n > 0 {
		return encode(n)
	}
	return encode(row(p.before(today)))
}

// times are those of a step, each once, the newest 128.
func (p *person) times(s trait.Step) (list []int64) {
	for _, e := range p.all {
		if p.site(e) && name(e) == s.Event && p.holds(p.d.Where, e) && p.holds(s.Where, e) {
			list = append(list, e.Timestamp)
		}
	}
	list = slices.Compact(list)
	return list[max(0, len(list)-128):]
}

func (p *person) sequence() bool {
	within := p.d.Within.Milliseconds()
	var not []int64
	if p.d.Not != nil {
		not = p.times(*p.d.Not)
	}
	steps := make([][]int64, len(p.d.Steps))
	for i, s := range p.d.Steps {
		steps[i] = p.times(s)
	}
	// walk tries each way to go on from a step that happened at last.
	var walk func(i int, first, last int64) bool
	walk = func(i int, first, last int64) bool {
		if i == len(steps) {
			if p.d.Not == nil {
				return true
			}
			return last+within <= p.now && !slices.ContainsFunc(not, func(t int64) bool { return t > last && t <= last+within })
		}
		for _, t := range steps[i] {
			start := first
			if i == 0 {
				start = t
			}
			if i > 0 && t <= last || within > 0 && t-start > within || p.window > 0 && t <= p.now-p.window {
				continue
			}
			if walk(i+1, start, t) {
				return true
			}
		}
		return false
	}
	return walk(0, 0, math.MinInt64)
}
