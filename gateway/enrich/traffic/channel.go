package traffic

import "strings"

// visit is what the channel rules look at, all in lower case.
type visit struct {
	source, medium, campaign string
	kind                     kind // what the source is known to be for
	paid                     bool // medium matches ^(.*cp.*|ppc|retargeting|paid.*)$
	shopping                 bool // campaign matches ^(.*(([^a-df-z]|^)shop|shopping).*)$
}

// channelRule is one row of GA4's table.
type channelRule struct {
	channel string
	words   string // the row's condition as Google writes it
	applies func(v visit) bool
}

// channelRules are GA4's default channel groups for manual traffic, in Google's
// order: the first row that applies decides. The words of each are those of
// https://support.google.com/analytics/answer/9756891; "AI Assistant" joined
// them on 13 May 2026. Two places go beyond Google's:
//
//   - Which sites are for search, social, … is our own table (the folder sites),
//     as Google's lists name only those that Google knows.
//   - An AI assistant is known by its source too, where the medium says nothing
//     else: ChatGPT writes utm_source into its links, and no medium. Google does
//     so before the rules, by its own list of referrers.
func channelRules() []channelRule {
	return []channelRule{
		{"Direct", `Source exactly matches "(direct)" AND Medium is one of ("(not set)", "(none)")`, func(v visit) bool {
			return v.source == directSource && (v.medium == "" || v.medium == "(not set)" || v.medium == directMedium)
		}},
		{"Cross-network", `Campaign name contains "cross-network"`, func(v visit) bool {
			return strings.Contains(v.campaign, "cross-network")
		}},
		{"Paid Shopping", `(Source matches a list of shopping sites OR Campaign name matches regex ^(.*(([^a-df-z]|^)shop|shopping).*)$) AND Medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$`, func(v visit) bool {
			return v.paid && (v.kind == kindShopping || v.shopping)
		}},
		{"Paid Search", `Source matches a list of search sites AND Medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$`, func(v visit) bool {
			return v.paid && v.kind == kindSearch
		}},
		{"Paid Social", `Source matches a list of social sites AND Medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$`, func(v visit) bool {
			return v.paid && v.kind == kindSocial
		}},
		{"Paid Video", `Source matches a list of video sites AND Medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$`, func(v visit) bool {
			return v.paid && v.kind == kindVideo
		}},
		{"Display", `Medium is one of ("display", "banner", "expandable", "interstitial", "cpm")`, func(v visit) bool {
			return oneOf(v.medium, "display", "banner", "expandable", "interstitial", "cpm")
		}},
		{"Paid Other", `Medium matches regex ^(.*cp.*|ppc|retargeting|paid.*)$`, func(v visit) bool {
			return v.paid
		}},
		{"Organic Shopping", `Source matches a list of shopping sites OR Campaign name matches regex ^(.*(([^a-df-z]|^)shop|shopping).*)$`, func(v visit) bool {
			return v.kind == kindShopping || v.shopping
		}},
		{"Organic Social", `Source matches a list of social sites OR Medium is one of ("social", "social-network", "social-media", "sm", "social network", "social media")`, func(v visit) bool {
			return v.kind == kindSocial ||
				oneOf(v.medium, "social", "social-network", "social-media", "sm", "social network", "social media")
		}},
		{"Organic Video", `Source matches a list of video sites OR Medium matches regex ^(.*video.*)$`, func(v visit) bool {
			return v.kind == kindVideo || strings.Contains(v.medium, "video")
		}},
		{"Organic Search", `Source matches a list of search sites OR Medium exactly matches "organic"`, func(v visit) bool {
			return v.kind == kindSearch || v.medium == "organic"
		}},
		{"AI Assistant", `Medium exactly matches "ai-assistant"; ours: OR Source is an AI assistant AND Medium is one of ("", "(none)", "(not set)", "referral", "app", "link")`, func(v visit) bool {
			return v.medium == assistantMedium ||
				v.kind == kindAI && oneOf(v.medium, "", directMedium, "(not set)", "referral", "app", "link")
		}},
		{"Referral", `Medium is one of ("referral", "app", "link")`, func(v visit) bool {
			return oneOf(v.medium, "referral", "app", "link")
		}},
		{"Email", `Source = email|e-mail|e_mail|e mail OR Medium = email|e-mail|e_mail|e mail`, func(v visit) bool {
			return oneOf(v.source, "email", "e-mail", "e_mail", "e mail") || oneOf(v.medium, "email", "e-mail", "e_mail", "e mail")
		}},
		{"Affiliates", `Medium exactly matches "affiliate"`, func(v visit) bool {
			return v.medium == "affiliate"
		}},
		{"Audio", `Medium exactly matches "audio"`, func(v visit) bool {
			return v.medium == "audio"
		}},
		{"SMS", `Source exactly matches "sms" OR Medium exactly matches "sms"`, func(v visit) bool {
			return v.source == "sms" || v.medium == "sms"
		}},
		{"Mobile Push Notifications", `Medium ends with "push" OR Medium contains "mobile" or "notification" OR Source exactly matches "firebase"`, func(v visit) bool {
			return strings.HasSuffix(v.medium, "push") || strings.Contains(v.medium, "mobile") ||
				strings.Contains(v.medium, "notification") || v.source == "firebase"
		}},
	}
}

// unassigned is GA4's name for a visit that no row fits.
const unassigned = "Unassigned"

// Channel is the GA4 default channel group of a source, a medium and a campaign
// as they are written in a link: case does not count.
func (r *Rules) Channel(source, medium, campaign string) string {
	channel, _ := r.channel(r.words.Lower(source), r.words.Lower(medium), campaign)
	return channel
}

// channel takes source and medium in lower case. row is the rule's place in the
// table; -1 when none applied.
func (r *Rules) channel(source, medium, campaign string) (channel string, row int) {
	v := visit{source: source, medium: medium, campaign: r.words.Lower(campaign), kind: r.kindOf(source), paid: isPaid(medium)}
	v.shopping = isShoppingCampaign(v.campaign)
	for i := range r.channels {
		if r.channels[i].applies(v) {
			return r.channels[i].channel, i
		}
	}
	return unassigned, -1
}

func oneOf(s string, words ...string) bool {
	for _, w := range words {
		if s == w {
			return true
		}
	}
	return false
}

// isPaid is ^(.*cp.*|ppc|retargeting|paid.*)$ without the regular expression's
// cost.
func isPaid(medium string) bool {
	return strings.Contains(medium, "cp") || medium == "ppc" || medium == "retargeting" || strings.HasPrefix(medium, "paid")
}

// isShoppingCampaign is ^(.*(([^a-df-z]|^)shop|shopping).*)$: the word shop at
// a beginning or behind anything but a letter, or behind an e (e-shop, eshop),
// and shopping anywhere.
func isShoppingCampaign(campaign string) bool {
	for i := 0; ; {
		j := strings.Index(campaign[i:], "shop")
		if j < 0 {
			return false
		}
		i += j
		if i == 0 || campaign[i-1] == 'e' || campaign[i-1] < 'a' || campaign[i-1] > 'z' ||
			strings.HasPrefix(campaign[i:], "shopping") {
			return true
		}
		i++
	}
}
