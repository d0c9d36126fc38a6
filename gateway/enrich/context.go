package enrich

import (
	"strings"

	"github.com/reuna/reuna/gateway/enrich/device"
	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/gateway/enrich/traffic"
	"github.com/reuna/reuna/identity/event"
)

// maxUserAgentData bounds context.userAgentData in bytes, three times what
// browsers say: longer ones are not read, since the cache of agents would have to
// keep them.
const maxUserAgentData = 1024

// said is what an event's own context and properties say, in the words of the
// Segment spec (https://segment.com/docs/connections/spec/common/#context).
type said struct {
	userAgent string
	ip        string
	hasIP     bool // whatever it is
	locale    string
	timezone  string
	screen    event.Value
	uaData    event.Value
	library   string

	pageURL  string
	referrer string

	campaign traffic.Campaign
	device   struct{ manufacturer, model, kind string }
	os       struct{ name, version string }

	// forOther: the request is a server's, about somebody else.
	forOther bool
}

// read walks the context once.
func (s *said) read(ev *event.Event) {
	ev.Context.Each(func(key string, v event.Value) bool {
		switch key {
		case "userAgent":
			s.userAgent = v.Text()
		case "ip":
			s.ip, s.hasIP = v.Text(), true
		case "locale":
			s.locale = v.Text()
		case "timezone":
			s.timezone = v.Text()
		case "screen":
			s.screen = v
		case "userAgentData":
			if v.Kind() == event.Object && len(v) <= maxUserAgentData {
				s.uaData = v
			}
		case "library":
			s.library = v.Get("name").Text()
		case "page":
			s.pageURL = v.Get("url").Text()
			s.referrer = v.Get("referrer").Text()
		case "campaign":
			s.readCampaign(v)
		case "device":
			v.Each(func(key string, v event.Value) bool {
				switch key {
				case "manufacturer":
					s.device.manufacturer = v.Text()
				case "model":
					s.device.model = v.Text()
				case "type":
					s.device.kind = v.Text()
				}
				return true
			})
		case "os":
			s.os.name = v.Get("name").Text()
			s.os.version = v.Get("version").Text()
		}
		return true
	})
	if s.pageURL == "" {
		s.pageURL = ev.Properties.Get("url").Text()
		if s.referrer == "" {
			s.referrer = ev.Properties.Get("referrer").Text()
		}
	}
	s.forOther = ev.Source == event.FromServer || ev.Source == event.FromDesk ||
		(ev.Source == event.FromSDK && isServerLibrary(s.library))
}

func (s *said) readCampaign(v event.Value) {
	v.Each(func(key string, v event.Value) bool {
		text := memo.Cut(v.Text(), memo.MaxText)
		switch key {
		case "name":
			s.campaign.Name = text
		case "source":
			s.campaign.Source = text
		case "medium":
			s.campaign.Medium = text
		case "term":
			s.campaign.Term = text
		case "content":
			s.campaign.Content = text
		case "id":
			s.campaign.ID = text
		case "query":
			s.campaign.Query = v.Text()
		}
		return true
	})
}

// isServerLibrary says that a library runs on servers, even when it is used
// with the public write key: its request is not the visitor's. The names are
// those that Segment's libraries, and RudderStack's for Node, put into
// context.library.name.
func isServerLibrary(name string) bool {
	switch name {
	case "@segment/analytics-node", "analytics-node", "analytics-python", "segment-analytics-python",
		"analytics-ruby", "analytics-java", "analytics-go", "analytics-php", "analytics-rust",
		"Analytics.NET", "@rudderstack/rudder-sdk-node":
		return true
	}
	return false
}

// describe puts what an app says about its own device over what its HTTP
// library's user agent let guess.
func (e *Enricher) describe(d *event.Device, s *said) {
	if s.os.name != "" {
		d.OS, d.OSVersion = device.SystemFamily(memo.Cut(s.os.name, memo.MaxName)), memo.Cut(s.os.version, memo.MaxName)
	}
	if s.device.model != "" {
		d.Model = memo.Cut(s.device.model, memo.MaxName)
	}
	if s.device.manufacturer != "" {
		d.Vendor = memo.Cut(s.device.manufacturer, memo.MaxName)
	} else if s.device.model != "" {
		d.Vendor = e.agents.reader.Vendor(d.Model)
		switch d.OS {
		case "iOS", "tvOS", "watchOS", "Mac OS X": // nobody else's machines run them
			d.Vendor = "Apple"
		}
	}
	switch {
	case strings.HasPrefix(d.Model, "iPad"):
		d.Type = device.Tablet
	case strings.HasPrefix(d.Model, "AppleTV") || d.OS == "tvOS":
		d.Type = device.TV
	case strings.HasPrefix(d.Model, "Watch") || d.OS == "watchOS":
		d.Type = device.Wearable
	case d.Type == "" || d.Type == device.Other || d.Type == typeBot:
		switch d.OS {
		case "iOS", "Android":
			d.Type = device.Mobile
		case "Windows", "Mac OS X", "Linux", "Chrome OS":
			d.Type = device.Desktop
		default:
			if strings.EqualFold(s.device.kind, "ios") || strings.EqualFold(s.device.kind, "android") {
				d.Type = device.Mobile
			} else {
				d.Type = device.Other
			}
		}
	}
}

// withIP is the context with another ip in the place of its own; "" leaves it out.
// A sender may write a whole address there: what is kept is cut as configured.
func withIP(context event.Value, ip string) event.Value {
	w := event.NewWriter(make([]byte, 0, len(context)))
	w.Open()
	context.Each(func(k string, v event.Value) bool {
		if k == "ip" {
			w.Text(k, ip)
		} else {
			w.Raw(k, v)
		}
		return true
	})
	w.Close()
	return event.Value(w.Bytes())
}
