package enrich

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Class is one kind of question and how often the answer was right.
type Class struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	short string // for the picture; "" is not in it
	// Bar is the least (or, with AtMost, the most) that may come out, in per
	// cent; 0: told for information.
	Bar    float64 `json:"bar,omitempty"`
	AtMost bool    `json:"atMost,omitempty"`
	Count  int     `json:"count"` // of agents, or of rows
	// Shares of right answers, or of those that AtMost counts, in per cent;
	// absent where the question cannot be put to a reader.
	Ours   *float64 `json:"ours"`
	Mssola *float64 `json:"mssola,omitempty"`
	UAPGo  *float64 `json:"uapGo,omitempty"`
}

// Kept says that the bar is held.
func (c *Class) Kept() bool {
	switch {
	case c.Bar == 0:
		return true
	case c.Ours == nil || c.Count == 0:
		return false // a bar on nothing
	case c.AtMost:
		return *c.Ours <= c.Bar
	}
	return *c.Ours >= c.Bar
}

// failure is one wrong answer.
type failure struct{ class, agent, expected, got string }

// question is put to readers about every agent of a set.
type question struct {
	group, name string
	short       string // as in Class
	set         []labelled
	bar         float64
	atMost      bool
	weighted    bool
	// asked says that there is a true answer for this agent; nil: for all.
	asked func(l *labelled) bool
	// answer says what a reader should have said, what it said, and whether that counts.
	answer func(l *labelled, r *reading) (expected, got string, counts bool)
	// who: "m" and "u" ask mssola and uap-go, too.
	who string
}

// readings are all answers of one subject to the agents of one set.
type readings map[*labelled]*reading

func readAll(s subject, sets ...[]labelled) readings {
	all := readings{}
	for _, set := range sets {
		for i := range set {
			if l := &set[i]; all[l] == nil {
				r := s.read(l)
				all[l] = &r
			}
		}
	}
	return all
}

// put asks one question of one subject, in per cent.
func (q *question) put(said readings, fail func(l *labelled, expected, got string)) (share float64, count int) {
	var right, all float64
	for i := range q.set {
		l := &q.set[i]
		if q.asked != nil && !q.asked(l) {
			continue
		}
		expected, got, counts := q.answer(l, said[l])
		weight := 1.0
		if q.weighted {
			weight = l.weight
		}
		all += weight
		count++
		if counts {
			right += weight
		}
		if counts == q.atMost && fail != nil {
			fail(l, expected, got)
		}
	}
	if all == 0 {
		return 0, 0
	}
	return 100 * right / all, count
}

// browserIs compares the browser's family. A robot's product is its name:
// whoever sees the verdict sees that.
func browserIs(l *labelled, r *reading) (string, string, bool) {
	got := r.browser
	if r.botName != "" && got != l.browser {
		if strings.EqualFold(r.botName, l.browser) {
			got = r.botName
		}
	}
	if got == "" {
		got = other
	}
	return l.browser, got, strings.EqualFold(got, l.browser)
}

// systemIs compares the system's family; a distribution of Linux is Linux.
func systemIs(l *labelled, r *reading) (string, string, bool) {
	got := r.system
	if got == "" {
		got = other
	}
	return l.system, got, strings.EqualFold(kernel(got), kernel(l.system))
}

// kernel is Linux for its distributions that uap-core tells apart, and one
// spelling for systems that have two.
func kernel(system string) string {
	switch system {
	case "Ubuntu", "Kubuntu", "Fedora", "Debian", "Red Hat", "CentOS", "SUSE", "Mageia", "Linux Mint", "Arch Linux", "Gentoo", "Mandriva", "Slackware", "PCLinuxOS":
		return "Linux"
	case "Web0S": // as LG writes it; its maker calls it webOS
		return "webOS"
	}
	return system
}

func browserMajorIs(l *labelled, r *reading) (string, string, bool) {
	return l.major, r.major, r.major == l.major
}

func systemMajorIs(l *labelled, r *reading) (string, string, bool) {
	return l.osMajor, r.osMajor, r.osMajor == l.osMajor
}

func kindIs(l *labelled, r *reading) (string, string, bool) {
	return l.kind, r.kind, r.kind == l.kind
}

func isBot(_ *labelled, r *reading) (string, string, bool) {
	if r.bot {
		return "bot", "bot " + r.class + " " + r.botName, true
	}
	return "bot", "a person with " + r.browser, false
}

