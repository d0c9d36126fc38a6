package decide

import (
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"
)

// Schedule is when a variant may be shown: between two moments, and of the days
// in between on some days of the week and in some hours. The zero Schedule is
// always.
type Schedule struct {
	From, Until time.Time // the first moment, and the first one no more; zero: no bound
	Days        []string  // mon, tue, wed, thu, fri, sat, sun; none: every day
	// Hours are "09:00-17:30" by the clock of Timezone: from the first minute on
	// until the last begins. "22:00-02:00" ends on the day after, and belongs to the
	// day on which it begins. Empty: the whole day.
	Hours    string
	Timezone string // IANA name, as Europe/Helsinki; empty: UTC
}

func (s *Schedule) always() bool {
	return s.From.IsZero() && s.Until.IsZero() && len(s.Days) == 0 && s.Hours == ""
}

// forever is a boundary that never comes.
const forever = math.MaxInt64

// schedule is one made ready. What it says holds for a stretch of time, which is
// remembered.
type schedule struct {
	from, until int64   // ms; the bounds of all
	days        [7]bool // by time.Weekday
	begin, end  int     // minutes since midnight; end above a day: on the next one
	daily       bool    // days or hours are bounded
	zone        *time.Location
	last        atomic.Pointer[stretch]
}

// stretch is a time in which a schedule says the same.
type stretch struct {
	from, until int64 // ms; until is the first moment no more
	open        bool
}

const minutesOfDay = 24 * 60

func (c *compiler) schedule(at string, from *Schedule) *schedule {
	if from.always() {
		if from.Timezone != "" {
			c.fault(at+".timezone", "a time zone is for days and hours; there are none")
		}
		return nil
	}
	s := &schedule{from: math.MinInt64, until: forever, end: minutesOfDay, zone: time.UTC, daily: len(from.Days) > 0 || from.Hours != ""}
	if !from.From.IsZero() {
		s.from = from.From.UnixMilli()
	}
	if !from.Until.IsZero() {
		s.until = from.Until.UnixMilli()
	}
	if s.from >= s.until {
		c.fault(at+".until", "saw %s, expected a time after %s, when it begins", from.Until.Format(time.RFC3339), from.From.Format(time.RFC3339))
	}
	for i, name := range from.Days {
		day, ok := weekday(name)
		if !ok {
			c.fault(fmt.Sprintf("%s.days[%d]", at, i), "saw %q, expected %s", name, strings.Join(weekdays(), ", "))
		}
		s.days[day] = true
	}
	if len(from.Days) == 0 {
		s.days = [7]bool{true, true, true, true, true, true, true}
	}
	if from.Hours != "" {
		var ok bool
		if s.begin, s.end, ok = hours(from.Hours); !ok {
			c.fault(at+".hours", "saw %q, expected two times of day such as 09:00-17:30", from.Hours)
		}
	}
	zone, err := time.LoadLocation(from.Timezone)
	switch {
	case err != nil || from.Timezone == "Local":
		c.fault(at+".timezone", "saw %q, expected a name such as Europe/Helsinki or UTC", from.Timezone)
	default:
		s.zone = zone
	}
	return s
}

func weekdays() []string { return []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"} }

func weekday(name string) (time.Weekday, bool) {
	for i, n := range weekdays() {
		if n == name {
			return time.Weekday((i + 1) % 7), true
		}
	}
	return 0, false
}

// hours reads "09:00-17:30". An end that is not after the begin is on the next day.
func hours(text string) (begin, end int, ok bool) {
	a, b, ok := strings.Cut(text, "-")
	if !ok {
		return 0, 0, false
	}
	begin, ok1 := minute(strings.TrimSpace(a))
	end, ok2 := minute(strings.TrimSpace(b))
	if !ok1 || !ok2 || begin == minutesOfDay {
		return 0, 0, false
	}
	if end <= begin {
		end += minutesOfDay
	}
	return begin, end, true
}

// minute reads "09:30", to 24:00.
func minute(s string) (int, bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	n := [4]int{}
	for i, at := range [...]int{0, 1, 3, 4} {
		if s[at] < '0' || s[at] > '9' {
			return 0, false
		}
		n[i] = int(s[at] - '0')
	}
	h, m := n[0]*10+n[1], n[2]*10+n[3]
	return h*60 + m, m < 60 && h*60+m <= minutesOfDay
}

// at says whether the schedule is open at a moment (ms), and until when it says
// so; forever: always from here on.
func (s *schedule) at(now int64) (open bool, until int64) {
	if s == nil {
		return true, forever
	}
	if x := s.last.Load(); x != nil && now >= x.from && now < x.until {
		return x.open, x.until
	}
	x := s.stretch(now)
	s.last.Store(&x)
	return x.open, x.until
}

// stretch finds out, from now on.
func (s *schedule) stretch(now int64) stretch {
	switch {
	case now < s.from:
		return stretch{now, s.from, false}
	case now >= s.until:
		return stretch{now, forever, false}
	case !s.daily:
		return stretch{now, s.until, true}
	}
	t := time.UnixMilli(now).In(s.zone)
	year, month, day := t.Date()
	x := stretch{from: now, until: s.until}
	// The windows of yesterday to a week from now, in order: the first that has
	// not ended tells. Windows that meet are one.
	for d := -1; d <= 8; d++ {
		date := time.Date(year, month, day+d, 0, 0, 0, 0, s.zone)
		if !s.days[date.Weekday()] {
			continue
		}
		begin, end := s.clock(year, month, day+d, s.begin), s.clock(year, month, day+d, s.end)
		switch {
		case end <= now || begin >= end: // over, or an hour that this day does not have
		case begin <= now || x.open && begin <= x.until:
			x.open = true
			x.until = end
		case x.open:
			x.until = min(x.until, s.until)
			return x
		default:
			x.until = min(begin, s.until)
			return x
		}
	}
	x.until = min(x.until, s.until)
	return x
}

// clock is the moment of a minute of a day, in ms. Where the clocks are put
// forward over it, it is as much later; where they are put back, the first.
func (s *schedule) clock(year int, month time.Month, day, minute int) int64 {
	return time.Date(year, month, day, 0, minute, 0, 0, s.zone).UnixMilli()
}
