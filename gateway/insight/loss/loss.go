// Package loss computes how much of what pages made never arrived: per site,
// browser and page, from what the log says behind the requests.
//
// Each load of a page is a run. Its id begins with the moment of its begin, and
// the tag numbers the messages of a run 1, 2, 3, …; a later page of the browser
// reports how far the runs before it had counted, so that also what was lost at
// a run's end is known. Of a run
//
//	made     = the greatest number that was seen or reported,
//	received = how many different numbers are in the log, refused messages among them,
//	lost     = made − received; what arrives late corrects it.
//
// What nobody can know is a number that was on no disk of the browser when all
// of it was killed: it was neither seen nor reported, and counts as never made.
package loss

import (
	"time"

	"github.com/reuna/reuna/identity/event"
)

// Bounds of what is believed and kept.
const (
	// Horizon is for how long a run is judged after it began: as long as the tag
	// keeps what it could not deliver.
	Horizon = 7 * 24 * time.Hour
	// Skew is how far ahead of the gateway's clock a browser's may be. A run that
	// began later than that is not judged.
	Skew = time.Hour
	// MaxSeq bounds a run's numbers: more than a page makes in a week at ten a
	// minute. What counts further is not judged.
	MaxSeq = 1 << 17
	// MaxReports is how many runs one message may report, the tag's own bound.
	MaxReports = 50

	maxPages    = 50   // names of pages a site; the others are one, Other
	maxCells    = 4096 // combinations of site, browser and page
	defaultRuns = 500_000
	slotMs      = int64(5 * time.Minute / time.Millisecond)
	hourMs      = int64(time.Hour / time.Millisecond)
	startDigits = 9 // of a run's id, base 36: milliseconds until the year 5188
	maxRunID    = 32
)

// Seen is what one message says about its delivery.
type Seen struct {
	Site, Browser string
	Path          string // of the page that the message is from
	Run           string
	Seq           uint32 // from 1; 0: the message has no number
	At            int64  // when it was received, ms since 1970
	Refused       bool   // into the quarantine: it has arrived, and says nothing of browser and page
	Reports       []Report
}

// Report is how far a run of the same browser had counted when a later page looked.
type Report struct {
	Run  string
	Made uint32
	Path string
}

// Read takes out of an event what it says about its delivery. False: nothing,
// as from everything that is not our tag. What s holds is a window into e.
func Read(s *Seen, e *event.Event) bool {
	*s = Seen{Site: e.Site, Browser: e.Device.Browser, At: e.ReceivedAt, Reports: s.Reports[:0]}
	if e.Source != event.FromTag {
		return false
	}
	if e.Bot.Is {
		s.Browser = Robot
	}
	e.Context.Each(func(k string, v event.Value) bool {
		switch k {
		case "run":
			s.Run = v.Text()
		case "seq":
			s.Seq = number(v)
		case "page":
			s.Path = v.Get("path").Text()
		case "runs":
			s.Reports = appendReports(s.Reports, v)
		}
		return true
	})
	return s.Run != "" && s.Seq > 0 || len(s.Reports) > 0
}

// ReadRefused does the same for a message that was refused: raw is its text,
// run what its batch said.
func ReadRefused(s *Seen, site string, source event.Source, at int64, run, raw string) bool {
	*s = Seen{Site: site, At: at, Refused: true, Run: run, Reports: s.Reports[:0]}
	if source != event.FromTag || run == "" {
		return false
	}
	m, err := event.Check(raw)
	if err != nil {
		return false
	}
	s.Seq = number(m.Get("context", "seq"))
	s.Reports = appendReports(s.Reports, m.Get("context", "runs"))
	return s.Seq > 0 || len(s.Reports) > 0
}

// appendReports reads [["run", made, "/path"], …].
func appendReports(list []Report, v event.Value) []Report {
	v.Items(func(m event.Value) bool {
		var r Report
		i := 0
		m.Items(func(x event.Value) bool {
			switch i {
			case 0:
				r.Run = x.Text()
			case 1:
				r.Made = number(x)
			case 2:
				r.Path = x.Text()
			}
			i++
			return i < 3
		})
		if r.Run != "" && r.Made > 0 {
			list = append(list, r)
		}
		return len(list) < MaxReports
	})
	return list
}

// number is a whole number from 1 to MaxSeq; one above MaxSeq stays above, and
// everything else is 0.
func number(v event.Value) uint32 {
	f, ok := v.Number()
	switch {
	case !ok || f < 1:
		return 0
	case f > MaxSeq:
		return MaxSeq + 1
	case f != float64(uint32(f)):
		return 0
	}
	return uint32(f)
}

// start is when a run began by its browser's clock, ms since 1970.
func start(run string) (ms int64, ok bool) {
	if len(run) < startDigits || len(run) > maxRunID {
		return 0, false
	}
	for i := range len(run) {
		c := run[i]
		digit := int64(-1)
		switch {
		case c >= '0' && c <= '9':
			digit = int64(c - '0')
		case c >= 'a' && c <= 'z':
			digit = int64(c-'a') + 10
		}
		if digit < 0 {
			return 0, false
		}
		if i < startDigits {
			ms = ms*36 + digit
		}
	}
	return ms, true
}

// runKey is what is kept of a run's id: a hash, FNV-1a of 64 bits. Two runs of
// one time slot share it once in 10¹³ or so, and who forges that could forge the run.
func runKey(site, run string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range [...]string{site, "\x00", run} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	return h
}
