package rule

import (
	"fmt"

	"github.com/google/cel-go/common/types"
)

// Field is a member of an Object: its type, and how it is read.
type Field struct {
	Name string
	Type *types.Type
	// Get reads the field; has is false where nothing is known, and value is
	// then the type's zero.
	Get func(of any) (value any, has bool)
	// Plain, if there is one, reads the same as Get does, without making a value
	// of it.
	Plain func(of any) (value Plain, has bool)
	// Test, if there is one, makes what compares the field with a literal, of what Plain
	// gives, in fewer steps: meets says which orders of the two meet the comparison. It
	// is nil where it has none for such a literal.
	Test func(literal Plain, meets func(sign int) bool) func(of any) bool
	// Contains, if there is one, looks for a text in a list that Get would give.
	Contains func(of any, text string) bool
	// Key, if there is one, finds an entry of a map that Get would give.
	Key func(of any, key string) Plain
	// At is where Places have what Plain reads.
	At At
	// Grows says which way a comparison of the field with a literal goes as more happens of
	// what the field sums up, whatever the time: Rises that the field is never less for it,
	// Falls that it is never more. Nil: Either.
	Grows func(literal Plain) Trend
	// Hidden says that no fault names it: nobody wrote it.
	Hidden bool
}

// Object is a type with fixed members: a rule that misspells one is refused,
// where a key of a map would just never be there.
type Object struct {
	Name   string
	Fields []Field
}

// provider adds objects to CEL's own types.
type provider struct {
	*types.Registry
	fields map[string]map[string]*types.FieldType
	names  map[string][]string
	// members are the fields by object and name.
	members map[[2]string]*Field
}

func newProvider(objects []*Object) (*provider, error) {
	reg, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("rule: make the types: %w", err)
	}
	p := &provider{Registry: reg, fields: map[string]map[string]*types.FieldType{}, names: map[string][]string{}, members: map[[2]string]*Field{}}
	for _, o := range objects {
		fields := make(map[string]*types.FieldType, len(o.Fields))
		for i, f := range o.Fields {
			p.members[[2]string{o.Name, f.Name}] = &o.Fields[i]
			fields[f.Name] = &types.FieldType{
				Type:    f.Type,
				IsSet:   func(of any) bool { _, has := f.Get(of); return has },
				GetFrom: func(of any) (any, error) { v, _ := f.Get(of); return v, nil },
			}
			if !f.Hidden {
				p.names[o.Name] = append(p.names[o.Name], f.Name)
			}
		}
		p.fields[o.Name] = fields
	}
	return p, nil
}

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.fields[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Registry.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if names, ok := p.names[name]; ok {
		return names, true
	}
	return p.Registry.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if fields, ok := p.fields[name]; ok {
		f, ok := fields[field]
		return f, ok
	}
	return p.Registry.FindStructFieldType(name, field)
}
