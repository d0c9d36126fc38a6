package rule

import (
	"math"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// Places is an Activation that gives fields by their places (Field.At), without a look for
// names and without values of CEL's. What moves with the time tells the clock until when
// it holds, as Get and Plain do.
type Places interface {
	cel.Activation
	// PlacesOf says that the places are those of Options.Owner; it is asked before each
	// rule.
	PlacesOf(owner any) bool
	IntAt(place int) int64                 // of AsInt and AsCount; of a bool 1 is true
	AtLeast(place int, n int64) bool       // of AsCount
	DoubleAt(place int) float64            // of AsDouble
	TextAt(place int) string               // of AsText
	SinceAt(place int) (at int64, ok bool) // of AsSince: when it was, ms; ok is false where it never was
	Time() *Clock
	// Member says that a list has the text that Steps.Add was given the number of.
	Member(number int) bool
}

// Form is how Places give a field.
type Form uint8

// The forms.
const (
	AsInt    Form = iota + 1 // an integer, or a bool
	AsCount                  // an integer that says for itself until when it is so many
	AsDouble                 // a number
	AsText                   // a text
	AsSince                  // the age of what happened at a time
	asMember                 // no field: whether a list has a text
)

// At is where Places have a field, and as what. The zero At is nowhere.
type At struct {
	As    Form
	Place int
}

// Steps are rules as lists of comparisons, side by side: between two events a processor
// forgets most of what it had at hand, and closures lie all over the memory.
type Steps struct {
	list  []step
	texts []string
	conds []condition
	in    []string // of each condition that looks for a text in a list, the list's name
	loose []string // what the others read
}

// step is one comparison of a rule with what is written in it, and where to go on.
type step struct {
	form    Form  // 0: ask a condition
	signs   uint8 // the orders of the two that meet the comparison: a bit each of less, same, more
	yes, no int32 // the next step, or sayYes or sayNo
	place   int32 // of a condition that looks for a text in a list, the text's number, from 1
	n       int64 // the literal: an integer, the bits of a double, a duration in ms; the number of a text, or of a condition
}

const (
	sayYes = -1
	sayNo  = -2
	// aloneSign is of a condition that is the whole rule: what is missing does not meet it.
	aloneSign = 8
)

func (s *step) meets(sign int) bool { return s.signs>>(sign+1)&1 == 1 }

// Add puts a rule's steps behind the others; ok is false where it has none. What it looks
// for in the list called name is asked of Places.Member, by numbers that number gives;
// where it does anything else with the list it has none.
func (s *Steps) Add(r *Rule, name string, number func(text string) int) (first int, ok bool) {
	if r.steps == nil || slices.Contains(r.steps.loose, name) {
		return 0, false
	}
	first = len(s.list)
	for _, x := range r.steps.list {
		for _, to := range [...]*int32{&x.yes, &x.no} {
			if *to >= 0 {
				*to += int32(first)
			}
		}
		switch {
		case x.form == AsText:
			x.n += int64(len(s.texts))
		case x.form == 0 && x.place > 0 && r.steps.in[x.n] == name:
			x = step{form: asMember, yes: x.yes, no: x.no, place: int32(number(r.steps.texts[x.place-1]))}
		case x.form == 0:
			x.n += int64(len(s.conds))
		}
		s.list = append(s.list, x)
	}
	s.texts, s.conds = append(s.texts, r.steps.texts...), append(s.conds, r.steps.conds...)
	return first, true
}

// Holds is what Rule.Holds says of the rule whose steps begin at first. ok is false where
// something is missing, or an error to CEL: then ask that. The places of p are the rule's
// (PlacesOf).
func (s *Steps) Holds(first int, p Places) (holds, ok bool) {
	for at := int32(first); ; {
		x := &s.list[at]
		switch x.form {
		case AsInt:
			holds = x.meets(order(p.IntAt(int(x.place)), x.n))
		case AsCount:
			holds = p.AtLeast(int(x.place), x.n) == x.meets(1)
		case AsDouble:
			holds = x.meets(order(p.DoubleAt(int(x.place)), math.Float64frombits(uint64(x.n))))
		case AsText:
			holds = (p.TextAt(int(x.place)) == s.texts[x.n]) == x.meets(0)
		case AsSince:
			holds = x.since(p)
		case asMember:
			holds = p.Member(int(x.place))
		default:
			a := s.conds[x.n](p, nil)
			if a > yes && (a != missing || x.signs != aloneSign) {
				return false, false
			}
			holds = a == yes
		}
		if at = x.no; holds {
			at = x.yes
		}
		if at < 0 {
			return at == sayYes, true
		}
	}
}

// since compares an age with a duration as Moving.compare does: of what never was it is
// longer than any.
func (s *step) since(p Places) bool {
	at, ok := p.SinceAt(int(s.place))
	if !ok {
		return s.meets(1)
	}
	clock := p.Time()
	left := s.n - (clock.Now - at) // ms until it is as old
	sign := -order(left, 0)
	holds := s.meets(sign)
	if sign < 0 && s.meets(0) != holds {
		clock.Note(clock.Now + left)
		return holds
	}
	if sign <= 0 && s.meets(1) != holds {
		clock.Note(clock.Now + left + 1)
	}
	return holds
}

// stepper makes the steps of a rule of comparisons that are joined by && || and !.
type stepper struct {
	*quick
	steps  *Steps
	labels []int32 // by label, from 0: the step it stands before
	misses bool    // some condition reads what any key of may be missing
	bad    bool
}

// steps gives a rule's; nil where it is of another form, or would often be evaluated twice.
func (q *quick) steps() *Steps {
	s := stepper{quick: q, steps: new(Steps)}
	s.join(q.tree.Expr(), sayYes, sayNo)
	alone := len(s.steps.list) == 1 && s.steps.list[0].yes == sayYes
	if s.bad || s.misses && !alone {
		return nil
	}
	if s.misses {
		s.steps.list[0].signs = aloneSign
	}
	for i := range s.steps.list {
		x := &s.steps.list[i]
		for _, to := range [...]*int32{&x.yes, &x.no} {
			if *to <= firstLabel {
				*to = s.labels[firstLabel-*to]
			}
		}
	}
	return s.steps
}

// firstLabel and what is below are steps that are not made yet.
const firstLabel = -3

// join makes steps of a part that go on at yes or no.
func (s *stepper) join(e ast.Expr, yes, no int32) {
	if e.Kind() == ast.CallKind {
		c := e.AsCall()
		switch f := c.FunctionName(); f {
		case operators.LogicalAnd, operators.LogicalOr:
			args := c.Args()
			for _, x := range args[:len(args)-1] {
				next := int32(firstLabel - len(s.labels))
				s.labels = append(s.labels, 0)
				if f == operators.LogicalAnd {
					s.join(x, next, no)
				} else {
					s.join(x, yes, next)
				}
				s.labels[firstLabel-next] = int32(len(s.steps.list))
			}
			s.join(args[len(args)-1], yes, no)
			return
		case operators.LogicalNot:
			s.join(c.Args()[0], no, yes)
			return
		}
	}
	x, ok := s.comparison(e)
	if !ok {
		x = s.ask(e)
	}
	x.yes, x.no = yes, no
	s.steps.list = append(s.steps.list, x)
}

// ask makes the step of a condition.
func (s *stepper) ask(e ast.Expr) step {
	cond, of := s.condition(e), s.steps
	x := step{n: int64(len(of.conds))}
	list, text := s.lookedFor(e)
	if list != "" {
		of.texts = append(of.texts, text)
		x.place = int32(len(of.texts))
	} else {
		u := user{env: s.env}
		u.visit(e)
		for _, y := range u.list {
			of.loose = append(of.loose, y.Name)
		}
	}
	of.conds, of.in = append(of.conds, cond), append(of.in, list)
	s.bad = s.bad || cond == nil
	s.misses = s.misses || s.reads(e, types.MapKind)
	return x
}

// lookedFor gives a list and the text that e looks for in it; "" where it does not.
func (s *stepper) lookedFor(e ast.Expr) (list, text string) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.In {
		return "", ""
	}
	args := e.AsCall().Args()
	text, ok := textLiteral(args[0])
	if list = s.global(args[1]); !ok || list == "" || s.kind(args[1]) != types.ListKind {
		return "", ""
	}
	return list, text
}

