package admin_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

const previewPath = "/admin/v1/identities/preview"

type previewBody struct {
	Views map[string]struct {
		Changed, Truncated, Partial bool
		PersonsBefore, PersonsAfter int
		Outcomes                    []struct {
			Do            string
			A, B          identity
			Identifier    identity
			Before, After struct {
				Holds, Held bool
				Why, Text   string
				Hold        hold
			}
		}
		Held   []hold
		Groups []struct {
			Effect, Text  string
			Before, After []previewPerson
			Becomes       []struct {
				From, To        string
				IdentifierCount int
				Traits          []struct {
					Name          string
					Before, After *struct{ Value any }
				}
				TraitsCount int
				Segments    struct{ Entered, Left []string }
			}
		}
	}
}

type previewPerson struct {
	PersonID        string
	Known           bool
	IdentifierCount int
	Identifiers     []identity
	Counts          map[string]any
	FirstSeen       string
	LastSeen        string
	Conflicts       []struct{ Why string }
}

// TestPreviewWhole pins the whole answer: two persons whom a link would make
// one, and what that would do to each.
func TestPreviewWhole(t *testing.T) {
	d := newDesk(t, func(o *admin.Options) {
		o.Derive = func(p *people.Person, _ time.Time) (map[string]any, []string) {
			segments := []string{"everybody"}
			if p.Profile.Orders > 0 {
				segments = append(segments, "buyers")
			}
			if p.Profile.Orders == 0 {
				segments = append(segments, "lookers")
			}
			return map[string]any{"orders": p.Profile.Orders, "same": true}, segments
		}
	})
	one, two := msg(1, event.Identify, "a1", "u1"), msg(2, event.Identify, "a2", "u2")
	one.Traits, two.Traits = `{"plan":"free","colour":"red"}`, `{"plan":"pro","size":43}`
	order := msg(3, event.Track, "a2", "u2")
	order.Name, order.Properties = "Order Completed", `{"order_id":"o1","revenue":5,"currency":"EUR"}`
	d.send(one, two, order)
	u1, u2 := d.personID("user_id", "u1"), d.personID("user_id", "u2")
	const link = `{"a":{"type":"user_id","value":"u1"},"b":{"type":"user_id","value":"u2"},"reason":"ticket-9"}`
	a := d.post(previewPath, `{"do":"link",`+link[1:])
	var got map[string]map[string]json.RawMessage
	a.ok(&got)
	at := func(n int) string { return fmt.Sprintf("2023-11-14T22:13:2%d.000Z", n) }
	trait := func(v string, n int) string {
		return fmt.Sprintf(`{"value":%s,"trust":"verified","source":"shop","party":"first","time":%q}`, v, at(n))
	}
	want := fmt.Sprintf(`{"changed":true,"personsBefore":2,"personsAfter":1,
	"outcomes":[{"do":"link","a":{"type":"user_id","value":"u1"},"b":{"type":"user_id","value":"u2"},
	  "before":{"holds":false,"why":"no_link","text":"Nothing links the two."},
	  "after":{"holds":true,"why":"joined","text":"The link holds: both identifiers are one person."}}],
	"groups":[{"effect":"merge","text":"2 persons become 1 person.",
	 "before":[
	  {"personId":%[1]q,"known":true,"identifierCount":2,"identifiers":[{"type":"user_id","value":"u1","since":%[3]q},{"type":"anonymous_id","value":"a1","since":%[3]q}],
	   "counts":{"events":1,"pageviews":0,"sessions":1,"botEvents":0,"botPageviews":0,"orders":0,"revenue":0},"firstSeen":%[3]q,"lastSeen":%[3]q},
	  {"personId":%[2]q,"known":true,"identifierCount":2,"identifiers":[{"type":"user_id","value":"u2","since":%[4]q},{"type":"anonymous_id","value":"a2","since":%[4]q}],
	   "counts":{"events":2,"pageviews":0,"sessions":1,"botEvents":0,"botPageviews":0,"orders":1,"revenue":5,"currency":"EUR"},"firstSeen":%[4]q,"lastSeen":%[5]q}],
	 "after":[
	  {"personId":%[1]q,"known":true,"identifierCount":4,"identifiers":[{"type":"user_id","value":"u1","since":%[3]q},{"type":"user_id","value":"u2","since":%[4]q},{"type":"anonymous_id","value":"a1","since":%[3]q},{"type":"anonymous_id","value":"a2","since":%[4]q}],
	   "counts":{"events":3,"pageviews":0,"sessions":2,"botEvents":0,"botPageviews":0,"orders":1,"revenue":5,"currency":"EUR"},"firstSeen":%[3]q,"lastSeen":%[5]q}],
	 "becomes":[
	  {"from":%[1]q,"to":%[1]q,"identifierCount":2,"traits":[{"name":"plan","before":%[6]s,"after":%[7]s},{"name":"size","after":%[8]s}],
	   "computed":[{"name":"orders","before":0,"after":1}],"segments":{"entered":["buyers"],"left":["lookers"]}},
	  {"from":%[2]q,"to":%[1]q,"identifierCount":2,"traits":[{"name":"colour","after":%[9]s}],"computed":[],"segments":{"entered":[],"left":[]}}]}],
	"truncated":false,"partial":false}`, u1, u2, at(1), at(2), at(3), trait(`"free"`, 1), trait(`"pro"`, 2), trait("43", 2), trait(`"red"`, 1))
	for _, v := range []string{"all", "verified"} {
		if text := string(got["views"][v]); pretty(t, text) != pretty(t, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", v, pretty(t, text), pretty(t, want))
		}
	}
	if b := d.post(previewPath, `{"changes":[{"do":"link",`+link[1:]+`]}`); b.body != a.body {
		t.Errorf("a list of one: %s", b.body)
	}
	for u, person := range map[string]string{"u1": u1, "u2": u2} {
		var p struct{ PersonID string }
		if d.get(persons + "user_id:" + u).ok(&p); p.PersonID != person {
			t.Errorf("%s has become %s", u, p.PersonID)
		}
	}
	mustNotContain(t, "the log", d.log.String(), "u1", "u2", "a1", "ticket")
}

