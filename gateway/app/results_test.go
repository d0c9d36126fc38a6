package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// measuredShop has no demo, whose placement has the same name.
var measuredShop = strings.Replace(shop, "demo: true", "demo: false", 1) + `
placements:
  - name: hero
    choose: weighted
    holdout: 25%
    goal: {event: Order Completed, value: properties.revenue, within: 7d}
    variants:
      - {name: plain, cap: {shows: 2, per: 1h}}
      - {name: bold, cap: {shows: 2, per: 1h}}
      - {name: default, weight: 0}
`

// TestResultsOfAPlacement: visitors are shown what chance chose, tell that they saw
// it, and buy; the desk has each once, with the robots left out. What was shown as
// often as it may be is not shown again, in the very answer.
func TestResultsOfAPlacement(t *testing.T) {
	g := start(t, measuredShop)
	type side struct{ persons, conversions, value float64 }
	want := map[string]side{}
	for i := range 40 {
		b := g.browser()
		moment := time.Now().Add(-time.Minute)
		send := func(id, properties, name string) map[string]any {
			moment = moment.Add(time.Second) // two shows in one millisecond are one
			return b.interact(fmt.Sprintf(`{"type":"track","messageId":"%d %s","event":%q,"timestamp":%q,"properties":%s}`, i, id, name, moment.UTC().Format(time.RFC3339), properties), "")
		}
		got := at(send("first", `{}`, "Looked"), "decisions", "hero").(map[string]any)
		key, of := got["variant"].(string), got["variant"]
		if got["holdout"] == true {
			of = got["heldOutOf"]
			key = fmt.Sprint(of, " out")
		}
		seen := fmt.Sprintf(`{"experiment_id":"hero","variation_id":%q,"holdout":%v,"heldOutOf":%q}`, got["variant"], got["holdout"], of)
		answer := at(send("seen", seen, "Experiment Viewed"), "decisions", "hero")
		if fmt.Sprint(answer) != fmt.Sprint(got) {
			t.Fatalf("visitor %d was shown %v, and then %v", i, got, answer)
		}
		if answer = at(send("seen", seen, "Experiment Viewed"), "decisions", "hero"); fmt.Sprint(answer) != fmt.Sprint(got) {
			t.Fatalf("visitor %d was shown %v, told it twice by one message, and is then shown %v", i, got, answer)
		}
		answer = at(send("seen again", seen, "Experiment Viewed"), "decisions", "hero")
		if again := answer.(map[string]any)["variant"]; got["holdout"] != true && again == got["variant"] {
			t.Errorf("visitor %d was shown %v twice, as often as may be, and is shown it again", i, again)
		}
		x := want[key]
		x.persons++
		if i%3 == 0 {
			send("buys", `{"revenue":12.5,"currency":"EUR"}`, "Order Completed")
			x.conversions++
			x.value += 12.5
		}
		want[key] = x
	}
	if len(want) < 3 {
		t.Fatalf("chance made only %v of 40 visitors", want)
	}
	var versions []any
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status, a := g.desk("placements/hero/results")
		if status != 200 {
			t.Fatalf("results answered %d %v", status, a)
		}
		versions, _ = a["versions"].([]any)
		if behind, _ := a["behind"].(float64); behind == 0 && len(versions) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the results stand still: %v", a)
		}
	}
	if len(versions) != 1 {
		t.Fatalf("%d versions: %v", len(versions), versions)
	}
	got := map[string]side{}
	list, _ := at(versions[0], "variants").([]any)
	for _, v := range list {
		m := v.(map[string]any)
		key := m["variant"].(string)
		if m["holdout"] == true {
			key += " out"
		} else if m["persons"] == 0.0 {
			continue
		}
		got[key] = side{m["persons"].(float64), m["conversions"].(float64), m["value"].(float64)}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the desk has %v, want %v", got, want)
	}

	// Why somebody is shown what they are.
	b := g.browser()
	id := at(b.interact(`{"type":"page","messageId":"why"}`, ""), "profile", "id").(string)
	status, why := g.desk("persons/anonymous_id:" + id + "/explain?placement=hero")
	if status != 200 || !strings.Contains(fmt.Sprint(why), "plain") {
		t.Errorf("explain answered %d %v", status, why)
	}
}
