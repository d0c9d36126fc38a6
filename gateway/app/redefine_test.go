package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// undefine asks the desk to take a definition away.
func (g *gateway) undefine(path string) (int, string) {
	g.t.Helper()
	req, err := http.NewRequest("DELETE", g.DeskURL()+"/admin/v1/"+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	status, raw := do(g.t, http.DefaultClient, req)
	return status, string(raw)
}

// order has a user buy something.
func (g *gateway) order(user, id string) {
	g.t.Helper()
	status, a := g.browser().post("/v1/track", fmt.Sprintf(`{"event":"Order Completed","userId":%q,"messageId":%q,"properties":{"order_id":%q,"category":"thrillers"}}`, user, id, id),
		"X-Write-Key", serverKey, "Content-Type", "application/json")
	if status != 200 {
		g.t.Fatalf("%d %v", status, a)
	}
}

// changes lists what audiences a user entered and left, the newest first.
func (g *gateway) changes(user string) (list []string) {
	g.t.Helper()
	_, a := g.desk("persons/user_id:" + user + "/history")
	all, _ := a["transitions"].([]any)
	for _, x := range all {
		list = append(list, fmt.Sprint(at(x, "change"), " ", at(x, "audience"), " by ", at(x, "cause")))
	}
	return list
}

// TestDefinitionsThatReadEachOther: what another reads cannot be taken away,
// what the file defines cannot be changed at the desk, and what does not fit a
// changed file is refused by itself, and works again when the file does.
func TestDefinitionsThatReadEachOther(t *testing.T) {
	g := start(t, shopAlone)
	if status, a := g.define("traits/bought", map[string]any{"kind": "count", "event": "Order Completed"}); status >= 300 {
		t.Fatalf("%d %v", status, a)
	}
	if status, a := g.define("segments/buyers", map[string]any{"when": "computed.bought >= 1"}); status >= 300 {
		t.Fatalf("%d %v", status, a)
	}
	if status, a := g.define("segments/buyers", map[string]any{"when": "computed.bougth >= 1"}); status != 422 || !strings.Contains(fmt.Sprint(a), "bought") {
		t.Errorf("a misspelt rule: %d %v", status, a)
	}
	if status, a := g.undefine("traits/bought"); status != 422 || !strings.Contains(a, "segments[buyers].when") {
		t.Errorf("a trait that is read was taken away: %d %s", status, a)
	}
	d := g.whole("segments/buyers")
	if uses := fmt.Sprint(d["uses"]); uses != "[traits/bought]" || d["version"] != 1.0 {
		t.Errorf("%v", d)
	}
	g.order("ada", "o1")

	file := shopAlone + "segments:\n- {name: buyers, when: \"counts.orders >= 1\"}\n- {name: all, when: \"true\"}\n"
	g.stop()
	g.run(file)
	if d := g.whole("segments/buyers"); d["source"] != "file" || d["version"] != 2.0 {
		t.Errorf("%v", d)
	}
	if status, a := g.define("segments/all", map[string]any{"when": "false"}); status != 409 || at(a, "error", "code") != "defined_in_file" {
		t.Errorf("the file's audience was changed: %d %v", status, a)
	}
	if status, a := g.undefine("traits/bought"); status != 200 {
		t.Errorf("a trait that nobody reads stays: %d %s", status, a)
	}
	if status, _ := g.undefine("traits/bought"); status != 404 {
		t.Errorf("it was taken away twice: %d", status)
	}
	_, versions := g.desk("segments/buyers/versions")
	if n := len(versions["versions"].([]any)); n != 2 {
		t.Errorf("%d versions: %v", n, versions)
	}
}

// TestNobodyLeavesWhileARuleIsFilled: a rule that changes across a restart has
// those who stay in the audience stay: nobody leaves and comes back.
func TestNobodyLeavesWhileARuleIsFilled(t *testing.T) {
	with := func(rule string) string {
		return shopAlone + fmt.Sprintf("segments:\n- {name: fans, when: %q}\n", rule)
	}
	g := start(t, with("count('Order Completed', '30d') >= 1"))
	g.order("ada", "o1")
	g.order("bob", "o2")
	g.order("bob", "o3")
	until := func(what string, done func() bool) {
		t.Helper()
		for began := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%s: never; ada %v, bob %v", what, g.changes("ada"), g.changes("bob"))
			}
		}
	}
	until("both are fans", func() bool { return len(g.members("fans")) == 2 })
	g.stop()
	g.run(with("count('Order Completed', properties.category == 'thrillers', '20d') >= 2"))
	g.whole("segments/fans")
	until("ada is none any more", func() bool { return len(g.members("fans")) == 1 })
	if got := g.changes("bob"); len(got) != 1 || got[0] != "entered fans by event" {
		t.Errorf("bob: %v", got)
	}
	if got := g.changes("ada"); len(got) != 2 || got[0] != "left fans by definition" {
		t.Errorf("ada: %v", got)
	}
	g.stop()
	g.run(shopAlone) // the audience is gone
	until("bob left what is gone", func() bool { return len(g.changes("bob")) == 2 })
	if got := g.changes("bob"); got[0] != "left fans by definition" {
		t.Errorf("bob: %v", got)
	}
}
