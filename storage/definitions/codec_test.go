package definitions

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

// The layout is on disk: these bytes may be added to, never changed.
func TestRecordsArePinned(t *testing.T) {
	v := Version{Kind: Trait, Name: "n", Number: 2, At: 1, Actor: "a", Source: API, Body: []byte(`{}`)}
	gone := Version{Kind: Trait, Name: "n", Number: 3, At: 1, Actor: "a", Source: API, Deleted: true}
	s := Series{ID: 300, Fingerprint: "f", State: Filling, Since: 7}
	a := Audience{ID: 5, Name: "n", Swept: "f"}
	j := Job{Name: "fill", IDs: []uint32{1, 300}, UpTo: 7, Position: Hash{15: 9}, Events: 3, Share: 0.5, Begun: 1, Seen: 2}
	for what, c := range map[string]struct {
		got  []byte
		want string
	}{
		"version":  {v.append(nil), "057472616974" + "016e" + "0161" + "03617069" + "02" + "02" + "00" + "027b7d"},
		"deletion": {gone.append(nil), "057472616974" + "016e" + "0161" + "03617069" + "03" + "02" + "01"},
		"series":   {s.append(nil), "ac02" + "0166" + "02" + "07"},
		"audience": {a.append(nil), "05" + "016e" + "0166"},
		"job":      {j.append(nil), "0466696c6c" + "02" + "01" + "ac02" + "07" + strings.Repeat("00", 15) + "09" + "06" + "808080808080" + "80f03f" + "02" + "04"},
		"numbers":  {counters{1, 2}.append(nil), "0102"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}

// FuzzRecords: what is read is written the same, and nothing panics.
func FuzzRecords(f *testing.F) {
	v := Version{Kind: Trait, Name: "n", Number: 2, At: 1, Actor: "a", Source: API, Body: []byte(`{}`)}
	s := Series{ID: 300, Fingerprint: "f", State: Filling, Since: 7}
	a := Audience{ID: 5, Name: "n"}
	j := Job{Name: "fill", IDs: []uint32{1, 300}, UpTo: 7, Share: 0.5}
	for _, plain := range [...][]byte{v.append(nil), s.append(nil), a.append(nil), j.append(nil), counters{1, 2}.append(nil), make([]byte, 1<<20), nil} {
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		again := func(kind string, err error, written []byte) {
			if err == nil && len(written) > len(plain) {
				t.Errorf("%s: %x is written as %x", kind, plain, written)
			}
		}
		v, err := decodeVersion(plain)
		again("version", err, v.append(nil))
		s, err := decodeSeries(plain)
		again("series", err, s.append(nil))
		a, err := decodeAudience(plain)
		again("audience", err, a.append(nil))
		j, err := decodeJob(plain)
		again("job", err, j.append(nil))
		c, err := decodeCounters(plain)
		again("numbers", err, c.append(nil))
	})
}

func TestRecordsComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string { return strings.Repeat("x", r.IntN(200)) + "y" }
	for range 500 {
		v := Version{Kind: text(), Name: text(), Number: 1 + r.Uint32N(1<<31), At: int64(r.Uint64()), Actor: text(), Source: text(), Body: []byte(text())}
		if got, err := decodeVersion(v.append(nil)); err != nil || !bytes.Equal(got.append(nil), v.append(nil)) {
			t.Fatalf("%+v: %+v, %v", v, got, err)
		}
		j := Job{Name: text(), UpTo: r.Uint64(), Events: int64(r.Uint64()), Share: r.Float64(), Begun: int64(r.Uint64()), Seen: int64(r.Uint64())}
		for range r.IntN(5) {
			j.IDs = append(j.IDs, r.Uint32())
		}
		if got, err := decodeJob(j.append(nil)); err != nil || !bytes.Equal(got.append(nil), j.append(nil)) {
			t.Fatalf("%+v: %+v, %v", j, got, err)
		}
	}
}
