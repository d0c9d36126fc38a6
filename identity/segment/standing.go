package segment

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/identity/wire"
)

// Member is one audience that a person is in.
type Member struct {
	Audience uint32 // its id, which no other audience ever has
	Since    int64  // ms since 1970 UTC
}

// Standing is which audiences a person is in, as of a time. It is never changed
// once it is made. A nil Standing is that of somebody who was never judged.
type Standing struct {
	In    []Member // ascending by Audience
	Until int64    // ms; until then nothing changes by itself. rule.Never: for ever

	by     uint64  // the Set that judged: its fingerprint
	timed  []timed // ascending by place; Until is the least of their untils
	places mask    // In, in that Set; nil: not known
}

// timed is an audience that time alone may change: in the lower bits its place in the
// Set, above them until when it stays as it is. Nearly every event makes a list of them,
// and reads the one before.
type timed int64

const (
	placeBits = 10 // maxSegments
	latest    = 1<<(63-placeBits) - 1
)

// timedAt makes one; an until that is beyond 285,000 years is sooner.
func timedAt(place int, until int64) timed {
	return timed(min(max(until, -latest), latest)<<placeBits | int64(place))
}

func (t timed) place() int   { return int(t) & (1<<placeBits - 1) }
func (t timed) until() int64 { return int64(t) >> placeBits }

// Since is from when on the person is in an audience; ok is false when it is in
// no such audience.
func (st *Standing) Since(audience uint32) (since int64, ok bool) {
	if st == nil {
		return 0, false
	}
	i, ok := slices.BinarySearchFunc(st.In, audience, compareAudience)
	if !ok {
		return 0, false
	}
	return st.In[i].Since, true
}

func compareAudience(m Member, id uint32) int { return cmp.Compare(m.Audience, id) }

const standingVersion = 1

// AppendBinary appends the Standing's record to dst: the version 1, the judging
// Set's fingerprint (8 bytes, little endian), Until (signed), the number of
// audiences and of each its id, as the difference to the one before, and since
// when (signed); then the number of those that time may change and of each its
// place, likewise, and its until (signed). Numbers are varints. Equal standings
// have equal records. err is always nil.
func (st *Standing) AppendBinary(dst []byte) ([]byte, error) {
	dst = append(dst, standingVersion)
	dst = wire.AppendInt(binary.LittleEndian.AppendUint64(dst, st.by), st.Until)
	dst = wire.AppendUint(dst, uint64(len(st.In)))
	last := uint32(0)
	for _, m := range st.In {
		dst = wire.AppendUint(dst, uint64(m.Audience-last))
		dst = wire.AppendInt(dst, m.Since)
		last = m.Audience
	}
	dst = wire.AppendUint(dst, uint64(len(st.timed)))
	place := 0
	for _, t := range st.timed {
		dst = wire.AppendUint(dst, uint64(t.place()-place))
		dst = wire.AppendInt(dst, t.until())
		place = t.place()
	}
	return dst, nil
}

var errStanding = errors.New("segment: the record of a standing is malformed")

// DecodeStanding reads what AppendBinary wrote. It keeps nothing of record.
func DecodeStanding(record []byte) (*Standing, error) {
	r := wire.NewReader(string(record))
	if r.Byte() != standingVersion {
		return nil, errStanding
	}
	st := &Standing{}
	for i := range 8 {
		st.by |= uint64(r.Byte()) << (8 * i)
	}
	st.Until = r.Int()
	if n := r.Count(); n > 0 {
		st.In = make([]Member, 0, n)
		last := uint64(0)
		for i := range n {
			d := r.Uint()
			if last += d; d > 1<<32 || last > 1<<32-1 || i > 0 && d == 0 {
				r.Fail()
			}
			st.In = append(st.In, Member{uint32(last), r.Int()})
		}
	}
	if n := r.Count(); n > 0 {
		st.timed = make([]timed, 0, n)
		last := uint64(0)
		for i := range n {
			d := r.Uint()
			if last += d; d > maxSegments || last >= maxSegments || i > 0 && d == 0 {
				r.Fail()
			}
			st.timed = append(st.timed, timedAt(int(last), r.Int()))
		}
	}
	if !r.Done() {
		return nil, errStanding
	}
	return st, nil
}

// newStanding makes one with room for so many that time may change: nearly every event
// makes one, so that both are one piece of memory.
func newStanding(n int) *Standing {
	switch {
	case n == 0:
		return &Standing{}
	case n <= 8:
		x := new(struct {
			st   Standing
			room [8]timed
		})
		x.st.timed = x.room[:0]
		return &x.st
	case n <= 16:
		x := new(struct {
			st   Standing
			room [16]timed
		})
		x.st.timed = x.room[:0]
		return &x.st
	case n <= 32:
		x := new(struct {
			st   Standing
			room [32]timed
		})
		x.st.timed = x.room[:0]
		return &x.st
	}
	return &Standing{timed: make([]timed, 0, n)}
}

// settle reckons Until.
func (st *Standing) settle() {
	st.Until = rule.Never
	for _, t := range st.timed {
		st.Until = min(st.Until, t.until())
	}
}
