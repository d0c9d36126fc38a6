package people

import (
	"bytes"
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
