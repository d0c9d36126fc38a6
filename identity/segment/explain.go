package segment

import (
	"fmt"

	"github.com/reuna/reuna/identity/trait/rule"
)

// Explanation is why somebody is in an audience, or is not.
type Explanation struct {
	Audience string
	In       bool
	Site     string // the audience's, "" for all
	SeenOn   string // the site on which the person was last seen
	Until    int64  // ms; until then it stays so by itself. rule.Never: for ever
	Parts    []rule.Part
}

// Explain tells why sub is in the named audience, or is not: each condition of
// its rule with what it came to, and the values that it read. Audiences that it
// asks for are judged as well.
func (s *Set) Explain(sub *Subject, name string) (Explanation, error) {
	x := Explanation{Audience: name, Until: rule.Never}
	if s == nil {
		s = none
	}
	i, ok := s.place[name]
	if !ok {
		return x, fmt.Errorf("segment: there is no audience %q", name)
	}
	a, w := &s.list[i], &sub.judging
	w.ready(s)
	for k := range s.list[:i+1] {
		w.todo.set(k)
	}
	s.run(sub, w)
	w.asks = a.asks
	x.In, x.Site, x.SeenOn, x.Until = w.in.has(i), a.Site, sub.profile().Site, w.until[i]
	var err error
	if a.rule != nil {
		x.Parts, err = a.rule.Explain(sub)
	}
	w.set = nil
	return x, err
}
