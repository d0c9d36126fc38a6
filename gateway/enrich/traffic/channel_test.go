package traffic

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func newTestRules(t testing.TB) *Rules {
	t.Helper()
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each row of Google's table: what just fits, and what only just does not, and
// goes elsewhere.
func TestChannels(t *testing.T) {
	r := newTestRules(t)
	type visit struct{ source, medium, campaign string }
	seen := map[string]bool{}
	for _, row := range []struct {
		channel string
		fits    []visit
		misses  map[visit]string
	}{
		{"Direct", []visit{{"(direct)", "(none)", ""}, {"(direct)", "(not set)", ""}, {"(direct)", "", ""}, {"(Direct)", "(None)", "spring"}},
			map[visit]string{{"(direct)", "email", ""}: "Email", {"direct", "(none)", ""}: "Unassigned", {"(direct)", "none", ""}: "Unassigned", {"(direct) ", "(none)", ""}: "Unassigned"}},
		{"Cross-network", []visit{{"google", "cpc", "cross-network"}, {"google", "cpc", "x Cross-Network y"}, {"", "", "my-cross-networks"}, {"amazon", "cpc", "cross-network shopping"}},
			map[visit]string{{"google", "cpc", "crossnetwork"}: "Paid Search", {"google", "cpc", "cross network"}: "Paid Search", {"cross-network", "cross-network", ""}: "Unassigned"}},
		{"Paid Shopping", []visit{{"amazon", "cpc", ""}, {"google", "cpc", "Shopping autumn"}, {"google", "cpc", "eshop"}, {"facebook", "paid", "shop"}, {"walmart.com", "retargeting", ""}, {"x.example", "cpm", "my-shop"}},
			map[visit]string{{"google", "cpc", "bishop"}: "Paid Search", {"amazon", "referral", ""}: "Organic Shopping", {"amazonia", "cpc", ""}: "Paid Other", {"facebook", "cpc", "workshop"}: "Paid Social"}},
		{"Paid Search", []visit{{"google", "cpc", ""}, {"bing", "ppc", ""}, {"yandex.ru", "paidsearch", ""}, {"duckduckgo.com", "retargeting", ""}, {"baidu", "cpm", ""}, {"Google", "CPC", ""}, {"naver", "xcpx", ""}},
			map[visit]string{{"google", "xppc", ""}: "Organic Search", {"google", "unpaid", ""}: "Organic Search", {"google", "retargetings", ""}: "Organic Search", {"goggle", "cpc", ""}: "Paid Other"}},
		{"Paid Social", []visit{{"facebook", "cpm", ""}, {"ig", "paid", ""}, {"m.facebook.com", "cpc", ""}, {"linkedin", "paid-social", ""}, {"t.co", "ppc", ""}},
			map[visit]string{{"facebook", "display", ""}: "Display", {"facebook", "social", ""}: "Organic Social", {"facebok", "cpc", ""}: "Paid Other"}},
		{"Paid Video", []visit{{"youtube", "cpv", ""}, {"youtube", "cpc", ""}, {"vimeo.com", "paidvideo", ""}, {"twitch", "cpm", ""}},
			map[visit]string{{"youtube", "video", ""}: "Organic Video", {"youtube", "display", ""}: "Display", {"yootube", "cpc", ""}: "Paid Other"}},
		{"Display", []visit{{"x.example", "display", ""}, {"x.example", "banner", ""}, {"x.example", "expandable", ""}, {"x.example", "interstitial", ""}, {"x.example", "cpm", ""}, {"google", "Display", ""}},
			map[visit]string{{"x.example", "displays", ""}: "Unassigned", {"x.example", "banners", ""}: "Unassigned", {"x.example", "xcpm", ""}: "Paid Other", {"google", "interstitials", ""}: "Organic Search"}},
		{"Paid Other", []visit{{"x.example", "cpc", ""}, {"x.example", "paid-thing", ""}, {"x.example", "ppc", ""}, {"", "retargeting", ""}, {"chatgpt", "cpc", ""}, {"newsletter", "cpa", ""}},
			map[visit]string{{"x.example", "ppcs", ""}: "Unassigned", {"x.example", "unpaid", ""}: "Unassigned", {"x.example", "retarget", ""}: "Unassigned", {"x.example", "c-p-c", ""}: "Unassigned"}},
		{"Organic Shopping", []visit{{"ebay.de", "", ""}, {"x.example", "", "shop"}, {"x.example", "", "e-shop"}, {"x.example", "email", "Shopping"}, {"amazon", "social", ""}, {"idealo", "organic", ""}},
			map[visit]string{{"x.example", "", "workshop"}: "Unassigned", {"x.example", "email", "bishop"}: "Email", {"ebai.de", "referral", ""}: "Referral"}},
		{"Organic Social", []visit{{"linkedin", "", ""}, {"x.example", "social", ""}, {"x.example", "social-network", ""}, {"x.example", "social-media", ""}, {"x.example", "sm", ""}, {"x.example", "social network", ""}, {"x.example", "social media", ""}, {"facebook", "email", ""}, {"t.co", "referral", ""}},
			map[visit]string{{"x.example", "socials", ""}: "Unassigned", {"x.example", "social_media", ""}: "Unassigned", {"x.example", "sms", ""}: "SMS", {"linkedout", "", ""}: "Unassigned"}},
		{"Organic Video", []visit{{"vimeo.com", "", ""}, {"x.example", "video", ""}, {"x.example", "my-video-ad", ""}, {"youtube", "organic", ""}, {"google", "video", ""}},
			map[visit]string{{"x.example", "vide", ""}: "Unassigned", {"facebook", "video", ""}: "Organic Social"}},
		{"Organic Search", []visit{{"ecosia", "", ""}, {"x.example", "organic", ""}, {"google", "referral", ""}, {"bing", "email", ""}, {"chatgpt", "organic", ""}},
			map[visit]string{{"x.example", "organics", ""}: "Unassigned", {"x.example", "organic-search", ""}: "Unassigned", {"gemini.google.com", "referral", ""}: "AI Assistant"}},
		{"AI Assistant", []visit{{"x.example", "ai-assistant", ""}, {"perplexity.ai", "", ""}, {"chatgpt.com", "referral", ""}, {"claude", "(not set)", ""}, {"email", "ai-assistant", ""}},
			map[visit]string{{"chatgpt.com", "cpc", ""}: "Paid Other", {"chatgpt.com", "affiliate", ""}: "Affiliates", {"x.example", "ai-assistants", ""}: "Unassigned", {"google", "ai-assistant", ""}: "Organic Search", {"chatgtp", "", ""}: "Unassigned"}},
		{"Referral", []visit{{"x.example", "referral", ""}, {"x.example", "app", ""}, {"x.example", "link", ""}, {"email", "referral", ""}, {"firebase", "app", ""}},
			map[visit]string{{"x.example", "links", ""}: "Unassigned", {"x.example", "referrals", ""}: "Unassigned", {"x.example", "apps", ""}: "Unassigned"}},
		{"Email", []visit{{"x.example", "email", ""}, {"x.example", "e-mail", ""}, {"x.example", "e_mail", ""}, {"x.example", "e mail", ""}, {"email", "x", ""}, {"e-mail", "x", ""}, {"e_mail", "x", ""}, {"e mail", "x", ""}, {"e-mail", "affiliate", ""}, {"email", "webpush", ""}},
			map[visit]string{{"x.example", "emails", ""}: "Unassigned", {"x.example", "newsletter", ""}: "Unassigned", {"myemail", "", ""}: "Unassigned"}},
		{"Affiliates", []visit{{"x.example", "affiliate", ""}, {"sms", "affiliate", ""}, {"firebase", "affiliate", ""}},
			map[visit]string{{"x.example", "affiliates", ""}: "Unassigned", {"affiliate", "", ""}: "Unassigned"}},
		{"Audio", []visit{{"x.example", "audio", ""}, {"sms", "audio", ""}, {"firebase", "audio", ""}},
			map[visit]string{{"x.example", "audios", ""}: "Unassigned", {"audio", "", ""}: "Unassigned"}},
		{"SMS", []visit{{"sms", "x", ""}, {"x.example", "sms", ""}, {"sms", "webpush", ""}, {"firebase", "sms", ""}},
			map[visit]string{{"x.example", "smss", ""}: "Unassigned", {"mysms", "", ""}: "Unassigned"}},
		{"Mobile Push Notifications", []visit{{"x.example", "push", ""}, {"x.example", "webpush", ""}, {"x.example", "mobile_app", ""}, {"x.example", "automobile", ""}, {"x.example", "notifications", ""}, {"firebase", "x", ""}},
			map[visit]string{{"x.example", "pushed", ""}: "Unassigned", {"x.example", "notify", ""}: "Unassigned", {"x.example", "mobil", ""}: "Unassigned", {"firebases", "", ""}: "Unassigned"}},
		{"Unassigned", []visit{{"", "", ""}, {"x.example", "", ""}, {"x.example", "something", "spring"}}, nil},
	} {
		for _, v := range row.fits {
			got := r.Channel(v.source, v.medium, v.campaign)
			seen[got] = true
			if got != row.channel {
				t.Errorf("%s: %q / %q / %q is %s", row.channel, v.source, v.medium, v.campaign, got)
			}
		}
		for v, want := range row.misses {
			if got := r.Channel(v.source, v.medium, v.campaign); got != want {
				t.Errorf("not %s: %q / %q / %q is %s, want %s", row.channel, v.source, v.medium, v.campaign, got, want)
			}
		}
	}
	for _, rule := range r.channels {
		if !seen[rule.channel] {
			t.Errorf("nothing reaches %s", rule.channel)
		}
	}
}

// The order of Google's page.
func TestChannelsStandInGooglesOrder(t *testing.T) {
	var names []string
	for _, rule := range channelRules() {
		names = append(names, rule.channel)
	}
	const want = "Direct, Cross-network, Paid Shopping, Paid Search, Paid Social, Paid Video, Display, Paid Other, Organic Shopping, Organic Social, " +
		"Organic Video, Organic Search, AI Assistant, Referral, Email, Affiliates, Audio, SMS, Mobile Push Notifications"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
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
