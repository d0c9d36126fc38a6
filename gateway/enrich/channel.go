package enrich

import (
	"strings"

	"github.com/reuna/reuna/gateway/enrich/memo"
)

// visit is what the channel rules look at, all in lower case.
type visit struct {
	source, medium, campaign string
	kind                     siteKind // what the source is known to be for
	paid                     bool     // medium matches ^(.*cp.*|ppc|retargeting|paid.*)$
	shopping                 bool     // campaign matches ^(.*(([^a-df-z]|^)shop|shopping).*)$
}

// channelRule is one row of GA4's table.
type channelRule struct {
	channel string
	applies func(v visit) bool
}

// channelRules are GA4's default channel groups for manual tags, in Google's
// order: the first rule that applies decides. The words beside each are Google's
// conditions (https://support.google.com/analytics/answer/9756891). Two
// places go beyond them: which sites are search, social, … is our own
// table, as Google's lists name only what Google knows; and an AI assistant is
// recognised by its source too, because ChatGPT writes utm_source and no medium.
func channelRules() []channelRule {
	return []channelRule{
		// Source exactly matches "(direct)" AND medium is one of "(not set)", "(none)"
		{"Direct", func(v visit) bool {
			return v.source == directSource && (v.medium == "" || v.medium == "(not set)" || v.medium == directMedium)
		}},
		// Campaign name contains "cross-network"
		{"Cross-network", func(v visit) bool { return strings.Contains(v.campaign, "cross-network") }},
		// (Source matches a list of shopping sites OR campaign name matches the shopping pattern) AND medium matches the paid pattern
		{"Paid Shopping", func(v visit) bool { return v.paid && (v.kind == kindShopping || v.shopping) }},
		// Source matches a list of search sites AND medium matches the paid pattern
		{"Paid Search", func(v visit) bool { return v.paid && v.kind == kindSearch }},
		// Source matches a list of social sites AND medium matches the paid pattern
		{"Paid Social", func(v visit) bool { return v.paid && v.kind == kindSocial }},
		// Source matches a list of video sites AND medium matches the paid pattern
		{"Paid Video", func(v visit) bool { return v.paid && v.kind == kindVideo }},
		// Medium is one of "display", "banner", "expandable", "interstitial", "cpm"
		{"Display", func(v visit) bool {
			return oneOf(v.medium, "display", "banner", "expandable", "interstitial", "cpm")
		}},
		// Medium matches the paid pattern
		{"Paid Other", func(v visit) bool { return v.paid }},
		// Source matches a list of shopping sites OR campaign name matches the shopping pattern
		{"Organic Shopping", func(v visit) bool { return v.kind == kindShopping || v.shopping }},
		// Source matches a list of social sites OR medium is one of "social", "social-network", "social-media", "sm", "social network", "social media"
		{"Organic Social", func(v visit) bool {
			return v.kind == kindSocial ||
				oneOf(v.medium, "social", "social-network", "social-media", "sm", "social network", "social media")
		}},
		// Source matches a list of video sites OR medium matches ^(.*video.*)$
		{"Organic Video", func(v visit) bool { return v.kind == kindVideo || strings.Contains(v.medium, "video") }},
		// Source matches a list of search sites OR medium exactly matches "organic"
		{"Organic Search", func(v visit) bool { return v.kind == kindSearch || v.medium == "organic" }},
		// Medium exactly matches "ai-assistant"; ours: OR source is a known assistant
		{"AI Assistant", func(v visit) bool { return v.medium == "ai-assistant" || v.kind == kindAI }},
		// Medium is one of "referral", "app", "link"
		{"Referral", func(v visit) bool { return oneOf(v.medium, "referral", "app", "link") }},
		// Source or medium is one of "email", "e-mail", "e_mail", "e mail"
		{"Email", func(v visit) bool { return isMailWord(v.source) || isMailWord(v.medium) }},
		// Medium exactly matches "affiliate"
		{"Affiliates", func(v visit) bool { return v.medium == "affiliate" }},
		// Medium exactly matches "audio"
		{"Audio", func(v visit) bool { return v.medium == "audio" }},
		// Source exactly matches "sms" OR medium exactly matches "sms"
		{"SMS", func(v visit) bool { return v.source == "sms" || v.medium == "sms" }},
		// Medium ends with "push" OR medium contains "mobile" or "notification" OR source exactly matches "firebase"
		{"Mobile Push Notifications", func(v visit) bool {
			return strings.HasSuffix(v.medium, "push") || strings.Contains(v.medium, "mobile") ||
				strings.Contains(v.medium, "notification") || v.source == "firebase"
		}},
	}
}

// unassigned is GA4's name for a visit that no rule fits.
const unassigned = "Unassigned"

// channel is the GA4 default channel group of a source, a medium (both in
// lower case) and a campaign.
func (r *referrers) channel(source, medium, campaign string, words *memo.Interner) string {
	v := visit{source: source, medium: medium, campaign: words.Lower(campaign), kind: r.kindOf(source), paid: isPaid(medium)}
	v.shopping = isShoppingCampaign(v.campaign)
	for i := range r.rules {
		if r.rules[i].applies(v) {
			return r.rules[i].channel
		}
	}
	return unassigned
}

func oneOf(s string, words ...string) bool {
	for _, w := range words {
		if s == w {
			return true
		}
	}
	return false
}

func isMailWord(s string) bool { return oneOf(s, "email", "e-mail", "e_mail", "e mail") }

// isPaid is ^(.*cp.*|ppc|retargeting|paid.*)$ without the regular expression's
// cost.
func isPaid(medium string) bool {
	return strings.Contains(medium, "cp") || medium == "ppc" || medium == "retargeting" || strings.HasPrefix(medium, "paid")
}

// isShoppingCampaign is ^(.*(([^a-df-z]|^)shop|shopping).*)$: the word shop at
// a beginning or behind anything but a letter, or behind an e (e-shop, eshop),
// and shopping anywhere.
func isShoppingCampaign(campaign string) bool {
	if strings.Contains(campaign, "shopping") {
		return true
	}
	for i := 0; ; {
		j := strings.Index(campaign[i:], "shop")
		if j < 0 {
			return false
		}
		i += j
		if i == 0 || campaign[i-1] == 'e' || campaign[i-1] < 'a' || campaign[i-1] > 'z' {
			return true
		}
		i++
	}
}
