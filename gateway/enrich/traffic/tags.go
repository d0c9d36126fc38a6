package traffic

import (
	"strings"

	"github.com/reuna/reuna/gateway/enrich/memo"
)

// What is read of one query: longer ones are an attack or a mistake, and what
// follows is not looked at.
const (
	maxQuery  = 32 << 10 // bytes
	maxParams = 512
)

// field is one of the six things that campaign tags tell.
type field uint8

const (
	fieldSource field = iota
	fieldMedium
	fieldCampaign
	fieldID
	fieldTerm
	fieldContent
	fields
)

// param is a parameter that we know.
type param struct {
	name  string
	what  paramKind
	field field
	rank  uint8 // of tags for the same field the lower rank counts
	click int   // index of the first click id with this name
}

type paramKind uint8

const (
	paramTag    paramKind = iota
	paramClick            // a click id
	paramClicks           // gclsrc: what kind of gclid stands beside it
	paramPlace            // ref, source: a place, if anything
)

// Ranks of tags for the same field.
const (
	rankSDK    = iota // context.campaign, which the page's own code read or set
	rankUTM           // utm_…, in the query
	rankMatomo        // mtm_…, pk_…, piwik_…
	rankNone
)

// params are the parameters we know, by their names in lower case. Those of
// utm_source_platform, utm_creative_format and utm_marketing_tactic are known to
// GA4 and have no place in event.Traffic; they are passed over.
func params(clicks []clickID) map[string]*param {
	all := map[string]*param{
		"gclsrc": {name: "gclsrc", what: paramClicks},
		// Places, and not tags: see Rules.place.
		"ref":    {name: "ref", what: paramPlace},
		"source": {name: "source", what: paramPlace},
	}
	for name, f := range map[string]field{
		// https://support.google.com/analytics/answer/10917952
		"utm_source": fieldSource, "utm_medium": fieldMedium, "utm_campaign": fieldCampaign,
		"utm_id": fieldID, "utm_term": fieldTerm, "utm_content": fieldContent,
	} {
		all[name] = &param{name: name, field: f, rank: rankUTM}
	}
	for name, f := range map[string]field{
		// https://matomo.org/faq/reports/what-is-campaign-tracking-and-why-it-is-important/
		"source": fieldSource, "medium": fieldMedium, "campaign": fieldCampaign, "cid": fieldID,
		"keyword": fieldTerm, "kwd": fieldTerm, "content": fieldContent,
	} {
		for _, prefix := range []string{"mtm_", "matomo_", "pk_", "piwik_"} {
			all[prefix+name] = &param{name: prefix + name, field: f, rank: rankMatomo}
		}
	}
	for i, c := range clicks {
		if all[c.param] == nil {
			all[c.param] = &param{name: c.param, what: paramClick, click: i}
		}
	}
	return all
}

// maxName is the longest name of a parameter that we know.
const maxName = 24

// tags are the campaign parameters of one URL, before they are folded.
type tags struct {
	value [fields]string
	by    [fields]*param // nil: not said, or said by the SDK
	rank  [fields]uint8

	click      *clickID // the one that decides; nil when there is none
	clickRow   int      // its place in the table
	clickValue string
	elsewhere  bool   // gclsrc says that gclid is another engine's
	adCampaign string // gad_campaignid

	place   string // what ref or source says
	placeBy *param

	any bool // a tag or a click id was found
}

// readTags reads the tags and click ids of an address: its query first, then its
// fragment, where some put them so that a page is not loaded anew
// (#utm_source=…, and #/path?utm_source=… of pages that route there).
func (r *Rules) readTags(g *tags, query, fragment string) {
	for i := range g.rank {
		g.rank[i] = rankNone
	}
	r.readQuery(g, query)
	if i := strings.IndexByte(fragment, '?'); i >= 0 {
		fragment = fragment[i+1:]
	}
	if strings.IndexByte(fragment, '=') >= 0 {
		r.readQuery(g, fragment)
	}
}

// readQuery reads one query. Names are compared without regard to case; of a
// parameter that comes twice the first one that says something counts.
func (r *Rules) readQuery(g *tags, query string) {
	query = memo.Cut(query, maxQuery)
	for n := 0; query != "" && n < maxParams; n++ {
		var name, value string
		name, value, query = nextParam(query)
		if value == "" {
			continue
		}
		p := r.param(name)
		if p == nil {
			continue
		}
		switch p.what {
		case paramTag:
			if p.rank < g.rank[p.field] {
				if v := r.value(value); v != "" {
					g.value[p.field], g.by[p.field], g.rank[p.field], g.any = v, p, p.rank, true
				}
			}
		case paramClick:
			r.readClick(g, p, value)
		case paramClicks:
			g.elsewhere = g.elsewhere || len(value) >= 3 && strings.EqualFold(value[:3], "3p.")
		case paramPlace:
			if g.place == "" {
				g.place, g.placeBy = r.value(value), p
			}
		}
	}
}

// param finds a parameter by its name as it stands in a query.
func (r *Rules) param(name string) *param {
	if len(name) < 3 || len(name) > 3*maxName {
		return nil
	}
	var buf [3 * maxName]byte
	n := copy(buf[:], name)
	if strings.IndexByte(name, '%') >= 0 {
		n = unescape(buf[:n], true)
	}
	if n > maxName {
		return nil
	}
	for i, c := range buf[:n] {
		if memo.IsUpper(c) {
			buf[i] = c | 0x20
		}
	}
	return r.params[string(buf[:n])]
}

// readClick takes a click id if it outranks the one we have.
func (r *Rules) readClick(g *tags, p *param, raw string) {
	if g.click != nil && g.click.param == p.name {
		return
	}
	v := r.value(raw)
	if v == "" {
		return
	}
	g.any = true
	i := p.click
	for ; r.clicks[i].prefix != "" && !strings.HasPrefix(v, r.clicks[i].prefix); i++ {
		// the rows of one parameter follow each other; the last has no prefix
	}
	if p.name == "gad_campaignid" {
		g.adCampaign = v
	}
	if g.click == nil || i < g.clickRow {
		g.click, g.clickRow, g.clickValue = &r.clicks[i], i, v
	}
}

// settle decides whose a gclid is, once the whole address was read.
func (r *Rules) settle(g *tags) {
	if g.elsewhere && g.click != nil && g.click.param == "gclid" {
		g.click = &r.elsewhere
		if isMicrosoftID(g.clickValue) {
			g.click = &r.elsewhereMicrosoft
		}
	}
}

func isMicrosoftID(s string) bool {
	for i := range len(s) {
		if memo.Unhex(s[i]) >= 16 {
			return false
		}
	}
	return len(s) == 32
}

// override puts the SDK's reading of the campaign over ours, field by field.
func (g *tags) override(c *Campaign) {
	for f, v := range [fields]string{c.Source, c.Medium, c.Name, c.ID, c.Term, c.Content} {
		if v = said(strings.TrimSpace(memo.Cut(v, memo.MaxText))); v != "" {
			g.value[f], g.by[f], g.rank[f] = memo.Valid(v), nil, rankSDK
		}
	}
}
