package trait

import (
	"math"
	"slices"
	"strconv"

	"github.com/google/cel-go/common/types"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Value is one computed trait of one person.
type Value struct {
	Kind string // of its definition
	// Until is when the value changes by time alone, ms since 1970 UTC;
	// math.MaxInt64: never.
	Until int64
	n     int64  // Count: how many
	key   string // Affinity: the favourite; "" when there is none
}

// Known says that there is something to tell: a count always, a favourite once
// there is one.
func (v Value) Known() bool { return v.Kind == Count || v.key != "" }

// JSON is the value's JSON text; absent when it is not known.
func (v Value) JSON() event.Value {
	switch {
	case v.Kind == Count:
		return event.Value(strconv.FormatInt(v.n, 10))
	case v.key != "":
		return event.Quote(v.key)
	}
	return ""
}

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
	clear(c.values)
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
	*v = Value{Kind: d.Kind, Until: math.MaxInt64}
	if c.p == nil || d.Pending {
		return v
	}
	series := c.p.Series(d.spec.ID)
	if d.Kind == Count {
		var t facet.Tally
		t, v.Until = series.Tally("", c.now, d.spec.Window)
		v.n = t.N
		return v
	}
	if scores := d.scores(nil, series, c.now); len(scores) > 0 {
		v.key = scores[0].Key
	}
	return v
}

// Affinity are the scores of the first affinity definition, highest first: how
// often each key was met, faded by age.
func (c *Computed) Affinity() []facet.Score {
	if c.set == nil || c.p == nil || c.set.first < 0 {
		return nil
	}
	if !c.scored {
		d := c.set.defs[c.set.first]
		c.scores, c.scored = d.scores(c.scores[:0], c.p.Series(d.spec.ID), c.now), true
	}
	return c.scores
}

// scores leaves out what is forgotten: without a floor the last thing that
// somebody looked at would stay their favourite for ever.
func (d *definition) scores(dst []facet.Score, series *facet.Series, now int64) []facet.Score {
	list := series.Scores(dst, now, d.HalfLife.Milliseconds())
	for i, s := range list {
		if s.Value < forgotten || math.IsNaN(s.Value) {
			return list[:i]
		}
	}
	return list
}

// Get gives a computed trait by its name; ok is false when none is so called.
func (c *Computed) Get(name string) (v Value, ok bool) {
	if c.set == nil {
		return Value{}, false
	}
	i, ok := c.set.index[name]
	if !ok {
		return Value{}, false
	}
	return *c.value(i), !c.set.defs[i].Pending
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

// read gives a value to a rule, and notes until when it holds.
func (c *Computed) read(i int) *Value {
	v := c.value(i)
	if c.Clock != nil {
		c.Clock.Note(v.Until)
	}
	return v
}

// Object describes computed.… to rules: a count is an int, a favourite a text.
// It reads a *Computed.
func (s *Set) Object() *rule.Object {
	o := &rule.Object{Name: "reuna.computed"}
	if s == nil {
		return o
	}
	for i, d := range s.defs {
		if !isWord(d.Name) || s.index[d.Name] != i {
			continue // a Set with faults
		}
		f := rule.Field{Name: d.Name}
		switch d.Kind {
		case Count:
			f.Type = types.IntType
			f.Get = func(of any) (any, bool) {
				c, ok := of.(*Computed)
				if !ok || c.set != s {
					return types.IntZero, false
				}
				return types.Int(c.read(i).n), true
			}
		case Affinity:
			f.Type = types.StringType
			f.Get = func(of any) (any, bool) {
				c, ok := of.(*Computed)
				if !ok || c.set != s {
					return types.String(""), false
				}
				v := c.read(i)
				return types.String(v.key), v.key != ""
			}
		default: // a Set with faults: nothing is said against any use
			f.Type = types.DynType
			f.Get = func(any) (any, bool) { return types.NullValue, false }
		}
		o.Fields = append(o.Fields, f)
	}
	return o
}