// TestPreviewIsWhatComes: for changes of every kind, a preview's persons are
// those whom their own routes answer with, before and after.
func TestPreviewIsWhatComes(t *testing.T) {
	d := newDesk(t, nil)
	mail := msg(1, event.Identify, "a1", "u1")
	mail.Traits = `{"email":"ann@x.fi"}`
	also := msg(2, event.Identify, "a2", "u2")
	also.Traits = `{"email":"ann@x.fi"}`
	d.send(mail, also, claimed(msg(3, event.Identify, "a3", "u1")), msg(4, event.Page, "a4", ""))
	x := func(kind, value string) string { return fmt.Sprintf(`{"type":%q,"value":%q}`, kind, value) }
	pair := func(a, b string) string { return `"a":` + a + `,"b":` + b }
	u1u2, a3u1, a4u1 := pair(x("user_id", "u1"), x("user_id", "u2")), pair(x("anonymous_id", "a3"), x("user_id", "u1")), pair(x("anonymous_id", "a4"), x("user_id", "u1"))
	cut := ""
	for n, step := range []struct {
		do, body string
		effects  [2]string // of the first group, in all and verified
		why      [2]string // of the first outcome, after
	}{
		{"link", u1u2, [2]string{"merge", "merge"}, [2]string{"joined", "joined"}}, // and the shared address is theirs
		{"cut", u1u2, [2]string{"split", "split"}, [2]string{"cut", "cut"}},
		{"lift", "", [2]string{"merge", "merge"}, [2]string{"joined", "joined"}},
		{"cut", a3u1, [2]string{"split", "none"}, [2]string{"cut", "cut"}},
		{"link", a3u1, [2]string{"none", "none"}, [2]string{"cut", "cut"}},
		{"link", a4u1, [2]string{"merge", "merge"}, [2]string{"joined", "joined"}},
		{"link", pair(x("anonymous_id", "new"), x("phone", "+358401234567")), [2]string{"appear", "appear"}, [2]string{"joined", "joined"}},
		{"link", pair(x("anonymous_id", "a4"), x("anonymous_id", "new")), [2]string{"merge", "merge"}, [2]string{"joined", "joined"}},
		{"link", pair(x("anonymous_id", "a4"), x("user_id", "u3")), [2]string{"split", "split"}, [2]string{"shared", "shared"}},
	} {
		body := "{" + step.body + "}"
		if step.do == "lift" {
			body = `{"evidence":"` + cut + `"}`
		}
		body = `{"time":"2024-02-01T00:00:0` + fmt.Sprint(n) + `Z",` + body[1:]
		var p previewBody
		d.post(previewPath, `{"changes":[{"do":"`+step.do+`",`+body[1:]+`]}`).ok(&p)
		d.holds(p, false)
		var done struct{ Evidence string }
		d.post("/admin/v1/identities/"+step.do, body).ok(&done)
		if step.do == "cut" {
			cut = done.Evidence
		}
		d.holds(p, true)
		for i, v := range []string{"all", "verified"} {
			w := p.Views[v]
			if len(w.Groups) == 0 || w.Groups[0].Effect != step.effects[i] || w.Outcomes[0].After.Why != step.why[i] || w.Outcomes[0].Do != step.do || w.Changed != slices.ContainsFunc(step.effects[i:i+1], func(e string) bool { return e != "none" }) {
				t.Errorf("step %d, %s: effect %s, outcome %+v", n, v, w.Groups[0].Effect, w.Outcomes[0])
			}
		}
	}
}

