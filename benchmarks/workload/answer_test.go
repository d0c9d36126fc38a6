package workload

import (
	"fmt"
	"strings"
	"testing"
)

const cookieHeader = "reuna=abcdef; Path=/; HttpOnly"

func answer(pageviews uint32) Answer {
	return Answer{Status: 200, Cookie: []byte(cookieHeader), Body: fmt.Appendf(nil,
		`{"success":true,"rejected":[],"profile":{"id":"v_x","known":false,"visit":{"new":true,"sessions":1,"pageviews":%d},"traits":{}},"decisions":{"hero":{"variant":"default"}}}`, pageviews)}
}

// sendUntilPage sends requests, answered right, up to one that holds a page
// view and that is still to be answered. It gives the visitor's page views
// with that request.
func sendUntilPage(t *testing.T, s *Stream, known bool) uint32 {
	t.Helper()
	for range 1000 {
		s.Next(Shape{Interact, 1})
		v := s.people[s.who]
		if s.pages > 0 && (v.cookie != "") == known {
			return v.pages + s.pages
		}
		if err := s.Check(answer(v.pages + s.pages)); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no page view in 1000 requests")
	return 0
}

func TestCheckFindsWrongAnswers(t *testing.T) {
	right := func(s *Stream, n uint32) Answer { return answer(n) }
	edit := func(old, new string) func(*Stream, uint32) Answer {
		return func(_ *Stream, n uint32) Answer {
			a := answer(n)
			a.Body = []byte(strings.Replace(string(a.Body), old, new, 1))
			return a
		}
	}
	for _, c := range []struct {
		name   string
		answer func(*Stream, uint32) Answer
		known  bool
		want   string // "" for none
	}{
		{"right, new visitor", right, false, ""},
		{"right, returning visitor", right, true, ""},
		{"right, with spaces", edit(`"success":true`, `"success" : true`), true, ""},
		{"status", func(_ *Stream, n uint32) Answer { a := answer(n); a.Status = 204; return a }, true, "status 204"},
		{"no cookie", func(_ *Stream, n uint32) Answer { a := answer(n); a.Cookie = nil; return a }, false, "no cookie"},
		{"other cookie", func(_ *Stream, n uint32) Answer { a := answer(n); a.Cookie = []byte("sid=1"); return a }, false, "no cookie"},
		{"one too few", func(_ *Stream, n uint32) Answer { return answer(n - 1) }, true, "pageviews is"},
		{"counted twice", func(_ *Stream, n uint32) Answer { return answer(n + 1) }, true, "pageviews is"},
		{"success false", edit(`true`, `false`), true, "success is not true"},
		{"rejected", edit(`[]`, `[{"index":0,"code":"x"}]`), true, "1 events were rejected"},
		{"no profile", edit(`"profile"`, `"person"`), true, "no profile"},
		{"no pageviews", edit(`"pageviews"`, `"views"`), true, "pageviews"},
		{"cut", edit(`}}}`, ``), true, "not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newWorkload(t, func(o *Options) { o.Visitors, o.Streams, o.Placements = 40, 1, []string{"hero"} }).Streams()[0]
			n := sendUntilPage(t, s, c.known)
			s.checked = 0 // this answer is one that is decoded whole
			err := s.Check(c.answer(s, n))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("error %v: expected %q", err, c.want)
			}
		})
	}
}

