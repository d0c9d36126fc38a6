package traffic

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// hostile are inputs that were made to break a reader of URLs.
func hostile() []string {
	return []string{
		"", "?", "#", "&", "=", "%", "https://", "https://?", "https://#", "https://@", "https://:@:", "https://[", "https://[]", "https://]", "https://.", "https://..",
		"https://google.com@evil.example/", `https://evil.example\@google.com/`, "https://google.com%2f@evil.example/", "https://google.com:80:80/", "https://xn--/", "https://xn--a/", "https://xn--0000000/",
		"https://xn--" + strings.Repeat("a", 240) + "/", "https://аррӏе.com/", "https://" + strings.Repeat("ä.", 120) + "fi/", "https://\u202egoogle.com/", "https://ｇｏｏｇｌｅ.com/", "https://google。com/",
		"javascript:alert(1)", "javascript://google.com/%0aalert(1)", "data:text/html,x", "about:blank", "blob:https://google.com/x", "android-app://", "android-app:///", "android-app://" + strings.Repeat("a.", 200),
		"https://s.example/?utm_source=a%20b&gclid=1#x", "https://%/?%", "https://b?utm_campaign=" + strings.Repeat("%C3%A4", 200), "https://b?utm_campaign=" + strings.Repeat("%25", 600) + "41",
		"https://e.example/?utm_term=" + strings.Repeat("ä", 300), "\xff://\xff?utm_id=\xff%ff", "https://\xff.example/?utm_source=\xff", "https://s.example/?utm_source=%00%01%0a&utm_medium=%e2%80%ae",
		"https://s.example/?" + strings.Repeat("utm_source=&", 100) + "utm_source=x", "https://s.example/?ref=" + strings.Repeat("a.", 130) + "com", "https://www.facebook.com/" + strings.Repeat("v1/", 100) + "dialog/oauth",
		"https://www.google.com/search?q=" + strings.Repeat("%25", 500), "https://s.example/?utm%5fsource=x&%75tm_medium=y&%=z&%zz%zz=1", "https://s.example/?gclsrc=3p.&gclid=" + strings.Repeat("f", 32),
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s, s)
		f.Add("https://s.example/", s)
		f.Add(s, "https://www.google.com/search?q=x")
	}
	r := newTestRules(f)
	f.Fuzz(func(t *testing.T, page, referrer string) {
		for _, in := range []Input{
			{PageURL: page, Referrer: referrer, KnowsReferrer: true},
			{PageURL: page, Referrer: referrer, Origin: referrer, Gateway: page, Internal: []string{referrer, page, "*." + page}},
			{Referrer: referrer, Campaign: Campaign{Name: page, Source: page, Medium: referrer, Term: page, Content: referrer, ID: page, Query: page}},
		} {
			check(t, r, &in)
		}
	})
}

// check is what holds for every input.
func check(t *testing.T, r *Rules, in *Input) {
	t.Helper()
	tr := r.Read(in)
	for _, s := range []string{tr.Source, tr.Medium, tr.Campaign, tr.Term, tr.Content, tr.ClickID, tr.Referrer} {
		if len(s) > memo.MaxText || !utf8.ValidString(s) {
			t.Errorf("%d bytes, valid %v: %q", len(s), utf8.ValidString(s), s)
		}
	}
	if (tr.Channel == "") != (tr == event.Traffic{}) {
		t.Errorf("a source without a channel: %+v", tr)
	}
	if tr.Source != r.words.Lower(tr.Source) || tr.Medium != r.words.Lower(tr.Medium) {
		t.Errorf("not in lower case: %+v", tr)
	}
	if tr.Channel != "" && r.Channel(tr.Source, tr.Medium, tr.Campaign) != tr.Channel {
		t.Errorf("%+v, and Channel says %s", tr, r.Channel(tr.Source, tr.Medium, tr.Campaign))
	}
	if again, why := r.Explain(in); again != tr || len(why) < 2 {
		t.Errorf("Read says %+v, Explain %+v by %q", tr, again, why)
	}
}

func TestHostile(t *testing.T) {
	r := newTestRules(t)
	for _, page := range hostile() {
		for _, referrer := range hostile() {
			check(t, r, &Input{PageURL: page, Referrer: referrer, KnowsReferrer: true, Internal: []string{page}})
		}
	}
}

// A megabyte of anything takes no more than its reading.
func TestMegabytes(t *testing.T) {
	r := newTestRules(t)
	const size = 1 << 20
	for _, part := range []string{"a", "&", "=", "%", "+", "?", "#", "/", "@", ".", ":", "%25", "utm_source=", "utm_source=x&", "&amp;", "q=a&", "ä", "\xff", "a.", "gclid=%20&", "xn--", "[", "\\"} {
		text := strings.Repeat(part, size/len(part))
		for _, in := range []Input{
			{PageURL: text}, {PageURL: "https://s.example/?" + text}, {PageURL: "https://s.example/#" + text}, {PageURL: "https://s.example/?utm_source=" + text}, {PageURL: "https://" + text},
			{Referrer: text}, {Referrer: "https://www.google.com/search?" + text}, {Referrer: "https://www.google.com/search?q=" + text}, {Referrer: "https://www.facebook.com/" + text}, {Referrer: "https://" + text},
			{Campaign: Campaign{Query: text, Source: text, Medium: text, Name: text}}, {Origin: text, Gateway: text, Referrer: "https://x.example/", Internal: []string{text}},
		} {
			start := time.Now()
			check(t, r, &in)
			if took := time.Since(start); took > 5*time.Second { // milliseconds, unless time grows with the square
				t.Errorf("%d times %q took %s", size/len(part), part, took)
			}
		}
	}
}
