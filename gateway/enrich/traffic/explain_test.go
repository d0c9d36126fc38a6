package traffic

import (
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	r := newTestRules(t)
	const page = "https://www.shop.example/"
	for _, c := range []struct {
		name string
		in   Input
		want []string // "field = value: a part of the rule"
	}{
		{"search", Input{PageURL: page, Referrer: "https://www.bing.com/search?q=red+shoes"}, []string{
			"referrer = www.bing.com: search.txt line ", "source = bing: search.txt line ", "medium = organic: by the referrer", "term = red shoes: what was searched for",
			"channel = Organic Search: GA4 row 12: Source matches a list of search sites"}},
		{"tags", Input{PageURL: page + "?utm_source=FB&utm_medium=Social+Media&mtm_campaign=x"}, []string{
			`source = facebook: utm_source says "FB", which is facebook (social.txt line `, `medium = social: utm_medium says "Social Media", another way`, "campaign = x: mtm_campaign", "channel = Organic Social: GA4 row 10"}},
		{"an SDK", Input{PageURL: page, Campaign: Campaign{Source: "mailer", Medium: "email"}}, []string{"source = mailer: context.campaign.source", "channel = Email: GA4 row 15"}},
		{"no tags for it", Input{PageURL: page + "?utm_source=mag"}, []string{"medium = : the campaign's tags do not say it", "channel = Unassigned: no row"}},
		{"an assistant", Input{PageURL: page + "?utm_source=chatgpt.com"}, []string{"medium = ai-assistant: the links of AI assistants", "channel = AI Assistant: GA4 row 13"}},
		{"filled in", Input{PageURL: page + "?utm_campaign=x", Referrer: "https://www.bing.com/"}, []string{"medium = organic: by the referrer"}},
		{"a click id", Input{PageURL: page + "?gclid=1&gad_campaignid=7"}, []string{"source = google: gclid: Google Ads auto-tagging", "campaign = 7: gad_campaignid", "click id = gclid", "channel = Paid Search: GA4 row 4"}},
		{"a click id beside tags", Input{PageURL: page + "?utm_campaign=x&gclid=1"}, []string{"source = google: not in the campaign's tags; gclid", "campaign = x: utm_campaign"}},
		{"free listings", Input{PageURL: page + "?srsltid=1"}, []string{"campaign = Shopping Free Listings: Google's name", "channel = Organic Shopping"}},
		{"a recipient", Input{PageURL: page + "?mc_eid=1"}, []string{"click id = mc_eid: the value names a person and is not kept"}},
		{"a place", Input{PageURL: page + "?ref=producthunt", KnowsReferrer: true}, []string{"referrer = : there was none", "source = product hunt: the parameter ref"}},
		{"direct", Input{PageURL: page, KnowsReferrer: true}, []string{"source = (direct): no referrer", "channel = Direct: GA4 row 1"}},
		{"not known", Input{PageURL: page}, []string{"referrer = : not known", "channel = : nothing new is known"}},
		{"a stranger", Input{PageURL: page, Referrer: "https://blog.example/"}, []string{"referrer = blog.example: in no file", "source = blog.example: the referrer's host", "channel = Referral: GA4 row 14"}},
		{"no place", Input{PageURL: page, Referrer: "about:client"}, []string{"referrer = : passed over: no address"}},
		{"own", Input{PageURL: page, Referrer: "https://shop.example/"}, []string{"referrer = : passed over: shop.example is the page's own host", "channel = : nothing new"}},
		{"own domain", Input{PageURL: page, Referrer: "https://pay.shop.example/"}, []string{"the same registered domain, shop.example"}},
		{"own origin", Input{Origin: page, Referrer: "https://pay.shop.example/"}, []string{"the request's Origin"}},
		{"own gateway", Input{Gateway: "t.example", Referrer: "https://t.example/"}, []string{"the host that the site's tag reports to"}},
		{"listed", Input{Internal: []string{"*.x.example"}, Referrer: "https://a.x.example/"}, []string{`by the entry "*.x.example"`}},
		{"payment", Input{PageURL: page, Referrer: "https://www.paypal.com/"}, []string{"www.paypal.com takes payments and sends visitors back (pay.txt line "}},
		{"sign-in", Input{PageURL: page, Referrer: "https://accounts.google.com/"}, []string{"signs visitors in and sends them back (signin.txt line "}},
	} {
		got, why := r.Explain(&c.in)
		if want := r.Read(&c.in); got != want {
			t.Errorf("%s: Explain says %+v, Read %+v", c.name, got, want)
		}
	lines:
		for _, want := range c.want {
			head, rule, _ := strings.Cut(want, ": ")
			field, value, _ := strings.Cut(head, " = ")
			for _, w := range why {
				if w.Field == field && w.Value == value && strings.Contains(w.Rule, rule) {
					continue lines
				}
			}
			if len(c.want) == 1 && !strings.Contains(want, " = ") {
				for _, w := range why {
					if strings.Contains(w.Rule, want) {
						continue lines
					}
				}
			}
			t.Errorf("%s: nothing says %q in %q", c.name, want, why)
		}
	}
}
