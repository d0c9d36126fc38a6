package rule

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/reuna/reuna/identity/event"
)

// Bounds of a value that is shown to people.
const (
	shownItems = 50
	shownDepth = 6
)

// JSON is a value as JSON text, for people: times are RFC 3339, spans of time
// are texts such as 72h0m0s, of long lists there is the beginning, and members
// are in order. "" for
// what has no such form.
func JSON(v ref.Val) string {
	b, ok := appendJSON(nil, v, 0)
	if !ok {
		return ""
	}
	return string(b)
}

func appendJSON(b []byte, v ref.Val, depth int) ([]byte, bool) {
	switch v := v.(type) {
	case types.Null:
		return append(b, "null"...), true
	case types.Bool:
		return strconv.AppendBool(b, bool(v)), true
	case types.Int:
		return strconv.AppendInt(b, int64(v), 10), true
	case types.Uint:
		return strconv.AppendUint(b, uint64(v), 10), true
	case types.Double:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return b, false
		}
		return strconv.AppendFloat(b, float64(v), 'g', -1, 64), true
	case types.String:
		return append(b, event.Quote(string(v))...), true
	case types.Timestamp:
		return append(b, event.Quote(v.UTC().Format(time.RFC3339Nano))...), true
	case types.Duration:
		return append(b, event.Quote(v.Duration.String())...), true
	case *Moving:
		return appendJSON(b, v.fixed(), depth)
	case *types.Optional:
		if !v.HasValue() {
			return append(b, "null"...), true
		}
		return appendJSON(b, v.GetValue(), depth)
	}
	if depth == shownDepth {
		return b, false
	}
	switch v := v.(type) {
	case traits.Mapper:
		return appendMap(b, v, depth)
	case traits.Lister:
		return appendList(b, v, depth)
	}
	return b, false
}

func appendList(b []byte, v traits.Lister, depth int) ([]byte, bool) {
	b = append(b, '[')
	n := 0
	for it := v.Iterator(); n < shownItems && it.HasNext() == types.True; n++ {
		if n > 0 {
			b = append(b, ',')
		}
		var ok bool
		if b, ok = appendJSON(b, it.Next(), depth+1); !ok {
			return b, false
		}
	}
	return append(b, ']'), true
}

func appendMap(b []byte, v traits.Mapper, depth int) ([]byte, bool) {
	var keys []string
	for it := v.Iterator(); len(keys) < maxItems && it.HasNext() == types.True; {
		key, ok := it.Next().(types.String)
		if !ok {
			return b, false
		}
		keys = append(keys, string(key))
	}
	slices.Sort(keys)
	b = append(b, '{')
	for i, key := range keys[:min(len(keys), shownItems)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, event.Quote(key)...), ':')
		value, ok := v.Find(types.String(key))
		if !ok {
			return b, false
		}
		if b, ok = appendJSON(b, value, depth+1); !ok {
			return b, false
		}
	}
	return append(b, '}'), true
}
