package decide

import (
	"math"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
)

// maxAffinity is how many scores a page is told.
const maxAffinity = 5

// Append writes the members "profile" and "decisions" of an answer, without
// braces around them, as api.md shows them under POST /v1/interact: always all
// of them, in the same order. placements are the names that the page asked for;
// those that do not exist, or have nothing to say, are left out.
//
// The text is safe inside a script element too. v is only read.
func (d *Decider) Append(dst []byte, v *View, siteName string, placements []string) []byte {
	site := d.sites[siteName]
	sub := v.Subject
	if sub == nil {
		sub = d.judge(v)
		defer d.release(sub)
	}
	o := event.NewWriter(dst)
	o.Key("profile")
	o.Open()
	o.String("id", v.ID)
	o.Flag("known", v.Known)
	appendVisit(o, sub.Profile)
	appendNow(o, sub)
	o.Key("traits")
	o.Open()
	if site != nil {
		appendTraits(o, sub, site.pageTraits)
	}
	o.Close()
	o.Key("segments")
	sub.WriteSegments(o)
	o.Key("affinity")
	o.OpenList()
	var room [maxAffinity]facet.Score
	for _, s := range sub.Computed.Foremost(room[:0], maxAffinity) {
		o.OpenList()
		o.Item(s.Key)
		o.FloatItem(math.Round(s.Value*100) / 100)
		o.CloseList()
	}
	o.CloseList()
	o.Close()

	o.Key("decisions")
	o.Open()
	unit := v.unit()
	for i, name := range placements {
		p := d.find(site, name)
		if p == nil || slices.Contains(placements[:i], name) {
			continue
		}
		if x, ok := d.choose(p, sub, unit); ok {
			o.Key(name)
			o.Open()
			o.String("variant", x.Variant)
			o.String("experience", x.Experience)
			o.Flag("holdout", x.Holdout)
			if x.Holdout {
				o.String("heldOutOf", x.Chosen)
			}
			o.Close()
		}
	}
	o.Close()
	return o.Bytes()
}

// unit is who chances and hold-outs are for.
func (v *View) unit() string {
	if v.Person != "" {
		return v.Person
	}
	return v.ID
}

// judge makes a subject of somebody who was not judged yet; release takes it back.
func (d *Decider) judge(v *View) *segment.Subject {
	sub, ok := d.subjects.Get().(*segment.Subject)
	if !ok {
		sub = new(segment.Subject)
	}
	sub.Profile, sub.Identifiers, sub.Now, sub.Event = v.Profile, v.Identifiers, v.Now, v.Event
	sub.Computed.Reset(d.traits, v.Profile, v.Now)
	d.segments.Members(sub)
	return sub
}

func (d *Decider) release(sub *segment.Subject) {
	sub.Reset()
	d.subjects.Put(sub)
}

// appendVisit writes what people did: a robot has no visits, whatever it did.
func appendVisit(o *event.Writer, p *facet.Profile) {
	o.Key("visit")
	o.Open()
	if p != nil {
		o.Flag("new", p.Sessions <= 1)
		o.Int("sessions", p.Sessions)
		o.Int("pageviews", p.Pageviews)
		o.Time("firstSeen", p.First)
		o.Time("lastSeen", p.Last)
	} else {
		o.Flag("new", true)
		o.Int("sessions", 0)
		o.Int("pageviews", 0)
	}
	o.Close()
}

// appendNow writes what the person uses, where they are, and where they came
// from: now, for the first time, and last by more than typing an address.
func appendNow(o *event.Writer, sub *segment.Subject) {
	device, geo := sub.Device(), sub.Geo()
	o.Key("device")
	o.Open()
	o.String("type", device.Type)
	o.String("os", device.OS)
	o.String("browser", device.Browser)
	o.Close()
	o.Key("geo")
	o.Open()
	o.String("country", geo.Country)
	o.String("region", geo.Region)
	o.String("city", geo.City)
	o.Close()
	appendTraffic(o, "traffic", sub.Traffic())
	appendTraffic(o, "firstTouch", sub.FirstTouch())
	appendTraffic(o, "lastTouch", sub.LastTouch())
}

func appendTraffic(o *event.Writer, key string, t *event.Traffic) {
	o.Key(key)
	o.Open()
	o.String("channel", t.Channel)
	o.String("source", t.Source)
	o.String("medium", t.Medium)
	o.String("campaign", t.Campaign)
	o.Close()
}

// appendTraits writes the traits of the site's list that have a value. What the
// gateway computed stands before what somebody said under the same name.
func appendTraits(o *event.Writer, sub *segment.Subject, names []string) {
	for _, name := range names {
		if c, ok := sub.Computed.Get(name); ok {
			if text, is := c.Text(); is {
				o.String(name, text)
			} else {
				o.Raw(name, inert(c.JSON()))
			}
			continue
		}
		if sub.Profile == nil {
			continue
		}
		if v := sub.Profile.Traits[name].Value; v != "" && v.Kind() != event.Null {
			o.Raw(name, inert(v))
		}
	}
}

// inert escapes what could end a script element or a line of script. In JSON
// these characters stand inside texts only, where an escape is the same text.
func inert(v event.Value) event.Value {
	if !strings.ContainsAny(string(v), "<>&\u2028\u2029") {
		return v
	}
	return event.Value(escapes.Replace(string(v)))
}

var escapes = strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "\u2028", `\u2028`, "\u2029", `\u2029`)
