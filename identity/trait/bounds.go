package trait

// Bounds are the most that a rule can find in a computed trait: entries of a list
// or a map, 0 where it is neither, and bytes of a text in it. Nothing is known of
// a name that is no trait's: both are 0.
func (s *Set) Bounds(name string) (entries, bytes int) {
	if s == nil {
		return 0, 0
	}
	i, ok := s.index[name]
	if !ok {
		return 0, 0
	}
	d := s.defs[i]
	switch d.Kind {
	case Distinct, Latest:
		entries = d.limit()
	case MostFrequent:
		if entries = d.limit(); entries == 1 {
			entries = 0 // a text
		}
	case RFM:
		entries = 4 // three scores and the text of them
	}
	return entries, maxKeyBytes
}
