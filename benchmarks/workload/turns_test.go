package workload

import (
	"fmt"
	"testing"
)

// Visitors come, stay for some requests and make room for others, of whom some have been
// there before: with their cookie, and with the page views that they had.
func TestVisitorsFollowEachOther(t *testing.T) {
	const visit, requests = 5, 200_000
	s := newWorkload(t, func(o *Options) { o.Visitors, o.Streams, o.Visit = 20, 1, visit }).Streams()[0]
	views, cookies, visits, back := map[int]uint32{}, map[int]string{}, 0, 0
	last := map[int]int{} // who was in a place
	for i := range requests {
		s.Next(Shape{Interact, 1})
		v := &s.people[s.who]
		if was, ok := last[s.who]; !ok || was != v.number {
			visits++
			last[s.who] = v.number
			if cookies[v.number] != "" {
				back++
			}
		}
		if v.cookie != cookies[v.number] || v.pages != views[v.number] {
			t.Fatalf("request %d: visitor %d brings the cookie %q and %d views: expected %q and %d", i, v.number, v.cookie, v.pages, cookies[v.number], views[v.number])
		}
		views[v.number] += s.pages
		cookies[v.number] = fmt.Sprintf("reuna=c%d", v.number)
		answer := Answer{Status: 200, Cookie: []byte(cookies[v.number] + "; Path=/"), Body: fmt.Appendf(nil,
			`{"success":true,"profile":{"id":"v_x","visit":{"pageviews":%d,"sessions":1}}}`, views[v.number])}
		if err := s.Check(answer); err != nil {
			t.Fatal(err)
		}
	}
	if n := float64(requests) / float64(visits); n < 0.95*visit || n > 1.05*visit {
		t.Errorf("%.2f requests a visit: expected %d", n, visit)
	}
	if share := float64(back) / float64(visits); share < 0.25 || share > 0.32 {
		t.Errorf("%.2f of the visits are of somebody who has been there: expected 0.3, less those of the beginning", share)
	}
	if n := len(s.turns.gone); n != mostGone {
		t.Errorf("%d are remembered: expected %d", n, mostGone)
	}
}
