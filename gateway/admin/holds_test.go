package admin_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
)

type hold struct {
	Type, Value, Why, Text, Trust, Since, Evidence string
	Links                                          int
}

type heldBody struct {
	Held []hold
	Next string
}

const identities = "/admin/v1/identities/"

// TestHolds: what an operator holds joins nobody until it is released, and
// everywhere it is told why.
func TestHolds(t *testing.T) {
	d := newDesk(t, nil)
	login := msg(1, event.Identify, "a1", "u1")
	login.Traits = `{"email":"info@x.fi"}`
	d.send(login)
	const mail = `{"type":"email","value":"INFO@x.fi"}`
	var none heldBody
	if d.get(identities + "held").ok(&none); none.Held == nil || len(none.Held) != 0 || none.Next != "" {
		t.Errorf("before: %+v", none)
	}
	d.post(identities+"release", `{"identifier":`+mail+`}`).fails(409, "not_held")
	d.post(previewPath, `{"do":"release","identifier":`+mail+`}`).fails(409, "not_held")

	var p previewBody
	d.post(previewPath, `{"do":"hold","identifier":`+mail+`}`).ok(&p)
	for _, v := range p.Views {
		o := v.Outcomes[0]
		if o.Do != "hold" || o.Identifier.Value != "info@x.fi" || o.Before.Held || !o.After.Held || o.After.Hold.Why != "operator" || v.Groups[0].Effect != "split" || v.PersonsAfter != 2 {
			t.Errorf("preview of a hold: %+v", v)
		}
	}
	d.holds(p, false)
	var done struct {
		Evidence string
		Released []string
	}
	d.post(identities+"hold", `{"identifier":`+mail+`,"reason":"the company's own address"}`).ok(&done)
	d.holds(p, true)
	again := done
	if d.post(identities+"hold", `{"identifier":`+mail+`}`).ok(&again); again.Evidence != done.Evidence {
		t.Errorf("held twice: %s and %s", done.Evidence, again.Evidence)
	}
	var list heldBody
	d.get(identities + "held").ok(&list)
	if len(list.Held) != 1 || list.Held[0].Value != "info@x.fi" || list.Held[0].Why != "operator" || list.Held[0].Text == "" || list.Held[0].Trust != "admin" ||
		list.Held[0].Since == "" || list.Held[0].Evidence != done.Evidence || list.Held[0].Links != 1 {
		t.Errorf("%+v", list)
	}
	want := list.Held[0]
	want.Links = 0
	var person struct{ Identifiers, Shared, Held []hold }
	d.get(persons + "user_id:u1").ok(&person)
	if len(person.Identifiers) != 2 || len(person.Shared) != 1 || !reflect.DeepEqual(person.Held, []hold{want}) {
		t.Errorf("%+v", person)
	}
	var g struct {
		graphBody
		Held  []hold
		Pairs []struct {
			Why  string
			Held []hold
		}
	}
	d.get(persons + "user_id:u1/identities").ok(&g)
	if !reflect.DeepEqual(g.Held, []hold{want}) || len(g.Pairs) != 2 || g.Pairs[1].Why != "held" || !reflect.DeepEqual(g.Pairs[1].Held, []hold{want}) {
		t.Errorf("%+v", g)
	}
	d.get(persons + "email:info@x.fi").ok(&person) // it stands for itself
	if len(person.Identifiers) != 1 || !reflect.DeepEqual(person.Held, []hold{want}) {
		t.Errorf("%+v", person)
	}

	d.post(previewPath, `{"changes":[{"do":"release","identifier":`+mail+`,"reason":"r"}]}`).ok(&p)
	if o := p.Views["verified"].Outcomes[0]; o.Do != "release" || !o.Before.Held || o.After.Held || p.Views["all"].Groups[0].Effect != "merge" {
		t.Errorf("preview of a release: %+v", p)
	}
	d.holds(p, false)
	d.post(identities+"release", `{"identifier":`+mail+`}`).ok(&again)
	d.holds(p, true)
	if !reflect.DeepEqual(again.Released, []string{done.Evidence}) {
		t.Errorf("released %v", again.Released)
	}
	d.post(identities+"release", `{"identifier":`+mail+`}`).fails(409, "not_held")
	for _, c := range []struct{ body, code, field string }{
		{`{}`, "missing_identifier", "identifier"},
		{`{"identifier":{"type":"shoe","value":"43"}}`, "unknown_type", "identifier"},
		{`{"identifier":{"type":"*","value":"*"}}`, "unknown_type", "identifier"},
		{`{"identifier":{"type":"email","value":"null"}}`, "blocked_value", "identifier"},
		{`{"identifier":` + mail + `,"time":"2020-01-01T00:00:00Z"}`, "unknown_field", "time"},
		{`{"identifier":` + mail + `,"reason":"a\nb"}`, "invalid_reason", "reason"},
	} {
		for _, do := range []string{"hold", "release"} {
			if e := d.post(identities+do, c.body).fails(400, c.code); e.Error.Field != c.field {
				t.Errorf("%s %s: field %q", do, c.body, e.Error.Field)
			}
		}
	}
	mustNotContain(t, "the log", d.log.String(), "info", "u1", "company")
}

