package people

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
)

func FuzzDecodeStand(f *testing.F) {
	st := stand{seq: 9, now: &segment.Standing{In: []segment.Member{{Audience: 3, Since: 5}, {Audience: 8, Since: -1}}, Until: 77}}
	f.Add(st.append(nil, id.ID{Type: id.UserID, Value: "u1"}))
	f.Add(bytes.Repeat([]byte{1, 0xff}, 1<<19))
	f.Fuzz(func(t *testing.T, record []byte) {
		x, seq, now, err := decodeStand(string(record))
		if err != nil {
			return
		}
		again := stand{seq: seq, now: now}
		y, seq2, now2, err := decodeStand(string(again.append(nil, x)))
		if err != nil || y != x || seq2 != seq || now2.Until != now.Until || len(now2.In) != len(now.In) {
			t.Errorf("%x is %v, %d, %+v, then %v, %d, %+v, %v", record, x, seq, now, y, seq2, now2, err)
		}
	})
}

func TestOnlyPlacesThatAreOthersAreWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	some := func(like []segment.Member) (list []segment.Member) {
		for a := range uint32(8) {
			switch r.IntN(3) {
			case 0:
				list = append(list, segment.Member{Audience: a, Since: int64(r.IntN(3))})
			case 1:
				for _, m := range like {
					if m.Audience == a {
						list = append(list, m)
					}
				}
			}
		}
		return list
	}
	keys := func(list []segment.Member) map[string]string {
		all := map[string]string{}
		(&standRecord{is: stored{in: list}}).places(func(key, val []byte) { all[string(key)] = string(val) })
		return all
	}
	for range 2000 {
		x := standRecord{was: stored{in: some(nil)}}
		x.is.in = some(x.was.in)
		disk, want := keys(x.was.in), keys(x.is.in)
		if len(want) != len(x.is.in) {
			t.Fatalf("%d keys of %v", len(want), x.is.in)
		}
		x.places(func(key, val []byte) {
			before, found := disk[string(key)]
			if val == nil {
				if delete(disk, string(key)); !found {
					t.Fatalf("%v to %v: a key was taken away that was not there", x.was.in, x.is.in)
				}
				return
			}
			if disk[string(key)] = string(val); found && before == string(val) {
				t.Fatalf("%v to %v: a key was written as it was", x.was.in, x.is.in)
			}
		})
		if !maps.Equal(disk, want) {
			t.Fatalf("%v to %v: %v, want %v", x.was.in, x.is.in, disk, want)
		}
	}
}
