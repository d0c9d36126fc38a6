package trait

import (
	"math"
	"strconv"
	"strings"

	"github.com/reuna/reuna/identity/event"
)

// Value is one computed trait of one person at one time.
type Value struct {
	Kind string // of its definition
	// Until is when the value changes by time alone, ms since 1970 UTC;
	// math.MaxInt64: never.
	Until int64

	known  bool
	n      int64 // an integer; of amounts millionths; of time_since when it was, ms
	unit   int64 // of time_since: that of the JSON, ms
	now    int64
	text   string        // a key
	raw    event.Value   // first, last
	list   []event.Value // of values
	keys   []string      // of distinct, and most_frequent where it is a list
	scores [3]int64      // rfm
}

// forget makes it the zero Value. Most have no texts: it costs less not to write there
// where a garbage collector looks.
func (v *Value) forget() {
	if v.text != "" || v.raw != "" || v.list != nil || v.keys != nil {
		*v = Value{}
		return
	}
	v.known, v.n, v.unit, v.scores = false, 0, 0, [3]int64{}
}

// Known says that there is something to tell: a count always, a favourite once
// there is one.
func (v Value) Known() bool { return v.known }

// Text is the value of a kind that is one text, and whether this is known; JSON would make
// memory for it.
func (v Value) Text() (text string, ok bool) {
	return v.text, v.known && v.keys == nil && (v.Kind == MostFrequent || v.Kind == Affinity)
}

// JSON is the value's JSON text; absent when it is not known.
func (v Value) JSON() event.Value {
	if !v.known {
		return ""
	}
	switch v.Kind {
	case Count, Unique, DaysActive, Streak, BestHour:
		return event.Value(strconv.FormatInt(v.n, 10))
	case Sum, Average, Min, Max:
		return decimal(v.n)
	case First, Last:
		return v.raw
	case MostFrequent, Affinity:
		if v.keys == nil {
			return event.Quote(v.text)
		}
		return listOf(quoted(v.keys))
	case Distinct:
		return listOf(quoted(v.keys))
	case Latest:
		return listOf(v.list)
	case TimeSince:
		return event.Value(strconv.FormatInt(max(0, v.now-v.n)/v.unit, 10))
	case Sequence:
		if v.n == 1 {
			return "true"
		}
		return "false"
	case RFM:
		o := event.NewWriter(nil)
		o.Open()
		o.Int("recency", v.scores[0])
		o.Int("frequency", v.scores[1])
		o.Int("monetary", v.scores[2])
		o.String("score", v.score())
		o.Close()
		return event.Value(o.Bytes())
	}
	return ""
}

// score is the three scores in one word, "543".
func (v *Value) score() string {
	b := [3]byte{}
	for i, n := range v.scores {
		b[i] = '0' + byte(n)
	}
	return string(b[:])
}

func listOf(list []event.Value) event.Value {
	var b strings.Builder
	b.WriteByte('[')
	for i, v := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(v))
	}
	b.WriteByte(']')
	return event.Value(b.String())
}

func quoted(keys []string) []event.Value {
	list := make([]event.Value, len(keys))
	for i, key := range keys {
		list[i] = event.Quote(key)
	}
	return list
}

// decimal writes millionths as a JSON number without needless noughts.
func decimal(micros int64) event.Value {
	sign, n := "", uint64(micros)
	if micros < 0 {
		sign, n = "-", -n
	}
	s := sign + strconv.FormatUint(n/1e6, 10)
	if part := n % 1e6; part > 0 {
		s += "." + strings.TrimRight(strconv.FormatUint(1e6+part, 10)[1:], "0")
	}
	return event.Value(s)
}

// average is sum/n rounded, halves away from zero.
func average(sum, n int64) int64 {
	q, rest := sum/n, sum%n
	switch {
	case rest > 0 && rest >= n-rest:
		q++
	case rest < 0 && -rest >= n+rest:
		q--
	}
	return q
}

const never = math.MaxInt64
