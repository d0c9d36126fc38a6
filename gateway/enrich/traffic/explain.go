package traffic

import (
	"fmt"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// Explain is Read with what said so: which parameter, which line of the table of
// sites, which row of Google's, and why a referrer was passed over.
func (r *Rules) Explain(in *Input) (event.Traffic, []memo.Why) {
	var v verdict
	r.decide(&v, in)
	x := explainer{r: r, v: &v, in: in}
	x.referrer()
	if v.by == byNothing {
		x.say("channel", "", "nothing new is known: the visit that is running keeps its source")
		return v.t, x.why
	}
	x.source()
	x.tag("campaign", v.t.Campaign, fieldCampaign, fieldID)
	x.tag("term", v.t.Term, fieldTerm)
	x.tag("content", v.t.Content, fieldContent)
	x.click()
	if v.row < 0 {
		x.say("channel", v.t.Channel, "no row of GA4's default channel groups applies")
	} else {
		x.say("channel", v.t.Channel, fmt.Sprintf("GA4 row %d: %s", v.row+1, r.channels[v.row].words))
	}
	return v.t, x.why
}

// explainer collects sentences.
type explainer struct {
	r   *Rules
	v   *verdict
	in  *Input
	why []memo.Why
}

func (x *explainer) say(field, value, rule string) {
	x.why = append(x.why, memo.Why{Field: field, Value: value, Rule: rule})
}

func (x *explainer) referrer() {
	v := x.v
	switch {
	case x.in.Referrer == "" && x.in.KnowsReferrer:
		x.say("referrer", "", "there was none")
	case x.in.Referrer == "":
		x.say("referrer", "", "not known")
	case v.ref.host == "":
		x.say("referrer", "", "passed over: no address of a site or an app")
	case v.own == ownPage:
		x.say("referrer", "", "passed over: "+v.ref.host+" is the page's own host")
	case v.own == ownDomain:
		x.say("referrer", "", fmt.Sprintf("passed over: %s and the page belong to the same registered domain, %s", v.ref.host, x.r.host(v.ref.host, v.ref.app).domain))
	case v.own == ownOrigin:
		x.say("referrer", "", "passed over: "+v.ref.host+" belongs to the registered domain of the request's Origin")
	case v.own == ownGateway:
		x.say("referrer", "", "passed over: "+v.ref.host+" is the host that the site's tag reports to")
	case v.own == ownListed:
		x.say("referrer", "", fmt.Sprintf("passed over: %s is the site's own by the entry %q", v.ref.host, v.ownEntry))
	case v.backFrom != nil && v.backFrom.kind == kindPay:
		x.say("referrer", "", fmt.Sprintf("passed over: %s takes payments and sends visitors back (%s)", v.ref.host, v.backFrom.where()))
	case v.backFrom != nil:
		x.say("referrer", "", fmt.Sprintf("passed over: %s signs visitors in and sends them back (%s)", v.ref.host, v.backFrom.where()))
	case v.from != nil:
		x.say("referrer", v.t.Referrer, v.from.where()+": "+v.from.name)
	default:
		x.say("referrer", v.t.Referrer, "in no file of known sites")
	}
}

// source explains source and medium.
func (x *explainer) source() {
	v, t := x.v, &x.v.t
	switch v.by {
	case byDirect:
		x.say("source", t.Source, "no referrer, no campaign tag, no click id")
		x.say("medium", t.Medium, "no referrer, no campaign tag, no click id")
	case byReferrer:
		rule := "the referrer's host: a site that we do not know"
		if v.from != nil {
			rule = v.from.where() + ", by the referrer"
		}
		x.say("source", t.Source, rule)
		x.say("medium", t.Medium, rule)
	case byPlace:
		rule := fmt.Sprintf("the parameter %s, as nothing else tells a source", v.tags.placeBy.name)
		if v.place != nil {
			rule += " (" + v.place.where() + ")"
		}
		x.say("source", t.Source, rule)
		x.say("medium", t.Medium, rule)
	case byClick:
		rule := v.tags.click.param + ": " + v.tags.click.about
		source := rule
		if v.tags.click.source == "" {
			source += "; the source is the referrer's"
		}
		x.say("source", t.Source, source)
		x.say("medium", t.Medium, rule)
	case byTags:
		x.folded("source", t.Source, fieldSource)
		x.folded("medium", t.Medium, fieldMedium)
	}
}

// folded explains a tag that may have been folded, or filled in.
func (x *explainer) folded(name, value string, f field) {
	g := &x.v.tags
	written := g.value[f]
	switch {
	case written == "" && value == "":
		x.say(name, "", "the campaign's tags do not say it")
	case written == "" && f == fieldMedium && value == assistantMedium && g.value[fieldSource] != "":
		x.say(name, value, "not in the campaign's tags; the links of AI assistants have no other")
	case written == "" && g.click != nil && (value == g.click.source || value == g.click.medium):
		x.say(name, value, "not in the campaign's tags; "+g.click.param+": "+g.click.about)
	case written == "":
		x.say(name, value, "not in the campaign's tags; by the referrer")
	case written == value:
		x.say(name, value, g.name(f))
	default:
		rule := fmt.Sprintf("%s says %q", g.name(f), written)
		if f == fieldSource {
			if s := x.r.named(x.r.words.Lower(written)); s != nil {
				rule += ", which is " + s.name + " (" + s.where() + ")"
			}
		} else if _, ok := x.r.media[x.r.words.Lower(written)]; ok {
			rule += ", another way to write it"
		}
		x.say(name, value, rule)
	}
}

// tag explains a text that stands as it was written, in the first of some fields.
func (x *explainer) tag(name, value string, from ...field) {
	if value == "" {
		return
	}
	for _, f := range from {
		if x.v.tags.value[f] == value {
			x.say(name, value, x.v.tags.name(f))
			return
		}
	}
	switch {
	case name == "campaign" && x.v.tags.click != nil && value == x.v.tags.adCampaign:
		x.say(name, value, "gad_campaignid")
	case name == "campaign":
		x.say(name, value, "Google's name for the visits that srsltid marks")
	default:
		x.say(name, value, x.v.from.where()+": what was searched for, by the referrer")
	}
}

func (x *explainer) click() {
	c := x.v.tags.click
	if c == nil {
		return
	}
	switch c.weight {
	case recipient:
		x.say("click id", c.param, c.about+"; the value names a person and is not kept")
	case shared:
		x.say("click id", c.param, c.about+"; a referrer from elsewhere outranks it")
	case noted:
		x.say("click id", c.param, c.about+"; tells no source")
	default:
		x.say("click id", c.param, c.about)
	}
}

// name is where a field's tag was found.
func (g *tags) name(f field) string {
	if p := g.by[f]; p != nil {
		return p.name
	}
	return [fields]string{"context.campaign.source", "context.campaign.medium", "context.campaign.name",
		"context.campaign.id", "context.campaign.term", "context.campaign.content"}[f]
}
