package trait

import (
	"math"
	"strconv"

	"github.com/google/cel-go/common/types"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Value is one computed trait of one person.
type Value struct {
	Kind  string // of its definition
	Count int64  // Count: how many
	Key   string // Affinity: the favourite; "" when there is none
}

// Known says that there is something to tell: a count always, a favourite once
// there is one.
func (v Value) Known() bool { return v.Kind == Count || v.Key != "" }

// JSON is the value's JSON text; absent when it is not known.
func (v Value) JSON() event.Value {
	switch {
	case v.Kind == Count:
		return event.Value(strconv.FormatInt(v.Count, 10))
	case v.Key != "":
		return event.Quote(v.Key)
	}
	return ""
}

// Computed are the computed traits of one person at one time. The zero
// Computed knows nothing.
type Computed struct {
	set    *Set
	values []Value // in the order of the definitions
	// Affinity are the scores of the first affinity definition, highest first:
	// how often each key was met, faded by age.
	Affinity []facet.Score
}

// Compute reads the computed traits of p as of now (milliseconds since 1970
// UTC). p may be nil.
func (s *Set) Compute(p *facet.Profile, now int64) Computed {
	if s.Len() == 0 {
		return Computed{}
	}
	c := Computed{set: s, values: make([]Value, len(s.defs))}
	for i, d := range s.defs {
		c.values[i].Kind = d.Kind
		if p == nil {
			continue
		}
		series := p.Computed[d.series.Name]
		if series == nil {
			continue
		}
		if d.Kind == Count {
			c.values[i].Count = d.count(series, now)
			continue
		}
		scores := d.scores(series, now)
		if len(scores) > 0 {
			c.values[i].Key = scores[0].Key
		}
		if i == s.first {
			c.Affinity = scores
		}
	}
	return c
}

func (d *definition) count(series *facet.Series, now int64) (n int64) {
	if d.Window > 0 {
		return series.Count("", now, d.Window.Milliseconds())
	}
	for _, b := range series.Keys[""] {
		n += b.N
	}
	return n
}

// scores leaves out what is forgotten: without a floor the last thing that
// somebody looked at would stay their favourite for ever.
func (d *definition) scores(series *facet.Series, now int64) []facet.Score {
	list := series.Scores(now, d.HalfLife.Milliseconds())
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
	return c.values[i], true
}

// Each calls fn for every computed trait, in the order of the definitions.
func (c *Computed) Each(fn func(name string, v Value)) {
	for i, v := range c.values {
		fn(c.set.defs[i].Name, v)
	}
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
				return types.Int(c.values[i].Count), true
			}
		case Affinity:
			f.Type = types.StringType
			f.Get = func(of any) (any, bool) {
				c, ok := of.(*Computed)
				if !ok || c.set != s {
					return types.String(""), false
				}
				return types.String(c.values[i].Key), c.values[i].Key != ""
			}
		default: // a Set with faults: nothing is said against any use
			f.Type = types.DynType
			f.Get = func(any) (any, bool) { return types.NullValue, false }
		}
		o.Fields = append(o.Fields, f)
	}
	return o
}
