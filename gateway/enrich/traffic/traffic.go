// Package traffic says where a visit came from: source, medium, campaign, click
// id, and the channel that GA4's rules make of them.
//
// Everything follows from the address of the page, its referrer, and what the
// page's own code told; the rules are tables that are read at the start. What is
// known of sites is in the folder sites, what is known of parameters in clicks.go
// and tags.go, Google's channels in channel.go. [Rules.Explain] says which line of
// them decided.
package traffic

import (
	"hash/maphash"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// Source and medium of a visit with nothing before it, in GA4's words.
const (
	directSource = "(direct)"
	directMedium = "(none)"

	assistantMedium = "ai-assistant" // GA4's word too
)

// How many earlier answers are remembered: texts that had to be decoded or put
// into lower case (300 bytes each at most), and hosts (about 400 bytes each).
const (
	rememberedTexts = 8192
	rememberedHosts = 4096
)

// Input is what one event and its request tell about where the visit came from.
// All of it may be hostile; all of it may be empty.
type Input struct {
	PageURL  string // absolute, or relative: then its query counts and its host is unknown
	Referrer string // the page's referrer: an absolute URL

	// KnowsReferrer: whoever sent this would have told a referrer, so an empty one
	// means that there was none. A pixel's request has its page for a Referer and
	// does not know the page's own.
	KnowsReferrer bool

	Campaign Campaign

	// What is the site itself, besides PageURL's own host and everything that the
	// same owner registered.
	Origin   string   // the request's Origin header; "" when it is not the visitor's
	Gateway  string   // the host that the site's own tag was sent to; "" when it says nothing
	Internal []string // hosts and origins; "*.shop.example" means all of that domain
}

// Campaign is what the page's code says itself: an SDK's context.campaign.
type Campaign struct {
	Name, Source, Medium, Term, Content, ID string

	// Query is what the tag found in the address that the visitor came to,
	// "utm_source=News&gclid=Cj0", where the page has cleaned its address since. It
	// counts when PageURL holds no tags.
	Query string
}

// Rules answers. It is safe for concurrent use.
type Rules struct {
	channels []channelRule
	clicks   []clickID
	params   map[string]*param
	media    map[string]string
	sites    *sites

	elsewhere, elsewhereMicrosoft clickID

	words   *memo.Interner
	hosts   hosts
	nowhere host
}

// New reads the tables.
func New() (*Rules, error) { return newRules(readEmbedded) }

func newRules(read func(file string) ([]byte, error)) (*Rules, error) {
	table, err := readSites(read)
	if err != nil {
		return nil, err
	}
	r := &Rules{
		channels: channelRules(),
		clicks:   clickIDs(),
		media:    mediaSynonyms(),
		sites:    table,
		words:    memo.NewInterner(rememberedTexts),
		hosts:    hosts{seed: maphash.MakeSeed(), table: memo.NewTable[host](rememberedHosts)},
	}
	r.params = params(r.clicks)
	r.elsewhere, r.elsewhereMicrosoft = elsewhereClick()
	return r, nil
}

// Read says where the visit came from that this event is part of, seen from this
// event alone. Three answers are told apart by Channel:
//
//   - a name: this event begins a visit, or continues one on its first page,
//     and this is its source. "Direct" is such a name: the page was opened
//     with no referrer and no tags.
//   - "" with every field empty: nothing new is known. The visitor came from the
//     site itself, or back from where they paid or signed in, or the event tells
//     no page at all (a server's event). The source of the visit that is running
//     stays what it was.
//
// What decides, in this order:
//
//  1. Campaign tags: those that the page's code set, then utm_…, then Matomo's.
//     What they leave open, a click id or a referrer fills in. They count on a
//     link within the site and from a payment page too: somebody put them there.
//  2. Click ids of advertisements.
//  3. The referrer, and before it a click id that free links carry too, where
//     both mean the same site.
//  4. Such a click id alone.
//  5. "ref" and "source", where they name a place. They come last because sites
//     use the same names for much else (a button's place, a friend's code): a word
//     that is neither a site we know nor a host is passed over, and so is
//     everything a visitor brings along from the site's own pages.
//  6. Nothing at all: Direct.
//
// Source and medium are in lower case and folded, so that "FB" and "facebook.com"
// are one; campaign, term and content stay as written. Every text is valid UTF-8 of
// at most memo.MaxText bytes.
func (r *Rules) Read(in *Input) event.Traffic {
	var v verdict
	r.decide(&v, in)
	return v.t
}

// basis is what decided about a visit's source.
type basis uint8

const (
	byNothing basis = iota
	byTags
	byClick
	byReferrer
	byPlace
	byDirect
)

// verdict is an answer and how it came about.
type verdict struct {
	t    event.Traffic
	by   basis
	tags tags
	row  int // of the channel rules; -1 when none applied

	ref      address   // the referrer
	own      ownership // why it is the site itself
	ownEntry string
	from     *site // what the referrer is known to be; nil: nothing
	backFrom *site // where the visitor has paid or signed in; then from is nil
	place    *site // what ref or source names, if the table knows it
}

// decide fills a verdict. It is the only place where the order of Read stands.
func (r *Rules) decide(v *verdict, in *Input) {
	g, t := &v.tags, &v.t
	v.row = -1
	if in.PageURL == "" && in.Referrer == "" && !in.KnowsReferrer && in.Campaign == (Campaign{}) {
		return // a server's event, nearly always
	}
	page := r.split(in.PageURL)
	r.readTags(g, page.query, page.fragment)
	if !g.any && in.Campaign.Query != "" {
		r.readTags(g, in.Campaign.Query, "")
	}
	r.settle(g)
	g.override(&in.Campaign)
	r.readReferrer(v, in, page)

	t.Source, t.Medium = r.foldSource(g.value[fieldSource]), r.foldMedium(g.value[fieldMedium])
	t.Campaign = g.value[fieldCampaign]
	if t.Campaign == "" {
		t.Campaign = g.value[fieldID]
	}
	t.Term, t.Content = g.value[fieldTerm], g.value[fieldContent]
	click := g.click
	if click != nil {
		t.ClickType = click.param
		if click.weight != recipient {
			t.ClickID = g.clickValue
		}
		if click.weight == noted {
			click = nil
		}
	}
	switch {
	case t.Source != "" || t.Medium != "" || t.Campaign != "":
		v.by = byTags
		r.complete(v, click)
	case click != nil && v.knowsBetter(click):
		v.by = byClick
		r.fromClick(v, click)
	case t.Referrer != "":
		v.by = byReferrer
		r.fromReferrer(v)
	case in.Referrer == "" && r.fromPlace(v):
		v.by = byPlace
	case in.Referrer == "" && in.KnowsReferrer:
		v.by = byDirect
		t.Source, t.Medium = directSource, directMedium
	default:
		*t = event.Traffic{}
		return
	}
	t.Channel, v.row = r.channel(t.Source, t.Medium, t.Campaign)
}

// readReferrer finds out what the referrer is: the site itself, a place that only
// sends visitors back, or where the visitor came from.
func (r *Rules) readReferrer(v *verdict, in *Input, page address) {
	v.ref = r.split(in.Referrer)
	if v.ref.host == "" {
		return
	}
	h := r.host(v.ref.host, v.ref.app)
	if h.node != nil {
		v.from = h.node.at(&v.ref)
	}
	if v.own, v.ownEntry = r.owns(h, page, in); v.own != notOwn {
		v.from = nil
		return
	}
	if v.from != nil && (v.from.kind == kindPay || v.from.kind == kindSignIn) {
		v.from, v.backFrom = nil, v.from
		return
	}
	v.t.Referrer = v.ref.host
	if v.from != nil && v.from.kind == kindOther {
		v.from = nil
	}
}

// knowsBetter says that a click id tells more of this visit than its referrer: an
// advertisement's always does; a free link's only when there is no other referrer,
// when the referrer is the same site, and when a message that carries its sender's
// mark was read in a webmail.
func (v *verdict) knowsBetter(click *clickID) bool {
	if click.weight == paidFor || v.t.Referrer == "" {
		return true
	}
	return v.from != nil && click.medium != "" && (v.from.name == click.source || v.from.kind == kindMail && click.medium == v.from.medium)
}

// complete fills in what campaign tags left open, from a click id that belongs to
// them, or from the referrer.
func (r *Rules) complete(v *verdict, click *clickID) {
	t := &v.t
	bare := t.Source == "" && t.Medium == "" // a campaign's name alone
	if t.Source != "" && t.Medium == "" && r.kindOf(t.Source) == kindAI {
		t.Medium = assistantMedium // they write a source into their links, and no medium
		return
	}
	switch {
	case click != nil && (t.Source == "" || t.Source == click.source):
		if t.Source == "" {
			t.Source = click.source
		}
		if bare || t.Medium == "" && t.Source == click.source {
			t.Medium = click.medium
		}
	case t.Source == "" && t.Referrer != "":
		if v.from != nil {
			t.Source = v.from.name
		} else {
			t.Source = withoutWWW(t.Referrer)
		}
		if bare && v.from != nil {
			t.Medium = v.from.medium
		} else if bare {
			t.Medium = "referral"
		}
	}
}

func (r *Rules) fromClick(v *verdict, click *clickID) {
	t := &v.t
	t.Source, t.Medium = click.source, click.medium
	switch {
	case click == &r.elsewhere && v.from != nil:
		t.Source = v.from.name
	case click == &r.elsewhere && t.Referrer != "":
		t.Source = withoutWWW(t.Referrer)
	case click.param == "srsltid":
		// Google's own name for it, by which its rules tell shopping from search.
		t.Campaign = "Shopping Free Listings"
	case click.source == "google" && v.tags.adCampaign != "":
		t.Campaign = v.tags.adCampaign
	}
	r.searchTerm(v)
}

func (r *Rules) fromReferrer(v *verdict) {
	t := &v.t
	if v.from == nil {
		t.Source, t.Medium = withoutWWW(t.Referrer), "referral"
		return
	}
	t.Source, t.Medium = v.from.name, v.from.medium
	r.searchTerm(v)
}

// searchTerm takes what was searched for out of the referrer of a search engine
// that still tells it.
func (r *Rules) searchTerm(v *verdict) {
	if v.t.Term != "" || v.from == nil || len(v.from.terms) == 0 || v.ref.query == "" || v.from.name != v.t.Source {
		return
	}
	best := len(v.from.terms)
	for n, query := 0, memo.Cut(v.ref.query, maxQuery); query != "" && n < maxParams; n++ {
		var name, value string
		name, value, query = nextParam(query)
		for i, term := range v.from.terms[:best] {
			if name == term {
				if s := r.value(value); s != "" {
					v.t.Term, best = s, i
				}
				break
			}
		}
	}
}

// fromPlace takes "ref" or "source" for a source if it names a place: a site of
// the table, or a host below a suffix that a registry gives names in.
func (r *Rules) fromPlace(v *verdict) bool {
	name := r.words.Lower(v.tags.place)
	if name == "" {
		return false
	}
	if s := r.named(name); s != nil {
		v.place = s
		v.t.Source, v.t.Medium = s.name, s.medium
		return true
	}
	if !isDomain(name) {
		return false
	}
	v.t.Source, v.t.Medium = withoutWWW(name), "referral"
	return true
}
