package admin

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/people"
)

// FuzzSubject: whatever stands in a path, the answer is a refusal or a subject
// in its final form, which read again is itself.
func FuzzSubject(f *testing.F) {
	types := id.Default()
	for _, s := range []string{"user_id:u1", "email:A%40x.fi", "person:p_aaaaaaaaaaaaaaaaaaaaaaaaaa", "user_id:%", "user_id:%00", "phone:+358401234567", "user_id:null", ":", "user_id:a%2Fb", "user_id:\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		x, failed := parseSubject(raw, types)
		if failed != nil {
			if failed.status != 400 && failed.status != 404 || failed.code == "" || failed.message == "" || len(failed.message) > 1000 {
				t.Errorf("%+v", failed)
			}
			return
		}
		again := "person:" + x.name
		if x.name == "" {
			again = x.id.Type + ":" + url.PathEscape(x.id.Value)
		}
		if y, failed := parseSubject(again, types); failed != nil || y != x {
			t.Errorf("%+v, again %+v, %+v", x, y, failed)
		}
	})
}

// FuzzCursor: a cursor that is taken is one that was given.
func FuzzCursor(f *testing.F) {
	for _, p := range []people.Place{{}, {Time: 1, Seq: 1}, {Time: -1, Seq: 1 << 63}, {Time: 1, Seq: 2, Nth: 3}} {
		f.Add(cursor(p))
	}
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := parseCursor(s)
		if ok && cursor(p) != s && p != (people.Place{}) {
			t.Errorf("%q is read as %v, which is written %q", s, p, cursor(p))
		}
	})
}

// FuzzHostName: a name that is taken holds nothing but a name, and is stable.
func FuzzHostName(f *testing.F) {
	for _, s := range []string{"", "localhost:8081", "[::1]:1", "[::1%25lo]", "EXAMPLE.", "a:b", "[", "127.0.0.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := hostName(s)
		if !ok || name == "" {
			return
		}
		if strings.ContainsAny(name, " \t\r\n/\\@\"'<>$`") || name != strings.ToLower(name) {
			t.Errorf("%q is %q", s, name)
		}
		again := name
		if a, err := netip.ParseAddr(name); err == nil && a.Is6() {
			again = "[" + name + "]"
		}
		if n, ok := hostName(again); strings.HasSuffix(name, ".") == false && (!ok || n != name) {
			t.Errorf("%q is %q, again %q", s, name, n)
		}
	})
}

// FuzzMatch: at most one route takes a path with a method, a path that only
// other methods are for names them, and a variable part never holds a slash.
func FuzzMatch(f *testing.F) {
	table := routes()
	for _, r := range table {
		f.Add(r.path, r.method)
	}
	f.Fuzz(func(t *testing.T, path, method string) {
		n, others := 0, 0
		for i := range table {
			if _, ok := table[i].matches(path); !ok {
				continue
			}
			if table[i].method == method || method == "HEAD" && table[i].method == "GET" {
				n++
			} else {
				others++
			}
		}
		r, param, allow := match(table, []byte(path), []byte(method))
		if n > 1 || (r == nil) != (n == 0) || strings.Contains(param, "/") || (allow != "") != (n == 0 && others > 0) {
			t.Errorf("%s %q: %d routes, %d for other methods, allow %q, parameter %q", method, path, n, others, allow, param)
		}
	})
}

