package naive

import (
	"fmt"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/trait"
)

const day = 24 * time.Hour

// TestByHand holds the oracle to values that a person worked out: three orders, an
// hour, a day and three days before noon of Wednesday, 4 March 2026, and a page a
// minute before it.
func TestByHand(t *testing.T) {
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	var events []*event.Event
	for i, x := range []struct {
		ago  time.Duration
		text string
	}{{3 * day, `{"total":10,"tags":["a","b"]}`}, {time.Hour, `{"total":"2.5","tags":"a"}`}, {day, `{"total":4,"tags":["c"]}`}} {
		events = append(events, &event.Event{Type: event.Track, Name: "Order", MessageID: fmt.Sprint(i), Timestamp: noon.Add(-x.ago).UnixMilli(), Properties: event.Value(x.text),
			Device: event.Device{Timezone: "Europe/Helsinki"}, Site: "shop"})
	}
	events = append(events, &event.Event{Type: event.Page, MessageID: "p", Timestamp: noon.Add(-time.Minute).UnixMilli()})
	const total, tags = "properties.total", "properties.tags"
	order, page := trait.Step{Event: "Order"}, trait.Step{Event: "page"}
	for _, c := range []struct {
		d    trait.Definition
		want event.Value
	}{
		{trait.Definition{Kind: trait.Count}, "4"},
		{trait.Definition{Kind: trait.Count, Event: "page"}, "1"},
		{trait.Definition{Kind: trait.Count, Events: []string{"Order"}, Site: "blog"}, "0"},
		{trait.Definition{Kind: trait.Count, Event: "Order", Window: day}, "1"}, // a day ago is out
		{trait.Definition{Kind: trait.Count, Event: "Order", Window: day + time.Second}, "2"},
		{trait.Definition{Kind: trait.Count, Where: "properties.total > 3"}, "2"},
		{trait.Definition{Kind: trait.Sum, Value: total}, "16.5"},
		{trait.Definition{Kind: trait.Average, Value: total}, "5.5"},
		{trait.Definition{Kind: trait.Min, Value: total}, "2.5"},
		{trait.Definition{Kind: trait.Max, Value: total, Window: 2 * day}, "4"},
		{trait.Definition{Kind: trait.Max, Value: "properties.none"}, ""},
		{trait.Definition{Kind: trait.First, Value: total}, "10"},
		{trait.Definition{Kind: trait.Last, Value: tags}, `"a"`},
		{trait.Definition{Kind: trait.Latest, Value: tags, Limit: 3}, `["a","c","b"]`},
		{trait.Definition{Kind: trait.Unique, By: tags}, "3"},
		{trait.Definition{Kind: trait.Distinct, By: tags, Window: 2 * day}, `["a","c"]`},
		{trait.Definition{Kind: trait.MostFrequent, By: tags}, `"a"`},
		{trait.Definition{Kind: trait.MostFrequent, By: tags, Limit: 2}, `["a","b"]`},
		{trait.Definition{Kind: trait.TimeSince, Event: "Order", Unit: "minute"}, "60"},
		{trait.Definition{Kind: trait.Affinity, By: tags, HalfLife: day}, `"a"`},
		{trait.Definition{Kind: trait.Affinity, By: tags, Value: total, HalfLife: 30 * day}, `"a"`},
		{trait.Definition{Kind: trait.BestHour, Event: "Order", Timezone: "UTC", HalfLife: 30 * day}, "12"}, // two of three
		{trait.Definition{Kind: trait.BestHour, Event: "page"}, "11"},
		{trait.Definition{Kind: trait.RFM, Value: total}, `{"recency":5,"frequency":3,"monetary":1,"score":"531"}`},
		{trait.Definition{Kind: trait.DaysActive}, "3"},
		{trait.Definition{Kind: trait.DaysActive, Window: 3 * day}, "2"},
		{trait.Definition{Kind: trait.Streak}, "2"},
		{trait.Definition{Kind: trait.Streak, Unit: "week"}, "2"},
		{trait.Definition{Kind: trait.Streak, Event: "Order", Unit: "month"}, "1"},
		{trait.Definition{Kind: trait.Sequence, Steps: []trait.Step{order, page}, Within: time.Hour}, "true"},
		{trait.Definition{Kind: trait.Sequence, Steps: []trait.Step{order, page}, Within: time.Minute}, "false"},
		{trait.Definition{Kind: trait.Sequence, Steps: []trait.Step{page, order}}, "false"},
		{trait.Definition{Kind: trait.Sequence, Steps: []trait.Step{order}, Not: &order, Within: day}, "true"},
		{trait.Definition{Kind: trait.Sequence, Steps: []trait.Step{order}, Not: &order, Within: 3 * day}, "false"},
		{trait.Definition{Kind: trait.Sequence, Steps: []trait.Step{page}, Not: &order, Within: time.Hour}, "false"}, // not over yet
	} {
		if got := Evaluate(&c.d, events, noon.UnixMilli()); got != c.want {
			t.Errorf("%+v: %s, want %s", c.d, got, c.want)
		}
	}
}
