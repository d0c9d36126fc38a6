package rule

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// tests are the comparisons of a difference's sign.
func tests(function string) func(sign int) bool {
	switch function {
	case operators.Less:
		return func(s int) bool { return s < 0 }
	case operators.LessEquals:
		return func(s int) bool { return s <= 0 }
	case operators.Greater:
		return func(s int) bool { return s > 0 }
	case operators.GreaterEquals:
		return func(s int) bool { return s >= 0 }
	case operators.Equals:
		return isZero
	case operators.NotEquals:
		return func(s int) bool { return s != 0 }
	}
	return nil
}

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

// lined is a node that gives a line without making a value of it.
type lined interface {
	line(f *interpreter.ExecutionFrame) (Moving, ref.Val)
}

// lineOf runs a node that gives a time; bad is an error instead.
func lineOf(i interpreter.InterpretableV2, f *interpreter.ExecutionFrame) (m Moving, bad ref.Val) {
	if l, ok := i.(lined); ok {
		return l.line(f)
	}
	v := i.Exec(f)
	m, ok := line(v)
	if !ok {
		return m, types.MaybeNoSuchOverloadErr(v)
	}
	return m, nil
}

// reckoned is a sum or a difference.
type reckoned struct {
	id   int64
	l, r interpreter.InterpretableV2
	sign int64
}

func (n *reckoned) ID() int64                             { return n.id }
func (n *reckoned) Eval(a interpreter.Activation) ref.Val { return n.Exec(interpreter.AsFrame(a)) }

func (n *reckoned) Exec(f *interpreter.ExecutionFrame) ref.Val {
	m, bad := n.line(f)
	if bad != nil {
		return bad
	}
	return &m
}

func (n *reckoned) line(f *interpreter.ExecutionFrame) (Moving, ref.Val) {
	l, bad := lineOf(n.l, f)
	if bad != nil {
		return l, bad
	}
	r, bad := lineOf(n.r, f)
	if bad != nil {
		return r, bad
	}
	sum, ok := l.plus(r, n.sign)
	if !ok {
		return sum, types.NoSuchOverloadErr()
	}
	return sum, nil
}

// compared is a comparison of two times, or of two spans of time.
type compared struct {
	id   int64
	l, r interpreter.InterpretableV2
	test func(sign int) bool
}

func (n *compared) ID() int64                             { return n.id }
func (n *compared) Eval(a interpreter.Activation) ref.Val { return n.Exec(interpreter.AsFrame(a)) }

func (n *compared) Exec(f *interpreter.ExecutionFrame) ref.Val {
	l, bad := lineOf(n.l, f)
	if bad != nil {
		return bad
	}
	r, bad := lineOf(n.r, f)
	if bad != nil {
		return bad
	}
	if l.span != r.span {
		return types.NoSuchOverloadErr()
	}
	d, _ := l.plus(r, -1)
	return types.Bool(d.compare(n.test))
}

// parted is a part of a time: its hour, its day of the week, …
type parted struct {
	id       int64
	function string
	of, zone interpreter.InterpretableV2
	zones    *zones
}

func (n *parted) ID() int64                             { return n.id }
func (n *parted) Eval(a interpreter.Activation) ref.Val { return n.Exec(interpreter.AsFrame(a)) }

func (n *parted) Exec(f *interpreter.ExecutionFrame) ref.Val {
	m, bad := lineOf(n.of, f)
	if bad != nil {
		return bad
	}
	if m.span {
		switch n.function {
		case overloads.TimeGetHours:
			return types.Int(m.whole(3_600_000))
		case overloads.TimeGetMinutes:
			return types.Int(m.whole(60_000))
		}
		return types.NoSuchOverloadErr()
	}
	zone, bad := n.location(f)
	if bad != nil {
		return bad
	}
	value, next := partAt(m.ms, n.function, zone)
	m.turns(next)
	return types.Int(value)
}

func (n *parted) location(f *interpreter.ExecutionFrame) (*time.Location, ref.Val) {
	if n.zone == nil {
		return time.UTC, nil
	}
	name, ok := n.zone.Exec(f).(types.String)
	if !ok {
		return nil, types.NoSuchOverloadErr()
	}
	at, err := n.zones.find(string(name))
	if err != nil {
		return nil, types.WrapErr(err)
	}
	return at, nil
}

