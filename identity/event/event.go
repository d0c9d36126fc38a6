// Package event is the model of what happened: Segment-spec messages, how they
// are read from JSON, checked, dated and written to the log.
package event

import "github.com/reuna/reuna/identity/id"

// Type is a message's type in the Segment spec.
type Type uint8

const (
	Track Type = iota + 1
	Page
	Screen
	Identify
	Group
	Alias
)

var typeNames = [...]string{"", "track", "page", "screen", "identify", "group", "alias"}

func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return ""
}

// ParseType reads a type's name; 0 when there is no such type.
func ParseType(s string) Type {
	for i, n := range typeNames {
		if i > 0 && n == s {
			return Type(i)
		}
	}
	return 0
}

// Source says by which door an event came in.
type Source uint8

const (
	FromTag    Source = iota + 1 // /v1/interact: the visitor is the cookie's
	FromSDK                      // Segment routes with the public write key
	FromServer                   // Segment routes with a server's secret key
	FromPixel                    // /v1/p.gif
	FromDesk                     // an operator
)

var sourceNames = [...]string{"", "tag", "sdk", "server", "pixel", "desk"}

func (s Source) String() string {
	if int(s) < len(sourceNames) {
		return sourceNames[s]
	}
	return ""
}

// Event is one Segment-spec message with what the gateway added to it.
//
// Its strings and Values are windows into the body it was parsed from (or the
// log entry it was decoded from). That body belongs to the garbage collector
// and is never written again, so they may be kept; keeping one keeps the whole
// body, so what lives long (caches, facets) clones.
type Event struct {
	Type        Type
	Source      Source
	Trust       id.Trust // of what the event says about identity and traits
	Name        string   // track: `event`; page, screen: `name`
	Category    string   // page, screen
	MessageID   string
	AnonymousID string
	UserID      string
	PreviousID  string // alias
	GroupID     string // group
	// Empty counts the identifiers that were sent as "", which identifies nobody. It
	// is the parser's, and not kept.
	Empty uint8

	// Milliseconds since 1970 UTC; 0 means that it was not said.
	Timestamp         int64 // corrected and clamped: what everything reads
	OriginalTimestamp int64 // as sent
	SentAt            int64
	ReceivedAt        int64

	Properties   Value // JSON object text, or ""
	Traits       Value // of identify and group: the message's `traits`
	Context      Value // as sent; what the gateway adds is in the fields below
	Integrations Value

	Site    string // the site's name in the config
	IP      string // truncated as configured
	Device  Device
	Geo     Geo
	Traffic Traffic
	Bot     Bot
}

// Device is what sent the event. Names are the families of uap-core where it
// has one ("Chrome", "Mobile Safari"), empty when unknown.
type Device struct {
	Type           string // desktop, mobile, tablet, tv, console, wearable, bot, other
	OS             string
	OSVersion      string
	Browser        string
	BrowserVersion string
	Vendor         string
	Model          string
	Language       string // the first that its owner reads, BCP 47: "en-GB"
	Timezone       string // that its clock is set to, IANA: "Europe/Helsinki"
	Screen         string // in CSS pixels: "1920x1080"
}

// Geo is the place the address belongs to, empty where unknown.
type Geo struct {
	Country  string // ISO 3166-1 alpha-2
	Region   string // name in English
	City     string
	Postcode string
	Timezone string // IANA
	ASN      uint32
	ASOrg    string
}

// Direct is the channel of a visit that names no source.
const Direct = "Direct"

// Traffic is where the visit came from. Channel is a GA4 default channel group.
type Traffic struct {
	Channel   string
	Source    string
	Medium    string
	Campaign  string
	Term      string
	Content   string
	ClickID   string // value of gclid, fbclid, …
	ClickType string // its parameter's name
	Referrer  string // host of the referrer, empty when internal or none
}

// Bot is the verdict about automation. Events of bots are flagged, never
// dropped in silence.
type Bot struct {
	Is       bool
	Class    string // search, ai-training, ai-assistant, monitor, preview, library, headless, scanner, other
	Name     string // what it calls itself: "Googlebot"
	Operator string // who runs it: "Google"
	Reason   string // which marks gave it away, joined with "; "
}
