package trait

// Definitions are those the Set was made of, in order: copies, but for what
// their slices share with the Set.
func (s *Set) Definitions() []Definition {
	if s == nil {
		return nil
	}
	list := make([]Definition, len(s.defs))
	for i, d := range s.defs {
		list[i] = d.Definition
	}
	return list
}
