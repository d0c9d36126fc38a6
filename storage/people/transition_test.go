package people

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
)

var u1 = id.ID{Type: id.UserID, Value: "u1"}

// moved makes transitions of u1, who leaves these audiences and enters those.
func moved(left, entered []uint32) (list []Transition) {
	for _, some := range [...][]uint32{left, entered} {
		for _, a := range some {
			list = append(list, Transition{Nth: uint32(len(list)), ID: u1, Audience: a, Name: "fans", At: 7, Cause: CauseTime, Entered: len(list) >= len(left)})
		}
	}
	return list
}

// TestTransitionLayouts pins both versions of an entry of transitions. Folders have the
// first.
func TestTransitionLayouts(t *testing.T) {
	const who, fans = "07757365725f6964" + "027531", "0466616e73"
	for _, c := range []struct {
		hex     string
		want    []Transition
		written bool
	}{
		{"0701" + who + "ac02" + fans + "01" + "02" + "0e", moved(nil, []uint32{300}), false},
		{"0701" + who + "05" + fans + "00" + "02" + "0e", moved([]uint32{5}, nil), false},
		{"0702" + who + "02" + "0e" + "00" + "01" + "05" + fans, moved(nil, []uint32{5}), true},
		{"0702" + who + "02" + "0e" + "01" + "ac02" + fans + "00", moved([]uint32{300}, nil), true},
		{"0702" + who + "02" + "0e" + "02" + "05" + fans + "01" + fans + "03" + "04" + fans + "03" + fans + "a502" + fans, moved([]uint32{5, 6}, []uint32{4, 7, 300}), true},
	} {
		entry, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		list, err := ReadTransitions(entry)
		if err != nil || !slices.Equal(list, c.want) {
			t.Errorf("%s is read as %+v, %v", c.hex, list, err)
		}
		if got := appendTransitions(nil, c.want); c.written && !bytes.Equal(got, entry) {
			t.Errorf("%+v are written %x, want %s", c.want, got, c.hex)
		}
		var e event.Event
		var x Refused
		if said, err := ReadEntry(entry, &e, &x); said != SaidTransition || err != nil {
			t.Errorf("%s says %v, %v", c.hex, said, err)
		}
		for n := range entry {
			if _, err := ReadTransitions(entry[:n]); err == nil {
				t.Errorf("the first %d bytes of %s pass for an entry", n, c.hex)
			}
		}
		if _, err := ReadTransitions(append(entry, 0)); err == nil {
			t.Errorf("%s passes with a byte too many", c.hex)
		}
	}
}

// TestImpossibleTransitionsAreRefused: every entry here is well written but for one thing.
func TestImpossibleTransitionsAreRefused(t *testing.T) {
	const head, one = "\x07\x02\x07user_id\x02u1\x02\x0e", "\x00\x01\x05\x04fans"
	for name, entry := range map[string]string{
		"of nobody":                           "\x07\x02\x00\x00\x02\x0e" + one,
		"of no cause":                         "\x07\x02\x07user_id\x02u1\x00\x0e" + one,
		"of a cause to come":                  "\x07\x02\x07user_id\x02u1\x06\x0e" + one,
		"of a version to come":                "\x07\x03\x07user_id\x02u1\x02\x0e" + one,
		"of nothing":                          head + "\x00\x00",
		"an audience twice":                   head + "\x00\x02\x05\x00\x00\x00",
		"an audience left and entered":        head + "\x01\x05\x00\x01\x05\x00",
		"a number beyond 32 bits":             head + "\x00\x01\x80\x80\x80\x80\x10\x00",
		"numbers that add up beyond them":     head + "\x00\x02\xff\xff\xff\xff\x0f\x00\x01\x00",
		"more than there is":                  head + "\x00\x7f\x05\x04fans",
		"more than an entry has":              head + "\x00\x81\x20" + strings.Repeat("\x01\x00", mostTogether+1),
		"neither in nor out, in version 1":    "\x07\x01\x07user_id\x02u1\x05\x04fans\x02\x02\x0e",
		"beyond 32 bits, in version 1":        "\x07\x01\x07user_id\x02u1\x80\x80\x80\x80\x10\x04fans\x01\x02\x0e",
		"of a cause to come, in version 1":    "\x07\x01\x07user_id\x02u1\x05\x04fans\x01\x06\x0e",
		"of another kind than of transitions": "\x01" + head[1:] + one,
		"empty":                               "",
	} {
		if list, err := ReadTransitions([]byte(entry)); err == nil {
			t.Errorf("%s: read as %d transitions", name, len(list))
		}
	}
	if list, err := ReadTransitions([]byte(head + "\x00\x80\x20" + strings.Repeat("\x01\x00", mostTogether))); err != nil || len(list) != mostTogether {
		t.Errorf("as many as an entry may have: %d, %v", len(list), err)
	}
	if _, err := ReadTransitions([]byte(head + one)); err != nil {
		t.Error(err)
	}
}

