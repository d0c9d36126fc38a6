package trait

import "slices"

// span is a time for which a sequence holds: [from, to).
type span struct{ from, to int64 }

// moves are lists that readSequence uses again.
type moves struct {
	ends, starts [2][]int64
	spans        []span
}

// readSequence finds every time at which the last step completes the steps, and of
// each the latest beginning: that one is within reach, and in the window, if any is.
func readSequence(d *definition, c *Computed, v *Value) {
	v.known = true
	s := c.series(d)
	if s.Empty() {
		return
	}
	steps := len(d.Definition.Steps)
	ends := s.Moments(stepKey(0))
	starts := ends
	for i := 1; i < steps && len(ends) > 0; i++ {
		to := &c.moves.ends[i%2]
		began := &c.moves.starts[i%2]
		*to, *began = follow((*to)[:0], (*began)[:0], ends, starts, s.Moments(stepKey(i)))
		ends, starts = *to, *began
	}
	var not []int64
	if d.Not != nil {
		not = s.Moments(stepKey(steps))
	}
	within, window := d.Within.Milliseconds(), d.Window.Milliseconds()
	spans := c.moves.spans[:0]
	for i, end := range ends {
		x := span{end, never}
		if within > 0 && end-starts[i] > within {
			continue
		}
		if d.Not != nil {
			if j, _ := slices.BinarySearch(not, end+1); j < len(not) && not[j] <= end+within {
				continue
			}
			x.from = end + within
		}
		if window > 0 {
			x.to = starts[i] + window
		}
		if x.from < x.to {
			spans = append(spans, x)
		}
		if window == 0 { // it ends never, and the others begin later
			break
		}
	}
	c.moves.spans = spans
	holds, until := during(spans, c.now)
	if v.Until = until; holds {
		v.n = 1
	}
}

// follow appends the times of a step that come after some end, each with the latest
// start of those ends. The lists of it are ascending.
func follow(after, began, ends, starts, times []int64) ([]int64, []int64) {
	latest, i := int64(0), 0
	for _, t := range times {
		for i < len(ends) && ends[i] < t {
			if latest = max(latest, starts[i]); i == 0 {
				latest = starts[0]
			}
			i++
		}
		if i > 0 {
			after, began = append(after, t), append(began, latest)
		}
	}
	return after, began
}

// during says whether now is in any of the spans, and until when that stays so.
// Both their beginnings and their ends are ascending.
func during(spans []span, now int64) (in bool, until int64) {
	end := now
	for _, x := range spans {
		switch {
		case x.from > end:
			if in {
				return true, end
			}
			return false, x.from
		case x.to > end:
			end, in = x.to, true
		}
	}
	if in {
		return true, end
	}
	return false, never
}