func isCalledBot(_ *labelled, r *reading) (string, string, bool) {
	_, got, is := isBot(nil, r)
	return "a person", got, is
}

// data is everything that is read of the fixtures, or made.
type data struct {
	common    []browser
	core      *core
	visitors  []labelled
	generated []labelled
	crawlers  []labelled
	tags      [][]string // of the crawlers, in their order
	browsing  []labelled // uap-core's tests of common browsers, robots in their clothes left out
	left      Left
}

// Left says which of user-agents' visitors are not asked about.
type Left struct {
	Robots    int `json:"robots"`    // agents that say themselves that they are programs
	Strangers int `json:"strangers"` // not asked for as common browsers: they name a product that uap-core does not know
}

// isCommon says that an agent's browser is one of those that were common.
func (d *data) isCommon() func(l *labelled) bool {
	var families []string
	for _, b := range d.common {
		families = append(families, b.Families...)
	}
	return func(l *labelled) bool { return !l.rare && slices.Contains(families, l.browser) }
}

// questions are all of them but the channels'.
func (d *data) questions() []question {
	isCommon := d.isCommon()
	var coreCommon []labelled // with the system, which the tests of browsers do not name
	for _, l := range d.core.browsers {
		if isCommon(&l) {
			l.system = d.core.oracle.ParseOs(l.agent).Family
			coreCommon = append(coreCommon, l)
		}
	}
	half := func(held bool) func(l *labelled) bool { return func(l *labelled) bool { return l.held == held } }
	const (
		browsers = "Common browsers: family"
		systems  = "Common browsers: system"
		longTail = "The long tail (uap-core's tests)"
		kinds    = "Kind of device"
		robots   = "Robots"
	)
	qs := []question{
		{group: browsers, name: "real visitors, each agent once", short: "real visitors, each agent once", set: d.visitors, bar: 97, asked: isCommon, answer: browserIs, who: "m"},
		{group: browsers, name: "real visitors, by visits", short: "real visitors, by visits", set: d.visitors, bar: 97, asked: isCommon, weighted: true, answer: browserIs, who: "m"},
		{group: browsers, name: "uap-core's tests of these browsers", short: "uap-core's tests of them", set: coreCommon, bar: 97, answer: browserIs, who: "m"},
		{group: browsers, name: "made: browsers × versions × platforms, with client hints", short: "made, with client hints", set: d.generated, bar: 97, asked: func(l *labelled) bool { return l.browser != "" }, answer: browserIs, who: "mu"},
		{group: browsers, name: "all real visitors, also of rarer browsers and apps", set: d.visitors, answer: browserIs, who: "m"},
		{group: systems, name: "real visitors, each agent once", short: "real visitors, each agent once", set: d.visitors, bar: 97, asked: isCommon, answer: systemIs, who: "m"},
		{group: systems, name: "real visitors, by visits", short: "real visitors, by visits", set: d.visitors, bar: 97, asked: isCommon, weighted: true, answer: systemIs, who: "m"},
		{group: systems, name: "uap-core's tests of these browsers", short: "uap-core's tests of them", set: coreCommon, bar: 97, answer: systemIs, who: "m"},
		{group: systems, name: "made: browsers × versions × platforms, with client hints", short: "made, with client hints", set: d.generated, bar: 97, asked: func(l *labelled) bool { return l.system != "" }, answer: systemIs, who: "mu"},
		{group: systems, name: "made: the version that only client hints tell (Windows 11, macOS, Android)", short: "made: version, by client hints", set: d.generated, bar: 97, asked: func(l *labelled) bool { return l.osMajor != "" }, answer: systemMajorIs, who: "mu"},
		{group: longTail, name: "browser, held-out half", short: "browser, held-out half", set: d.core.browsers, bar: 85, asked: half(true), answer: browserIs, who: "m"},
		{group: longTail, name: "browser, half that rules are written with", short: "browser, other half", set: d.core.browsers, bar: 85, asked: half(false), answer: browserIs, who: "m"},
		{group: longTail, name: "system, held-out half", short: "system, held-out half", set: d.core.systems, bar: 85, asked: half(true), answer: systemIs, who: "m"},
		{group: longTail, name: "system, half that rules are written with", short: "system, other half", set: d.core.systems, bar: 85, asked: half(false), answer: systemIs, who: "m"},
		{group: longTail, name: "browser's major version, held-out half", set: d.core.browsers, asked: half(true), answer: browserMajorIs, who: "m"},
		{group: longTail, name: "system's major version, held-out half", set: d.core.systems, asked: half(true), answer: systemMajorIs, who: "m"},
		{group: kinds, name: "real visitors, each agent once", short: "real visitors, each agent once", set: d.visitors, bar: 98, answer: kindIs, who: "m"},
		{group: kinds, name: "real visitors, by visits", short: "real visitors, by visits", set: d.visitors, bar: 98, weighted: true, answer: kindIs, who: "m"},
		{group: kinds, name: "made: computers, phones, tablets, televisions, consoles, watches", short: "made: all kinds", set: d.generated, bar: 98, asked: func(l *labelled) bool { return l.kind != "" }, answer: kindIs, who: "m"},
		{group: kinds, name: "uap-core's tests whose label tells, held-out half", set: d.core.devices, asked: half(true), answer: kindIs, who: "m"},
		{group: kinds, name: "uap-core's tests whose label tells, half that rules are written with", set: d.core.devices, asked: half(false), answer: kindIs, who: "m"},
		{group: robots, name: "crawler-user-agents' instances called bots", short: "crawlers called bots", set: d.crawlers, bar: 97, answer: isBot, who: "mu"},
		{group: robots, name: "real visitors called bots, each agent once", set: d.visitors, bar: 0.1, atMost: true, answer: isCalledBot, who: "mu"},
		{group: robots, name: "real visitors called bots, by visits", set: d.visitors, bar: 0.1, atMost: true, weighted: true, answer: isCalledBot, who: "mu"},
		{group: robots, name: "agents of uap-core's common browsers called bots", set: d.browsing, bar: 0.1, atMost: true, answer: isCalledBot, who: "mu"},
		{group: robots, name: "made agents called bots", set: d.generated, bar: 0.1, atMost: true, answer: isCalledBot, who: "mu"},
	}
	for _, kind := range []string{"desktop", "mobile", "tablet", "tv", "console", "wearable"} {
		is := func(l *labelled) bool { return l.kind == kind }
		var set []labelled
		for _, l := range slices.Concat(d.visitors, d.generated, d.core.devices) {
			l.held = l.held || heldOut(l.agent)
			set = append(set, l)
		}
		qs = append(qs, question{group: kinds, name: "of all these, " + kind, set: set, asked: is, answer: kindIs, who: "m"})
	}
	tags := map[string][]labelled{}
	for i, l := range d.crawlers {
		for _, tag := range d.tags[i] {
			tags[tag] = append(tags[tag], l)
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		qs = append(qs, question{group: robots, name: "of these, " + tag, set: tags[tag], answer: isBot, who: "mu"})
	}
	slices.SortStableFunc(qs, func(a, b question) int { return slices.Index(groups(), a.group) - slices.Index(groups(), b.group) })
	return qs
}

func groups() []string {
	return []string{"Common browsers: family", "Common browsers: system", "The long tail (uap-core's tests)", "Kind of device", "Robots", "Channels"}
}

// ask puts all questions to all readers.
func (d *data) ask(we subject) (classes []Class, failures []failure) {
	qs := d.questions()
	for i := range qs {
		q := &qs[i]
		c := Class{Group: q.group, Name: q.name, short: q.short, Bar: q.bar, AtMost: q.atMost}
		share, count := q.put(readAll(we, q.set), func(l *labelled, expected, got string) {
			if !l.held {
				failures = append(failures, failure{class: q.group + ": " + q.name, agent: l.agent, expected: expected, got: got})
			}
		})
		c.Ours, c.Count = &share, count
		if strings.Contains(q.who, "m") {
			share, _ := q.put(readAll(mssola{}, q.set), nil)
			c.Mssola = &share
		}
		if strings.Contains(q.who, "u") {
			share, _ := q.put(readAll(uapGo{d.core.oracle}, q.set), nil)
			c.UAPGo = &share
		}
		classes = append(classes, c)
	}
	return classes, failures
}

func (f *failure) String() string {
	return fmt.Sprintf("%s\n  expected %s, got %s\n  %s", f.class, f.expected, f.got, f.agent)
}
