package enrich

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/gateway/enrich/traffic"
	"github.com/reuna/reuna/identity/event"
)

// The patterns of Google's page, which compares without regard to case.
// https://support.google.com/analytics/answer/9756891
var (
	paidPattern  = regexp.MustCompile(`(?i)^(.*cp.*|ppc|retargeting|paid.*)$`)
	shopPattern  = regexp.MustCompile(`(?i)^(.*(([^a-df-z]|^)shop|shopping).*)$`)
	videoPattern = regexp.MustCompile(`(?i)^(.*video.*)$`)
)

// row is one of Google's, in Google's order: the first that applies decides.
type row struct {
	channel string
	words   string // Google's condition
	applies func(source, medium, campaign string) bool
}

func among(s string, list ...string) bool {
	for _, l := range list {
		if strings.EqualFold(s, l) {
			return true
		}
	}
	return false
}

// Some of the sites in Google's lists of search engines, social networks, video
// and shopping sites; every row is tried with these and with others.
func searchSites() []string {
	return []string{"google", "bing", "duckduckgo", "yahoo", "baidu", "yandex", "ecosia.org"}
}
func socialSites() []string {
	return []string{"facebook", "instagram", "linkedin", "twitter", "t.co", "pinterest", "reddit", "tiktok"}
}
func videoSites() []string    { return []string{"youtube", "vimeo", "twitch", "dailymotion"} }
func shoppingSites() []string { return []string{"amazon", "ebay", "etsy", "walmart"} }

// google is Google's table.
func google() []row {
	isPaid := paidPattern.MatchString
	isShop := shopPattern.MatchString
	return []row{
		{"Direct", `source exactly matches "(direct)" AND medium is one of ("(not set)", "(none)")`,
			func(s, m, _ string) bool { return among(s, "(direct)") && among(m, "(not set)", "(none)", "") }},
		{"Cross-network", `campaign name contains "cross-network"`,
			func(_, _, c string) bool { return strings.Contains(strings.ToLower(c), "cross-network") }},
		{"Paid Shopping", `(source matches a list of shopping sites OR campaign name matches regex ^(.*(([^a-df-z]|^)shop|shopping).*)$) AND medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$`,
			func(s, m, c string) bool { return (among(s, shoppingSites()...) || isShop(c)) && isPaid(m) }},
		{"Paid Search", `source matches a list of search sites AND medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$`,
			func(s, m, _ string) bool { return among(s, searchSites()...) && isPaid(m) }},
		{"Paid Social", `source matches a list of social sites AND medium matches the same`,
			func(s, m, _ string) bool { return among(s, socialSites()...) && isPaid(m) }},
		{"Paid Video", `source matches a list of video sites AND medium matches the same`,
			func(s, m, _ string) bool { return among(s, videoSites()...) && isPaid(m) }},
		{"Display", `medium is one of ("display", "banner", "expandable", "interstitial", "cpm")`,
			func(_, m, _ string) bool { return among(m, "display", "banner", "expandable", "interstitial", "cpm") }},
		{"Paid Other", `medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$`,
			func(_, m, _ string) bool { return isPaid(m) }},
		{"Organic Shopping", `source matches a list of shopping sites OR campaign name matches regex ^(.*(([^a-df-z]|^)shop|shopping).*)$`,
			func(s, _, c string) bool { return among(s, shoppingSites()...) || isShop(c) }},
		{"Organic Social", `source matches a list of social sites OR medium is one of ("social", "social-network", "social-media", "sm", "social network", "social media")`,
			func(s, m, _ string) bool {
				return among(s, socialSites()...) || among(m, "social", "social-network", "social-media", "sm", "social network", "social media")
			}},
		{"Organic Video", `source matches a list of video sites OR medium matches regex ^(.*video.*)$`,
			func(s, m, _ string) bool { return among(s, videoSites()...) || videoPattern.MatchString(m) }},
		{"Organic Search", `source matches a list of search sites OR medium exactly matches "organic"`,
			func(s, m, _ string) bool { return among(s, searchSites()...) || among(m, "organic") }},
		{"AI Assistant", `medium exactly matches "ai-assistant"`,
			func(_, m, _ string) bool { return among(m, "ai-assistant") }},
		{"Referral", `medium is one of ("referral", "app", "link")`,
			func(_, m, _ string) bool { return among(m, "referral", "app", "link") }},
		{"Email", `source = email|e-mail|e_mail|e mail OR medium = email|e-mail|e_mail|e mail`,
			func(s, m, _ string) bool {
				return among(s, "email", "e-mail", "e_mail", "e mail") || among(m, "email", "e-mail", "e_mail", "e mail")
			}},
		{"Affiliates", `medium = affiliate`, func(_, m, _ string) bool { return among(m, "affiliate") }},
		{"Audio", `medium exactly matches "audio"`, func(_, m, _ string) bool { return among(m, "audio") }},
		{"SMS", `source exactly matches "sms" OR medium exactly matches "sms"`,
			func(s, m, _ string) bool { return among(s, "sms") || among(m, "sms") }},
		{"Mobile Push Notifications", `medium ends with "push" OR medium contains "mobile" or "notification" OR source exactly matches "firebase"`,
			func(s, m, _ string) bool {
				m = strings.ToLower(m)
				return strings.HasSuffix(m, "push") || strings.Contains(m, "mobile") || strings.Contains(m, "notification") || among(s, "firebase")
			}},
	}
}

