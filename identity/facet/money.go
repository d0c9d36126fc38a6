package facet

import (
	"math"
	"strconv"

	"github.com/reuna/reuna/identity/event"
)

// Micros reads an amount, a JSON number or a text of one ("49.90"), as whole
// millionths. ok is false where there is no amount, or one beyond 10¹² units.
func Micros(v event.Value) (n int64, ok bool) {
	f, ok := v.Number()
	if !ok {
		var err error
		if f, err = strconv.ParseFloat(v.Text(), 64); err != nil {
			return 0, false
		}
	}
	if math.IsNaN(f) || math.Abs(f) > 1e12 {
		return 0, false
	}
	return int64(math.Round(f * 1e6)), true
}
