package verify

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// Layouts of entries and erasures as FORMAT.md has them, byte by byte: package
// people pins the same from its side.
func TestEntriesAreReadAsTheFormatHasThem(t *testing.T) {
	hash := func(b byte) []byte { return bytes.Repeat([]byte{b}, 16) }
	ev := event.Event{Type: event.Page, Site: "shop", MessageID: "m1", AnonymousID: "a1", Trust: id.Claimed, ReceivedAt: 7, Timestamp: 5}
	var e entry
	for _, x := range []struct {
		name  string
		bytes []byte
		good  func() bool
	}{
		{"erased", []byte{0}, func() bool { return e.kind == kindErased }},
		{"an event", ev.AppendBinary([]byte{1, 1}), func() bool { return e.noLinks && e.event == ev }},
		{"an excluded event", ev.AppendBinary([]byte{6, 0}), func() bool { return e.kind == kindExcluded && !e.noLinks && e.event == ev }},
		{"a refused message", append([]byte{2, 1, 3, 14}, "\x01s\x01c\x01f\x01m\x01r"...), func() bool { return e.kind == kindRefused }},
		{"a session", bytes.Join([][]byte{{3, 1}, []byte("\x02a1\x02u1"), {14}, hash(9), {1}}, nil), func() bool {
			return e.session == session{visitor: "a1", user: "u1", until: 7, token: Hash(hash(9)), revoked: true}
		}},
		{"a session of version 2", bytes.Join([][]byte{{3, 2}, []byte("\x02a1\x02u1"), {14}, hash(9), {0}, hash(8)}, nil), func() bool {
			return e.session == session{visitor: "a1", user: "u1", until: 7, token: Hash(hash(9)), login: [16]byte(hash(8))}
		}},
		{"evidence", bytes.Join([][]byte{{4, 1, 2, 3}, []byte("\x05email\x01e\x07user_id\x01u"), {14}, hash(1), hash(2), []byte("\x03why")}, nil), func() bool {
			return e.evidence.A == id.ID{Type: "email", Value: "e"} && e.evidence.B == user("u") && e.evidence.Time == 7 &&
				e.evidence.Trust == id.Admin && e.evidence.Reason == "why" && e.evidence.Lifts[0] == 2
		}},
		{"an erasure", bytes.Join([][]byte{{5, 1, 14, 2}, hash(1), hash(2), {1}, hash(3), {1, 14}, []byte("\x03why")}, nil), func() bool {
			return e.erasure.at == 7 && len(e.erasure.identifiers) == 2 && e.erasure.facets[0] == Hash(hash(3))
		}},
		{"a transition", []byte("\x07\x01\x07user_id\x02u1\xac\x02\x04fans\x01\x02\x0e"), func() bool {
			return e.transitions.id == user("u1") && e.transitions.at == 7 && slices.Equal(e.transitions.list, []transition{{300, true}})
		}},
		{"transitions of version 2", []byte("\x07\x02\x07user_id\x02u1\x02\x0e\x02\x05\x04fans\x01\x00\x02\x04\x00\xa8\x02\x00"), func() bool {
			return e.transitions.id == user("u1") && e.transitions.at == 7 && slices.Equal(e.transitions.list, []transition{{5, false}, {6, false}, {4, true}, {300, true}})
		}},
	} {
		if err := parseEntry(&e, x.bytes); err != nil || !x.good() {
			t.Errorf("%s: %+v, %v", x.name, e, err)
		}
		if x.bytes[0] == kindErased {
			continue
		}
		for n := range len(x.bytes) {
			if err := parseEntry(&e, x.bytes[:n]); err == nil {
				t.Errorf("%s: its first %d bytes pass for a whole entry", x.name, n)
			}
		}
		if err := parseEntry(&e, append(bytes.Clone(x.bytes), 0)); err == nil {
			t.Errorf("%s: passes with a byte too many", x.name)
		}
	}
}

func TestImpossibleTransitionsAreRefused(t *testing.T) {
	const head = "\x07\x02\x07user_id\x02u1\x02\x0e"
	var e entry
	for name, b := range map[string]string{
		"of nobody":                       "\x07\x02\x00\x00\x02\x0e\x00\x01\x05\x00",
		"of a cause to come":              "\x07\x02\x07user_id\x02u1\x06\x0e\x00\x01\x05\x00",
		"of nothing":                      head + "\x00\x00",
		"an audience twice":               head + "\x00\x02\x05\x00\x00\x00",
		"an audience left and entered":    head + "\x01\x05\x00\x01\x05\x00",
		"numbers that add up beyond":      head + "\x00\x02\xff\xff\xff\xff\x0f\x00\x01\x00",
		"a number that goes round":        head + "\x00\x02\x05\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00",
		"more than an entry has":          head + "\x00\x81\x20" + strings.Repeat("\x01\x00", mostTransitions+1),
		"neither in nor out, version 1":   "\x07\x01\x07user_id\x02u1\x05\x04fans\x02\x02\x0e",
		"beyond 32 bits, version 1":       "\x07\x01\x07user_id\x02u1\x80\x80\x80\x80\x10\x04fans\x01\x02\x0e",
		"of a version that nothing wrote": "\x07\x03\x07user_id\x02u1\x02\x0e\x00\x01\x05\x00",
	} {
		if err := parseEntry(&e, []byte(b)); err == nil {
			t.Errorf("%s: read as %+v", name, e.transitions)
		}
	}
	if err := parseEntry(&e, []byte(head+"\x00\x80\x20"+strings.Repeat("\x01\x00", mostTransitions))); err != nil || len(e.transitions.list) != mostTransitions {
		t.Errorf("as many as an entry may have: %v", err)
	}
}