// googleSays is the channel by Google's table.
func googleSays(table []row, source, medium, campaign string) string {
	for _, r := range table {
		if r.applies(source, medium, campaign) {
			return r.channel
		}
	}
	return "Unassigned"
}

// landing is a visit's beginning with the channel that it must have.
type landing struct{ context, channel, what string }

// tagged are landings with every source, medium and campaign: the words of
// Google's rows and those that just miss them, in both cases of letters.
func tagged() (all []landing) {
	table := google()
	words(func(i int, source, medium, campaign string) {
		if source == "(direct)" && campaign != "" {
			return // what came from nowhere has no campaign: in a link the word means "not said"
		}
		s, m, c := source, medium, campaign
		if i%3 == 0 {
			s, m, c = strings.ToUpper(s), strings.ToUpper(m), strings.ToUpper(c)
		}
		all = append(all, landing{
			context: fmt.Sprintf(`{"page":{"url":"https://shop.example/"},"campaign":{"source":%s,"medium":%s,"name":%s}}`, strconv.Quote(s), strconv.Quote(m), strconv.Quote(c)),
			channel: googleSays(table, source, medium, campaign),
			what:    fmt.Sprintf("source %q, medium %q, campaign %q", s, m, c),
		})
	})
	return all
}

// words are all combinations.
func words(with func(i int, source, medium, campaign string)) {
	sources := []string{"(direct)", "example.org", "partner-site", "email", "e-mail", "e_mail", "e mail", "sms", "firebase", "smsgate", "firebases"}
	for _, sites := range [][]string{searchSites(), socialSites(), videoSites(), shoppingSites()} {
		sources = append(sources, sites...)
	}
	mediums := []string{
		"", "(none)", "(not set)", "cpc", "cpm", "xcpx", "ppc", "sppc", "ppcs", "retargeting", "retargeting2", "paid", "paidsearch", "paid-social", "unpaid",
		"display", "displayed", "banner", "expandable", "interstitial", "social", "social-network", "social-media", "sm", "social network", "social media", "antisocial", "sms", "smx",
		"video", "myvideos", "vide", "organic", "inorganic", "ai-assistant", "ai-assisted", "referral", "preferral", "app", "link", "email", "e-mail", "e_mail", "e mail", "emailx",
		"affiliate", "audio", "audiophile", "push", "webpush", "pushed", "mobile", "a-mobile-b", "notification", "notifications", "other",
	}
	campaigns := []string{"", "spring", "cross-network", "my-cross-network-2", "crossnetwork", "shop", "e-shop", "eshop", "my shop", "bishop", "workshop", "9shop", "windowshopping"}
	i := 0
	for _, source := range sources {
		for _, medium := range mediums {
			if medium == "ai-assistant" && among(source, searchSites()...) {
				continue // which of the two rows stands first, Google's page does not say
			}
			for _, campaign := range campaigns {
				with(i, source, medium, campaign)
				i++
			}
		}
	}
}