// TestWhoMoves: by time; of one time those who leave first, each by ascending audience.
func TestWhoMoves(t *testing.T) {
	s := &Store{}
	s.o.AudienceName = func(uint32) string { return "fans" }
	list := s.whoMoves(nil, []segment.Member{{Audience: 1, Since: 1}, {Audience: 3, Since: 1}, {Audience: 8, Since: 1}},
		[]segment.Member{{Audience: 2, Since: 7}, {Audience: 3, Since: 5}, {Audience: 4, Since: 3}, {Audience: 9, Since: 7}}, Transition{ID: u1, At: 7, Cause: CauseTime})
	want := moved([]uint32{1, 8}, []uint32{2, 9})
	for i := range want {
		want[i].Nth = 0 // an entry gives it
	}
	want = append([]Transition{{ID: u1, Audience: 4, Name: "fans", Entered: true, At: 3, Cause: CauseTime}}, want...)
	if !slices.Equal(list, want) {
		t.Errorf("%+v, want %+v", list, want)
	}
}

func TestPlacesKeepTheirOrder(t *testing.T) {
	list := []Place{{Time: -1, Seq: 9, Nth: 9}, {Time: 1, Seq: 1, Nth: 7}, {Time: 1, Seq: 2}, {Time: 1, Seq: 2, Nth: 1}, {Time: 1, Seq: 2, Nth: 2}, {Time: 1, Seq: 3}}
	if !slices.IsSortedFunc(list, Place.compare) {
		t.Error("out of order")
	}
	for _, p := range list {
		if back, ok := ParsePlace(p.Bytes()); !ok || back != p {
			t.Errorf("%+v is read as %+v", p, back)
		}
	}
	for _, n := range []int{0, 1, 15, 17, 19, 20, 21} { // of 20, the last four may not be zero
		if p, ok := ParsePlace(make([]byte, n)); ok {
			t.Errorf("%d bytes are read as %+v", n, p)
		}
	}
}

// FuzzReadTransitions: no bytes bring the reader down, and what it takes is written and
// read as the same again.
func FuzzReadTransitions(f *testing.F) {
	f.Add([]byte("\x07\x01\x07user_id\x02u1\x05\x04fans\x01\x02\x10"))
	f.Add(bytes.Repeat([]byte{7, 1, 0xff}, 1<<18))
	f.Add(appendTransitions(nil, moved([]uint32{1, 2}, []uint32{3, 300, 1 << 31})))
	f.Add(append([]byte("\x07\x02\x07user_id\x02u1\x02\x0e\x00\xff\xff\x3f"), bytes.Repeat([]byte{1, 0}, 1<<19)...))
	f.Fuzz(func(t *testing.T, entry []byte) {
		list, err := ReadTransitions(entry)
		if err != nil {
			return
		}
		again, err := ReadTransitions(appendTransitions(nil, list))
		if err != nil || !slices.Equal(again, list) {
			t.Errorf("%x is %+v, and again %+v, %v", entry, list, again, err)
		}
	})
}
