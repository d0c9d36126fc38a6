package rule

import (
	"math"

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
)

// At is where Places have a field, and as what. The zero At is nowhere.
type At struct {
	As    Form
	Place int
}

// step is one comparison of a rule with what is written in it, and where to go on. The
// steps of a rule are one list and those of many rules one piece of memory (Pack): between
// two events a processor forgets most of what it had at hand, and closures lie all over it.
type step struct {
	form    Form  // 0: ask cond
	signs   uint8 // the orders of the two that meet the comparison: a bit each of less, same, more
	yes, no int16 // the next step, or sayYes or sayNo
	place   int32
	n       int64 // the literal: an integer, the bits of a double, a duration in ms
	text    string
	cond    condition
}

const (
	sayYes = -1
	sayNo  = -2
	// maxSteps is far above what a rule's text has room for.
	maxSteps = 2048
)

func (s *step) meets(sign int) bool { return s.signs>>(sign+1)&1 == 1 }

// Pack puts the steps of rules side by side. Nobody may be evaluating them.
func Pack(list []*Rule) {
	n := 0
	for _, r := range list {
		n += len(r.steps)
	}
	all := make([]step, 0, n)
	for _, r := range list {
		if from := len(all); r.steps != nil {
			all = append(all, r.steps...)
			r.steps = all[from:len(all):len(all)]
		}
	}
}

// walk runs the steps; unsure: something is missing, or an error to CEL, and the rule is to
// be evaluated in another way.
func (r *Rule) walk(p Places) answer {
	for at := int16(0); ; {
		s := &r.steps[at]
		holds := false
		switch s.form {
		case AsInt:
			holds = s.meets(order(p.IntAt(int(s.place)), s.n))
		case AsCount:
			holds = p.AtLeast(int(s.place), s.n) == s.meets(1)
		case AsDouble:
			holds = s.meets(order(p.DoubleAt(int(s.place)), math.Float64frombits(uint64(s.n))))
		case AsText:
			holds = (p.TextAt(int(s.place)) == s.text) == s.meets(0)
		case AsSince:
			holds = s.since(p)
		default:
			switch a := s.cond(p, nil); a {
			case yes, no:
				holds = a == yes
			default:
				return unsure
			}
		}
		if at = s.no; holds {
			at = s.yes
		}
		switch at {
		case sayYes:
			return yes
		case sayNo:
			return no
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
	list   []step
	labels []int16 // by label, from 0: the step it stands before
	short  bool    // some step is no condition
	bad    bool
}

// steps gives a rule's; nil where it is of another form, or nothing is won.
func (q *quick) steps() []step {
	s := stepper{quick: q}
	s.join(q.tree.Expr(), sayYes, sayNo)
	if s.bad || !s.short || len(s.list) > maxSteps {
		return nil
	}
	for i := range s.list {
		for _, to := range [...]*int16{&s.list[i].yes, &s.list[i].no} {
			if *to <= firstLabel {
				*to = s.labels[firstLabel-*to]
			}
		}
	}
	return s.list
}

// firstLabel and what is below are steps that are not made yet.
const firstLabel = -3

// join makes steps of a part that go on at yes or no.
func (s *stepper) join(e ast.Expr, yes, no int16) {
	if e.Kind() == ast.CallKind {
		c := e.AsCall()
		switch f := c.FunctionName(); f {
		case operators.LogicalAnd, operators.LogicalOr:
			args := c.Args()
			for _, x := range args[:len(args)-1] {
				next := int16(firstLabel - len(s.labels))
				s.labels = append(s.labels, 0)
				if f == operators.LogicalAnd {
					s.join(x, next, no)
				} else {
					s.join(x, yes, next)
				}
				s.labels[firstLabel-next] = int16(len(s.list))
			}
			s.join(args[len(args)-1], yes, no)
			return
		case operators.LogicalNot:
			s.join(c.Args()[0], no, yes)
			return
		}
	}
	x, ok := s.comparison(e)
	if s.short = s.short || ok; !ok {
		x = step{cond: s.condition(e)}
		s.bad = s.bad || x.cond == nil || s.misses(e) || len(s.list) == maxSteps
	}
	x.yes, x.no = yes, no
	s.list = append(s.list, x)
}

// misses says that a part reads something of which any key may be missing: such rules
// would often be evaluated twice.
func (s *stepper) misses(e ast.Expr) bool {
	u := user{env: s.env}
	u.visit(e)
	for _, x := range u.list {
		if t := s.env.vars[x.Name]; t.Kind() == types.MapKind {
			return true
		}
	}
	return false
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
		x.text, ok = literal.Text()
		return x, ok && equals
	case AsSince:
		x.n = literal.n
		return x, literal.kind == isTime && literal.span && literal.slope == 0 && literal.ns == 0
	}
	return x, false
}