// holds compares one side of a preview with what the persons' own routes say.
func (d *desk) holds(p previewBody, after bool) {
	d.Helper()
	for view, v := range p.Views {
		n := 0
		for _, g := range v.Groups {
			list := g.Before
			if after {
				list = g.After
			}
			for _, q := range list {
				n++
				var person previewPerson
				d.get(persons + "person:" + q.PersonID + "?view=" + view).ok(&person)
				person.IdentifierCount = len(person.Identifiers)
				q.Conflicts = nil
				if !reflect.DeepEqual(q, person) {
					d.Errorf("after %v, %s: previewed %+v, answered %+v", after, view, q, person)
				}
			}
		}
		if want := map[bool]int{false: v.PersonsBefore, true: v.PersonsAfter}[after]; n != want {
			d.Errorf("after %v, %s: %d persons, said to be %d", after, view, n, want)
		}
	}
}

// TestPreviewSaysWhyNot: links that would not join are told with their reason.
func TestPreviewSaysWhyNot(t *testing.T) {
	d := newDesk(t, nil)
	d.send(msg(1, event.Identify, "a1", "u1"), msg(2, event.Identify, "a2", "u2"), msg(3, event.Page, "a3", ""), msg(4, event.Page, "a4", ""))
	for _, pair := range [][2]string{{"a1", "a3"}, {"a2", "a4"}} {
		d.state(graph.Link, pair[0], pair[1])
	}
	var p previewBody
	d.post(previewPath, `{"do":"link","a":{"type":"anonymous_id","value":"a3"},"b":{"type":"anonymous_id","value":"a4"}}`).ok(&p)
	v := p.Views["all"]
	// An operator's link comes before the logins, so it is one of those that fails.
	if v.Groups[0].Effect != "regroup" || !v.Changed || v.Outcomes[0].After.Why != "joined" {
		t.Errorf("%+v", v)
	}
	conflicts := 0
	for _, q := range v.Groups[0].After {
		for _, x := range q.Conflicts {
			if x.Why == "two_users" {
				conflicts++
			}
		}
	}
	if conflicts != 2 { // told at both borders
		t.Errorf("%d conflicts: %+v", conflicts, v)
	}
	d.state(graph.Cut, "a3", "a4")
	d.post(previewPath, `{"do":"link","a":{"type":"anonymous_id","value":"a3"},"b":{"type":"anonymous_id","value":"a4"}}`).ok(&p)
	if v := p.Views["verified"]; v.Changed || v.Outcomes[0].After.Why != "cut" || len(v.Groups) == 0 || v.Groups[0].Effect != "none" {
		t.Errorf("%+v", v)
	}
}

// state says something of two devices.
func (d *desk) state(kind graph.Kind, a, b string) {
	d.Helper()
	if _, err := d.store.State(graph.Evidence{Kind: kind, Trust: id.Admin, A: id.ID{Type: id.AnonymousID, Value: a}, B: id.ID{Type: id.AnonymousID, Value: b}}); err != nil {
		d.Fatal(err)
	}
}

