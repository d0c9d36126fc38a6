package decide

import (
	"sort"
	"time"

	"github.com/reuna/reuna/identity/segment"
)

// Cap is how often a person is shown a variant at most.
type Cap struct {
	Shows int           // 0: as often as it comes
	Per   time.Duration // within this time; 0: ever
}

// at says whether a cap leaves room for one more show now, and the moment (ms)
// from which that may be different by time alone.
func (c *Cap) at(sub *segment.Subject, placement, variant string) (open bool, until int64) {
	times, count := shown(sub, placement, variant)
	if c.Per == 0 {
		return count < int64(c.Shows), forever
	}
	// The one that a further show must not be within Per of.
	if len(times) < c.Shows {
		return true, forever
	}
	if free := times[len(times)-c.Shows] + c.Per.Milliseconds(); free > sub.Now {
		return false, free
	}
	return true, forever
}

// shown is when a person was shown a variant, oldest first (of the newest 64), and
// how often in all. Being held out of it is not to be shown it.
func shown(sub *segment.Subject, placement, variant string) (times []int64, count int64) {
	if sub.Profile == nil {
		return nil, 0
	}
	seen := sub.Profile.Seen
	i := sort.Search(len(seen), func(i int) bool {
		x := &seen[i]
		return x.Placement > placement || x.Placement == placement && x.Variant >= variant
	})
	for ; i < len(seen) && seen[i].Placement == placement && seen[i].Variant == variant; i++ {
		if !seen[i].Holdout {
			return seen[i].Times, seen[i].Count
		}
	}
	return nil, 0
}

// lastShown is when a person was last shown a variant; 0: never.
func lastShown(sub *segment.Subject, placement, variant string) int64 {
	times, _ := shown(sub, placement, variant)
	if len(times) == 0 {
		return 0
	}
	return times[len(times)-1]
}
