package definitions

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/reuna/reuna/identity/wire"
	"github.com/reuna/reuna/storage/record"
)

// recordVersion is the first byte of every record; the rest is sealed.
// (storage/FORMAT.md)
const recordVersion = 1

func binding(key []byte) []byte { return append([]byte("reuna definition "), key...) }

func (s *Store) seal(key, plain []byte) []byte {
	return s.aead.Seal([]byte{recordVersion}, nil, plain, binding(key))
}

func (s *Store) open(key, v []byte) ([]byte, error) {
	r := record.NewReader(v)
	r.Version("a definition's record", recordVersion)
	if err := r.Err(); err != nil {
		return nil, err
	}
	plain, err := s.aead.Open(nil, nil, r.Rest(), binding(key))
	if err != nil {
		return nil, fmt.Errorf("does not open: it was changed or moved: %w", err)
	}
	return plain, nil
}

func (v *Version) append(dst []byte) []byte {
	for _, s := range [...]string{v.Kind, v.Name, v.Actor, v.Source} {
		dst = wire.AppendText(dst, s)
	}
	dst = wire.AppendInt(wire.AppendUint(dst, uint64(v.Number)), v.At)
	if v.Deleted {
		return append(dst, 1)
	}
	return wire.AppendText(append(dst, 0), string(v.Body))
}

func decodeVersion(plain []byte) (v Version, err error) {
	r := wire.NewReader(string(plain))
	v.Kind, v.Name, v.Actor, v.Source = r.Text(), r.Text(), r.Text(), r.Text()
	v.Number, v.At = small(r), r.Int()
	switch r.Byte() {
	case 0:
		v.Body = json.RawMessage(r.Text())
	case 1:
		v.Deleted = true
	default:
		r.Fail()
	}
	if v.Number == 0 {
		r.Fail()
	}
	return v, whole(r, "a definition's version")
}

func (x *Series) append(dst []byte) []byte {
	dst = wire.AppendText(wire.AppendUint(dst, uint64(x.ID)), x.Fingerprint)
	return wire.AppendUint(append(dst, byte(x.State)), x.Since)
}

func decodeSeries(plain []byte) (x Series, err error) {
	r := wire.NewReader(string(plain))
	x = Series{ID: small(r), Fingerprint: r.Text(), State: State(r.Byte()), Since: r.Uint()}
	if x.ID == 0 || x.State < Reserved || x.State > Ready {
		r.Fail()
	}
	return x, whole(r, "a series")
}

func (x *Audience) append(dst []byte) []byte {
	dst = wire.AppendText(wire.AppendUint(dst, uint64(x.ID)), x.Name)
	return wire.AppendText(dst, x.Swept)
}

func decodeAudience(plain []byte) (x Audience, err error) {
	r := wire.NewReader(string(plain))
	x = Audience{ID: small(r), Name: r.Text(), Swept: r.Text()}
	if x.ID == 0 || x.Name == "" {
		r.Fail()
	}
	return x, whole(r, "an audience")
}

func (j *Job) append(dst []byte) []byte {
	dst = wire.AppendUint(wire.AppendText(dst, j.Name), uint64(len(j.IDs)))
	for _, n := range j.IDs {
		dst = wire.AppendUint(dst, uint64(n))
	}
	dst = append(wire.AppendUint(dst, j.UpTo), j.Position[:]...)
	dst = wire.AppendUint(wire.AppendInt(dst, j.Events), math.Float64bits(j.Share))
	return wire.AppendInt(wire.AppendInt(dst, j.Begun), j.Seen)
}

func decodeJob(plain []byte) (j Job, err error) {
	r := wire.NewReader(string(plain))
	j.Name = r.Text()
	n := r.Count()
	for range n {
		j.IDs = append(j.IDs, small(r))
	}
	j.UpTo = r.Uint()
	for i := range j.Position {
		j.Position[i] = r.Byte()
	}
	j.Events, j.Share = r.Int(), math.Float64frombits(r.Uint())
	j.Begun, j.Seen = r.Int(), r.Int()
	if j.Name == "" || n > maxIDs {
		r.Fail()
	}
	return j, whole(r, "a job")
}

func (c counters) append(dst []byte) []byte {
	return wire.AppendUint(wire.AppendUint(dst, uint64(c.series)), uint64(c.audience))
}

func decodeCounters(plain []byte) (c counters, err error) {
	r := wire.NewReader(string(plain))
	c = counters{series: small(r), audience: small(r)}
	return c, whole(r, "the numbers given")
}

// small reads a number of 32 bits.
func small(r *wire.Reader) uint32 {
	n := r.Uint()
	if n > math.MaxUint32 {
		r.Fail()
	}
	return uint32(n)
}

func whole(r *wire.Reader, what string) error {
	if !r.Done() {
		return fmt.Errorf("%s is corrupt", what)
	}
	return nil
}
