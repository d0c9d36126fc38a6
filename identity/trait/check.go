package trait

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reuna/reuna/identity/trait/rule"
)

// Bounds of definitions.
const (
	maxWindow    = 400 * day
	maxSteps     = 8
	maxLatest    = 100
	maxNameBytes = 64
)

type checker struct {
	at string
	d  *definition
	fs rule.Faults
}

func (c *checker) fault(field, format string, args ...any) {
	c.fs = append(c.fs, rule.Fault{Path: c.at + field, Message: fmt.Sprintf(format, args...)})
}

// check says what is wrong with a definition besides its conditions, and reads its
// paths and its time zone.
func (d *definition) check(at string) rule.Faults {
	c := &checker{at: at, d: d}
	if !isWord(d.Name) {
		c.fault(".name", "saw %q, expected letters, digits and _, beginning with a letter (rules read it as computed.name)", d.Name)
	}
	if d.kind = kindOf(d.Kind); d.kind == nil {
		c.fault(".kind", "saw %q, expected one of %s%s", d.Kind, strings.Join(Kinds(), ", "), meant(d.Kind, Kinds()))
		return c.fs
	}
	c.events()
	c.paths()
	c.spans()
	c.numbers()
	c.calendar()
	c.thresholds()
	c.sequence()
	return c.fs
}

// meant suggests what somebody probably meant.
func meant(word string, known []string) string {
	if near := rule.Nearest(word, known); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return ""
}

func (c *checker) events() {
	for i, name := range c.d.Events {
		if name == "" {
			c.fault(fmt.Sprintf(".events[%d]", i), "saw nothing, expected an event's name, or a message's type such as page")
		}
	}
}

func (c *checker) paths() {
	d, k := c.d, c.d.kind
	read := func(field, text string, takes, needs bool, what string) (p path) {
		if text == "" && !needs {
			return p
		}
		if !takes {
			c.fault(field, "a trait of kind %s has no %s; leave it out", d.Kind, field[1:])
			return p
		}
		p, ok := parsePath(text)
		if !ok {
			c.fault(field, "saw %q, expected the path of %s below properties, traits or context, such as %s", text, what, example(field))
		}
		return p
	}
	d.by = read(".by", d.By, k.by, k.by, "the value that tells events apart")
	d.value = read(".value", d.Value, k.value, k.value && d.Kind != Affinity, "the amount or the value to keep")
}

func example(field string) string {
	if field == ".by" {
		return "properties.category or properties.products[].category"
	}
	return "properties.revenue"
}

func (c *checker) spans() {
	d, k := c.d, c.d.kind
	switch {
	case d.Window == 0:
	case !k.window:
		c.fault(".window", "a trait of kind %s has no window; leave it out", d.Kind)
	case d.Kind == DaysActive && (d.Window < day || d.Window > maxWindow || d.Window%day != 0):
		c.fault(".window", "saw %s, expected whole days from 1d to 400d, or nothing for all time", d.Window)
	case d.Window < time.Second || d.Window > maxWindow || d.Window%time.Second != 0:
		c.fault(".window", "saw %s, expected whole seconds up to 400d, such as 30d, or nothing for all time", d.Window)
	}
	switch {
	case !k.halfLife && d.HalfLife != 0:
		c.fault(".half_life", "a trait of kind %s has no half_life; leave it out", d.Kind)
	case k.halfLife && (d.halfLife() < time.Second || d.halfLife() > maxWindow || d.halfLife()%time.Millisecond != 0):
		c.fault(".half_life", "saw %s, expected at least 1s and at most 400d, such as 14d", d.HalfLife)
	}
}

func (c *checker) numbers() {
	d := c.d
	most := mostKeys
	if d.Kind == Latest {
		most = maxLatest
	}
	switch {
	case d.Limit != 0 && !d.kind.limit:
		c.fault(".limit", "a trait of kind %s has no limit; leave it out", d.Kind)
	case d.Limit < 0 || d.Limit > most:
		c.fault(".limit", "saw %d, expected 1 to %d", d.Limit, most)
	}
	switch {
	case d.AtLeast != 0 && d.Kind != MostFrequent:
		c.fault(".at_least", "a trait of kind %s has no at_least; leave it out", d.Kind)
	case d.AtLeast < 0:
		c.fault(".at_least", "saw %d, expected 1 or more", d.AtLeast)
	}
	if d.Longest && d.Kind != Streak {
		c.fault(".longest", "a trait of kind %s has no longest; leave it out", d.Kind)
	}
}

func (c *checker) calendar() {
	d := c.d
	switch d.Kind {
	case Streak:
		c.unit(Day, streakUnits())
	case TimeSince:
		c.unit(Second, sinceUnits())
	default:
		d.unit = Day
		if d.Unit != "" {
			c.fault(".unit", "a trait of kind %s has no unit; leave it out", d.Kind)
		}
	}
	zone := d.timezone()
	switch {
	case !d.kind.timezone && d.Timezone != "":
		c.fault(".timezone", "a trait of kind %s has no timezone; leave it out", d.Kind)
	case d.kind.timezone && zone != Person:
		if d.fixed = location(zone); d.fixed == nil {
			c.fault(".timezone", "saw %q, expected %s or a name of the IANA's, such as Europe/Helsinki%s", zone, Person, meant(zone, commonZones()))
		}
	}
}

