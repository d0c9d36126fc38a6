package people

import (
	"cmp"
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
)

// A person's standing, the audiences that they are in, is kept with the
// identifier that represents them in the verified view. It is judged outside the
// lock (Options.Judge), by who answers the person's page or else by the worker
// of judge.go, and kept by Stand.
//
// Invariants:
//   - Who is in which audience follows from the log's entries of transitions
//     alone: the last one of a person and an audience holds. A standing changes in
//     memory together with them, under the lock.
//   - Whatever may change a standing is marked at an identifier of the person
//     under the same hold of the lock that changes it, and stays marked until the
//     person was judged with it. A mark names the first entry behind it, and no
//     checkpoint's cursor passes that: what a crash takes is marked again by the
//     replay, and judged again.
//   - A standing that was judged counts only if nothing was marked since the
//     snapshot that it was made from.

// Snapshot is a person at a moment: what audiences are judged by, and decisions made.
type Snapshot struct {
	// Profile is never nil, and nobody may change it.
	Profile *facet.Profile
	// Present are the types of identifier that the person has.
	Present []string
	// Standing is what was judged last; nil: nothing was.
	Standing *segment.Standing
	// Changed is what may be different since Standing was judged.
	Changed facet.Change

	of     *node    // who keeps the standing; nil: nobody does
	c      *cluster // in the verified view; nil: a device that nothing is linked to
	asOf   uint64   // Store.marks
	at     int64    // when the newest of what changed was received, ms; 0: not known
	judged int64    // the latest time that the person was judged for, ms
	waits  bool     // somebody waits for it to be judged, or a member has a standing of their own
	moved  bool     // who belongs to the person changed
	page   bool     // what one device's page may see: it is no person
	own    bool     // the profile was made for this snapshot alone
}

// Done says that nobody will read the snapshot's profile again: it has no computed
// traits any more. A call of it saves the store a copy of what the next event changes.
func (x *Snapshot) Done() {
	if x.own {
		x.own = false
		x.Profile.Release()
	}
}

// stand is what an identifier in memory knows of standings.
type stand struct {
	now    *segment.Standing // of the person whom the identifier represents; nil: none
	seq    uint64            // the last entry that told of it
	stored stored
	dirty  bool // now, or stored.woken, is not on disk

	// What changed since the identifier's person was judged.
	changed facet.Change
	since   uint64 // the first entry that did; 0: none, and nobody waits
	version uint64 // of Store.marks at the last
	at      int64  // when the last was received, ms
	judged  int64  // the time that the person was judged for, ms
	queued  bool   // stands in Store.judging, to be judged
	dueAt   int64  // the last time that Store.dues was told of, ms
	moved   bool   // who belongs to the person changed

	// Since its changes of links were spread: with whom it was of one person before
	// them is marked; and its links were not followed then.
	tracked, closed bool

	page *page
}

// page is what the page of a device sees that belongs to a known person and has no session.
type page struct {
	now     *segment.Standing
	changed facet.Change
	version uint64
}

// stored is what the disk has of a standing, besides its record.
type stored struct {
	found bool
	in    []segment.Member
	due   int64 // second; 0: none
	woken bool  // there is an entry in the due index at second 0
}

// noDue is the second of those who change by nothing but what they do.
const noDue = 0

// wakeSecond is where the due index has those who are to be judged at once.
const wakeSecond = 0

// nowhere is the standing of who is in no audience, whatever happens.
func nowhere() *segment.Standing { return &segment.Standing{Until: rule.Never} }

// standing gives what n knows of standings, made when it is new.
func (n *node) standing() *stand {
	if n.stand == nil {
		n.stand = &stand{}
	}
	return n.stand
}

// mark notes that n's person is to be judged anew because of c, by entry seq, which was
// received at a time; holdsNothing for who is to be judged for no entry's sake.
// The lock is held.
func (s *Store) mark(n *node, c facet.Change, seq uint64, at int64) {
	st := n.standing()
	st.changed.Add(c)
	st.at = max(st.at, at)
	s.marks++
	st.version = s.marks
	if st.since == 0 || seq < st.since {
		st.since = seq
	}
	if !st.queued {
		st.queued = true
		if s.judging.waiting = append(s.judging.waiting, n); len(s.judging.waiting) == 1 {
			s.wakeJudge()
		}
	}
}

// holdsNothing is for marks that no entry has made: no cursor waits for them.
const holdsNothing = ^uint64(0)

// folded marks those whose standing an event may change that was folded into the facet
// with key k. The lock is held and the facet's identifiers are loaded.
func (s *Store) folded(k facet.Key, c facet.Change, seq uint64, at int64) {
	if k.AnonymousID != "" && (k.UserID == "" || k.Trust == id.Claimed) {
		if n := s.nodes[id.ID{Type: id.AnonymousID, Value: k.AnonymousID}]; n != nil && n.stand != nil && n.stand.page != nil {
			s.marks++
			n.stand.page.changed.Add(c)
			n.stand.page.version = s.marks
		}
	}
	c = s.watched.of(c)
	if c.IsZero() {
		return
	}
	owner := k.Owner(id.VerifiedView, false)
	n := s.nodes[owner]
	if n != nil && k.AnonymousID != "" && owner.Type == id.UserID && s.isCut(n, k, id.VerifiedView) {
		n = s.nodes[k.Owner(id.VerifiedView, true)]
	}
	if n != nil { // nil: nobody's
		s.mark(n, c, seq, at)
	}
}

