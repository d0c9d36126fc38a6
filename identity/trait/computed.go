package trait

import (
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Computed are the computed traits of one person at one time. A value is made when
// it is first asked for. The zero Computed knows nothing; it is for one goroutine.
type Computed struct {
	// Clock, if there is one, is told until when what rules read holds.
	Clock *rule.Clock

	set    *Set
	p      *facet.Profile
	now    int64
	values []Value // in the order of the definitions
	made   []bool
	scores []facet.Score // of the first affinity definition
	scored bool
	met    []facet.Met // used again
	some   []facet.Score
	moves  moves
}

// Compute reads the computed traits of p as of now (milliseconds since 1970
// UTC). p may be nil.
func (s *Set) Compute(p *facet.Profile, now int64) (c Computed) {
	c.Reset(s, p, now)
	return c
}

// Reset makes c that of another profile or time, and keeps its memory and its
// Clock.
func (c *Computed) Reset(s *Set, p *facet.Profile, now int64) {
	n := s.Len()
	c.set, c.p, c.now, c.scored = s, p, now, false
	for i, made := range c.made {
		if made { // nothing of the last person stays
			c.values[i].forget()
		}
	}
	c.values, c.made = slices.Grow(c.values[:0], n)[:n], slices.Grow(c.made[:0], n)[:n]
	clear(c.made)
	clear(c.scores)
	c.scores = c.scores[:0]
}

// value makes the i-th value at the first time.
func (c *Computed) value(i int) *Value {
	v, d := &c.values[i], c.set.defs[i]
	if c.made[i] {
		return v
	}
	c.made[i] = true
	v.Kind, v.Until, v.now = d.Kind, never, c.now
	if d.spec.ID == 0 || d.Pending {
		return v
	}
	var s facet.Series
	if c.p != nil {
		s = c.p.Series(d.spec.ID)
	}
	d.kind.read(d, c, s, v)
	return v
}

// Get gives a computed trait by its name; ok is false when none is so called that
// can be read.
func (c *Computed) Get(name string) (v Value, ok bool) {
	if c.set == nil {
		return Value{}, false
	}
	i, ok := c.set.index[name]
	if !ok || c.set.defs[i].Pending {
		return Value{}, false
	}
	return *c.value(i), true
}

// Each calls fn for every computed trait, in the order of the definitions: for
// none that is pending or hidden.
func (c *Computed) Each(fn func(name string, v Value)) {
	for i := range c.values {
		if d := c.set.defs[i]; !d.Pending && !d.Hidden {
			fn(d.Name, *c.value(i))
		}
	}
}

// Affinity are the scores of the first affinity definition, highest first: how
// often each key was met, faded by age. The list is c's until it is reset.
func (c *Computed) Affinity() []facet.Score {
	if c.set == nil || c.p == nil || c.set.first < 0 {
		return nil
	}
	if !c.scored {
		d := c.set.defs[c.set.first]
		c.scores, _ = c.p.Series(d.spec.ID).Scores(c.scores[:0], c.now, d.halfLife().Milliseconds(), forgotten)
		c.scored = true
	}
	return c.scores
}

func readCount(d *definition, c *Computed, s facet.Series, v *Value) {
	t, until := s.Tally("", c.now, d.Window.Milliseconds())
	v.known, v.n, v.Until = true, t.N, until
}

// atLeast says whether the i-th value, a count, is n or more, and tells the clock until
// when that holds. Where nothing lies ahead of now time alone only makes counts less.
func (c *Computed) atLeast(i int, n int64) bool {
	v, d := c.value(i), c.set.defs[i]
	is := v.n >= n
	if c.Clock == nil || v.Until == never {
		return is
	}
	s := c.p.Series(d.spec.ID)
	switch {
	case s.Last() > c.now:
		c.Clock.Note(v.Until)
	case is:
		c.Clock.Note(s.Falls("", c.now, d.Window.Milliseconds(), n))
	}
	return is
}

func readAmount(d *definition, c *Computed, s facet.Series, v *Value) {
	t, until := s.Tally("", c.now, d.Window.Milliseconds())
	v.known, v.Until = t.N > 0 || d.Kind == Sum, until
	switch {
	case t.N == 0:
	case d.Kind == Sum:
		v.n = t.Sum
	case d.Kind == Average:
		v.n = average(t.Sum, t.N)
	case d.Kind == Min:
		v.n = t.Min
	case d.Kind == Max:
		v.n = t.Max
	}
}

func readRFM(d *definition, c *Computed, s facet.Series, v *Value) {
	t, until := s.Tally("", c.now, d.Window.Milliseconds())
	if v.Until = until; t.N == 0 {
		return
	}
	v.known, v.scores = true, [3]int64{1, 1, 1}
	for i, r := range d.Recency {
		if end := s.Last() + r.Milliseconds(); c.now < end {
			v.scores[0], v.Until = int64(5-i), min(v.Until, end)
			break
		}
	}
	for i, n := range d.Frequency {
		if t.N >= int64(n) {
			v.scores[1] = int64(5 - i)
			break
		}
	}
	for i, n := range d.Monetary {
		if float64(t.Sum) >= n*1e6 {
			v.scores[2] = int64(5 - i)
			break
		}
	}
}

func readValue(d *definition, c *Computed, s facet.Series, v *Value) {
	list, until := s.Values(c.now, d.Window.Milliseconds())
	if v.Until = until; list.Len() > 0 {
		v.known, v.raw = true, list.At(list.Len()-1)
	}
}

func readLatest(d *definition, c *Computed, s facet.Series, v *Value) {
	list, until := s.Values(c.now, d.Window.Milliseconds())
	v.known, v.Until = true, until
	for i := list.Len() - 1; i >= 0; i-- {
		v.list = append(v.list, list.At(i))
	}
}

func readUnique(d *definition, c *Computed, s facet.Series, v *Value) {
	n, until := s.Met(c.now, d.Window.Milliseconds())
	v.known, v.n, v.Until = true, int64(n), until
}

func readDistinct(d *definition, c *Computed, s facet.Series, v *Value) {
	c.met, v.Until = s.Recent(c.met[:0], c.now, d.Window.Milliseconds())
	v.known = true
	v.keys = make([]string, min(len(c.met), d.limit()))
	for i := range v.keys {
		v.keys[i] = c.met[i].Key
	}
}

func readFrequent(d *definition, c *Computed, s facet.Series, v *Value) {
	most := d.limit()
	if most == 1 {
		c.some, v.Until = s.MostFrequent(c.some[:0], c.now, d.Window.Milliseconds())
	} else {
		c.some, v.Until = s.Counts(c.some[:0], c.now, d.Window.Milliseconds())
		v.known, v.keys = true, []string{}
	}
	for i, x := range c.some {
		if i == most || x.Value < float64(d.AtLeast) {
			break
		}
		if v.known, v.text = true, x.Key; most > 1 {
			v.keys = append(v.keys, x.Key)
		}
	}
}

func readSince(d *definition, c *Computed, s facet.Series, v *Value) {
	if s.Empty() {
		return
	}
	newest := s.Last()
	v.known, v.n, v.unit = true, newest, unitMillis(d.unit)
	v.Until = newest + (max(0, c.now-newest)/v.unit+1)*v.unit
}

func readAffinity(d *definition, c *Computed, s facet.Series, v *Value) {
	c.some, v.Until = s.Favourite(c.some[:0], c.now, d.halfLife().Milliseconds(), forgotten)
	if len(c.some) > 0 {
		v.known, v.text = true, c.some[0].Key
	}
}

func readHour(d *definition, c *Computed, s facet.Series, v *Value) {
	readAffinity(d, c, s, v)
	if v.known {
		v.n = int64(v.text[0]-'0')*10 + int64(v.text[1]-'0')
	}
}
