package bot

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// Whatever a client writes into its agent: a verdict is whole or zero, of a
// known class, short, and the same when it is explained.
func FuzzVerdict(f *testing.F) {
	for _, c := range robots {
		f.Add(c.ua, false)
	}
	for _, ua := range people {
		f.Add(ua, true)
	}
	j := testJudge(f)
	f.Fuzz(func(t *testing.T, ua string, brand bool) { checkVerdict(t, j, ua, brand) })
}

func checkVerdict(t *testing.T, j *Judge, ua string, brand bool) {
	t.Helper()
	got := j.Verdict(ua, brand)
	explained, why := j.Explain(ua, brand)
	switch {
	case got != explained:
		t.Fatalf("%q: Verdict %+v, Explain %+v", ua, got, explained)
	case brand && !got.Is:
		t.Fatalf("%q: no robot in spite of the brand", ua)
	case !got.Is && (got != event.Bot{} || why != nil):
		t.Fatalf("%q: a person with %+v %v", ua, got, why)
	case !got.Is:
		return
	}
	known := false
	for _, class := range Classes() {
		known = known || class == got.Class
	}
	if !known || got.Reason == "" || len(why) < 4 || len(got.Name) > memo.MaxName || len(got.Reason) > 512 {
		t.Fatalf("%q: %+v %v", ua, got, why)
	}
	if utf8.ValidString(ua) && !utf8.ValidString(got.Name) {
		t.Fatalf("%q: the name %q is cut in a rune", ua, got.Name)
	}
}

// An agent of a megabyte takes no longer than one of half a kilobyte, whatever
// of ours it repeats.
func TestHostileAgents(t *testing.T) {
	j := testJudge(t)
	for _, piece := range []string{
		"bot", "BOT ", "crawler;", "+http://", "like Googlebot ", "Googlebot-Image/", "AdsBot-Google-", "Spider ", "BlogTraffic/",
		"Current ", "RSS Reader", "compatible; ", " ", "\x00", "\xff", "é", "((((", "/", "a",
	} {
		ua := strings.Repeat(piece, 1<<20/len(piece))
		checkVerdict(t, j, ua, false)
		start := time.Now()
		const rounds = 50
		for range rounds {
			j.Verdict(ua, false)
		}
		if each := time.Since(start) / rounds; each > 5*time.Millisecond {
			t.Errorf("%q a thousand times: %v", piece, each)
		}
	}
}
