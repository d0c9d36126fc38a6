package workload

import (
	"fmt"
	"strings"
	"testing"
)

func TestVisitorsBringTheirPastAndComeEvenly(t *testing.T) {
	w := newWorkload(t, func(o *Options) {
		o.Even = true
		o.Past = func(visitor int) Past {
			return Past{Cookie: fmt.Sprintf("reuna=of%d", visitor), Events: 7, Pages: 5}
		}
	})
	if n := w.Came(); n != 0 || w.Cookie() == "" {
		t.Fatalf("%d have come before any request, cookie %q", n, w.Cookie())
	}
	times := map[string]int{}
	for _, s := range w.Streams() {
		for range 5000 {
			r := s.Next(Shape{Format: Interact, Batch: 1})
			for _, h := range r.Headers {
				if h.Name == "Cookie" {
					times[string(h.Value)]++
				}
			}
			pages := 5 + strings.Count(string(r.Body), `"type":"page"`)
			if v := &s.people[s.who]; v.seq != 8 {
				pages += int(v.pages) - 5
			} else if !strings.Contains(string(r.Body), `{"seq":8}`) {
				t.Fatalf("expected the eighth event: %s", r.Body)
			}
			answer := fmt.Sprintf(`{"success":true,"rejected":[],"profile":{"id":"v_x","visit":{"pageviews":%d,"sessions":1}}}`, pages)
			if err := s.Check(Answer{Status: 200, Body: []byte(answer)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// 50 requests of each on average; the standard deviation is 7.
	for cookie, n := range times {
		if n < 15 || n > 90 {
			t.Errorf("%s came %d times", cookie, n)
		}
	}
	if len(times) != 400 || w.Came() != 400 {
		t.Errorf("%d cookies, %d have come: expected 400 visitors", len(times), w.Came())
	}
	// Whoever is known is not a stranger whose pages nobody knows.
	s := w.Streams()[0]
	s.Next(Shape{Format: Interact, Batch: 1})
	if err := s.Check(Answer{Status: 200, Body: []byte(`{"success":true,"profile":{"id":"v_x","visit":{"pageviews":1,"sessions":1}}}`)}); err == nil {
		t.Error("an answer without the past was taken for right")
	}
}