// watch is what any audience reads (Between): all of it, until that was told.
type watch struct {
	all   bool
	some  facet.Change
	fresh *fresh // nil: everybody was judged by every rule
}

func (w *watch) of(c facet.Change) facet.Change {
	if w.all || c.Core&facet.ChangedIdentity != 0 {
		return c
	}
	c.Core &= w.some.Core
	for i := range c.Computed {
		c.Computed[i] &= w.some.Computed[i]
	}
	return c
}

// snapshot gives the person of a cluster; nil c for n alone. The lock is held, the
// members and their facets are loaded.
func (s *Store) snapshot(x *Snapshot, n *node, c *cluster) {
	x.c, x.asOf, x.of = c, s.marks, n
	if c == nil {
		if n.stand != nil {
			x.Standing, x.judged = n.stand.now, n.stand.judged
			x.add(n.stand)
		}
		return
	}
	x.of = s.nodes[c.Representative]
	if x.of.stand != nil {
		x.Standing, x.judged = x.of.stand.now, x.of.stand.judged
	}
	for _, m := range c.Members {
		if y := s.nodes[m]; y.stand != nil {
			x.add(y.stand)
			x.waits = x.waits || y != x.of && y.stand.now != nil
		}
	}
}

func (x *Snapshot) add(st *stand) {
	if st.since == 0 {
		return
	}
	x.Changed.Add(st.changed)
	x.at = max(x.at, st.at)
	x.waits, x.moved = true, x.moved || st.moved
}

// Stand keeps what x was judged to be, at now, ms since 1970; unless something
// changed since x was made: then somebody else will judge the person. Who
// entered and left has a place in the log when it returns; nobody need wait for that.
func (s *Store) Stand(x *Snapshot, st *segment.Standing, now int64) {
	if x.of == nil || !x.waits && st == x.Standing {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(x, st, now, x.cause(now))
}

// cause is why x's standing is another at now.
func (x *Snapshot) cause(now int64) Cause {
	switch {
	case x.moved:
		return CauseIdentity
	case !x.Changed.IsZero():
		return CauseEvent
	case x.Standing != nil && now >= x.Standing.Until:
		return CauseTime
	}
	return CauseDefinition
}

// keep is Stand for who holds the lock. It says whether the standing was kept.
func (s *Store) keep(x *Snapshot, st *segment.Standing, now int64, why Cause) bool {
	if s.failed != nil || !s.current(x) {
		return false
	}
	if st == nil {
		st = nowhere()
	}
	if x.page {
		p := x.of.stand.page
		p.now, p.changed = st, facet.Change{}
		return true
	}
	if x.c != nil {
		for _, m := range x.c.Members { // those that are of this person now
			if n := s.nodes[m]; n != x.of && n.stand != nil && n.stand.now != nil && !s.become(n, nil, now, CauseIdentity) {
				return false
			}
		}
	}
	if by := s.watched.fresh.definedFirst(x, st); by != nil && why != CauseIdentity && !s.become(x.of, by, now, CauseDefinition) {
		return false
	}
	if !s.become(x.of, st, now, why) {
		return false
	}
	x.of.stand.judged = max(x.of.stand.judged, now)
	if x.c == nil {
		x.of.stand.clear()
		return true
	}
	for _, m := range x.c.Members {
		if n := s.nodes[m]; n.stand != nil {
			n.stand.clear()
		}
	}
	return true
}

// clear notes that the person was judged.
func (st *stand) clear() {
	st.changed, st.since, st.moved, st.at = facet.Change{}, 0, false, 0
}

// forgetStanding is for who was erased: nobody waits for them any more, and what was
// judged of them does not count. The lock is held.
func (s *Store) forgetStanding(n *node) {
	s.marks++
	*n.standing() = stand{queued: n.stand.queued, version: s.marks}
}

// current says that nothing was marked since x was made.
func (s *Store) current(x *Snapshot) bool {
	n := x.of
	if s.nodes[n.id] != n {
		return false // it left memory, or was erased
	}
	if x.page {
		return n.stand != nil && n.stand.page != nil && n.stand.page.version <= x.asOf
	}
	if n.standing().now != x.Standing {
		return false // somebody else was quicker
	}
	if x.c == nil {
		return len(n.pairs) == 0 && n.stand.version <= x.asOf
	}
	if !x.c.of.stands(s) {
		return false
	}
	for _, m := range x.c.Members {
		if y := s.nodes[m]; y.stand != nil && y.stand.version > x.asOf {
			return false
		}
	}
	return true
}

// become gives n's person another standing, nil for none, and tells the log who entered
// and left at a time, ms. It says whether the log has taken all of it. The lock is held.
func (s *Store) become(n *node, st *segment.Standing, at int64, why Cause) bool {
	old := n.standing().now
	var before, after []segment.Member
	if old != nil {
		before = old.In
	}
	if st != nil {
		after = st.In
	}
	if !sameAudiences(before, after) && !s.tell(n, before, after, at, why) {
		return false
	}
	if old == st {
		return true
	}
	n.stand.now, n.stand.dirty = st, true
	s.touch(n)
	if st != nil {
		s.dues.set(n, st.Until)
	}
	return true
}

// sameAudiences says whether two lists name the same audiences. Who was judged again and
// stays where they were mostly has the very same list.
func sameAudiences(a, b []segment.Member) bool {
	if len(a) != len(b) {
		return false
	}
	return len(a) == 0 || &a[0] == &b[0] || slices.EqualFunc(a, b, func(a, b segment.Member) bool { return a.Audience == b.Audience })
}

// tell appends the transitions from one list of members to another: an entry for those of
// one time, in the order of time.
func (s *Store) tell(n *node, before, after []segment.Member, at int64, why Cause) bool {
	now := s.o.Now().UnixMilli()
	s.moving = s.whoMoves(s.moving[:0], before, after, Transition{ID: n.id, At: at, Cause: why})
	for told, to := 0, 0; told < len(s.moving); told = to {
		for to < len(s.moving) && to-told < mostTogether && s.moving[to].At == s.moving[told].At {
			to++
		}
		var seq uint64
		if s.o.Log.Admit() == nil {
			s.buf = appendTransitions(s.buf[:0], s.moving[told:to])
			seq, _ = s.o.Log.Append(s.buf, now)
		}
		if seq == 0 {
			if told > 0 { // what the log has taken holds. The rest is judged again.
				s.replace(n, before, s.moving[:told])
			}
			return false
		}
		s.applied = seq
		n.stand.seq = seq
		s.index = append(s.index, indexed{n.hash, s.moving[told].At, seq})
		s.told++
	}
	return true
}

// replace gives n's person the standing that transitions make of a list of members.
func (s *Store) replace(n *node, before []segment.Member, list []Transition) {
	st := n.standing()
	is := segment.Standing{In: slices.Clone(before), Until: rule.Never}
	if st.now != nil {
		is.Until = st.now.Until
	}
	for _, t := range list {
		is.In = enterOrLeave(is.In, t)
	}
	st.now, st.dirty = &is, true
	s.touch(n)
}

// whoMoves adds to list who leaves and who enters from one list to another, both ascending:
// as t is but for the time of who enters. The oldest comes first; of one time who leaves,
// ascending, then who enters.
func (s *Store) whoMoves(list []Transition, before, after []segment.Member, t Transition) []Transition {
	missing(before, after, func(m segment.Member) {
		t.Audience, t.Name = m.Audience, s.audienceName(m.Audience)
		list = append(list, t)
	})
	t.Entered = true
	missing(after, before, func(m segment.Member) {
		t.Audience, t.Name, t.At = m.Audience, s.audienceName(m.Audience), m.Since
		list = append(list, t)
	})
	slices.SortStableFunc(list, func(a, b Transition) int { return cmp.Compare(a.At, b.At) })
	return list
}

// missing calls fn with those of one list that another does not have, both ascending.
func missing(of, in []segment.Member, fn func(m segment.Member)) {
	for _, m := range of {
		for len(in) > 0 && in[0].Audience < m.Audience {
			in = in[1:]
		}
		if len(in) == 0 || in[0].Audience != m.Audience {
			fn(m)
		}
	}
}

func (s *Store) audienceName(audience uint32) string {
	if s.o.AudienceName == nil {
		return ""
	}
	return s.o.AudienceName(audience)
}

func compareMember(m segment.Member, audience uint32) int {
	switch {
	case m.Audience < audience:
		return -1
	case m.Audience > audience:
		return 1
	}
	return 0
}

func hasAudience(list []segment.Member, audience uint32) bool {
	_, in := slices.BinarySearchFunc(list, audience, compareMember)
	return in
}

// enterOrLeave gives the members after a transition. It may write to the list.
func enterOrLeave(list []segment.Member, t Transition) []segment.Member {
	i, in := slices.BinarySearchFunc(list, t.Audience, compareMember)
	switch {
	case in && t.Entered:
		list[i].Since = t.At
	case in:
		return slices.Delete(list, i, i+1)
	case t.Entered:
		return slices.Insert(list, i, segment.Member{Audience: t.Audience, Since: t.At})
	}
	return list
}

// replayTransitions applies an entry of transitions that the log has. The lock is held and
// its identifier is loaded.
func (s *Store) replayTransitions(seq uint64, list []Transition) {
	n := s.nodes[list[0].ID]
	s.index = append(s.index, indexed{n.hash, list[0].At, seq})
	s.told++
	st := n.standing()
	if seq <= st.seq {
		return
	}
	st.seq = seq
	var before []segment.Member
	if st.now != nil {
		before = st.now.In
	}
	s.replace(n, before, list)
}
