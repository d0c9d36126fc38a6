// Package segment says which audiences a person is in, and gives placements
// the same language of conditions.
//
// A rule is CEL over traits, computed, counts, segments, identifiers, geo,
// device, traffic, firstTouch, lastTouch, consent, affinity, site and now. What
// is missing does not match: a rule whose outcome hangs on a trait that nobody
// set is false. The members of computed, counts, geo, device, traffic and the
// two touches are fixed, so that a misspelt one is refused; where nothing is
// known they are 0, the empty text or 1970, and has() tells. count, sum,
// followed and notFollowed ask what happened, without a trait of one's own.
//
// Which audiences a person is in is a Standing. Judging again costs what has
// changed: only audiences that read it are evaluated, and those for which the
// time has come.
package segment

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Definition is an audience: everyone for whom When holds.
type Definition struct {
	Name, When string
	Site       string // only persons who were last seen on this site; empty: all
	ID         uint32 // the gateway's to set; 0: the definition's place in the list, from 1
	// Held is the gateway's to set, too: what the rule reads is not whole yet, so
	// that nobody is judged by it. Who is in the audience stays.
	Held bool
}

// audience is a Definition made ready; what judging needs comes first.
type audience struct {
	rule *rule.Rule
	asks mask // the audiences, by place, that it asks for
	Definition
	index int          // in the list of definitions
	reads facet.Change // what of a profile its outcome depends on
}

// placed is where an audience stands in the list.
type placed struct {
	id    uint32
	place int
}

// named is an audience's name as JSON.
type named struct {
	place  int
	quoted event.Value
}

// Set is a list of audiences made ready: immutable, for concurrent use. A nil
// Set is an empty one.
//
// Invariant: an audience stands behind those that it asks for, so that one walk
// in order judges all.
type Set struct {
	names []string // in the order of the definitions
	list  []audience
	place map[string]int // by name, in list
	ids   []placed       // ascending
	order []named        // in the order of the definitions
	every mask
	print uint64 // of everything that outcomes depend on, but for persons

	traits  *trait.Set
	reads   facet.Change // of any
	core    []*readers   // by bit; nil: nobody reads it
	slots   []*readers   // by slot; nil: nobody reads it
	choices []choice
	steps   rule.Steps
	first   []int32 // by place: of its steps the first; noSteps: its rule is to be asked
	askers  []mask  // by place: who asks for it
}

// noSteps is of audiences that have none, or whose rule does not say all.
const noSteps = -1

// Compile makes a Set. A rule may ask for other segments ('x' in segments), but
// not in a circle. The error is rule.Faults, everything that is wrong, with
// paths such as segments[0].when. The Set that comes with an error only knows
// the names, for the rules that ask for them: nobody is in it.
func Compile(env *Env, list []Definition) (*Set, error) {
	c := compiler{env: env, Set: &Set{place: map[string]int{}}, places: map[[2]string][2]int{}}
	for i, d := range list {
		c.declare(i, d)
	}
	if len(list) > maxSegments {
		c.faults = append(c.faults, rule.Fault{Path: "segments", Message: fmt.Sprintf("saw %d segments; the limit is %d", len(list), maxSegments)})
	}
	for i := range c.found {
		c.rule(&c.found[i])
	}
	if len(c.faults) == 0 {
		c.sort()
	}
	if len(c.faults) > 0 {
		return &Set{names: c.names}, c.faults.Err()
	}
	c.index()
	return c.Set, nil
}

type compiler struct {
	*Set
	env    *Env
	faults rule.Faults
	found  []audience
	places map[[2]string][2]int // [asker, asked] -> line, column
}

func (c *compiler) fault(i int, key, format string, args ...any) {
	c.faults = append(c.faults, rule.Fault{Path: fmt.Sprintf("segments[%d].%s", i, key), Message: fmt.Sprintf(format, args...)})
}

func (c *compiler) declare(i int, d Definition) {
	if d.Name == "" {
		c.fault(i, "name", "saw nothing, expected a name")
	}
	if d.ID == 0 {
		d.ID = uint32(i) + 1
	}
	for j, other := range c.found {
		if other.Name == d.Name {
			c.fault(i, "name", "%q is the name of segments[%d] too; rename one", d.Name, j)
		}
		if other.ID == d.ID {
			c.fault(i, "id", "%d is the id of segments[%d] too", d.ID, j)
		}
	}
	c.names = append(c.names, d.Name)
	c.found = append(c.found, audience{Definition: d, index: i})
}