func (c *checker) unit(preset string, known []string) {
	c.d.unit = c.d.Unit
	if c.d.unit == "" {
		c.d.unit = preset
	} else if !slices.Contains(known, c.d.unit) {
		c.fault(".unit", "saw %q, expected %s%s", c.d.unit, strings.Join(known, ", "), meant(c.d.unit, known))
	}
}

func (c *checker) thresholds() {
	d := c.d
	if d.Kind != RFM {
		for i, field := range []string{".recency", ".frequency", ".monetary"} {
			if [...]int{len(d.Recency), len(d.Frequency), len(d.Monetary)}[i] > 0 {
				c.fault(field, "a trait of kind %s has no %s; leave it out", d.Kind, field[1:])
			}
		}
		return
	}
	if len(d.Recency) == 0 {
		d.Recency = []time.Duration{7 * day, 30 * day, 90 * day, 180 * day}
	}
	if len(d.Frequency) == 0 {
		d.Frequency = []int{10, 5, 3, 2}
	}
	if len(d.Monetary) == 0 {
		d.Monetary = []float64{1000, 500, 200, 50}
	}
	const four = "expected four thresholds, the best first: what meets none of them scores 1"
	if len(d.Recency) != 4 || d.Recency[0] < time.Millisecond || !slices.IsSorted(d.Recency) {
		c.fault(".recency", "saw %s, %s, such as [7d, 30d, 90d, 180d]", d.Recency, four)
	}
	if !descend(d.Frequency) {
		c.fault(".frequency", "saw %d, %s, such as [10, 5, 3, 2]", d.Frequency, four)
	}
	if !descend(d.Monetary) {
		c.fault(".monetary", "saw %v, %s, such as [1000, 500, 200, 50]", d.Monetary, four)
	}
}

func descend[T int | float64](list []T) bool {
	if len(list) != 4 {
		return false
	}
	for i, n := range list {
		if !(n > 0 && n < 1e12) || i > 0 && n > list[i-1] {
			return false
		}
	}
	return true
}

func (c *checker) sequence() {
	d := c.d
	if d.Kind != Sequence {
		if len(d.Steps) > 0 {
			c.fault(".steps", "a trait of kind %s has no steps; use kind: sequence", d.Kind)
		}
		if d.Not != nil {
			c.fault(".not", "a trait of kind %s has no not; use kind: sequence", d.Kind)
		}
		if d.Within != 0 {
			c.fault(".within", "a trait of kind %s has no within; use kind: sequence", d.Kind)
		}
		return
	}
	if d.Event != "" || len(d.Events) > 0 {
		c.fault(".event", "a sequence names its events in steps; leave this out")
	}
	least := 2
	if d.Not != nil {
		least = 1
	}
	if len(d.Steps) < least || len(d.Steps) > maxSteps {
		c.fault(".steps", "saw %d, expected %d to %d steps, each with an event", len(d.Steps), least, maxSteps)
	}
	for i, s := range d.Definition.steps() {
		if s.Event == "" {
			c.fault(strings.TrimPrefix(stepPath(c.at, i, len(d.Steps)), c.at)+".event", "saw nothing, expected an event's name, or a message's type such as page")
		}
	}
	switch {
	case d.Within == 0 && d.Not != nil:
		c.fault(".within", "saw nothing, expected how long not is waited for, such as 3d")
	case d.Within < 0 || d.Within > maxWindow || d.Within%time.Millisecond != 0:
		c.fault(".within", "saw %s, expected at most 400d, such as 3d", d.Within)
	}
}

// isWord says that s can stand behind the dot of a CEL name.
func isWord(s string) bool {
	if s == "" || len(s) > maxNameBytes || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for _, c := range []byte(s) {
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	switch s { // words that CEL keeps for itself
	case "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while":
		return false
	}
	return true
}

// commonZones are names to suggest from.
func commonZones() []string {
	return []string{Person, "UTC", "Europe/Helsinki", "Europe/London", "Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/Rome", "Europe/Stockholm", "Europe/Oslo", "Europe/Copenhagen",
		"Europe/Amsterdam", "Europe/Warsaw", "Europe/Vienna", "Europe/Zurich", "Europe/Athens", "Europe/Istanbul", "Europe/Kyiv", "America/New_York", "America/Chicago", "America/Denver",
		"America/Los_Angeles", "America/Toronto", "America/Sao_Paulo", "America/Mexico_City", "Asia/Tokyo", "Asia/Shanghai", "Asia/Kolkata", "Asia/Singapore", "Asia/Seoul", "Asia/Dubai",
		"Australia/Sydney", "Pacific/Auckland", "Africa/Johannesburg", "Africa/Cairo", "Africa/Lagos"}
}
