package facet

import "math"

// What is read of several facets without joining their series: of most that are asked
// for a sum, a value or a time will do, and to join copies all that was counted.

// parts appends what each facet has of a series to dst. A nil Profile has none.
func (p *Profile) parts(dst []Series, id uint32) []Series {
	if p == nil {
		return dst
	}
	j := &p.Computed
	if i, ok := j.first.find(id); ok {
		dst = append(dst, j.first.at(i))
	}
	for _, k := range j.more {
		if i, ok := k.find(id); ok {
			dst = append(dst, k.at(i))
		}
	}
	return dst
}

// fewParts is how many facets most persons have at most.
const fewParts = 4

// Tally is that of the series' key "", as Series(id).Tally.
func (p *Profile) Tally(id uint32, now, window int64) (sum Tally, until int64) {
	var room [fewParts]Series
	parts := p.parts(room[:0], id)
	if len(parts) > 1 && !addUp(parts, now, window) {
		return p.Computed.joined(id).Tally("", now, window)
	}
	until = math.MaxInt64
	for i := range parts {
		t, next := parts[i].Tally("", now, window)
		sum.Add(t)
		until = min(until, next)
	}
	return sum, until
}

// addUp says that what parts sum up in (now − back, now] is what their join does: nothing
// of it would be dropped that counts, nor become part of a bucket.
func addUp(parts []Series, now, back int64) bool {
	points := 0
	for i := range parts {
		s := &parts[i]
		if !s.alike(&parts[0]) {
			return false
		}
		switch s.Form() {
		case Total:
		case Tallies:
			if s.items() > 1 || s.words[last] > now || s.Window() > 0 && (back == 0 || back > s.Window()) {
				return false
			}
			points += s.points()
		default:
			return false
		}
	}
	return points <= parts[0].most() || !parts[0].exact()
}

// alike says that two series are kept in the same way.
func (s *Series) alike(o *Series) bool {
	const own = isFilledBit | isWideBit
	return (s.words[head]^o.words[head])&^own == 0 && s.words[window] == o.words[window] && s.words[width] == o.words[width]
}

// Newest is the time of the newest contribution to a series, ms; ok is false where
// nothing contributed.
func (p *Profile) Newest(id uint32) (at int64, ok bool) {
	var room [fewParts]Series
	parts := p.parts(room[:0], id)
	for i := range parts {
		if s := &parts[i]; i == 0 || s.Form() == parts[0].Form() {
			at = max(at, s.words[last])
		}
	}
	return at, len(parts) > 0
}

// Values are those of the series, as Series(id).Values.
func (p *Profile) Values(id uint32, now, window int64) (list List, until int64) {
	var room [fewParts]Series
	parts := p.parts(room[:0], id)
	switch {
	case len(parts) == 0:
		return List{}, math.MaxInt64
	case len(parts) == 1 || oneValue(parts):
		return parts[extreme(parts)].Values(now, window)
	}
	return p.Computed.joined(id).Values(now, window)
}

// oneValue says that of each part, and of their join, one value is kept.
func oneValue(parts []Series) bool {
	for i := range parts {
		s := &parts[i]
		if f := s.Form(); f != Newest && f != Oldest || s.most() != 1 || s.items() != 1 || !s.alike(&parts[0]) {
			return false
		}
	}
	return true
}

// extreme is which of the parts, of one value each, has the one that their join keeps.
func extreme(parts []Series) (which int) {
	for i := 1; i < len(parts); i++ {
		v, best := parts[i].value(0), parts[which].value(0)
		if order := v.compare(&best); order > 0 && parts[i].Form() == Newest || order < 0 && parts[i].Form() == Oldest {
			which = i
		}
	}
	return which
}