// turns notes that something about a date turns when m is at a time (ms).
func (m Moving) turns(at int64) {
	switch {
	case m.clock == nil || m.slope == 0:
	case m.slope == 1:
		m.after(at - m.ms)
	default: // a date that runs backwards or at double speed: nobody means that
		m.after(1)
	}
}

// partAt is a part of the local time, as CEL counts it, and the next moment (ms)
// at which it may be another.
func partAt(ms int64, function string, zone *time.Location) (value int64, next int64) {
	t := time.UnixMilli(ms).In(zone)
	_, offset := t.Zone()
	wall := t.Unix() + int64(offset) // seconds on a clock that never jumps
	const day = 86_400
	next = wall - mod(wall, day) + day
	switch function {
	case overloads.TimeGetMinutes:
		value, next = int64(t.Minute()), wall-mod(wall, 60)+60
	case overloads.TimeGetHours:
		value, next = int64(t.Hour()), wall-mod(wall, 3600)+3600
	case overloads.TimeGetDayOfWeek:
		value = int64(t.Weekday())
	case overloads.TimeGetDate:
		value = int64(t.Day())
	case overloads.TimeGetDayOfMonth:
		value = int64(t.Day()) - 1
	case overloads.TimeGetDayOfYear:
		value = int64(t.YearDay()) - 1
	case overloads.TimeGetMonth:
		value, next = int64(t.Month())-1, time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC).Unix()
	case overloads.TimeGetFullYear:
		value, next = int64(t.Year()), time.Date(t.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	}
	next = (next - int64(offset)) * 1000
	if _, end := t.ZoneBounds(); !end.IsZero() { // summer time begins or ends
		next = min(next, end.UnixMilli())
	}
	return value, next
}

// partCompared is a comparison of a part with a number: it turns when the hour
// comes, not every hour.
type partCompared struct {
	id     int64
	part   *parted
	number int64
	test   func(sign int) bool
}

// comparedPart makes one of a call, where nothing watches the operands.
func comparedPart(c interpreter.InterpretableCall, args []interpreter.InterpretableV2) interpreter.InterpretableV2 {
	test, mirror := tests(c.Function()), 1
	part, ok := args[0].(*parted)
	if !ok {
		part, ok = args[1].(*parted)
		args, mirror = []interpreter.InterpretableV2{args[1], args[0]}, -1
	}
	number, is := args[1].(interpreter.InterpretableConst)
	if !ok || !is {
		return c
	}
	n, ok := number.Value().(types.Int)
	if !ok {
		return c
	}
	return &partCompared{c.ID(), part, int64(n), func(sign int) bool { return test(mirror * sign) }}
}

func (n *partCompared) ID() int64                             { return n.id }
func (n *partCompared) Eval(a interpreter.Activation) ref.Val { return n.Exec(interpreter.AsFrame(a)) }

// manyTurns is how far ahead a turn is looked for: hours of a day and a bit.
const manyTurns = 26

func (n *partCompared) Exec(f *interpreter.ExecutionFrame) ref.Val {
	m, bad := lineOf(n.part.of, f)
	if bad != nil {
		return bad
	}
	if m.span {
		v, ok := n.part.Exec(f).(types.Int)
		if !ok {
			return types.NoSuchOverloadErr()
		}
		return types.Bool(n.test(cmp.Compare(int64(v), n.number)))
	}
	zone, bad := n.part.location(f)
	if bad != nil {
		return bad
	}
	value, next := partAt(m.ms, n.part.function, zone)
	holds := n.test(cmp.Compare(value, n.number))
	if m.clock == nil || m.slope != 1 {
		m.turns(next)
		return types.Bool(holds)
	}
	at := next
	for range manyTurns {
		value, next = partAt(at, n.part.function, zone)
		if n.test(cmp.Compare(value, n.number)) != holds {
			break
		}
		at = next
	}
	m.turns(at)
	return types.Bool(holds)
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }
