package verify

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// standFacts are the transitions of who is represented by one identifier.
type standFacts struct {
	list []transitionAt
	seen bool // its standing was
}

type transitionAt struct {
	seq uint64
	at  int64 // ms since 1970
	transition
}

func (t *transitionAt) apply(in map[uint32]int64) {
	if t.entered {
		in[t.audience] = t.at
	} else {
		delete(in, t.audience)
	}
}

func (c *checker) addTransitions(p *part, h Hash, seq uint64, t *transitions) {
	if !p.has(h) {
		return
	}
	f := p.stands[h]
	if f == nil {
		f = &standFacts{}
		p.stands[h] = f
	}
	for _, x := range t.list {
		f.list = append(f.list, transitionAt{seq, t.at, x})
	}
}

// sorted puts the transitions into the order of the log. An entry names an audience once;
// one that settled ahead of the cursor is there twice.
func (f *standFacts) sorted() []transitionAt {
	slices.SortFunc(f.list, func(a, b transitionAt) int {
		return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.audience, b.audience))
	})
	f.list = slices.CompactFunc(f.list, func(a, b transitionAt) bool { return a.seq == b.seq && a.audience == b.audience })
	return f.list
}

// membersBy gives who is in what after all entries up to one, and since when; last is the
// last of them.
func (f *standFacts) membersBy(upTo uint64) (in map[uint32]int64, last uint64) {
	in = map[uint32]int64{}
	for _, t := range f.sorted() {
		if t.seq > upTo {
			break
		}
		last = t.seq
		t.apply(in)
	}
	return in, last
}

// empties says that after all that the cursor "people" covers, or some more, nobody is left in
// any audience: then there need not be a record.
func (f *standFacts) empties(people uint64) bool {
	in, last := f.membersBy(people)
	for _, t := range f.list {
		if t.seq <= people {
			continue
		}
		if t.seq != last && len(in) == 0 { // an entry holds as a whole
			return true
		}
		last = t.seq
		t.apply(in)
	}
	return len(in) == 0
}

// Standing is the opened record of a standing.
type Standing struct {
	Seq   uint64 // the last transition's entry
	ID    id.ID  // who represents the person
	Until int64  // ms; until then it holds by itself
	In    []segment.Member
}

// ReadStanding reads such a record: version, the last entry that told of it, type and
// value of who represents the person, until when it holds, identity/segment record.
func ReadStanding(plain []byte) (x Standing, err error) {
	r := record.NewReader(plain)
	r.Version("standing", 1)
	x.Seq = r.Uvarint()
	x.ID = id.ID{Type: r.String(), Value: r.String()}
	x.Until = r.Varint()
	if err := r.Err(); err != nil {
		return x, err
	}
	st, err := segment.DecodeStanding(r.Rest())
	if err == nil {
		x.In = st.In
	}
	return x, err
}

// dueSecond is the second under which the due index has a standing; 0: it does not.
func (x *Standing) dueSecond() int64 {
	if x.Until == rule.Never {
		return 0
	}
	return max(1, x.Until/1000)
}

func (c *checker) storedStanding(h Hash, key, v []byte) (Standing, error) {
	plain, err := c.unseal(h, key, v)
	if err != nil {
		return Standing{}, err
	}
	return ReadStanding(plain)
}

// checkStandings compares each standing with the transitions in the log and in
// histories, and with the audiences' members and the due index.
func (c *checker) checkStandings(p *part) error {
	lower, upper := p.bounds(spaceKey(keyspace.Standing))
	err := c.walk("comparing standings", lower, upper, c.report.space(keyspace.Standing).Records/uint64(p.of), func(k, v []byte) {
		h, err := keyspace.ParseStanding(k)
		if err != nil {
			return
		}
		p.used[h] = struct{}{}
		f := p.stands[h]
		if f == nil {
			f = &standFacts{}
		}
		f.seen = true
		x, err := c.storedStanding(h, k, v)
		if err != nil {
			c.fault(k, "%v", err)
			return
		}
		if c.hashID(x.ID) != h {
			c.fault(k, "is somebody else's")
			return
		}
		c.compareStanding(k, f, &x)
		for _, m := range x.In {
			if place := keyspace.AppendMember(nil, m.Audience, h); !c.has(place) {
				c.fault(place, "is missing: the standing says that they are in this audience")
			}
		}
		if s := x.dueSecond(); s != 0 {
			if place := keyspace.AppendDue(nil, s, h); !c.has(place) {
				c.fault(place, "is missing: the standing holds until %d by itself", x.Until)
			}
		}
	})
	if err != nil {
		return err
	}
	var missing []Hash
	for h, f := range p.stands {
		if !f.seen && !f.empties(c.people) {
			missing = append(missing, h)
		}
	}
	slices.SortFunc(missing, compareHash)
	for _, h := range missing {
		c.fault(keyspace.AppendStanding(nil, h), "is missing: by entry %d they are in an audience", p.stands[h].list[len(p.stands[h].list)-1].seq)
	}
	return nil
}