func TestCheckMissesNoPlacement(t *testing.T) {
	s := newWorkload(t, func(o *Options) { o.Placements = []string{"hero", "banner"} }).Streams()[0]
	s.Next(Shape{Interact, 1})
	if err := s.Check(answer(s.pages)); err == nil || !strings.Contains(err.Error(), "decisions.banner") {
		t.Errorf("error %v: expected one about decisions.banner", err)
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	s := newWorkload(t, func(o *Options) { o.Visitors, o.Streams = 1, 1 }).Streams()[0]
	for s.Next(Shape{Interact, 1}); s.people[0].cookie == ""; s.Next(Shape{Interact, 1}) {
		if err := s.Check(answer(s.people[0].pages + s.pages)); err != nil {
			t.Fatal(err)
		}
	}
	a := answer(s.people[0].pages)
	n := testing.AllocsPerRun(60, func() {
		s.pages = 0   // as if the request had been a click
		s.checked = 1 // not one of those that are decoded whole
		if err := s.Check(a); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations an answer: expected 0", n)
	}
}

func TestLostAnswers(t *testing.T) {
	one := func(o *Options) { o.Visitors, o.Streams = 1, 1 }
	t.Run("sent again, counted once", func(t *testing.T) {
		s := newWorkload(t, one).Streams()[0]
		n := sendUntilPage(t, s, true)
		s.Lost()
		if err := s.Check(answer(n)); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("sent again, counted twice", func(t *testing.T) {
		s := newWorkload(t, one).Streams()[0]
		n := sendUntilPage(t, s, true)
		s.Lost()
		if err := s.Check(answer(n + 1)); err == nil {
			t.Fatal("an event that was counted twice went unnoticed")
		}
	})
	t.Run("given up, then either count", func(t *testing.T) {
		for extra := range uint32(2) {
			s := newWorkload(t, one).Streams()[0]
			before := sendUntilPage(t, s, true) - s.pages
			s.Lost()
			s.Next(Shape{Interact, 1})
			if err := s.Check(answer(before + s.pages + extra)); err != nil {
				t.Fatal(err)
			}
			before += s.pages + extra
			s.Next(Shape{Interact, 1})
			if err := s.Check(answer(before + s.pages + 1)); err == nil {
				t.Fatal("the count is known again, and a wrong one went unnoticed")
			}
		}
	})
	t.Run("given up, then fewer than acknowledged", func(t *testing.T) {
		s := newWorkload(t, one).Streams()[0]
		before := sendUntilPage(t, s, true) - s.pages
		s.Lost()
		s.Next(Shape{Interact, 1})
		if err := s.Check(answer(before + s.pages - 1)); err == nil {
			t.Fatal("an acknowledged event was lost and that went unnoticed")
		}
	})
	t.Run("first answer lost", func(t *testing.T) {
		s := newWorkload(t, one).Streams()[0]
		s.Next(Shape{Interact, 1})
		s.Lost()
		if err := s.Check(answer(0)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCookieJar(t *testing.T) {
	s := newWorkload(t, func(o *Options) { o.Visitors, o.Streams = 1, 1 }).Streams()[0]
	v := &s.people[0]
	for _, c := range []struct{ set, want string }{
		{"reuna=one; Path=/", "reuna=one"},
		{"__Host-reuna=two; Secure", "__Host-reuna=two"},
		{"other=x", "__Host-reuna=two"},
		{"reuna=" + strings.Repeat("x", maxCookie), "__Host-reuna=two"},
		{"nonsense", "__Host-reuna=two"},
		{"reuna=; Max-Age=0", ""},
	} {
		s.keepCookie(v, []byte(c.set))
		if v.cookie != c.want {
			t.Errorf("after %.40q the jar holds %q: expected %q", c.set, v.cookie, c.want)
		}
	}
}

func TestProfileIsAskedWithACookie(t *testing.T) {
	s := newWorkload(t, nil).Streams()[0]
	if r := s.Next(Shape{Profile, 1}); r.Path != "/v1/interact" {
		t.Fatalf("path %s: nobody has a cookie yet, expected /v1/interact", r.Path)
	}
	if err := s.Check(answer(s.pages)); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		r := s.Next(Shape{Profile, 1})
		cookie := ""
		for _, h := range r.Headers {
			if h.Name == "Cookie" {
				cookie = string(h.Value)
			}
		}
		if r.Path != "/v1/profile" || cookie != "reuna=abcdef" || r.Events != 0 || string(r.Body) != `{"writeKey":"wk_bench"}` {
			t.Fatalf("%s with cookie %q and body %s", r.Path, cookie, r.Body)
		}
		if err := s.Check(answer(s.people[s.who].pages)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSegmentAnswers(t *testing.T) {
	s := newWorkload(t, nil).Streams()[0]
	for body, good := range map[string]bool{`{"success":true}`: true, `{ "success": true, "rejected": [] }`: true, `{"success":false}`: false, `{"success":true,"rejected":[{}]}`: false, ``: false} {
		s.Next(Shape{Segment, 1})
		if err := s.Check(Answer{Status: 200, Body: []byte(body)}); (err == nil) != good {
			t.Errorf("%s: error %v", body, err)
		}
	}
}

// FuzzScan: whatever the cheap scan likes and JSON allows, the decoder must
// read the same way, or Check reports the difference; and nothing panics.
func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"success":true,"rejected":[],"profile":{"id":"v_1","visit":{"sessions":1,"pageviews":12}}}`))
	f.Add([]byte(`{"success":true,"profile":{"pageviews":99999999999}}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, body []byte) {
		views, ok := scan(body)
		if ok && views > 999_999_999 {
			t.Errorf("%d page views from %q", views, body)
		}
		decode(body, []string{"hero"})
		checkPlain(body)
	})
}