// untagged are landings whose source is found by referrer or click id.
func untagged() (all []landing) {
	for _, l := range [][3]string{
		{"", "", "Direct"},
		{"", "https://www.google.com/", "Organic Search"},
		{"", "https://www.google.co.uk/search?q=books", "Organic Search"},
		{"", "https://www.bing.com/search?q=books", "Organic Search"},
		{"", "https://duckduckgo.com/", "Organic Search"},
		{"", "https://search.yahoo.com/search?p=books", "Organic Search"},
		{"", "https://yandex.ru/search/?text=books", "Organic Search"},
		{"", "https://www.baidu.com/link?url=abc", "Organic Search"},
		{"", "https://www.ecosia.org/search?q=books", "Organic Search"},
		{"", "https://l.facebook.com/", "Organic Social"},
		{"", "https://m.facebook.com/", "Organic Social"},
		{"", "https://l.instagram.com/", "Organic Social"},
		{"", "https://t.co/abc", "Organic Social"},
		{"", "https://www.linkedin.com/", "Organic Social"},
		{"", "https://www.reddit.com/r/books", "Organic Social"},
		{"", "https://www.pinterest.de/", "Organic Social"},
		{"", "android-app://com.linkedin.android/", "Organic Social"},
		{"", "https://www.youtube.com/watch?v=1", "Organic Video"},
		{"", "https://vimeo.com/1", "Organic Video"},
		{"", "https://www.amazon.com/", "Organic Shopping"},
		{"", "https://www.etsy.com/", "Organic Shopping"},
		{"", "https://chatgpt.com/", "AI Assistant"},
		{"", "https://www.perplexity.ai/", "AI Assistant"},
		{"", "https://gemini.google.com/", "AI Assistant"},
		{"", "https://copilot.microsoft.com/", "AI Assistant"},
		{"", "https://claude.ai/", "AI Assistant"},
		{"utm_source=chatgpt.com", "", "AI Assistant"},
		{"", "https://news.example.org/story", "Referral"},
		{"", "https://notgoogle.com/", "Referral"},
		{"", "https://google.com.evil.example/", "Referral"},
		{"gclid=abc", "https://www.google.com/", "Paid Search"},
		{"gbraid=abc", "https://www.google.com/", "Paid Search"},
		{"msclkid=abc", "https://www.bing.com/", "Paid Search"},
		{"ttclid=abc", "https://www.tiktok.com/", "Paid Social"},
		{"li_fat_id=abc", "https://www.linkedin.com/", "Paid Social"},
		{"dclid=abc", "", "Display"},
		{"fbclid=abc", "https://l.facebook.com/", "Organic Social"},
		{"utm_source=newsletter&utm_medium=email", "", "Email"},
		{"utm_source=google&utm_medium=cpc&utm_campaign=spring", "https://www.google.com/", "Paid Search"},
		{"UTM_Source=Google&UTM_Medium=CPC", "", "Paid Search"},
		{"utm_source=facebook&utm_medium=paid_social&fbclid=1", "https://l.facebook.com/", "Paid Social"},
		{"utm_source=youtube&utm_medium=cpv-cpc", "", "Paid Video"},
		{"utm_source=partner&utm_medium=affiliate", "https://blog.example.org/", "Affiliates"},
	} {
		all = append(all, landing{
			context: fmt.Sprintf(`{"page":{"url":"https://shop.example/?%s","referrer":"%s"}}`, l[0], l[1]),
			channel: l[2], what: fmt.Sprintf("query %q, referrer %q", l[0], l[1]),
		})
	}
	return all
}

// askChannels compares the channels of landings with Google's. A channel is
// right both ways: all that is Google's is called so, and nothing else is.
func askChannels() (classes []Class, failures []failure, err error) {
	we, err := newOurs(2)
	if err != nil {
		return nil, nil, err
	}
	const group = "Channels"
	ask := func(l *landing) string {
		ev := event.Event{Type: event.Page, Source: event.FromTag, Context: event.Value(l.context)}
		we.enricher.Enrich(&ev, &enrich.Input{})
		return ev.Traffic.Channel
	}
	both := map[string]*struct{ agree, all int }{}
	count := func(channel string, agree bool) {
		t := both[channel]
		if t == nil {
			t = &struct{ agree, all int }{}
			both[channel] = t
		}
		if t.all++; agree {
			t.agree++
		}
	}
	class := func(name string, agree, all int) {
		share := 100 * float64(agree) / float64(max(1, all))
		classes = append(classes, Class{Group: group, Name: name, Bar: 100, Count: all, Ours: &share})
	}
	for _, l := range tagged() {
		got := ask(&l)
		count(l.channel, got == l.channel)
		if got != l.channel {
			count(got, false)
			failures = append(failures, failure{group + ": " + l.channel, l.what, l.channel, got})
		}
	}
	for _, r := range append(google(), row{channel: "Unassigned"}) {
		if t := both[r.channel]; t != nil {
			class(r.channel+", both ways", t.agree, t.all)
		} else {
			class(r.channel+", both ways", 0, 0)
		}
	}
	agree, all := 0, untagged()
	for _, l := range all {
		if got := ask(&l); got == l.channel {
			agree++
		} else {
			failures = append(failures, failure{group + ": by referrer or click id", l.what, l.channel, got})
		}
	}
	class("by referrer or click id alone", agree, len(all))
	rules, err := traffic.New()
	if err != nil {
		return nil, nil, err
	}
	right, asked, table := 0, 0, google()
	words(func(_ int, source, medium, campaign string) {
		asked++
		if expected, got := googleSays(table, source, medium, campaign), rules.Channel(source, medium, campaign); got == expected {
			right++
		} else {
			failures = append(failures, failure{group + ": the rules alone", fmt.Sprintf("source %q, medium %q, campaign %q", source, medium, campaign), expected, got})
		}
	})
	class("the rules alone, every source × medium × campaign", right, asked)
	return classes, failures, nil
}
