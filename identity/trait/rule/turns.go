package rule

import (
	"cmp"
	"time"

	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// The nodes that stand in the place of CEL's own where something moves.

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