// TestPreviewIsBounded: large persons and many of them are cut short, and it says so.
func TestPreviewIsBounded(t *testing.T) {
	d := newDesk(t, nil)
	traits := make([]string, 130)
	for i := range traits {
		traits[i] = fmt.Sprintf(`"t%03d":%d`, i, i)
	}
	login := msg(1, event.Identify, "hub", "u1")
	login.Traits = event.Value("{" + strings.Join(traits, ",") + "}")
	d.send(login)
	for i := range 120 {
		d.state(graph.Link, "hub", fmt.Sprint("a", i))
	}
	var p previewBody
	d.post(previewPath, `{"do":"link","a":{"type":"anonymous_id","value":"hub"},"b":{"type":"user_id","value":"u2"}}`).ok(&p)
	v := p.Views["all"]
	g := v.Groups[0]
	if !v.Truncated || v.Partial || v.PersonsBefore != 1 || v.PersonsAfter != 123 || g.Effect != "split" || g.Text != "1 person becomes 121 persons and 1 identifier that joins nobody." {
		t.Errorf("%+v: %d persons, then %d: %s", v.Truncated, v.PersonsBefore, v.PersonsAfter, g.Text)
	}
	if len(g.After) != 100 || len(g.Before) != 1 || g.Before[0].IdentifierCount != 122 || len(g.Before[0].Identifiers) != 100 || g.Before[0].Identifiers[0].Value != "u1" {
		t.Errorf("%d persons of %d identifiers, then %d", len(g.Before), g.Before[0].IdentifierCount, len(g.After))
	}
	for _, b := range g.Becomes {
		if b.IdentifierCount != 1 || len(b.Traits) != 0 && (len(b.Traits) != 100 || b.TraitsCount != 130) {
			t.Errorf("%d identifiers, %d traits of %d", b.IdentifierCount, len(b.Traits), b.TraitsCount)
		}
	}
}

func TestPreviewRefuses(t *testing.T) {
	d := newDesk(t, nil)
	d.send(msg(1, event.Identify, "a1", "u1"))
	const a, b = `{"type":"anonymous_id","value":"a1"}`, `{"type":"user_id","value":"u1"}`
	const link = `{"do":"link","a":` + a + `,"b":` + b + `}`
	for _, c := range []struct {
		body, code, field string
	}{
		{``, "invalid_changes", "changes"},
		{`{}`, "invalid_changes", "changes"},
		{`{"changes":[]}`, "invalid_changes", "changes"},
		{`{"changes":[` + strings.Repeat(link+",", people.MaxPreview) + link + `]}`, "invalid_changes", "changes"},
		{`{"changes":7}`, "invalid_type", "changes"},
		{`{"do":"link","a":7,"b":` + b + `}`, "invalid_type", "a"},
		{`{"changes":[{"do":"link","a":` + a + `,"b":{"type":7,"value":"x"}}]}`, "invalid_type", "changes[0].b.type"},
		{`{"changes":[{"do":"hold","identifier":"a1"}]}`, "invalid_type", "changes[0].identifier"},
		{`{"changes":[7]}`, "invalid_json", "changes[0]"},
		{`{"changes":[` + link + `,{"do":"erase"}]}`, "invalid_change", "changes[1].do"},
		{`{"changes":[` + link + `,{"do":7}]}`, "invalid_type", "changes[1].do"},
		{`{"changes":[{"a":` + a + `,"b":` + b + `}]}`, "invalid_change", "changes[0].do"},
		{`{"changes":[` + link + `],"view":"all"}`, "unknown_field", "view"},
		{`{"do":"link","changes":[` + link + `]}`, "unknown_field", "changes"},
		{`{"do":"link","a":` + a + `}`, "missing_identifier", "b"},
		{`{"do":"link","a":` + a + `,"b":` + a + `}`, "same_identifier", "b"},
		{`{"do":"link","a":` + a + `,"b":` + b + `,"evidence":"e_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`, "unknown_field", "evidence"},
		{`{"do":"link","a":` + a + `,"b":{"type":"user_id","value":"null"}}`, "blocked_value", "b"},
		{`{"changes":[{"do":"cut","a":` + a + `,"b":` + b + `,"time":"soon"}]}`, "invalid_time", "changes[0].time"},
		{`{"do":"cut","a":` + a + `,"b":` + b + `,"reason":"a\nb"}`, "invalid_reason", "reason"},
		{`{"do":"lift","evidence":"x"}`, "invalid_evidence", "evidence"},
		{`[]`, "invalid_json", ""},
		{`{"do":"link"`, "invalid_json", ""},
		{"{\"do\":\"\xff\"}", "invalid_json", ""},
	} {
		e := d.post(previewPath, c.body).fails(400, c.code)
		if e.Error.Field != c.field || strings.Contains(e.Error.Message, "Body") || strings.Contains(e.Error.Message, "admin.") {
			t.Errorf("%.80s: field %q, want %q: %s", c.body, e.Error.Field, c.field, e.Error.Message)
		}
	}
	d.post(previewPath, `{"do":"lift","evidence":"e_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`).fails(404, "unknown_evidence")
	d.get(previewPath).fails(405, "method_not_allowed")
	if n := len(d.entries()); n != 0 {
		t.Errorf("%d entries of previews that were refused", n)
	}
}
