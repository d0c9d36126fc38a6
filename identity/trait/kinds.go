package trait

import (
	"github.com/reuna/reuna/identity/facet"
)

// kind is how one kind is kept and read.
type kind struct {
	series string // names the form and what is contributed, in fingerprints
	form   facet.Form
	// Which fields it takes.
	by, value, window, halfLife, limit, timezone bool

	keep       func(d *Definition) int // Spec.Most
	contribute func(d *definition, w *work)
	read       func(d *definition, c *Computed, v *Value)
}

const (
	exactSeconds = 128 // that a window keeps as they are
	mostKeys     = 256
	mostDays     = 800
	mostTimes    = 128 // of a step
)

func keeps(n int) func(*Definition) int { return func(*Definition) int { return n } }

// kindOf is what is known of a kind; nil when there is none of that name.
func kindOf(name string) *kind {
	switch name {
	case Count:
		return &kind{series: "count", form: facet.Tallies, window: true, keep: keeps(exactSeconds), contribute: (*definition).addOne, read: readCount}
	case Sum:
		return &kind{series: "amounts", form: facet.Tallies, value: true, window: true, keep: keeps(exactSeconds), contribute: (*definition).addAmounts, read: readAmount}
	case Average:
		return &kind{series: "amounts", form: facet.Tallies, value: true, window: true, keep: keeps(exactSeconds), contribute: (*definition).addAmounts, read: readAmount}
	case Min:
		return &kind{series: "amounts", form: facet.Tallies, value: true, window: true, keep: keeps(exactSeconds), contribute: (*definition).addAmounts, read: readAmount}
	case Max:
		return &kind{series: "amounts", form: facet.Tallies, value: true, window: true, keep: keeps(exactSeconds), contribute: (*definition).addAmounts, read: readAmount}
	case RFM:
		return &kind{series: "amounts", form: facet.Tallies, value: true, window: true, keep: keeps(exactSeconds), contribute: (*definition).addAmounts, read: readRFM}
	case First:
		return &kind{series: "first", form: facet.Oldest, value: true, keep: keeps(1), contribute: (*definition).addValues, read: readValue}
	case Last:
		return &kind{series: "latest", form: facet.Newest, value: true, window: true, keep: keeps(1), contribute: (*definition).addValues, read: readValue}
	case Latest:
		return &kind{series: "latest", form: facet.Newest, value: true, window: true, limit: true, keep: (*Definition).limit, contribute: (*definition).addValues, read: readLatest}
	case Unique:
		return &kind{series: "recent", form: facet.Recent, by: true, window: true, keep: keeps(mostKeys), contribute: (*definition).addKeys, read: readUnique}
	case Distinct:
		return &kind{series: "recent", form: facet.Recent, by: true, window: true, limit: true, keep: keeps(mostKeys), contribute: (*definition).addKeys, read: readDistinct}
	case MostFrequent:
		return &kind{series: "keys", form: facet.Tallies, by: true, window: true, limit: true, keep: keeps(exactSeconds), contribute: (*definition).addKeys, read: readFrequent}
	case TimeSince:
		return &kind{series: "count", form: facet.Tallies, keep: keeps(exactSeconds), contribute: (*definition).addOne, read: readSince}
	case Affinity:
		return &kind{series: "fading", form: facet.Tallies, by: true, value: true, halfLife: true, keep: keeps(0), contribute: (*definition).addScores, read: readAffinity}
	case BestHour:
		return &kind{series: "hours", form: facet.Tallies, halfLife: true, timezone: true, keep: keeps(0), contribute: (*definition).addHour, read: readHour}
	case DaysActive:
		return &kind{series: "periods", form: facet.Moments, window: true, timezone: true, keep: keeps(mostDays), contribute: (*definition).addPeriod, read: readDays}
	case Streak:
		return &kind{series: "periods", form: facet.Moments, timezone: true, keep: keeps(mostDays), contribute: (*definition).addPeriod, read: readStreak}
	case Sequence:
		return &kind{series: "steps", form: facet.Moments, window: true, keep: keeps(mostTimes), contribute: (*definition).addSteps, read: readSequence}
	}
	return nil
}
