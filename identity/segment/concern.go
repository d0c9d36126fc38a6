package segment

import (
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Needs gives the series of computed traits, by their numbers, without any of which
// nobody is in any of some audiences, whatever else is known of them and however much
// time goes by; so that, where these audiences are new, only who has one of the series
// need be judged. ok is false when there is no such list: when one of the rules reads
// anything else, holds for who did nothing, or may come to. e is what the Set was
// compiled with, and now, ms since 1970, any time.
func (s *Set) Needs(e *Env, audiences []uint32, now int64) (series []uint32, ok bool) {
	if s == nil {
		return nil, false
	}
	var reads facet.Change
	for _, id := range audiences {
		i := slices.IndexFunc(s.ids, func(p placed) bool { return p.id == id })
		if i < 0 {
			return nil, false
		}
		a := &s.list[s.ids[i].place]
		if a.Held || !a.onlyComputed() || a.holdsForNobody(e, now) {
			return nil, false
		}
		reads.Add(a.reads)
	}
	for _, d := range e.traits.Definitions() {
		slot, readable := e.traits.Slot(d.Name)
		if !readable || !reads.Has(slot) {
			continue
		}
		if d.ID == 0 {
			return nil, false
		}
		series = append(series, d.ID)
	}
	return series, true
}

// onlyComputed says that the rule reads nothing of a person but computed traits of which
// nothing else is read either. The audience's site may narrow it.
func (a *audience) onlyComputed() bool {
	core := a.reads.Core
	if !a.rule.Uses().Reads("site") {
		core &^= facet.ChangedSite
	}
	return core == 0 && !a.rule.Uses().Reads("segments")
}

// holdsForNobody says that the rule holds for who did nothing, or that it may by time
// alone.
func (a *audience) holdsForNobody(e *Env, now int64) bool {
	nobody := Subject{Now: now}
	nobody.Computed.Reset(e.traits, nil, now)
	nobody.clock.At(now)
	return a.rule.Holds(&nobody) || nobody.clock.Until != rule.Never
}