func (c *checker) compareStanding(k []byte, f *standFacts, x *Standing) {
	h := Hash(k[1:])
	if x.Seq > c.report.Last {
		c.fault(k, "is of entry %d, but the log ends with %d", x.Seq, c.report.Last)
		return
	}
	if c.erased.before(h, x.Seq) && x.Seq != 0 {
		c.fault(k, "should be gone: entry %d erased whom it is about", c.erased.tombs[h].seq)
		return
	}
	_, newest := f.membersBy(c.people)
	want, last := f.membersBy(x.Seq)
	if len(x.In) == 0 && f.empties(c.people) {
		return // it was made anew after they had left everything
	}
	have := map[uint32]int64{}
	for _, m := range x.In {
		have[m.Audience] = m.Since
	}
	switch {
	case x.Seq < newest:
		c.fault(k, "ends with entry %d, though entry %d is theirs and the cursor %q stands at %d", x.Seq, newest, cursorPeople, c.people)
	case c.expired != 0: // older transitions may have been deleted by age
		c.report.Uncertain++
		for _, t := range f.list {
			_, told := want[t.audience]
			if _, is := have[t.audience]; t.seq <= x.Seq && told != is {
				c.fault(k, "does not say of audience %d what entry %d says", t.audience, t.seq)
				return
			}
		}
	case x.Seq != last:
		c.fault(k, "is of entry %d, which is no transition of theirs", x.Seq)
	case !maps.Equal(want, have):
		c.fault(k, "has %d audiences, or others, or since another time: the entries say %d", len(have), len(want))
	}
}

// checkMembers makes sure that whoever an audience's members are, and whoever is due, has a
// standing that says so.
func (c *checker) checkMembers() error {
	err := c.walkSpace("comparing members", keyspace.Member, func(k, v []byte) {
		audience, h, err := keyspace.ParseMember(k)
		if err != nil {
			return
		}
		r := record.NewReader(v)
		r.Version("member", 1)
		since := r.Varint()
		if err := r.Done("member"); err != nil {
			c.fault(k, "%v", err)
			return
		}
		x, ok := c.standingOf(h)
		i, in := slices.BinarySearchFunc(x.In, audience, func(m segment.Member, a uint32) int { return cmp.Compare(m.Audience, a) })
		switch {
		case !ok: // told where standings are compared
		case !in:
			c.fault(k, "no standing says that they are in this audience")
		case x.In[i].Since != since:
			c.fault(k, "says since %d, the standing since %d", since, x.In[i].Since)
		}
	})
	if err != nil {
		return err
	}
	return c.walkSpace("comparing the due index", keyspace.Due, func(k, v []byte) {
		second, h, err := keyspace.ParseDue(k)
		if err != nil {
			return
		}
		if len(v) != 0 {
			c.fault(k, "has a value of %d bytes: expected none", len(v))
		}
		if second == 0 {
			return // somebody whom an erasure has left is judged at the next start
		}
		if x, ok := c.standingOf(h); ok && x.dueSecond() != second {
			c.fault(k, "no standing is due in this second")
		}
	})
}

// standingOf reads a standing; the empty one when there is none. ok is false when it
// cannot be read.
func (c *checker) standingOf(h Hash) (x Standing, ok bool) {
	x = Standing{Until: math.MaxInt64}
	key, ok := keyspace.AppendStanding(nil, h), true
	_, err := c.at.Get(key, func(v []byte) error {
		var err error
		if x, err = c.storedStanding(h, key, v); err != nil {
			ok = false
		}
		return nil
	})
	return x, ok && err == nil
}
