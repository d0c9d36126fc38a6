package enrich

import (
	"github.com/reuna/reuna/gateway/enrich/memo"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// One row or more for every rule, and beside it a near miss that must not
// match it.
func TestChannels(t *testing.T) {
	r, err := newReferrers(referrerTable)
	if err != nil {
		t.Fatal(err)
	}
	words := memo.NewInterner(64)
	seen := map[string]bool{}
	for _, c := range []struct{ source, medium, campaign, want string }{
		{"(direct)", "(none)", "", "Direct"}, {"(direct)", "(not set)", "", "Direct"}, {"(direct)", "", "", "Direct"},
		{"(direct)", "email", "", "Email"}, {"direct", "(none)", "", "Unassigned"},
		{"google", "cpc", "x Cross-Network y", "Cross-network"}, {"google", "cpc", "crossnetwork", "Paid Search"},
		{"amazon", "cpc", "", "Paid Shopping"}, {"google", "cpc", "Shopping autumn", "Paid Shopping"}, {"google", "cpc", "eshop", "Paid Shopping"},
		{"google", "cpc", "bishop", "Paid Search"}, {"amazon", "referral", "", "Organic Shopping"},
		{"google", "cpc", "", "Paid Search"}, {"bing", "ppc", "", "Paid Search"}, {"yandex.ru", "paidsearch", "", "Paid Search"}, {"duckduckgo.com", "retargeting", "", "Paid Search"},
		{"google", "xppc", "", "Organic Search"}, {"google", "unpaid", "", "Organic Search"},
		{"facebook", "cpm", "", "Paid Social"}, {"ig", "paid", "", "Paid Social"}, {"m.facebook.com", "cpc", "", "Paid Social"}, {"facebook", "referral", "", "Organic Social"},
		{"youtube", "cpv", "", "Paid Video"}, {"youtube", "free", "", "Organic Video"},
		{"x.example", "display", "", "Display"}, {"x.example", "banner", "", "Display"}, {"x.example", "expandable", "", "Display"}, {"x.example", "interstitial", "", "Display"}, {"x.example", "cpm", "", "Display"},
		{"x.example", "displays", "", "Unassigned"},
		{"x.example", "cpc", "", "Paid Other"}, {"x.example", "paid-thing", "", "Paid Other"},
		{"ebay.de", "", "", "Organic Shopping"}, {"x.example", "", "shop", "Organic Shopping"}, {"x.example", "", "workshop", "Unassigned"},
		{"linkedin", "", "", "Organic Social"}, {"x.example", "social-network", "", "Organic Social"}, {"x.example", "social media", "", "Organic Social"}, {"x.example", "sm", "", "Organic Social"}, {"x.example", "socials", "", "Unassigned"},
		{"vimeo.com", "", "", "Organic Video"}, {"x.example", "my-video-ad", "", "Organic Video"},
		{"ecosia", "", "", "Organic Search"}, {"x.example", "organic", "", "Organic Search"}, {"x.example", "organics", "", "Unassigned"},
		{"x.example", "ai-assistant", "", "AI Assistant"}, {"perplexity.ai", "", "", "AI Assistant"}, {"chatgpt.com", "cpc", "", "Paid Other"},
		{"x.example", "referral", "", "Referral"}, {"x.example", "app", "", "Referral"}, {"x.example", "link", "", "Referral"}, {"x.example", "links", "", "Unassigned"},
		{"x.example", "email", "", "Email"}, {"x.example", "e-mail", "", "Email"}, {"x.example", "e_mail", "", "Email"}, {"e mail", "x", "", "Email"}, {"x.example", "emails", "", "Unassigned"},
		{"x.example", "affiliate", "", "Affiliates"}, {"x.example", "affiliates", "", "Unassigned"},
		{"x.example", "audio", "", "Audio"}, {"x.example", "audios", "", "Unassigned"},
		{"sms", "x", "", "SMS"}, {"x.example", "sms", "", "SMS"}, {"x.example", "smss", "", "Unassigned"},
		{"x.example", "webpush", "", "Mobile Push Notifications"}, {"x.example", "mobile_app", "", "Mobile Push Notifications"}, {"x.example", "notifications", "", "Mobile Push Notifications"}, {"firebase", "x", "", "Mobile Push Notifications"},
		{"x.example", "pushed", "", "Unassigned"},
	} {
		got := r.channel(c.source, c.medium, c.campaign, words)
		seen[got] = true
		if got != c.want {
			t.Errorf("%q / %q / %q is %s, want %s", c.source, c.medium, c.campaign, got, c.want)
		}
	}
	for _, rule := range r.rules {
		if !seen[rule.channel] {
			t.Errorf("no row reaches %s", rule.channel)
		}
	}
}

// Google writes these two as regular expressions; ours must be the same sets.
func TestPatternsAreGooglesPatterns(t *testing.T) {
	paid := regexp.MustCompile(`^(.*cp.*|ppc|retargeting|paid.*)$`)
	shopping := regexp.MustCompile(`^(.*(([^a-df-z]|^)shop|shopping).*)$`)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	parts := []string{"shop", "shopping", "sho", "e", "b", "-", " ", "1", "ä", "cp", "c", "ppc", "paid", "retargeting", "re", "s"}
	for range 20000 {
		var s string
		for range r.IntN(6) {
			s += parts[r.IntN(len(parts))]
		}
		if got, want := isPaid(s), paid.MatchString(s); got != want {
			t.Fatalf("paid %q: %v, Google's pattern says %v", s, got, want)
		}
		if got, want := isShoppingCampaign(s), shopping.MatchString(s); got != want {
			t.Fatalf("shopping %q: %v, Google's pattern says %v", s, got, want)
		}
	}
}

func TestReferrerTable(t *testing.T) {
	r, err := newReferrers(referrerTable)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ host, name string }{
		{"google.com", "google"}, {"www.google.fi", "google"}, {"google.co.jp", "google"}, {"images.google.com.au", "google"}, {"google.com.evil.example", ""},
		{"notgoogle.com", ""}, {"google", ""}, {"", ""}, {".", ""}, {"mail.google.com", "gmail"}, {"shopping.google.de", "google shopping"},
		{"old.reddit.com", "reddit"}, {"fi.pinterest.com", "pinterest"}, {"www.pinterest.co.uk", "pinterest"}, {"someone.blogspot.com", "blogger"}, {"x.com", "twitter"}, {"xx.com", ""},
	} {
		s := r.find(c.host)
		name := ""
		if s != nil {
			name = s.name
		}
		if name != c.name {
			t.Errorf("%q is %q, want %q", c.host, name, c.name)
		}
	}
	for host := range r.byHost {
		if host != strings.ToLower(host) || strings.HasPrefix(host, "www.") {
			t.Errorf("the host %q can never match", host)
		}
	}
}

func TestNewReferrersRefuses(t *testing.T) {
	for _, table := range []string{"search|x", "unheard|x|x.example", "search|x|a.example a.example", "search|x|x.example\nsocial|x|y.example"} {
		if _, err := newReferrers(table); err == nil || !strings.Contains(err.Error(), "referrers.txt line") {
			t.Errorf("%q: error %v", table, err)
		}
	}
}
