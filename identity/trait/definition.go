package trait

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// Kinds of definitions. Each says exactly what its value is; the package naive
// evaluates them from these words.
//
// An event matters to a definition when its name is Event or among Events (for a
// message that is no track event its type: page, screen, identify, group or alias),
// Where holds, and it is of the Site. A window counts what happened in (now −
// Window, now], where a moment is taken at its second's beginning; without a
// Window everything counts. Where things are counted, summed up or compared, the
// newest 128 seconds with something in them (for each key a second of its own) are
// so exact; what lies further back counts as if it had happened at the beginning
// of its bucket, a 96th of the window wide and at least a second. A key is a text, trimmed, or a number or a boolean as
// it was written, of no more than 256 bytes and not empty; an amount is a number,
// or a text of one, of no more than 10¹², rounded to millionths. A path that ends in
// a list, or goes through one (properties.products[].category), gives each of its
// first 64 items.
const (
	// Count is how many events there were; an integer.
	Count = "count"
	// Sum is the sum of the amounts at Value; a number, 0 where there are none.
	Sum = "sum"
	// Average is the sum of the amounts at Value divided by how many there are,
	// rounded to millionths, halves away from zero; not known where there are none.
	Average = "average"
	// Min is the smallest amount at Value; not known where there is none.
	Min = "min"
	// Max is the largest amount at Value; not known where there is none.
	Max = "max"
	// First is the value at Value of the earliest event that has one (by time, then
	// message): a text, trimmed, a number or a boolean. It has no window.
	First = "first"
	// Last is the value at Value of the latest event that has one.
	Last = "last"
	// Unique is how many different keys there are at By, up to 256; an integer. Of
	// more than 256 the 256 that were met last are remembered.
	Unique = "unique"
	// MostFrequent is the key at By that was met most often, of equal ones the first
	// by name; with a Limit above 1 a list of that many. A key that was met less
	// than AtLeast times is left out. 256 keys are remembered, those met last.
	MostFrequent = "most_frequent"
	// Distinct is the list of the different keys at By, the one met last first, at
	// most Limit (100 by default, 256 at most).
	Distinct = "distinct"
	// Latest is the list of the values at Value of the latest events, newest first,
	// repeated ones too, at most Limit (10 by default, 100 at most).
	Latest = "latest"
	// TimeSince is the time since the latest event: to rules a duration, which is the
	// longest there is (292 years) where there was none; in JSON the whole Units
	// (second by default, minute, hour, day), or nothing. It has no window.
	TimeSince = "time_since"
	// Affinity is the key at By with the highest score, of equal ones the first by
	// name. A key's score is the sum over its happenings (over the positive amounts
	// at Value, if that is given) times 2^(−age/HalfLife). Happenings are taken
	// together in buckets of a 96th of eight half-lives, at least a second, and their
	// age is the bucket's middle's, never below 0. What lies in buckets before the one
	// that holds now − 8 HalfLife does not count, and a score below 1/256 is
	// forgotten. Not known where none is left.
	Affinity = "affinity"
	// RFM scores how recently, how often and how much somebody bought: the events
	// with an amount at Value. Recency is 5 when the latest is less than Recency[0]
	// ago, 4 below Recency[1], … 1 otherwise; Frequency and Monetary score how many
	// there were and the sum of their amounts, 5 from the first threshold on, and so
	// on. Not known where there are none. Defaults: 7, 30, 90 and 180 days; 10, 5, 3
	// and 2; 1000, 500, 200 and 50.
	RFM = "rfm"
	// DaysActive is how many different days of Timezone (UTC by default) had an
	// event; of the last Window, in whole days and today included. The newest 800
	// days are remembered.
	DaysActive = "days_active"
	// Streak is how many Units (day by default, week, month) in a row had an event,
	// up to this one or the one before; with Longest the longest row there was.
	// Weeks begin on Monday. The newest 800 are remembered.
	Streak = "streak"
	// Sequence says whether the Steps happened in their order, each later than the
	// one before and all of them no more than Within after the first (at any distance
	// without it), all in the window; and if there is a Not, that no such event
	// happened later than the last step and no more than Within after it, and that
	// this time is over. Of each step the newest 128 times are remembered.
	// The window looks at milliseconds here.
	Sequence = "sequence"
	// BestHour is the hour of the day, 0 to 23, in Timezone (the person's own by
	// default: their device's, else their place's, else UTC), with the highest score
	// as of an affinity, of equal ones the earliest. HalfLife is 90 days by default.
	BestHour = "best_hour"
)

// Kinds lists them.
func Kinds() []string {
	return []string{Count, Sum, Average, Min, Max, First, Last, Unique, MostFrequent, Distinct, Latest, TimeSince, Affinity, RFM, DaysActive, Streak, Sequence, BestHour}
}

