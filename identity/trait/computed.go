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
	d.kind.read(d, c, v)
	return v
}

// series gives a definition's.
func (c *Computed) series(d *definition) facet.Series { return c.p.Series(d.spec.ID) }

// tally sums up what counts of a definition without keys.
func (c *Computed) tally(d *definition) (t facet.Tally, until int64) {
	return c.p.Tally(d.spec.ID, c.now, d.Window.Milliseconds())
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
		c.scores, _ = c.series(d).Scores(c.scores[:0], c.now, d.halfLife().Milliseconds(), forgotten)
		c.scored = true
	}
	return c.scores
}

// Foremost appends the first of Affinity to dst, so many at most.
func (c *Computed) Foremost(dst []facet.Score, most int) []facet.Score {
	if c.set == nil || c.p == nil || c.set.first < 0 {
		return dst
	}
	d := c.set.defs[c.set.first]
	return c.series(d).Foremost(dst, most, c.now, d.halfLife().Milliseconds(), forgotten)
}

func readCount(d *definition, c *Computed, v *Value) {
	t, until := c.tally(d)
	v.known, v.n, v.Until = true, t.N, until
}

func readAmount(d *definition, c *Computed, v *Value) {
	t, until := c.tally(d)
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

func readRFM(d *definition, c *Computed, v *Value) {
	t, until := c.tally(d)
	if v.Until = until; t.N == 0 {
		return
	}
	v.known, v.scores = true, [3]int64{1, 1, 1}
	newest, _ := c.p.Newest(d.spec.ID)
	for i, r := range d.Recency {
		if end := newest + r.Milliseconds(); c.now < end {
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

func readValue(d *definition, c *Computed, v *Value) {
	list, until := c.p.Values(d.spec.ID, c.now, d.Window.Milliseconds())
	if v.Until = until; list.Len() > 0 {
		v.known, v.raw = true, list.At(list.Len()-1)
	}
}

func readLatest(d *definition, c *Computed, v *Value) {
	list, until := c.p.Values(d.spec.ID, c.now, d.Window.Milliseconds())
	v.known, v.Until = true, until
	for i := list.Len() - 1; i >= 0; i-- {
		v.list = append(v.list, list.At(i))
	}
}

func readUnique(d *definition, c *Computed, v *Value) {
	n, until := c.series(d).Met(c.now, d.Window.Milliseconds())
	v.known, v.n, v.Until = true, int64(n), until
}

func readDistinct(d *definition, c *Computed, v *Value) {
	c.met, v.Until = c.series(d).Recent(c.met[:0], c.now, d.Window.Milliseconds())
	v.known = true
	v.keys = make([]string, min(len(c.met), d.limit()))
	for i := range v.keys {
		v.keys[i] = c.met[i].Key
	}
}

func readFrequent(d *definition, c *Computed, v *Value) {
	most := d.limit()
	if most == 1 {
		x, until, ok := c.series(d).MostFrequent(c.now, d.Window.Milliseconds())
		if v.Until = until; ok && x.Value >= float64(d.AtLeast) {
			v.known, v.text = true, x.Key
		}
		return
	}
	c.some, v.Until = c.series(d).Counts(c.some[:0], c.now, d.Window.Milliseconds())
	v.known, v.keys = true, []string{}
	for i, x := range c.some {
		if i == most || x.Value < float64(d.AtLeast) {
			break
		}
		v.text = x.Key
		v.keys = append(v.keys, x.Key)
	}
}

func readSince(d *definition, c *Computed, v *Value) {
	newest, ok := c.p.Newest(d.spec.ID)
	if !ok {
		return
	}
	v.known, v.n, v.unit = true, newest, unitMillis(d.unit)
	v.Until = newest + (max(0, c.now-newest)/v.unit+1)*v.unit
}

func readAffinity(d *definition, c *Computed, v *Value) {
	v.text, v.Until, v.known = c.series(d).Favourite(c.now, d.halfLife().Milliseconds(), forgotten)
}

func readHour(d *definition, c *Computed, v *Value) {
	readAffinity(d, c, v)
	if v.known {
		v.n = int64(v.text[0]-'0')*10 + int64(v.text[1]-'0')
	}
}
