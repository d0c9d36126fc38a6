package rule

import (
	"math"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/reuna/reuna/identity/event"
)

// Plain is a value as rules of simple shapes read it: a number, a text, a yes or
// no, a time, without the memory that CEL's own values take.
type Plain struct {
	kind  plainKind
	span  bool
	slope int8
	ns    int32
	n     int64   // an integer; a bool, 1 is true; of a time ms
	f     float64 // of isDouble
	text  string  // of isText; the JSON of isJSON
	clock *Clock
}

type plainKind uint8

const (
	isMissing plainKind = iota // there is no such key
	isOther                    // something, or a mistake, that only CEL can deal with
	isNull
	isBool
	isInt
	isDouble
	isText
	isTime // a timestamp or a duration
	isJSON // a list or an object
)

// PlainInt is an integer.
func PlainInt(n int64) Plain { return Plain{kind: isInt, n: n} }

// PlainDouble is a number.
func PlainDouble(f float64) Plain { return Plain{kind: isDouble, f: f} }

// PlainText is a text.
func PlainText(s string) Plain { return Plain{kind: isText, text: s} }

// PlainBool is a yes or no.
func PlainBool(b bool) Plain {
	if b {
		return Plain{kind: isBool, n: 1}
	}
	return Plain{kind: isBool}
}

// PlainSince is the age of what happened at a time, as Since is.
func PlainSince(c *Clock, at int64) Plain {
	return plainLine(Moving{clock: c, ms: c.Now - at, slope: 1, span: true})
}

// PlainTime is a timestamp, ms since 1970 UTC.
func PlainTime(ms int64) Plain { return Plain{kind: isTime, n: ms} }

// PlainSpan is a duration.
func PlainSpan(d time.Duration) Plain {
	m, _ := line(types.Duration{Duration: d})
	return plainLine(m)
}

// PlainJSON is a JSON value; an absent one is missing.
func PlainJSON(v event.Value) Plain {
	switch v.Kind() {
	case event.Null:
		return Plain{kind: isNull}
	case event.Bool:
		return PlainBool(v == "true")
	case event.Number:
		f, _ := v.Number()
		return PlainDouble(f)
	case event.String:
		return PlainText(v.Text())
	case event.Array, event.Object:
		return Plain{kind: isJSON, text: string(v)}
	}
	return Plain{}
}

// PlainOf is one of CEL's values.
func PlainOf(v any) Plain {
	switch v := v.(type) {
	case types.Bool:
		return PlainBool(bool(v))
	case types.Int:
		return PlainInt(int64(v))
	case types.Double:
		return PlainDouble(float64(v))
	case types.String:
		return PlainText(string(v))
	case types.Null:
		return Plain{kind: isNull}
	case types.Timestamp, types.Duration, *Moving:
		if m, ok := line(v.(ref.Val)); ok {
			return plainLine(m)
		}
	}
	return Plain{kind: isOther}
}

func plainLine(m Moving) Plain {
	if m.slope < math.MinInt8 || m.slope > math.MaxInt8 {
		return Plain{kind: isOther}
	}
	return Plain{kind: isTime, clock: m.clock, n: m.ms, ns: int32(m.ns), slope: int8(m.slope), span: m.span}
}

func (p *Plain) line() Moving {
	return Moving{clock: p.clock, ms: p.n, ns: int64(p.ns), slope: int64(p.slope), span: p.span}
}

// Int is the value where it is an integer.
func (p *Plain) Int() (n int64, ok bool) { return p.n, p.kind == isInt }

// Double is the value where it is a number with a fraction, if only of nought.
func (p *Plain) Double() (f float64, ok bool) { return p.f, p.kind == isDouble }

// Text is the value where it is a text.
func (p *Plain) Text() (s string, ok bool) { return p.text, p.kind == isText }

// compare is the order of two values that have one; ok is false where CEL must
// say.
func (p *Plain) compare(o *Plain) (sign int, ok bool) {
	switch {
	case p.kind == isText && o.kind == isText:
		return order(p.text, o.text), true
	case p.kind == isInt && o.kind == isInt, p.kind == isBool && o.kind == isBool:
		return order(p.n, o.n), true
	case p.kind == isDouble && o.kind == isDouble:
		return order(p.f, o.f), p.f == p.f && o.f == o.f
	case p.kind == isDouble && o.kind == isInt:
		return orderMixed(p.f, o.n), p.f == p.f
	case p.kind == isInt && o.kind == isDouble:
		return -orderMixed(o.f, p.n), o.f == o.f
	}
	return 0, false
}

func order[T string | int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// orderMixed is how CEL compares a double with an integer.
// (https://github.com/google/cel-go/blob/master/common/types/compare.go)
func orderMixed(f float64, n int64) int {
	switch {
	case f < math.MinInt64:
		return -1
	case f > math.MaxInt64:
		return 1
	}
	return order(f, float64(n))
}

// unlike says that two values have no order, to CEL an error: a text and a number,
// null and anything.
func (p *Plain) unlike(o *Plain) bool {
	if p.f != p.f || o.f != o.f { // with NaN CEL has ways of its own
		return false
	}
	return p.kind >= isNull && p.kind <= isText && o.kind >= isNull && o.kind <= isText && p.class() != o.class()
}

func (p *Plain) class() plainKind {
	if p.kind == isDouble {
		return isInt
	}
	return p.kind
}

// equal says whether two values are the same; ok is false where CEL must say.
func (p *Plain) equal(o *Plain) (same, ok bool) {
	if p.kind == isText && o.kind == isText {
		return p.text == o.text, true
	}
	if sign, ok := p.compare(o); ok {
		return sign == 0, true
	}
	if p.kind < isNull || p.kind > isText || o.kind < isNull || o.kind > isText || p.f != p.f || o.f != o.f {
		return false, false
	}
	return p.kind == o.kind, true // both null, or of types that are never equal
}
