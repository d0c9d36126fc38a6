package event

import "strconv"

// AppendJSON appends the event as the Segment spec shapes it, with what the
// gateway added under `context`. Members that say nothing are left out.
func (e *Event) AppendJSON(dst []byte) []byte {
	o := Writer{dst: dst}
	o.Open()
	o.Text("type", e.Type.String())
	switch e.Type {
	case Track:
		o.Text("event", e.Name)
	case Page, Screen:
		o.Text("name", e.Name)
		o.Text("category", e.Category)
	}
	o.Text("messageId", e.MessageID)
	o.Text("anonymousId", e.AnonymousID)
	o.Text("userId", e.UserID)
	o.Text("previousId", e.PreviousID)
	o.Text("groupId", e.GroupID)
	o.Time("timestamp", e.Timestamp)
	o.Time("originalTimestamp", e.OriginalTimestamp)
	o.Time("sentAt", e.SentAt)
	o.Time("receivedAt", e.ReceivedAt)
	o.Raw("properties", e.Properties)
	o.Raw("traits", e.Traits)
	o.Raw("integrations", e.Integrations)
	o.Text("source", e.Source.String())
	o.Text("trust", e.Trust.String())
	o.Key("context")
	e.appendContext(&o)
	o.Close()
	return o.dst
}

// added are the members of context that are the gateway's to write; what a
// sender put there under the same name stands in the enrichment's way.
func added(key string) bool {
	switch key {
	case "ip", "device", "os", "browser", "geo", "traffic", "bot", "site":
		return true
	}
	return false
}

func (e *Event) appendContext(o *Writer) {
	o.Open()
	e.Context.Each(func(k string, v Value) bool {
		if !added(k) {
			o.Raw(k, v)
		}
		return true
	})
	o.Text("site", e.Site)
	o.Text("ip", e.IP)
	d := &e.Device
	if d.Type != "" || d.Vendor != "" || d.Model != "" || d.Language != "" || d.Timezone != "" || d.Screen != "" {
		o.Key("device")
		o.Open()
		o.Text("type", d.Type)
		o.Text("manufacturer", d.Vendor)
		o.Text("model", d.Model)
		o.Text("language", d.Language)
		o.Text("timezone", d.Timezone)
		o.Text("screen", d.Screen)
		o.Close()
	}
	if d.OS != "" {
		o.Key("os")
		o.Open()
		o.Text("name", d.OS)
		o.Text("version", d.OSVersion)
		o.Close()
	}
	if d.Browser != "" {
		o.Key("browser")
		o.Open()
		o.Text("name", d.Browser)
		o.Text("version", d.BrowserVersion)
		o.Close()
	}
	if e.Geo != (Geo{}) {
		o.Key("geo")
		e.Geo.Append(o)
	}
	if e.Traffic != (Traffic{}) {
		o.Key("traffic")
		e.Traffic.Append(o)
	}
	if e.Bot.Is {
		o.Key("bot")
		e.Bot.Append(o)
	}
	o.Close()
}

// Append writes the verdict as a JSON object.
func (b *Bot) Append(o *Writer) {
	o.Open()
	o.Flag("is", b.Is)
	o.Text("class", b.Class)
	o.Text("name", b.Name)
	o.Text("operator", b.Operator)
	o.Text("reason", b.Reason)
	o.Close()
}

// Append writes the place as a JSON object.
func (g *Geo) Append(o *Writer) {
	o.Open()
	o.Text("country", g.Country)
	o.Text("region", g.Region)
	o.Text("city", g.City)
	o.Text("postcode", g.Postcode)
	o.Text("timezone", g.Timezone)
	if g.ASN != 0 {
		o.Int("asn", int64(g.ASN))
	}
	o.Text("asOrg", g.ASOrg)
	o.Close()
}

// Append writes the traffic source as a JSON object.
func (t *Traffic) Append(o *Writer) {
	o.Open()
	o.Text("channel", t.Channel)
	o.Text("source", t.Source)
	o.Text("medium", t.Medium)
	o.Text("campaign", t.Campaign)
	o.Text("term", t.Term)
	o.Text("content", t.Content)
	o.Text("clickId", t.ClickID)
	o.Text("clickType", t.ClickType)
	o.Text("referrer", t.Referrer)
	o.Close()
}

// Writer builds JSON text member by member, without reflection and without a
// tree. It trusts its caller to balance Open with Close.
type Writer struct {
	dst   []byte
	comma bool // a member stands before the next one
}

// NewWriter appends to dst; Bytes gives the result.
func NewWriter(dst []byte) *Writer { return &Writer{dst: dst} }

// Bytes is the text so far.
func (o *Writer) Bytes() []byte { return o.dst }

func (o *Writer) sep() {
	if o.comma {
		o.dst = append(o.dst, ',')
	}
	o.comma = true
}

// Open starts an object, in an array or after Key.
func (o *Writer) Open() { o.start('{') }

// Close ends an object.
func (o *Writer) Close() { o.end('}') }

// OpenList starts an array, in an array or after Key.
func (o *Writer) OpenList() { o.start('[') }

// CloseList ends an array.
func (o *Writer) CloseList() { o.end(']') }

func (o *Writer) start(c byte) {
	o.sep()
	o.dst = append(o.dst, c)
	o.comma = false
}

func (o *Writer) end(c byte) {
	o.dst = append(o.dst, c)
	o.comma = true
}

// Key writes a member's name; a value must follow.
func (o *Writer) Key(k string) {
	o.sep()
	o.dst = AppendQuoted(o.dst, k)
	o.dst = append(o.dst, ':')
	o.comma = false
}

// Text writes a text member unless it is empty.
func (o *Writer) Text(k, v string) {
	if v != "" {
		o.String(k, v)
	}
}

// String writes a text member, empty or not.
func (o *Writer) String(k, v string) {
	o.Key(k)
	o.dst = AppendQuoted(o.dst, v)
	o.comma = true
}

// Item writes a text element of an array.
func (o *Writer) Item(v string) {
	o.sep()
	o.dst = AppendQuoted(o.dst, v)
}

// Raw writes a member that is JSON already, unless it is absent.
func (o *Writer) Raw(k string, v Value) {
	if v != "" {
		o.Key(k)
		o.dst = append(o.dst, v...)
		o.comma = true
	}
}

// RawItem writes an element of an array that is JSON already.
func (o *Writer) RawItem(v Value) {
	o.sep()
	o.dst = append(o.dst, v...)
}

// Time writes milliseconds as an RFC 3339 time unless they are 0.
func (o *Writer) Time(k string, ms int64) {
	if ms != 0 {
		o.Key(k)
		o.dst = append(o.dst, '"')
		o.dst = AppendTime(o.dst, ms)
		o.dst = append(o.dst, '"')
		o.comma = true
	}
}

// Int writes a whole number.
func (o *Writer) Int(k string, n int64) {
	o.Key(k)
	o.dst = strconv.AppendInt(o.dst, n, 10)
	o.comma = true
}

// Float writes a number with at most six digits after the point.
func (o *Writer) Float(k string, f float64) {
	o.Key(k)
	o.FloatItem(f)
}

// FloatItem writes a number as an element of an array, or as a member's value.
func (o *Writer) FloatItem(f float64) {
	o.sep()
	o.dst = appendFloat(o.dst, f)
}

func appendFloat(dst []byte, f float64) []byte {
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', 6, 64)
	for len(dst) > start && dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	if dst[len(dst)-1] == '.' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// Flag writes a boolean.
func (o *Writer) Flag(k string, b bool) {
	o.Key(k)
	o.dst = strconv.AppendBool(o.dst, b)
	o.comma = true
}
