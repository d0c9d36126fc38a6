package app_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestALargeBatchIsTakenWhole: it is taken in parts, so that others get their turn, and
// answered as one; what is refused in it is in the quarantine once, and to send it again
// changes nothing.
func TestALargeBatchIsTakenWhole(t *testing.T) {
	g := start(t, shopAlone+"behaviour: {page_views_per_minute: 0}\n")
	b := g.browser()
	const n = 500
	var events []string
	for i := range n {
		if i%100 == 50 {
			events = append(events, `{"type":"track","messageId":"bad"}`) // without a name
		}
		events = append(events, fmt.Sprintf(`{"type":"page","messageId":"m%d"}`, i))
	}
	all := strings.Join(events, ",")
	for turn := range 2 {
		if a := b.interact(all, ""); pageviews(a) != float64(n) || len(at(a, "rejected").([]any)) != n/100 {
			t.Errorf("turn %d: %v page views, want %d; %v", turn+1, pageviews(a), n, at(a, "rejected"))
		}
		if turn == 0 && len(g.quarantine()) != n/100 {
			t.Errorf("%d messages are in the quarantine, want %d", len(g.quarantine()), n/100)
		}
	}
	if a := b.interact(`{"type":"page","messageId":"another"}`, ""); pageviews(a) != float64(n+1) {
		t.Errorf("%v page views, want %d", pageviews(a), n+1)
	}
}
