package trait

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Object describes computed.… to rules. It reads a *Computed, and tells its Clock
// until when what was read holds.
func (s *Set) Object() *rule.Object {
	o := &rule.Object{Name: "reuna.computed"}
	if s == nil {
		return o
	}
	for i, d := range s.defs {
		if !isWord(d.Name) || s.index[d.Name] != i || d.Pending {
			continue // a Set with faults, or a version that is not to be read yet
		}
		t, give := d.rule()
		// value is the trait of what is asked, and tells the clock until when; nil
		// where nothing is known.
		value := func(of any) (*Computed, *Value) {
			c, ok := of.(*Computed)
			if !ok || c.set != s {
				return c, nil
			}
			v := c.value(i)
			if c.Clock != nil && d.Kind != TimeSince { // whose value tells the clock when it is compared
				c.Clock.Note(v.Until)
			}
			return c, v
		}
		f := rule.Field{Name: d.Name, Type: t, Hidden: d.Hidden, At: d.at(i), Grows: d.grows(), Get: func(of any) (any, bool) {
			c, v := value(of)
			if v == nil {
				return give(c, &Value{}), false
			}
			return give(c, v), v.known && d.told(v)
		}}
		plain := d.plain()
		switch {
		case plain != nil:
			f.Plain = func(of any) (rule.Plain, bool) {
				c, v := value(of)
				if v == nil {
					return plain(c, &Value{}), false
				}
				return plain(c, v), v.known && d.told(v)
			}
			f.Test = d.tests(value)
			if d.Kind == Count {
				f.Test = s.threshold(i, f.Test)
			}
		case d.spec.ID == 0:
		case t.Kind() == types.ListKind:
			f.Contains = func(of any, text string) bool {
				if c, ok := of.(*Computed); ok && c.set == s && d.Kind == Distinct && !c.made[i] {
					return c.distinct(d, text)
				}
				_, v := value(of)
				return v != nil && v.contains(text)
			}
		case d.Kind == RFM:
			f.Key = func(of any, key string) rule.Plain {
				_, v := value(of)
				if v == nil || !v.known {
					return rule.Plain{}
				}
				return v.scored(key)
			}
		}
		o.Fields = append(o.Fields, f)
	}
	return o
}

// told says that has() is true: counts of nothing are told too, lists only with
// something in them.
func (d *definition) told(v *Value) bool {
	switch d.Kind {
	case Distinct:
		return len(v.keys) > 0
	case Latest:
		return len(v.list) > 0
	case MostFrequent:
		return v.text != ""
	}
	return true
}

// rule gives a kind's type for rules, and its value, which is the type's zero
// where nothing is known.
func (d *definition) rule() (*types.Type, func(c *Computed, v *Value) ref.Val) {
	if d.spec.ID == 0 { // of a Set with faults: nothing is said against any use
		return types.DynType, func(*Computed, *Value) ref.Val { return types.NullValue }
	}
	switch d.Kind {
	case Count, Unique, DaysActive, Streak, BestHour:
		return types.IntType, func(_ *Computed, v *Value) ref.Val { return types.Int(v.n) }
	case Sum, Average, Min, Max:
		return types.DoubleType, func(_ *Computed, v *Value) ref.Val { return types.Double(float64(v.n) / 1e6) }
	case Sequence:
		return types.BoolType, func(_ *Computed, v *Value) ref.Val { return types.Bool(v.n == 1) }
	case Affinity:
		return types.StringType, func(_ *Computed, v *Value) ref.Val { return types.String(v.text) }
	case MostFrequent:
		if d.limit() == 1 {
			return types.StringType, func(_ *Computed, v *Value) ref.Val { return types.String(v.text) }
		}
		return types.NewListType(types.StringType), textList
	case Distinct:
		return types.NewListType(types.StringType), textList
	case Latest:
		return types.NewListType(types.DynType), func(_ *Computed, v *Value) ref.Val {
			list := make([]ref.Val, len(v.list))
			for i, x := range v.list {
				list[i] = rule.FromJSON(x)
			}
			return types.NewRefValList(types.DefaultTypeAdapter, list)
		}
	case First, Last:
		return types.DynType, func(_ *Computed, v *Value) ref.Val {
			if v.raw == "" {
				return types.NullValue
			}
			return rule.FromJSON(v.raw)
		}
	case TimeSince:
		return types.DurationType, func(c *Computed, v *Value) ref.Val {
			switch {
			case !v.known:
				return types.Duration{Duration: math.MaxInt64}
			case c.Clock != nil:
				return rule.Since(c.Clock, v.n)
			}
			return types.Duration{Duration: time.Duration(c.now-v.n) * time.Millisecond}
		}
	case RFM:
		return types.NewMapType(types.StringType, types.DynType), func(_ *Computed, v *Value) ref.Val {
			m := map[string]any{}
			if v.known {
				m = map[string]any{"recency": v.scores[0], "frequency": v.scores[1], "monetary": v.scores[2], "score": v.score()}
			}
			return types.NewStringInterfaceMap(types.DefaultTypeAdapter, m)
		}
	}
	panic("trait: no type for rules of kind " + d.Kind)
}