// reads says that a part reads a name of a kind.
func (s *stepper) reads(e ast.Expr, kind types.Kind) bool {
	u := user{env: s.env}
	u.visit(e)
	return slices.ContainsFunc(u.list, func(x Use) bool { return s.env.vars[x.Name].Kind() == kind })
}

// comparison makes the step of a field that is compared with a literal of its own type, or
// of one that is a bool.
func (s *stepper) comparison(e ast.Expr) (x step, ok bool) {
	if f, _ := s.field(e); f != nil && f.At.As == AsInt && f.Type.Kind() == types.BoolKind {
		return step{form: AsInt, signs: 2, place: int32(f.At.Place), n: 1}, true
	}
	if e.Kind() != ast.CallKind || s.motion.parts[e.ID()] {
		return x, false
	}
	c := e.AsCall()
	test := tests(c.FunctionName())
	if test == nil {
		return x, false
	}
	f, _ := s.field(c.Args()[0])
	literal := literalOf(c.Args()[1])
	if f == nil {
		return x, false
	}
	x = step{form: f.At.As, place: int32(f.At.Place)}
	for sign := -1; sign <= 1; sign++ {
		if test(sign) {
			x.signs |= 1 << (sign + 1)
		}
	}
	equals := x.meets(-1) == x.meets(1) // or is not equal to
	switch x.form {
	case AsCount:
		n, is := literal.Int()
		switch {
		case !is || x.meets(0) == x.meets(-1) && n == math.MaxInt64:
			return x, false
		case equals:
			x.form = AsInt
		case x.meets(0) == x.meets(-1): // <= and >
			n++
		}
		x.n = n
		return x, true
	case AsInt:
		x.n, ok = literal.Int()
		return x, ok && f.Type.Kind() == types.IntKind
	case AsDouble:
		d, is := literal.Double()
		x.n = int64(math.Float64bits(d))
		return x, is && d == d
	case AsText:
		text, is := literal.Text()
		if !is || !equals {
			return x, false
		}
		x.n = int64(len(s.steps.texts))
		s.steps.texts = append(s.steps.texts, text)
		return x, true
	case AsSince:
		x.n = literal.n
		return x, literal.kind == isTime && literal.span && literal.slope == 0 && literal.ns == 0
	}
	return x, false
}
