package traffic

import (
	"strings"

	"github.com/reuna/reuna/gateway/enrich/memo"
)

// mediaSynonyms are other ways to write a medium, for the words of GA4's rules.
// Only what cannot mean anything else is here: "cpc", "ppc" and "paidsearch" stay
// three, as people tell campaigns apart by them and the rules know all; "mail"
// may be on paper, and "ai" and "sea" are too short to be sure.
func mediaSynonyms() map[string]string {
	table := map[string]string{}
	for medium, others := range map[string][]string{
		// Google's rules know these and treat them as one.
		"email":  {"e-mail", "e_mail", "e mail"},
		"social": {"social-network", "social-media", "sm", "social network", "social media"},
		// These Google's rules do not know; without a fold the visit would be Unassigned.
		"organic":      {"organic-search", "organic_search", "organic search"},
		"ai-assistant": {"ai_assistant", "ai assistant"},
		"affiliate":    {"affiliates", "affiliation"},
		"display":      {"display-ad", "display-ads", "display_ad", "display_ads"},
		"banner":       {"banners"},
		"cpc":          {"cost-per-click", "cost_per_click", "cost per click"},
		"ppc":          {"pay-per-click", "pay_per_click", "pay per click"},
	} {
		for _, other := range others {
			table[other] = medium
		}
	}
	for _, other := range []string{"emails", "e-mails", "emailing", "e-mailing", "newsletter", "newsletters", "email-newsletter", "email_newsletter", "email newsletter"} {
		table[other] = "email" // a newsletter comes by e-mail; the word as a source stays
	}
	for _, other := range []string{"social_media", "social_network", "socialmedia", "socials", "organic-social", "organic_social", "organic social"} {
		table[other] = "social"
	}
	return table
}

// foldMedium is a medium in lower case, and one of several ways to write it.
func (r *Rules) foldMedium(s string) string {
	s = r.words.Lower(s)
	if to, ok := r.media[s]; ok {
		return to
	}
	return s
}

// foldSource is a source in lower case, and the site's name for a site that we
// know: "fb", "m.facebook.com" and "Facebook Ads" are facebook.
func (r *Rules) foldSource(s string) string {
	s = r.words.Lower(s)
	if known := r.named(s); known != nil {
		return known.name
	}
	return s
}

// named is the site that a source in lower case stands for, whether it is written
// as a name ("google", "google_ads") or as a host ("m.facebook.com").
func (r *Rules) named(source string) *site {
	if s := r.sites.byName[source]; s != nil {
		return s
	}
	if strings.IndexByte(source, '.') >= 0 {
		if scheme := strings.Index(source, "://"); scheme >= 0 {
			source = source[scheme+3:]
		}
		if page := strings.IndexByte(source, '/'); page > 0 {
			source = source[:page] // "news.example/today"
		}
		if n := r.host(source, false).node; n != nil && n.plain != nil && n.plain.kind <= kindPaid {
			return n.plain
		}
		return nil
	}
	var buf [memo.MaxName]byte
	if len(source) > len(buf) {
		return nil
	}
	n := copy(buf[:], source)
	for i, c := range buf[:n] {
		if c == ' ' || c == '_' {
			buf[i] = '-'
		}
	}
	return r.sites.byName[string(buf[:n])]
}

// kindOf is what a source in lower case is for.
func (r *Rules) kindOf(source string) kind {
	s := r.named(source)
	if s != nil && s.kind == kindPaid {
		s = r.sites.byName[s.name] // an advertiser's own site, if it is one for people
	}
	if s == nil {
		return kindNone
	}
	return s.kind
}