// FuzzBody: whatever comes as a body is refused with a reason, or names somebody
// in their final form.
func FuzzBody(f *testing.F) {
	types := id.Default()
	for _, s := range []string{"", "{}", `{"type":"user_id","value":"u1"}`, `{"person":"p_aaaaaaaaaaaaaaaaaaaaaaaaaa","view":"verified"}`, `{"type":1}`, `{"x":1}`, `[]`, `{} {}`, "\xff", `{"type":"email","value":"a@x.fi","reason":"\u0000"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b subjectBody
		failed := readBody(raw, &b)
		var x subject
		if failed == nil {
			x, _, failed = b.subject(types)
		}
		if failed != nil {
			if failed.status != 400 && failed.status != 404 || failed.code == "" || failed.message == "" || len(failed.message) > 1000 {
				t.Errorf("%+v", failed)
			}
			return
		}
		if (x.name == "") == x.id.IsZero() || x.name != "" && !isPersonID(x.name) {
			t.Errorf("%q names %+v", raw, x)
		}
	})
}

// FuzzChanges: whatever comes as the body of a preview is refused with a reason
// and a place, or is evidence of an operator about two identifiers in their final
// form, as many as a preview takes.
func FuzzChanges(f *testing.F) {
	c := &call{s: &Server{o: Options{Types: id.Default(), Now: func() time.Time { return time.Unix(1_700_000_000, 0) }, Activity: noActivity{}, People: oneHeld{}}}}
	const a, b = `{"type":"anonymous_id","value":"a1"}`, `{"type":"email","value":" A@x.fi"}`
	for _, s := range []string{"", "{}", `{"do":"link","a":` + a + `,"b":` + b + `}`, `{"changes":[{"do":"cut","a":` + a + `,"b":` + b + `,"time":"2020-01-01T00:00:00Z","reason":"r"}]}`,
		`{"do":"lift","evidence":"e_aaaaaaaaaaaaaaaaaaaaaaaaaa","a":` + a + `,"b":` + b + `}`, `{"do":"lift","evidence":"e_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`,
		`{"do":"hold","identifier":` + b + `,"reason":"r"}`, `{"changes":[{"do":"release","identifier":` + b + `},{"do":"release","identifier":` + a + `}]}`,
		`{"changes":[{"do":1}]}`, `{"changes":[[]]}`, `{"changes":{}}`, `{"do":null}`, `{"do":"link","do":"cut"}`, "\xff", `[]`, `{"changes":[null]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, failed := c.changes(raw)
		if failed != nil {
			if failed.status != 400 && failed.status != 404 && failed.status != 409 || failed.code == "" || failed.message == "" || len(failed.message) > 1000 || !utf8.ValidString(failed.field) {
				t.Errorf("%+v", failed)
			}
			return
		}
		if len(list) == 0 || len(list) > people.MaxPreview {
			t.Errorf("%d changes", len(list))
		}
		for _, x := range list {
			for _, e := range x.evidence {
				if e.A == e.B || e.A.IsZero() || e.B.IsZero() || e.Trust != id.Admin || e.Kind == 0 || (x.do == doLift || x.do == doRelease) != (e.Kind == graph.Lift) || (x.do == doHold || x.do == doRelease) != (e.A == graph.Everybody()) {
					t.Errorf("%q states %+v", raw, e)
				}
				for _, end := range []id.ID{e.A, e.B} {
					if n, verdict := c.s.o.Types.Normalise(end.Type, end.Value); end != graph.Everybody() && (verdict != id.OK || n != end) {
						t.Errorf("%q names %v, which is %v", raw, end, n)
					}
				}
			}
		}
	})
}

// noActivity is an activity log in which nothing stands.
type noActivity struct{ Activity }

func (noActivity) Read(context.Context, audit.Query, func(audit.Record) (bool, error)) error {
	return nil
}

// oneHeld is a store in which every e-mail address is held, and nothing else is.
type oneHeld struct{ People }

func (oneHeld) Releasing(x id.ID) (list []graph.Evidence, err error) {
	if x.Type == id.Email {
		list = append(list, graph.Evidence{Kind: graph.Lift, A: graph.Everybody(), B: x, Trust: id.Admin})
	}
	return list, nil
}

// FuzzEvidenceName: a name that is taken is one that was given.
func FuzzEvidenceName(f *testing.F) {
	f.Add(evidenceName(graph.EvidenceID{1, 2, 3}))
	f.Add("e_77777777777777777777777777")
	f.Fuzz(func(t *testing.T, s string) {
		if x, ok := parseEvidenceName(s); ok && evidenceName(x) != s {
			t.Errorf("%q is read as %x, which is written %q", s, x, evidenceName(x))
		}
	})
}

// TestThrottleIsBounded: however many addresses guess, memory does not grow, a
// /64 counts as one host, and who was locked out last stays so the longest.
func TestThrottleIsBounded(t *testing.T) {
	h := newThrottle()
	now := time.Unix(1_700_000_000, 0)
	for i := range maxAddresses + 100 {
		h.judge(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), false, now.Add(time.Duration(i)))
		if len(h.seen) > maxAddresses {
			t.Fatalf("%d addresses are kept", len(h.seen))
		}
	}
	now = now.Add(time.Second)
	for i := range maxFailures {
		h.judge(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)), false, now)
	}
	if left, _ := h.judge(netip.MustParseAddr("2001:db8::ffff"), true, now); left != lockOut {
		t.Errorf("a neighbour in the /64 has %v left", left)
	}
	if left, _ := h.judge(netip.MustParseAddr("2001:db8:0:1::1"), true, now); left != 0 {
		t.Errorf("the next /64 has %v left", left)
	}
}

func TestAmounts(t *testing.T) {
	for micros, want := range map[int64]string{0: "0", 1: "0.000001", -1: "-0.000001", 49_900_000: "49.9", 1_000_000: "1", -2_500_000: "-2.5",
		1<<63 - 1: "9223372036854.775807", -1 << 63: "-9223372036854.775808"} {
		if got := amount(micros); string(got) != want {
			t.Errorf("%d is %s, want %s", micros, got, want)
		}
	}
}
