package rule

import (
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
)

// motion finds the calls of a rule that are given something moving, and refuses
// those whose outcome cannot be told ahead of time.
type motion struct {
	r      *Reader
	moving func(name string) bool
	local  []string // names that loops have taken
	zones  *zones
	calls  map[int64]bool
	parts  map[int64]bool // comparisons of a time's part with a number in the rule
}

func (m *motion) is(e ast.Expr) bool {
	switch e.Kind() {
	case ast.IdentKind:
		return m.moving(e.AsIdent()) && !slices.Contains(m.local, e.AsIdent())
	case ast.SelectKind:
		s := e.AsSelect()
		m.still(s.Operand())
		// A duration among an object's members is the time since something.
		return !s.IsTestOnly() && m.r.tree.GetType(e.ID()).Kind() == types.DurationKind && m.r.tree.GetType(s.Operand().ID()).Kind() == types.StructKind
	case ast.CallKind:
		return m.call(e)
	case ast.ListKind:
		m.still(e.AsList().Elements()...)
	case ast.MapKind:
		for _, x := range e.AsMap().Entries() {
			m.still(x.AsMapEntry().Key(), x.AsMapEntry().Value())
		}
	case ast.StructKind:
		for _, x := range e.AsStruct().Fields() {
			m.still(x.AsStructField().Value())
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		m.still(c.IterRange(), c.AccuInit())
		outer := m.local
		m.local = append(slices.Clip(outer), c.AccuVar(), c.IterVar(), c.IterVar2())
		m.still(c.LoopCondition(), c.LoopStep())
		m.local = append(slices.Clip(outer), c.AccuVar())
		m.still(c.Result())
		m.local = outer
	}
	return false
}

func (m *motion) call(e ast.Expr) bool {
	c := e.AsCall()
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	switch f := c.FunctionName(); f {
	case operators.OptSelect: // of a map: of an object, it has been rewritten
		if t := m.r.tree.GetType(args[0].ID()); t.Kind() == types.OpaqueKind && len(t.Parameters()) == 1 && t.Parameters()[0].Kind() == types.StructKind {
			m.r.Fault(e.ID(), "of an object that may be missing no member can be asked with .?; ask with has()")
		}
		m.still(args...)
		return false
	case "orValue", "or", "value", "optional.of":
		return m.some(args)
	case "hasValue":
		m.some(args)
		return false
	case operators.Conditional:
		m.still(args[0])
		return m.some(args[1:])
	case operators.Add, operators.Subtract:
		if m.some(args) {
			m.calls[e.ID()] = true
			return true
		}
		return false
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.Equals, operators.NotEquals:
		for i, x := range args {
			switch moves := m.is(x); {
			case moves && m.isTime(x):
				m.calls[e.ID()] = true
			case moves:
				m.refuse(x)
			case m.calls[x.ID()] && m.isNumber(args[1-i]):
				m.parts[e.ID()] = true
			}
		}
		return false
	case overloads.TimeGetSeconds, overloads.TimeGetMilliseconds:
		if m.is(args[0]) {
			m.r.Fault(e.ID(), "%s of something that moves turns all the time; compare it with a duration or a time, as in now - counts.lastOrder < duration('90s')", f)
		}
		m.still(args[1:]...)
		return false
	case overloads.TimeGetFullYear, overloads.TimeGetMonth, overloads.TimeGetDate, overloads.TimeGetDayOfMonth, overloads.TimeGetDayOfWeek, overloads.TimeGetDayOfYear,
		overloads.TimeGetHours, overloads.TimeGetMinutes:
		moves := m.is(args[0])
		switch {
		case moves && !m.isTime(args[0]):
			m.refuse(args[0])
		case moves || len(args) > 1 && m.r.tree.GetType(args[0].ID()).Kind() == types.TimestampKind:
			m.calls[e.ID()] = true // CEL itself would read the zone's file each time
		}
		for _, x := range args[1:] {
			m.still(x)
			if name, ok := x.AsLiteral().(types.String); ok && x.Kind() == ast.LiteralKind {
				if _, err := m.zones.find(string(name)); err != nil {
					m.r.Fault(x.ID(), "%v", err)
				}
			}
		}
		return false
	}
	m.still(args...)
	return false
}

func (m *motion) some(list []ast.Expr) (moves bool) {
	for _, x := range list {
		if m.is(x) {
			moves = true
		}
	}
	return moves
}

func (m *motion) isNumber(e ast.Expr) bool {
	if e.Kind() != ast.LiteralKind {
		return false
	}
	_, ok := e.AsLiteral().(types.Int)
	return ok
}

func (m *motion) isTime(e ast.Expr) bool {
	k := m.r.tree.GetType(e.ID()).Kind()
	return k == types.TimestampKind || k == types.DurationKind
}

// still refuses what moves where nobody could tell when the outcome turns.
func (m *motion) still(list ...ast.Expr) {
	for _, x := range list {
		if m.is(x) {
			m.refuse(x)
		}
	}
}

func (m *motion) refuse(x ast.Expr) {
	m.r.Fault(x.ID(), "this goes on with the time, and here nobody could tell when the outcome turns; compare it, as in now - counts.lastOrder < duration('720h'), or take getHours() and the like of it")
}

// decorate puts nodes that tell when they turn in the place of CEL's own.
func (m *motion) decorate() cel.ProgramOption {
	return cel.CustomDecoratorV2(func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		c, ok := i.(interpreter.InterpretableCall)
		if !ok || !m.calls[c.ID()] && !m.parts[c.ID()] {
			return i, nil
		}
		args := c.Args()
		if !m.calls[c.ID()] {
			return comparedPart(c, args), nil
		}
		switch f := c.Function(); f {
		case operators.Add:
			return &reckoned{c.ID(), args[0], args[1], 1}, nil
		case operators.Subtract:
			return &reckoned{c.ID(), args[0], args[1], -1}, nil
		default:
			if test := tests(f); test != nil {
				return &compared{c.ID(), args[0], args[1], test}, nil
			}
			p := &parted{id: c.ID(), function: f, of: args[0], zones: m.zones}
			if len(args) > 1 {
				p.zone = args[1]
			}
			return p, nil
		}
	})
}
