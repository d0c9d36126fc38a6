package rule

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// Moving is a time, or a span of time, that goes on while the clock does: now,
// the age of something, and what a rule reckons from them. To a rule it is a
// timestamp or a duration like any other; comparing it, or taking the hour of
// it, notes the very moment at which the outcome turns.
//
// Invariant: it is a straight line in time, ms + ns/1e6 + slope*(t-clock.Now)
// milliseconds at the time t, with ns in 0 … 999,999. Sums and differences of
// lines are lines, so where one crosses another can be told to the millisecond,
// without trying. What is not a line (a text of now, a list with now in it) is
// refused when the rule is compiled (motion.go).
type Moving struct {
	clock *Clock // nil: it does not move
	ms    int64
	ns    int64
	slope int64
	span  bool // a duration, not a timestamp
}

// Now makes m, which is new or done with, the present of a clock.
func (m *Moving) Now(c *Clock) *Moving {
	*m = Moving{clock: c, ms: c.Now, slope: 1}
	return m
}

// Since is the age of what happened at a time (ms since 1970 UTC), as a
// duration that grows with the clock: the value of a "time since" trait.
func Since(c *Clock, at int64) *Moving {
	return &Moving{clock: c, ms: c.Now - at, slope: 1, span: true}
}

const nanos = int64(time.Millisecond)

// line is v as a line; ok is false when v is no time.
func line(v ref.Val) (m Moving, ok bool) {
	switch v := v.(type) {
	case *Moving:
		return *v, true
	case types.Timestamp:
		return Moving{ms: v.UnixMilli(), ns: int64(v.Nanosecond()) % nanos}, true
	case types.Duration:
		n := int64(v.Duration)
		ms := n / nanos
		if n%nanos < 0 {
			ms--
		}
		return Moving{ms: ms, ns: n - ms*nanos, span: true}, true
	}
	return m, false
}

// plus is m + sign*o, of the right kind: two timestamps cannot be added.
func (m Moving) plus(o Moving, sign int64) (sum Moving, ok bool) {
	sum = Moving{clock: m.clock, ms: m.ms + sign*o.ms, ns: m.ns + sign*o.ns, slope: m.slope + sign*o.slope}
	if sum.clock == nil {
		sum.clock = o.clock
	}
	switch {
	case sum.ns < 0:
		sum.ms, sum.ns = sum.ms-1, sum.ns+nanos
	case sum.ns >= nanos:
		sum.ms, sum.ns = sum.ms+1, sum.ns-nanos
	}
	switch {
	case m.span && o.span:
		sum.span = true
	case sign > 0:
		return sum, m.span != o.span
	default:
		sum.span = !m.span && !o.span
		return sum, !m.span
	}
	return sum, true
}

func (m Moving) sign() int {
	switch {
	case m.ms > 0 || m.ms == 0 && m.ns > 0:
		return 1
	case m.ms == 0 && m.ns == 0:
		return 0
	}
	return -1
}

// upwards is m, or what it is mirrored at zero, so that it does not fall.
func (m Moving) upwards() (up Moving, mirror int) {
	if m.slope >= 0 {
		return m, 1
	}
	up, _ = Moving{span: true}.plus(Moving{clock: m.clock, ms: m.ms, ns: m.ns, slope: m.slope, span: true}, -1)
	return up, -1
}

// reaches is how many whole milliseconds from now a line that rises is at, or
// beyond, a number of milliseconds. It is not positive when that is so already.
func (m Moving) reaches(ms int64, beyond bool) int64 {
	least := ms - m.ms
	if beyond && m.ns == 0 {
		least++
	}
	n := least / m.slope
	if least%m.slope > 0 {
		n++
	}
	return n
}

// after notes that something may turn in so many milliseconds.
func (m Moving) after(ms int64) {
	if ms > 0 && ms < math.MaxInt64-m.clock.Now {
		m.clock.Note(m.clock.Now + ms)
	}
}

