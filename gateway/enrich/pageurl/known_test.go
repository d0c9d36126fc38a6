package pageurl

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

// What a cleaner remembers must not change what it does: each event comes out as from a cleaner that
// has seen none.
func TestWhatIsKnownIsCleanedAlike(t *testing.T) {
	const seed = 5
	t.Logf("seed %d", seed)
	texts := []string{
		"https://shop.example/thrillers/the-silent-harbour-2019?utm_source=newsletter", "https://shop.example/reset?token=abcdef&email=anna%40example.com",
		"/account/anna@example.com", "?q=red+shoes&gclid=" + gclid, "anna@example.com wrote", "The Silent Harbour – The Reading Room",
		"https://shop.example/?session=0123456789abcdef", "https://" + strings.Repeat("long/", 80), "q=anna%40example.com&page=2",
		`https:\/\/shop.example\/a\u0040b.example`, "", "//host.example/path", "mailto:anna@example.com", "4111 1111 1111 1111",
	}
	keys := []string{"url", "referrer", "path", "search", "title", "query", "text", "href", "anything"}
	o := Options{Drop: []string{"gclid"}}
	c := cleaner(t, o)
	var group sync.WaitGroup
	for worker := range uint64(4) {
		group.Go(func() {
			r := rand.New(rand.NewPCG(seed, worker))
			for range 3000 {
				var members []string
				for range 1 + r.IntN(4) {
					members = append(members, fmt.Sprintf(`"%s":"%s"`, keys[r.IntN(len(keys))], texts[r.IntN(len(texts))]))
				}
				ev := event.Event{Type: event.Track, Context: event.Value(`{"page":{` + strings.Join(members, ",") + `}}`), Properties: event.Value("{" + strings.Join(members, ",") + "}")}
				want := ev
				fresh, err := New(o)
				if err != nil {
					t.Error(err)
					return
				}
				fresh.Event(&want)
				if c.Event(&ev); ev != want {
					t.Errorf("%s\nand %s: expected\n%s\nand %s", ev.Context, ev.Properties, want.Context, want.Properties)
					return
				}
			}
		})
	}
	group.Wait()
}

// Nothing that had to be changed is remembered, and what is seen once is not either.
func TestOnlyCleanTextsThatComeAgainAreRemembered(t *testing.T) {
	c := cleaner(t, Options{})
	clean := func(text string) {
		ev := event.Event{Type: event.Track, Properties: event.Value(`{"url":"` + text + `"}`)}
		c.Event(&ev)
	}
	has := func(text string) bool { _, ok := c.known.has(text, asAddress); return ok }
	const page, secret = "https://shop.example/thrillers", "https://shop.example/?email=anna@example.com"
	for i := range 3 {
		if got, want := has(page), i == 2; got != want {
			t.Errorf("seen %d times: known is %t", i, got)
		}
		clean(page)
		clean(secret)
	}
	if has(secret) {
		t.Error("an address with a person in it is remembered")
	}
	for i := range 20_000 {
		text := fmt.Sprintf("https://shop.example/once/%d", i)
		if clean(text); has(text) {
			t.Fatalf("%s came once and is remembered", text)
		}
	}
	if !has(page) {
		t.Error("addresses that came once have pushed out one that came often")
	}
	long := "https://shop.example/" + strings.Repeat("a/", longestKnown)
	for range 3 {
		clean(long)
	}
	if has(long) {
		t.Error("a text beyond the bound is remembered")
	}
}