// Person as a Timezone is the one of the person's device, else of their place.
const Person = "person"

// Definition is one computed trait as an operator writes it.
type Definition struct {
	Name string // one word to CEL: rules read computed.name
	Kind string
	// Event and Events are track events' names, or the types of other messages (page,
	// screen, identify, group, alias). Both empty: any event.
	Event  string
	Events []string
	Where  string // CEL; empty: every such event
	By     string // path of the key, such as properties.category
	Value  string // path of the amount or the value, such as properties.revenue
	// Window is how far it looks back, in whole seconds; 0: all time.
	Window time.Duration
	// HalfLife is the age at which a happening weighs half.
	HalfLife time.Duration
	Limit    int    // distinct, latest, most_frequent: how many
	AtLeast  int    // most_frequent: how often at least
	Unit     string // streak: day, week or month; time_since: second, minute, hour or day
	Timezone string // days_active, streak, best_hour: IANA's name, or Person
	Longest  bool   // streak

	Steps  []Step // sequence
	Not    *Step
	Within time.Duration

	Recency   []time.Duration // rfm, ascending
	Frequency []int           // rfm, descending
	Monetary  []float64       // rfm, descending

	Site string // only events of this site; empty: of all

	// What follows is the gateway's to set, not the operator's.

	// ID is of this version and never used for another; definitions with equal
	// fingerprints share one. 0: one that is made of the fingerprint.
	ID uint32
	// Since is the log's entry after which events count live; what came before, a fill
	// adds.
	Since uint64
	// Pending says that the fill is not done: events count, nobody can read it. An
	// older version may stand beside it under the same name.
	Pending bool
	// Hidden says that a function in a rule made it: rules read it, nobody is shown it.
	Hidden bool
}

// Step is one step of a sequence: an event's name, or a message's type, and a
// condition in CEL.
type Step struct{ Event, Where string }

// events are Event and Events, each once, sorted.
func (d *Definition) events() []string {
	if d.Kind == Sequence {
		var list []string
		for _, s := range d.steps() {
			list = append(list, s.Event)
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
	list := slices.Clone(d.Events)
	if d.Event != "" {
		list = append(list, d.Event)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// steps are the Steps, and Not as the last.
func (d *Definition) steps() []Step {
	if d.Not == nil {
		return d.Steps
	}
	return append(slices.Clone(d.Steps), *d.Not)
}

// Fingerprint tells what the series depends on: which events count, for what, and
// how they are kept, but neither names nor how the series is read. Definitions
// with equal fingerprints have the same series.
func (d *Definition) Fingerprint() string {
	k := kindOf(d.Kind)
	if k == nil {
		return "none " + d.Kind
	}
	f := struct {
		Form      string
		Events    []string
		Where     string `json:",omitempty"`
		By, Value string `json:",omitempty"`
		Window    int64  `json:",omitempty"`
		Most      int    `json:",omitempty"`
		Unit      string `json:",omitempty"`
		Timezone  string `json:",omitempty"`
		Steps     []Step `json:",omitempty"`
		Site      string `json:",omitempty"`
	}{Form: k.series, Events: d.events(), Where: d.Where, By: d.By, Value: d.Value, Window: d.horizon().Milliseconds(), Most: k.keep(d), Site: d.Site}
	switch d.Kind {
	case DaysActive, Streak:
		f.Unit, f.Timezone = cmp.Or(d.Unit, Day), d.timezone()
	case BestHour:
		f.Timezone = d.timezone()
	case Sequence:
		f.Steps = d.steps()
	}
	text, err := json.Marshal(f)
	if err != nil { // no value of these types does that
		panic(err)
	}
	return string(text)
}

// horizon is how far back the series must reach; 0: all time.
func (d *Definition) horizon() time.Duration {
	switch d.Kind {
	case Affinity, BestHour:
		return halfLives * d.halfLife()
	case DaysActive:
		if d.Window > 0 {
			return d.Window + 2*day // whole days, wherever they begin
		}
	}
	return d.Window
}

func (d *Definition) halfLife() time.Duration {
	if d.Kind == BestHour {
		return cmp.Or(d.HalfLife, 90*day)
	}
	return d.HalfLife
}

func (d *Definition) timezone() string {
	if d.Kind == BestHour {
		return cmp.Or(d.Timezone, Person)
	}
	return cmp.Or(d.Timezone, "UTC")
}

// limit is how many items a list has at most.
func (d *Definition) limit() int {
	switch d.Kind {
	case Distinct:
		return cmp.Or(d.Limit, 100)
	case Latest:
		return cmp.Or(d.Limit, 10)
	}
	return max(d.Limit, 1)
}

const day = 24 * time.Hour