func (c *compiler) rule(a *audience) {
	if a.Held {
		return
	}
	r, bad := c.env.rule(fmt.Sprintf("segments[%d].when", a.index), a.When, func(r *rule.Reader) {
		r.MembersOf("segments", func(id int64, name string) {
			if name == a.Name {
				r.Fault(id, "%q asks for itself", name)
				return
			}
			known(r, id, name, c.names)
			line, column := r.Place(id)
			c.places[[2]string{a.Name, name}] = [2]int{line, column}
		})
	})
	c.faults = append(c.faults, bad...)
	a.rule = r
}

// known notes a fault, and what was meant, when no segment is called name.
func known(r *rule.Reader, id int64, name string, names []string) {
	if slices.Contains(names, name) {
		return
	}
	if len(names) == 0 {
		r.Fault(id, "there is no segment %q; none is defined", name)
		return
	}
	meant := rule.Nearest(name, names)
	if meant != "" {
		r.Fault(id, "there is no segment %q", name)
		r.Suggest("'" + meant + "'")
		return
	}
	have := ""
	for i, n := range names[:min(len(names), 20)] {
		if i > 0 {
			have += ", "
		}
		have += n
	}
	r.Fault(id, "there is no segment %q; there are: %s", name, have)
}

// asked are the segments that a asks for by index. One that walks over the list
// sees those declared before it.
func (c *compiler) asked(a *audience) (list []int) {
	if a.rule == nil {
		return nil
	}
	members, all := a.rule.Uses().Of("segments")
	for i := range c.found {
		if slices.Contains(members, c.found[i].Name) || all && i < a.index {
			list = append(list, i)
		}
	}
	return list
}

// sort puts every audience behind those that it asks for, else in the order of
// the definitions.
func (c *compiler) sort() {
	const (
		unseen = iota
		open
		done
	)
	state := make([]int, len(c.found))
	var path []int
	var visit func(i int) bool
	visit = func(i int) bool {
		a := &c.found[i]
		state[i], path = open, append(path, i)
		for _, j := range c.asked(a) {
			if state[j] == open {
				c.circle(append(path[slices.Index(path, j):], j))
				return false
			}
			if state[j] == unseen && !visit(j) {
				return false
			}
		}
		state[i], path = done, path[:len(path)-1]
		c.list = append(c.list, *a)
		return true
	}
	for i := range c.found {
		if state[i] == unseen && !visit(i) {
			return
		}
	}
}

func (c *compiler) circle(path []int) {
	text := ""
	for k, i := range path {
		if k > 0 {
			text += " asks for "
		}
		text += c.found[i].Name
	}
	a := &c.found[path[0]]
	at := c.places[[2]string{a.Name, c.found[path[1]].Name}]
	c.faults = append(c.faults, rule.Fault{Path: fmt.Sprintf("segments[%d].when", a.index), Line: max(at[0], 1), Column: max(at[1], 1), Message: "segments ask for each other in a circle: " + text})
}

// index tells who reads what.
func (c *compiler) index() {
	s, words := c.Set, (len(c.list)+63)/64
	s.traits = c.env.traits
	s.core, s.slots = make([]*readers, 32), make([]*readers, facet.MaxComputed)
	s.askers = make([]mask, len(s.list))
	s.order = make([]named, len(s.list))
	s.every = make(mask, words)
	for i := range s.list {
		s.order[s.list[i].index].place = i
		s.every.set(i)
		s.place[s.list[i].Name] = i
		s.ids = append(s.ids, placed{s.list[i].ID, i})
		s.askers[i] = make(mask, words)
	}
	// One text behind the other: answers name dozens of them.
	text := ""
	for _, x := range s.order {
		text += string(event.Quote(s.list[x.place].Name))
	}
	for i := range s.order {
		n := len(event.Quote(s.list[s.order[i].place].Name))
		s.order[i].quoted, text = event.Value(text[:n]), text[n:]
	}
	for i := range s.list {
		a := &s.list[i]
		a.asks = make(mask, words)
		for _, j := range c.asked(a) {
			at := s.place[c.found[j].Name]
			a.asks.set(at)
			s.askers[at].set(i)
		}
		if a.Held {
			continue
		}
		a.reads = c.env.reads(a.rule.Uses())
		if a.Site != "" {
			a.reads.Core |= facet.ChangedSite
		}
		s.reads.Add(a.reads)
		t := c.env.trendsOf(a.rule)
		for bit := range s.core {
			if a.reads.Core&(1<<bit) != 0 {
				if s.core[bit] == nil {
					s.core[bit] = newReaders(words)
				}
				s.core[bit].set(i, t.core[bit])
			}
		}
		for slot := range s.slots {
			if a.reads.Has(slot) {
				if s.slots[slot] == nil {
					s.slots[slot] = newReaders(words)
				}
				s.slots[slot].set(i, t.slots[slot])
			}
		}
	}
	s.choices = c.choices()
	s.first = make([]int32, len(s.list))
	for i := range s.list {
		a := &s.list[i]
		s.first[i] = noSteps
		if a.Held || a.Site != "" {
			continue
		}
		if first, ok := s.steps.Add(a.rule, "segments", func(name string) int { return s.place[name] }); ok {
			s.first[i] = int32(first)
		}
	}
	slices.SortFunc(s.ids, func(a, b placed) int { return cmp.Compare(a.id, b.id) })
	s.print = c.fingerprint()
}

