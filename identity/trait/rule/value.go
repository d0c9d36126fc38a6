package rule

import (
	"reflect"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/reuna/reuna/identity/event"
)

// FromJSON is a JSON value as CEL sees it: numbers are doubles, objects are
// maps whose members are read when a rule asks for them. A list of more than
// 1,000 items is an error. nil when v is absent.
func FromJSON(v event.Value) ref.Val {
	switch v.Kind() {
	case event.Null:
		return types.NullValue
	case event.Bool:
		return types.Bool(v == "true")
	case event.Number:
		f, _ := v.Number()
		return types.Double(f)
	case event.String:
		return types.String(v.Text())
	case event.Array:
		items := []ref.Val{}
		v.Items(func(m event.Value) bool { items = append(items, FromJSON(m)); return len(items) <= maxItems })
		if len(items) > maxItems {
			return types.NewErr("a list has more than %d items", maxItems)
		}
		return types.NewRefValList(types.DefaultTypeAdapter, items)
	case event.Object:
		return NewMap(object(v), maxItems)
	}
	return nil
}

type object event.Value

func (o object) Find(key string) (ref.Val, bool) {
	v := event.Value(o).Get(key)
	return FromJSON(v), v != ""
}

// JSON is Find without a value made.
func (o object) JSON(key string) event.Value { return event.Value(o).Get(key) }

func (o object) All() map[string]any { return event.Value(o).Any().(map[string]any) }

// Source is where a Map finds its entries.
type Source interface {
	// Find gives the value of one key; false when there is none.
	Find(key string) (ref.Val, bool)
	// All gives every entry; a Map asks at most once, and only for a rule that
	// walks over it.
	All() map[string]any
}

// Map is a CEL map with text keys that looks its entries up when it is asked,
// so that a rule pays for what it reads. It is for one goroutine.
type Map struct {
	source Source
	most   int
	finds  int
	all    traits.Mapper
	large  bool
}

// NewMap makes a map of what source holds. With more than most entries it
// still finds them, but a rule that walks over it fails.
func NewMap(source Source, most int) *Map { return new(Map).Of(source, most) }

// Of makes m, which is new or done with, a map of another source.
func (m *Map) Of(source Source, most int) *Map {
	*m = Map{source: source, most: most}
	return m
}

// Ready says that m has a source.
func (m *Map) Ready() bool { return m.source != nil }

// whole is the map with every entry decoded, or an empty one where there are
// too many.
func (m *Map) whole() traits.Mapper {
	if m.all == nil {
		all := m.source.All()
		if len(all) > m.most {
			m.large, all = true, nil
		}
		m.all = types.NewStringInterfaceMap(types.DefaultTypeAdapter, all)
	}
	return m.all
}

// manyFinds is how often entries are looked up one by one, each time reading
// the source, before it pays to decode them all.
const manyFinds = 16

// Find implements traits.Mapper.
func (m *Map) Find(key ref.Val) (ref.Val, bool) {
	s, ok := key.(types.String)
	if !ok {
		return nil, false // no other key can be in it
	}
	if m.finds++; m.finds > manyFinds {
		if all := m.whole(); !m.large {
			return all.Find(key)
		}
	}
	return m.source.Find(string(s))
}

// Get implements traits.Indexer.
func (m *Map) Get(key ref.Val) ref.Val {
	if v, found := m.Find(key); found {
		return v
	}
	return types.NewErr("no such key: %v", key)
}

// Contains implements traits.Container.
func (m *Map) Contains(key ref.Val) ref.Val {
	_, found := m.Find(key)
	return types.Bool(found)
}

// Iterator implements traits.Iterable.
func (m *Map) Iterator() traits.Iterator {
	all := m.whole()
	if m.large {
		return &tooLarge{err: m.fault()}
	}
	return all.Iterator()
}

func (m *Map) fault() ref.Val { return types.NewErr("a map has more than %d entries", m.most) }

// tooLarge is walked over once and gives an error, which fails the rule.
type tooLarge struct {
	traits.Iterator
	err  ref.Val
	done bool
}

// HasNext implements traits.Iterator.
func (t *tooLarge) HasNext() ref.Val { return types.Bool(!t.done) }

// Next implements traits.Iterator.
func (t *tooLarge) Next() ref.Val {
	t.done = true
	return t.err
}

// Size implements traits.Sizer.
func (m *Map) Size() ref.Val {
	all := m.whole()
	if m.large {
		return m.fault()
	}
	return all.Size()
}

// Equal implements ref.Val.
func (m *Map) Equal(other ref.Val) ref.Val {
	all := m.whole()
	if m.large {
		return m.fault()
	}
	if o, ok := other.(*Map); ok {
		if other = o.whole(); o.large {
			return o.fault()
		}
	}
	return all.Equal(other)
}

// ConvertToNative implements ref.Val.
func (m *Map) ConvertToNative(t reflect.Type) (any, error) { return m.whole().ConvertToNative(t) }

// ConvertToType implements ref.Val.
func (m *Map) ConvertToType(t ref.Type) ref.Val { return m.whole().ConvertToType(t) }

// Type implements ref.Val.
func (m *Map) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (m *Map) Value() any { return m.whole().Value() }
