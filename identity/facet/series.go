package facet

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
)

// SeriesSpec says how a computed trait counts: what happened, by key, in time
// buckets of Width, of which the newest Buckets matter. The name holds the
// definition's version, so that a changed definition starts afresh.
type SeriesSpec struct {
	Name    string
	Width   int64 // ms
	Buckets int64
}

// Bounds of a series.
const (
	maxSeriesKeys    = 64
	maxSeriesBuckets = 100
)

// Bucket is how many times something happened in [Index·Width, (Index+1)·Width).
type Bucket struct{ Index, N int64 }

// Series are counts by key and time bucket. Counts are integers and decay is
// applied when they are read, so the order of folding leaves no trace.
type Series struct {
	Width   int64
	Buckets int64
	Keys    map[string][]Bucket // ascending by index
}

func (f *Facet) series(spec SeriesSpec) *Series {
	s := f.Computed[spec.Name]
	if s == nil {
		if f.Computed == nil {
			f.Computed = map[string]*Series{}
		}
		s = &Series{Width: spec.Width, Buckets: min(spec.Buckets, maxSeriesBuckets), Keys: map[string][]Bucket{}}
		f.Computed[spec.Name] = s
	}
	return s
}

// Add counts n at time t. The key is copied when it is kept.
func (s *Series) Add(key string, t, n int64) {
	if _, ok := s.Keys[key]; !ok {
		key = strings.Clone(key)
	}
	s.put(key, Bucket{t / s.Width, n})
}

func (s *Series) put(key string, b Bucket) {
	list, known := s.Keys[key]
	i, found := slices.BinarySearchFunc(list, b.Index, func(x Bucket, index int64) int { return cmp.Compare(x.Index, index) })
	if found {
		list[i].N += b.N
	} else {
		list = slices.Insert(list, i, b)
		// What lies a whole horizon behind the newest can never be read again.
		oldest := list[len(list)-1].Index - s.Buckets
		drop := 0
		for list[drop].Index < oldest {
			drop++
		}
		list = slices.Delete(list, 0, drop)
	}
	s.Keys[key] = list
	if !known && len(s.Keys) > maxSeriesKeys {
		s.dropKey()
	}
}

// dropKey forgets the key that was quiet the longest.
func (s *Series) dropKey() {
	quiet := ""
	for i, k := range slices.Sorted(maps.Keys(s.Keys)) {
		if i == 0 || s.newest(k) < s.newest(quiet) {
			quiet = k
		}
	}
	delete(s.Keys, quiet)
}

func (s *Series) newest(key string) int64 {
	list := s.Keys[key]
	if len(list) == 0 {
		return math.MinInt64
	}
	return list[len(list)-1].Index
}

// Merge takes another facet's counts in.
func (s *Series) Merge(o *Series) {
	for k, list := range o.Keys {
		for _, b := range list {
			s.put(k, b)
		}
	}
}

// Count is how often key happened in the window (now − window, now].
func (s *Series) Count(key string, now, window int64) (n int64) {
	from := (now - window) / s.Width
	for _, b := range s.Keys[key] {
		if b.Index > from {
			n += b.N
		}
	}
	return n
}

// Score is a key's count in which each happening weighs half as much for every
// half-life of its age.
type Score struct {
	Key   string
	Value float64
}

// Scores lists the keys by their decayed counts, highest first, equal ones by
// name.
func (s *Series) Scores(now, halfLife int64) []Score {
	list := make([]Score, 0, len(s.Keys))
	for k, buckets := range s.Keys {
		var sum float64
		for _, b := range buckets {
			// A bucket's happenings count from its middle, never from the future.
			age := max(0, now-(b.Index*s.Width+s.Width/2))
			sum += float64(b.N) * math.Exp2(-float64(age)/float64(halfLife))
		}
		list = append(list, Score{k, sum})
	}
	slices.SortFunc(list, func(a, b Score) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Key, b.Key))
	})
	return list
}