func textList(_ *Computed, v *Value) ref.Val {
	list := rule.Texts(v.keys)
	return &list
}

// plain gives what rule gives, for kinds whose value is one number, text or time;
// nil for others.
func (d *definition) plain() func(c *Computed, v *Value) rule.Plain {
	if d.spec.ID == 0 {
		return nil
	}
	switch d.Kind {
	case Count, Unique, DaysActive, Streak, BestHour:
		return func(_ *Computed, v *Value) rule.Plain { return rule.PlainInt(v.n) }
	case Sum, Average, Min, Max:
		return func(_ *Computed, v *Value) rule.Plain { return rule.PlainDouble(float64(v.n) / 1e6) }
	case Sequence:
		return func(_ *Computed, v *Value) rule.Plain { return rule.PlainBool(v.n == 1) }
	case Affinity:
		return func(_ *Computed, v *Value) rule.Plain { return rule.PlainText(v.text) }
	case MostFrequent:
		if d.limit() == 1 {
			return func(_ *Computed, v *Value) rule.Plain { return rule.PlainText(v.text) }
		}
	case First, Last:
		return func(_ *Computed, v *Value) rule.Plain {
			if v.raw == "" {
				return rule.PlainJSON("null")
			}
			return rule.PlainJSON(v.raw)
		}
	case TimeSince:
		return func(c *Computed, v *Value) rule.Plain {
			switch {
			case !v.known:
				return rule.PlainSpan(math.MaxInt64)
			case c.Clock != nil:
				return rule.PlainSince(c.Clock, v.n)
			}
			return rule.PlainSpan(time.Duration(c.now-v.n) * time.Millisecond)
		}
	}
	return nil
}

// tests makes what compares a value that is one number or text with a literal of its
// own type; nil for other kinds. value gives nil where nothing is known.
func (d *definition) tests(value func(of any) (*Computed, *Value)) func(literal rule.Plain, meets func(sign int) bool) func(of any) bool {
	t, _ := d.rule()
	return func(literal rule.Plain, meets func(sign int) bool) func(of any) bool {
		unknown := &Value{}
		get := func(of any) *Value {
			if _, v := value(of); v != nil {
				return v
			}
			return unknown
		}
		switch t {
		case types.IntType:
			if n, ok := literal.Int(); ok {
				return func(of any) bool { return meets(cmp.Compare(get(of).n, n)) }
			}
		case types.DoubleType:
			if f, ok := literal.Double(); ok {
				return func(of any) bool { return meets(cmp.Compare(float64(get(of).n)/1e6, f)) }
			}
		case types.StringType:
			text, ok := literal.Text()
			if same := meets(0); ok && !same == meets(1) && !same == meets(-1) { // == or !=
				return func(of any) bool { return get(of).text == text == same }
			}
		}
		return nil
	}
}

// distinct says whether a list of distinct keys has one, without making it.
func (c *Computed) distinct(d *definition, key string) bool {
	in, until := c.series(d).AmongRecent(key, d.limit(), c.now, d.Window.Milliseconds())
	if c.Clock != nil {
		c.Clock.Note(until)
	}
	return in
}

// contains looks for a text in a list.
func (v *Value) contains(text string) bool {
	if slices.Contains(v.keys, text) {
		return true
	}
	return slices.ContainsFunc(v.list, func(x event.Value) bool { return x.Kind() == event.String && x.Text() == text })
}

// scored is a member of the object that rfm is to rules.
func (v *Value) scored(key string) rule.Plain {
	switch key {
	case "recency":
		return rule.PlainInt(v.scores[0])
	case "frequency":
		return rule.PlainInt(v.scores[1])
	case "monetary":
		return rule.PlainInt(v.scores[2])
	case "score":
		return rule.PlainText(v.score())
	}
	return rule.Plain{}
}
