package facet

import "sync/atomic"

// lease counts the profiles that share a facet's series and may still be read. Most
// profiles are read for one answer, which is given before the next event comes: then
// the facet goes on writing in place, and copies nothing.
//
// Invariant: a facet writes a series only when no profile that has it is counted. A
// profile that is still counted when its facet is to be written keeps what it has for
// good: the facet parts from it, with a lease of its own for the profiles to come.
type lease struct{ out atomic.Int32 }

// lend counts another profile.
func (f *Facet) lend() *lease {
	if f.lent == nil {
		f.lent = new(lease)
	}
	f.lent.out.Add(1)
	return f.lent
}

// part leaves what is shared to the profiles that may still be read, if there are any.
func (f *Facet) part() {
	if f.lent != nil && f.lent.out.Load() > 0 {
		f.parted++
		f.lent = nil
	}
}

// Release says that nobody reads the profile's series any more, nor anything that was
// not copied of them but texts: what is folded next is written in their stead. It is
// for who made the profile and knows all its readers; not to call it costs a copy of
// what later events change. The profile has no series any more.
func (p *Profile) Release() {
	j := &p.Computed
	if j.lent != nil {
		j.lent.out.Add(-1)
	}
	for _, l := range j.lents {
		l.out.Add(-1)
	}
	*j = Joined{}
}