// An entry holds as a whole: nobody was in no audience between two of its transitions.
func TestWhoMovesOnWasNeverNowhere(t *testing.T) {
	both := []transitionAt{{1, 7, transition{1, true}}, {2, 8, transition{1, false}}, {2, 8, transition{2, true}}}
	apart := []transitionAt{{1, 7, transition{1, true}}, {2, 8, transition{1, false}}, {3, 8, transition{2, true}}}
	for people := range uint64(4) {
		f, g := standFacts{list: slices.Clone(both)}, standFacts{list: slices.Clone(apart)}
		if got := f.empties(people); got != (people == 0) {
			t.Errorf("in one entry, from %d: %v", people, got)
		}
		if got := g.empties(people); got != (people < 3) {
			t.Errorf("in two entries, from %d: %v", people, got)
		}
	}
}

// No bytes that a disk may give back bring a reader down, or make it ask for
// more memory than they could fill.
func FuzzReaders(f *testing.F) {
	f.Add(byte(0), []byte{3, 1, 2, 'a', '1', 0, 14})
	f.Add(byte(1), []byte{1, 14})
	f.Add(byte(0), []byte("\x07\x02\x07user_id\x02u1\x02\x0e\x01\x05\x00\x02\x04\x00\xa8\x02\x00"))
	packer, err := record.NewPacker()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(byte(2), (&facet.Facet{Events: 3}).AppendBinary([]byte{2, record.PackedRaw, 1, 0, 9}))
	for s := keyspace.Meta; s <= keyspace.Again; s++ {
		f.Add(byte(3), append([]byte{byte(s), 4}, make([]byte, 40)...))
	}
	f.Add(byte(3), append([]byte{byte(keyspace.Meta), 6}, "origin\x02\x01"...))
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		switch which % 4 {
		case 0:
			var e entry
			if err := parseEntry(&e, b); err == nil && e.kind != b[0] {
				t.Errorf("kind %d, read from %d", e.kind, b[0])
			}
		case 1:
			if x, err := ReadErasure(b); err == nil && len(x.Pending)+16*len(x.Facets)+16*len(x.Identifiers) > len(b) {
				t.Errorf("%d bytes became %+v", len(b), x)
			}
		case 2:
			if x, _, err := ReadFacet(packer, b); err == nil && x == nil {
				t.Error("no facet and no error")
			}
		case 3:
			if len(b) < 2 || len(b) < 2+int(b[1]) {
				return
			}
			k, v := append(b[:1:1], b[2:2+b[1]]...), b[2+b[1]:]
			s := Survey{Head: 1}
			if err := s.take(keyspace.Space(k[0]), k, v); err == nil && len(s.Incarnations)*17 > len(v) && len(s.Incarnations) > 1 {
				t.Errorf("%d incarnations in %d bytes", len(s.Incarnations), len(v))
			}
		}
	})
}

func TestPartsCoverEveryOwnerOnce(t *testing.T) {
	prefix := []byte{byte(keyspace.Facet)}
	for _, of := range []int{1, 2, 16, maxPasses} {
		var upper []byte
		for n := range of {
			p := newPart(n, of)
			lo, hi := p.bounds(prefix)
			if n > 0 && !bytes.Equal(lo, upper) {
				t.Fatalf("part %d of %d begins at %x, the one before ends at %x", n, of, lo, upper)
			}
			upper = hi
			for _, h := range []Hash{{}, {0x7f, 0xff}, {0x80}, {0xff, 0xff, 0xff}, {0x12, 0x34}} {
				k := keyspace.AppendFacet(nil, h)
				if in := bytes.Compare(k, lo) >= 0 && bytes.Compare(k, hi) < 0; in != p.has(h) {
					t.Errorf("part %d of %d: has(%x) is %v, its bounds say %v", n, of, h[:2], p.has(h), in)
				}
			}
		}
		if !bytes.Equal(upper, keyspace.Upper(nil, prefix)) {
			t.Errorf("%d parts end at %x", of, upper)
		}
	}
}

func TestFacetsOfOtherLogsAreRefused(t *testing.T) {
	packer, err := record.NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range [][]byte{{2, 0, 2, 0, 1}, {2, 0, 1, 1, 1}, {3, 0, 1, 0, 1}, {2, 9}, {0}} {
		if _, _, err := ReadFacet(packer, (&facet.Facet{}).AppendBinary(head)); err == nil {
			t.Errorf("%v was read", head)
		}
	}
	f, applied, err := ReadFacet(packer, (&facet.Facet{Events: 4}).AppendBinary(record.AppendUvarint([]byte{1}, 300)))
	if err != nil || applied != 300 || f.Events != 4 {
		t.Errorf("version 1: %+v, %d, %v", f, applied, err)
	}
}
