package segment

// Alike says that two standings were judged by the same definitions.
func Alike(a, b *Standing) bool { return a != nil && b != nil && a.by == b.by }
