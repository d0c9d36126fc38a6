package rule

import (
	"reflect"
	"slices"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// Texts is a list of texts as CEL sees it. Asking whether something is in it,
// which nearly every rule about a list does, costs no memory; the rest is CEL's
// own list of them.
type Texts []string

func (t *Texts) list() traits.Lister { return types.NewStringList(types.DefaultTypeAdapter, *t) }

// Contains implements traits.Container.
func (t *Texts) Contains(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	return types.Bool(ok && slices.Contains(*t, string(s)))
}

// Size implements traits.Sizer.
func (t *Texts) Size() ref.Val { return types.Int(len(*t)) }

// Add implements traits.Adder.
func (t *Texts) Add(other ref.Val) ref.Val {
	if o, ok := other.(*Texts); ok {
		other = o.list()
	}
	return t.list().Add(other)
}

// Get implements traits.Indexer.
func (t *Texts) Get(index ref.Val) ref.Val { return t.list().Get(index) }

// Iterator implements traits.Iterable.
func (t *Texts) Iterator() traits.Iterator { return t.list().Iterator() }

// Equal implements ref.Val.
func (t *Texts) Equal(other ref.Val) ref.Val {
	if o, ok := other.(*Texts); ok {
		return types.Bool(slices.Equal(*t, *o))
	}
	return t.list().Equal(other)
}

// ConvertToNative implements ref.Val.
func (t *Texts) ConvertToNative(to reflect.Type) (any, error) { return t.list().ConvertToNative(to) }

// ConvertToType implements ref.Val.
func (t *Texts) ConvertToType(to ref.Type) ref.Val { return t.list().ConvertToType(to) }

// Type implements ref.Val.
func (t *Texts) Type() ref.Type { return types.ListType }

// Value implements ref.Val.
func (t *Texts) Value() any { return []string(*t) }