// fingerprint is of the audiences, and of the computed traits that any of them
// reads: a standing of another one is judged anew.
func (c *compiler) fingerprint() uint64 {
	h := fnv.New64a()
	list := c.env.traits.Definitions()
	for i := range c.list {
		fmt.Fprintf(h, "%q %q %q %d %t\n", c.list[i].Name, c.list[i].When, c.list[i].Site, c.list[i].ID, c.list[i].Held)
	}
	for _, d := range list {
		if slot, ok := c.env.traits.Slot(d.Name); ok && c.reads.Has(slot) {
			fmt.Fprintf(h, "%d ", slot) // what changed is told by it
			text, _ := json.Marshal(d)  // of texts, numbers and lists of them: it cannot fail
			h.Write(text)
		}
	}
	return h.Sum64() | 1 // 0 is nobody's
}

// All lists the audiences in the order of their definitions. The list is the
// Set's own.
func (s *Set) All() []string {
	if s == nil {
		return nil
	}
	return s.names
}

// Name is what an audience is called; "" when the Set has none with this id.
func (s *Set) Name(id uint32) string {
	if i, ok := s.find(id); ok {
		return s.list[i].Name
	}
	return ""
}

func (s *Set) find(id uint32) (place int, ok bool) {
	if s == nil {
		return 0, false
	}
	i, ok := slices.BinarySearchFunc(s.ids, id, func(p placed, id uint32) int { return cmp.Compare(p.id, id) })
	if !ok {
		return 0, false
	}
	return s.ids[i].place, true
}

// Names lists the audiences of a standing, in the order of their definitions;
// those that the Set does not have are left out. st may be nil. The names live as
// long as the Set.
func (s *Set) Names(st *Standing) []string {
	if s == nil || st == nil {
		return nil
	}
	in := st.places
	if st.by != s.print || in == nil {
		in = make(mask, (len(s.list)+63)/64)
		s.places(in, st)
	}
	return s.appendNames(nil, in)
}

func (s *Set) appendNames(dst []string, in mask) []string {
	for _, x := range s.order {
		if in.has(x.place) {
			dst = append(dst, s.list[x.place].Name)
		}
	}
	return dst
}

// write writes the names.
func (s *Set) write(o *event.Writer, in mask) {
	for i := range s.order {
		if x := &s.order[i]; in.has(x.place) {
			o.RawItem(x.quoted)
		}
	}
}

// Members appends the names of the audiences that sub is in to sub.Segments, in
// the order of their definitions, judging all of them: for a look at somebody
// whose standing is not to be kept. The names live as long as the Set.
func (s *Set) Members(sub *Subject) {
	if s == nil || len(s.list) == 0 {
		return
	}
	w := &sub.judging
	w.ready(s)
	for i := range s.list {
		w.todo.set(i)
	}
	s.run(sub, w)
	w.set = nil
	sub.Segments = s.appendNames(sub.Segments, w.in)
}

// Reads is what of a profile any audience depends on.
func (s *Set) Reads() facet.Change {
	if s == nil {
		return facet.Change{}
	}
	return s.reads
}

// Failures is how often rules failed for another reason than a missing key
// since the Set was made.
func (s *Set) Failures() (n uint64) {
	if s == nil {
		return 0
	}
	for i := range s.list {
		if r := s.list[i].rule; r != nil {
			n += r.Failures()
		}
	}
	return n
}