// compare is test of the sign of m, a difference. It notes when that turns.
func (m Moving) compare(test func(sign int) bool) bool {
	sign := m.sign()
	holds := test(sign)
	if m.slope == 0 || m.clock == nil {
		return holds
	}
	up, mirror := m.upwards()
	sign *= mirror
	if sign < 0 {
		at := up.reaches(0, false)
		meets := 1
		if up.ns == 0 && up.ms+at*up.slope == 0 {
			meets = 0
		}
		if test(mirror*meets) != holds {
			m.after(at)
			return holds
		}
		sign = meets
	}
	if sign <= 0 && test(mirror) != holds {
		m.after(up.reaches(0, true))
	}
	return holds
}

// whole is how many whole units m has, cut towards zero as CEL does.
func (m Moving) whole(unit int64) int64 {
	n := m.ms / unit
	if m.ms < 0 && m.ns > 0 {
		n = (m.ms + 1) / unit
	}
	if m.slope == 0 || m.clock == nil {
		return n
	}
	up, mirror := m.upwards()
	if at := n * int64(mirror); at < 0 {
		m.after(up.reaches(at*unit, true))
	} else {
		m.after(up.reaches((at+1)*unit, false))
	}
	return n
}

// fixed is what m is at this moment, as CEL's own value.
func (m *Moving) fixed() ref.Val {
	if m.span {
		const most = math.MaxInt64/nanos - 1
		if m.ms > most || m.ms < -most {
			return types.NewErr("a duration of %d days is out of range", m.ms/86_400_000)
		}
		return types.Duration{Duration: time.Duration(m.ms*nanos + m.ns)}
	}
	return types.Timestamp{Time: time.UnixMilli(m.ms).Add(time.Duration(m.ns)).UTC()}
}

// still is fixed for a use that the compiler could not foresee: what it leads to
// may be different in the next millisecond.
func (m *Moving) still() ref.Val {
	if m.clock != nil && m.slope != 0 {
		m.after(1)
	}
	return m.fixed()
}

// ConvertToNative implements ref.Val.
func (m *Moving) ConvertToNative(t reflect.Type) (any, error) {
	if reflect.TypeOf(m).AssignableTo(t) {
		return m, nil
	}
	return m.still().ConvertToNative(t)
}

// ConvertToType implements ref.Val.
func (m *Moving) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return m.Type().(ref.Val)
	}
	return m.still().ConvertToType(t)
}

// Equal implements ref.Val.
func (m *Moving) Equal(other ref.Val) ref.Val {
	o, ok := line(other)
	if !ok || o.span != m.span {
		return types.False
	}
	d, _ := m.plus(o, -1)
	return types.Bool(d.compare(isZero))
}

// Type implements ref.Val.
func (m *Moving) Type() ref.Type {
	if m.span {
		return types.DurationType
	}
	return types.TimestampType
}

// Value implements ref.Val.
func (m *Moving) Value() any { return m.still().Value() }

// String is the value as Go writes times and durations.
func (m *Moving) String() string { return fmt.Sprint(m.fixed().Value()) }

// The traits that the types of a moving value promise. Rules reach them only
// through values whose type is not known before they run.

// Add implements traits.Adder.
func (m *Moving) Add(other ref.Val) ref.Val { return m.reckon(other, 1) }

// Subtract implements traits.Subtractor.
func (m *Moving) Subtract(other ref.Val) ref.Val { return m.reckon(other, -1) }

func (m *Moving) reckon(other ref.Val, sign int64) ref.Val {
	if o, ok := line(other); ok {
		if sum, ok := m.plus(o, sign); ok {
			return &sum
		}
	}
	return types.MaybeNoSuchOverloadErr(other)
}

// Compare implements traits.Comparer.
func (m *Moving) Compare(other ref.Val) ref.Val {
	o, ok := line(other)
	if !ok || o.span != m.span {
		return types.MaybeNoSuchOverloadErr(other)
	}
	d, _ := m.plus(o, -1)
	d.compare(func(s int) bool { return s < 0 })
	d.compare(isZero)
	return types.Int(d.sign())
}

// Receive implements traits.Receiver.
func (m *Moving) Receive(function string, overload string, args []ref.Val) ref.Val {
	return m.still().(traits.Receiver).Receive(function, overload, args)
}

func isZero(s int) bool { return s == 0 }
