package define

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/definitions"
)

// ErrFixed says that a definition is the file's, or the program's own.
var ErrFixed = errors.New("define: this definition is not an operator's to change")

// ErrNone says that there is no such definition.
var ErrNone = errors.New("define: there is no such definition")

// Faults are what is wrong with a definition that was to be put, or what would
// be wrong with others without it.
type Faults []Fault

// Fault is one of them.
type Fault struct {
	Kind, Name string // of the definition in which it is
	rule.Fault        // Path is the field in it
}

func (fs Faults) Error() string {
	var b bytes.Buffer
	for i, f := range fs {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s %q: %s", f.Kind, f.Name, f.Fault.Error())
	}
	return b.String()
}

// Put puts an operator's definition in the place of what has its name. Errors:
// ErrFixed, Faults.
func (m *Manager) Put(d Definition, actor string) (version int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isFixed(d.Kind, d.Name) {
		return 0, ErrFixed
	}
	d.Source = FromAPI
	list := m.kept(func(x *definitions.Version) bool { return x.Kind != d.Kind || x.Name != d.Name })
	if err := m.fits(append(list, d)); err != nil {
		return 0, err
	}
	var v definitions.Version
	err = m.o.Kept.Change(func(c *definitions.Change) (err error) {
		v, err = c.Put(definitions.Version{Kind: d.Kind, Name: d.Name, At: m.o.Now().UnixMilli(), Actor: actor, Source: definitions.API, Body: d.Body})
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(v.Number), m.again()
}

// Delete takes an operator's definition away. Errors: ErrNone, ErrFixed, Faults
// of those that read it.
func (m *Manager) Delete(kind, name, actor string) (version int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isFixed(kind, name) {
		return 0, ErrFixed
	}
	v, ok := m.o.Kept.Get(kind, name)
	if !ok || v.Deleted {
		return 0, ErrNone
	}
	if err := m.fits(m.kept(func(x *definitions.Version) bool { return x.Kind != kind || x.Name != name })); err != nil {
		return 0, err
	}
	err = m.o.Kept.Change(func(c *definitions.Change) (err error) {
		v, err = c.Delete(definitions.Version{Kind: kind, Name: name, At: m.o.Now().UnixMilli(), Actor: actor, Source: definitions.API})
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(v.Number), m.again()
}

// isFixed says that a definition of that name is not an operator's. A built-in
// trait gives way.
func (m *Manager) isFixed(kind, name string) bool {
	return slices.ContainsFunc(m.fixed, func(d Definition) bool { return d.is(kind, name) })
}

// fits says whether these operators' definitions work beside the fixed ones.
// What is refused already is no reason against others.
func (m *Manager) fits(list []Definition) error {
	list = slices.DeleteFunc(list, func(d Definition) bool {
		return slices.ContainsFunc(m.refused, func(r Refused) bool { return r.Kind == d.Kind && r.Name == d.Name && bytes.Equal(r.Body, d.Body) })
	})
	w, faults := gather(append(slices.Clone(m.fixed), list...))
	if len(faults) == 0 {
		faults = w.check(m.o.Placements)
	}
	return w.whose(faults).err()
}

func (fs Faults) err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}