// TestWhomTheGatewayHolds: an identifier with more links than a person has is
// held by itself, a preview tells before, and the list has all of them in pages.
func TestWhomTheGatewayHolds(t *testing.T) {
	const limit = 200 // the store's default
	d := newDesk(t, nil)
	for i := range limit {
		d.state(graph.Link, "hub", fmt.Sprint("x", i))
	}
	const next = `{"a":{"type":"anonymous_id","value":"hub"},"b":{"type":"anonymous_id","value":"y"}}`
	var p previewBody
	d.post(previewPath, `{"do":"link",`+next[1:]).ok(&p)
	for name, v := range p.Views {
		if len(v.Held) != 1 || v.Held[0].Value != "hub" || v.Held[0].Why != "links" || v.Held[0].Trust != "verified" || v.Outcomes[0].After.Why != "held" || v.PersonsAfter != limit+2 || !v.Truncated {
			t.Errorf("%s: held %+v, outcome %+v, %d persons", name, v.Held, v.Outcomes[0], v.PersonsAfter)
		}
	}
	d.post(identities+"link", next).ok(&struct{ Evidence string }{})
	for i := range 4 {
		d.post(identities+"hold", fmt.Sprintf(`{"identifier":{"type":"user_id","value":"u%d"}}`, i)).ok(&struct{ Evidence string }{})
	}
	seen := map[string]hold{}
	for after, pages := "", 1; ; pages++ {
		var page heldBody
		d.get(identities + "held?limit=2&after=" + after).ok(&page)
		for _, h := range page.Held {
			seen[h.Value] = h
		}
		if after = page.Next; after == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if h := seen["hub"]; len(seen) != 5 || h.Links != limit+1 || h.Why != "links" || h.Evidence != p.Views["all"].Held[0].Evidence {
		t.Errorf("%+v", seen)
	}
	d.get(identities+"held?after=x").fails(400, "invalid_cursor")
	d.get(identities+"held?limit=0").fails(400, "invalid_limit")
	d.get(identities+"held?before=1").fails(400, "unknown_parameter")
}

// TestAHeldIdentifierOfSeveral: looking it up names the candidates all the same,
// a hundred at most.
func TestAHeldIdentifierOfSeveral(t *testing.T) {
	d := newDesk(t, nil)
	const users = 130
	for i := range users {
		d.send(msg(i, event.Identify, "kiosk", fmt.Sprint("u", i)))
	}
	d.post(identities+"hold", `{"identifier":{"type":"anonymous_id","value":"kiosk"}}`).ok(&struct{ Evidence string }{})
	var body struct {
		Candidates     []identity
		CandidateCount int
		PersonID       string
	}
	a := d.get(persons + "anonymous_id:kiosk")
	a.fails(409, "ambiguous_identifier")
	a.status = 200
	if a.ok(&body); len(body.Candidates) != 100 || body.CandidateCount != users || body.PersonID != d.personID("anonymous_id", "kiosk") {
		t.Errorf("%d candidates, %d said", len(body.Candidates), body.CandidateCount)
	}
	var p struct{ Shared, Held []hold }
	if d.get(persons + "user_id:u7").ok(&p); len(p.Shared) != 1 || len(p.Held) != 1 || p.Held[0].Why != "operator" {
		t.Errorf("%+v", p)
	}
}
