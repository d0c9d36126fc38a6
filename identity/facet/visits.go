package facet

import "slices"

// VisitGap is the inactivity that ends a session: 30 minutes, as in GA4.
const VisitGap = 30 * 60 * 1000

const maxVisits = 96

// Span is one visit, from its first to its last event, in milliseconds.
type Span struct{ Start, End int64 }

// Visits are a device's sessions: the union of its events' times, where times
// less than VisitGap apart are one visit. A union of sets does not care about
// order, which a counter of sessions would.
type Visits struct {
	Spans []Span // ascending, VisitGap apart
	Older int64  // visits that were dropped from the front
}

// Count is the number of sessions.
func (v *Visits) Count() int64 { return v.Older + int64(len(v.Spans)) }

// Add takes one event's time in.
func (v *Visits) Add(t int64) {
	if n := len(v.Spans); n > 0 { // nearly always: the visit goes on
		if s := &v.Spans[n-1]; t >= s.Start && t < s.End+VisitGap {
			s.End = max(s.End, t)
			return
		}
	}
	v.add(Span{t, t})
}

func (v *Visits) add(s Span) {
	if v.Older > 0 && len(v.Spans) > 0 && s.End+VisitGap <= v.Spans[0].Start {
		return // as old as what was dropped: it has been counted there
	}
	i, _ := slices.BinarySearchFunc(v.Spans, s.Start, func(x Span, t int64) int {
		if x.End+VisitGap <= t {
			return -1
		}
		return 1
	})
	j := i
	for j < len(v.Spans) && v.Spans[j].Start < s.End+VisitGap {
		s.Start, s.End = min(s.Start, v.Spans[j].Start), max(s.End, v.Spans[j].End)
		j++
	}
	v.Spans = slices.Replace(v.Spans, i, j, s)
	if n := len(v.Spans) - maxVisits; n > 0 {
		v.Older += int64(n)
		v.Spans = slices.Delete(v.Spans, 0, n)
	}
}

// Merge takes another set of the same device's visits in.
func (v *Visits) Merge(o *Visits) {
	v.Older += o.Older
	for _, s := range o.Spans {
		v.add(s)
	}
}
