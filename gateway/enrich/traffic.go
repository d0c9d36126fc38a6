package enrich

import (
	"strings"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// Source and medium of a visit with nothing before it, in GA4's words.
const (
	directSource = "(direct)"
	directMedium = "(none)"
)

// tags are the campaign parameters of one URL.
type tags struct {
	source, medium, campaign, id, term, content string
	click                                       *clickID // the first known one; nil when there is none
	clickValue                                  string
}

// clickID is a parameter that an advertiser's system adds to its links, and
// the source and medium it stands for where no utm tags say otherwise.
type clickID struct{ param, source, medium string }

// clickIDs in the order in which they decide when a URL has several.
func clickIDs() []clickID {
	return []clickID{
		{"gclid", "google", "cpc"},
		{"gbraid", "google", "cpc"},
		{"wbraid", "google", "cpc"},
		{"dclid", "google", "display"},
		{"msclkid", "bing", "cpc"},
		{"yclid", "yandex", "cpc"},
		{"li_fat_id", "linkedin", "cpc"},
		{"ttclid", "tiktok", "cpc"},
		{"twclid", "twitter", "cpc"},
		{"rdt_cid", "reddit", "cpc"},
		{"qclid", "quora", "cpc"},
		{"tblci", "taboola", "cpc"},
		{"dicbo", "outbrain", "cpc"},
		{"sccid", "snapchat", "cpc"},
		{"epik", "pinterest", "social"}, // Pinterest and Meta mark free links too
		{"fbclid", "facebook", "social"},
		{"irclickid", "impact", "affiliate"},
		{"awc", "awin", "affiliate"},
		{"cjevent", "cj", "affiliate"},
		{"tduid", "tradedoubler", "affiliate"},
		{"mc_eid", "mailchimp", "email"},
		{"_hsenc", "hubspot", "email"},
	}
}

// traffic says where the visit came from that this event is part of, seen
// from this event alone. Three answers are told apart by Channel:
//
//   - a name: this event begins a visit, or continues one on its first page,
//     and this is its source. "Direct" is such a name: the page was opened
//     with no referrer and no tags.
//   - "" with every field empty: nothing new is known. Either the visitor came
//     from the site itself (the referrer is internal), or the event tells no
//     page at all (a server's event). The source of the visit that is running
//     stays what it was.
//
// In order, campaign tags (the SDK's context.campaign over the URL's) outrank
// click ids, and these the referrer. Source and medium are in lower case, so
// that "Google" and "google" are one; campaign, term and content stay as
// written.
//
// A request of the tag or the pixel carries no referrer of the page: its
// Referer header is the page. It stands in for a missing page URL, and then
// tags and click ids count but a missing referrer proves nothing.
func (e *Enricher) traffic(ev *event.Event, in *Input, s *said) event.Traffic {
	pageURL, knowsReferrer := s.pageURL, s.pageURL != ""
	if pageURL == "" && !s.forOther && ev.Source != event.FromSDK {
		pageURL = in.Referer
	}
	pageHost, query := splitURL(e.words, pageURL)

	var g tags
	e.referrers.readTags(&g, query, e.words)
	if g == (tags{}) {
		// The page had cleaned its address before the tag could read it.
		e.referrers.readTags(&g, s.campaign.query, e.words)
	}
	g.override(s)
	var t event.Traffic
	referrerHost, _ := splitURL(e.words, s.referrer)
	if referrerHost != "" && !e.isInternal(referrerHost, pageHost, ev, in, s) {
		t.Referrer = referrerHost
	}
	from := e.referrers.find(t.Referrer)

	t.Source, t.Medium = e.words.Lower(g.source), e.words.Lower(g.medium)
	t.Campaign = orElse(g.campaign, g.id)
	t.Term, t.Content = g.term, g.content
	if g.click != nil {
		t.ClickType, t.ClickID = g.click.param, g.clickValue
	}
	switch {
	case t.Source != "" || t.Medium != "" || t.Campaign != "":
		if t.Source == "" && g.click != nil {
			t.Source = g.click.source
		}
	case g.click != nil:
		t.Source, t.Medium = g.click.source, g.click.medium
	case from != nil && from.kind != kindOther:
		t.Source, t.Medium = from.name, from.medium
	case t.Referrer != "":
		t.Source, t.Medium = withoutWWW(t.Referrer), "referral"
	case s.referrer == "" && knowsReferrer:
		t.Source, t.Medium = directSource, directMedium
	default:
		return event.Traffic{}
	}
	t.Channel = e.referrers.channel(t.Source, t.Medium, t.Campaign, e.words)
	return t
}

// isInternal says that a referrer is the site itself.
func (e *Enricher) isInternal(host, pageHost string, ev *event.Event, in *Input, s *said) bool {
	bare := withoutWWW(host)
	if pageHost != "" && bare == withoutWWW(pageHost) {
		return true
	}
	if !s.forOther {
		if origin, _ := splitURL(e.words, in.Origin); origin != "" && bare == withoutWWW(origin) {
			return true
		}
		// The gateway stands on the site's own domain for its tag.
		if ev.Source == event.FromTag && in.Host != "" && bare == withoutWWW(hostOf(e.words, in.Host)) {
			return true
		}
	}
	for _, h := range in.InternalHosts {
		if domain, ok := strings.CutPrefix(h, "*."); ok {
			if hasDomain(host, domain) {
				return true
			}
		} else if strings.EqualFold(bare, withoutWWW(h)) {
			return true
		}
	}
	return false
}

// hasDomain says that host is domain or lies below it.
func hasDomain(host, domain string) bool {
	if len(host) < len(domain) || !strings.EqualFold(host[len(host)-len(domain):], domain) {
		return false
	}
	return len(host) == len(domain) || host[len(host)-len(domain)-1] == '.'
}

// readTags reads a query. Names are compared without regard to case; of a
// parameter that comes twice the first one with a value counts.
func (r *referrers) readTags(g *tags, query string, words *memo.Interner) {
	best := len(r.clicks)
	for query != "" {
		var name, value string
		name, value, query = nextParam(query)
		if value == "" || len(name) < 3 || len(name) > 12 {
			continue
		}
		if len(name) > 4 && name[3] == '_' && strings.EqualFold(name[:4], "utm_") {
			field := g.utm(name[4:])
			if field != nil && *field == "" {
				*field = words.Unescaped(value)
			}
			continue
		}
		for i := range best { // only what would outrank the one we have
			if strings.EqualFold(r.clicks[i].param, name) {
				if v := words.Unescaped(value); v != "" {
					g.click, g.clickValue, best = &r.clicks[i], v, i
				}
				break
			}
		}
	}
}

func (g *tags) utm(name string) *string {
	switch {
	case strings.EqualFold(name, "source"):
		return &g.source
	case strings.EqualFold(name, "medium"):
		return &g.medium
	case strings.EqualFold(name, "campaign"):
		return &g.campaign
	case strings.EqualFold(name, "id"):
		return &g.id
	case strings.EqualFold(name, "term"):
		return &g.term
	case strings.EqualFold(name, "content"):
		return &g.content
	}
	return nil
}

// override puts the SDK's reading of the campaign over ours, field by field.
func (g *tags) override(s *said) {
	c := &s.campaign
	g.source = orElse(c.source, g.source)
	g.medium = orElse(c.medium, g.medium)
	g.campaign = orElse(c.name, g.campaign)
	g.id = orElse(c.id, g.id)
	g.term = orElse(c.term, g.term)
	g.content = orElse(c.content, g.content)
}
