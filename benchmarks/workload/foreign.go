package workload

import (
	"fmt"
	"strconv"
	"strings"
)

// wire is the format of another collector.
type wire struct {
	name string
	path string
	kind string // Content-Type
	most int    // events that a request may hold
	ids  bool   // whether events have ids of their own
	// answers are the statuses by which events are accepted.
	answers [2]int
	// body appends a request with the shape's number of events to b.
	body func(s *Stream, b []byte, v *visitor, t *traitsOf) []byte
	// check judges the body of an answer to a request of so many events; nil: anything will do.
	check func(body []byte, events int) error
}

// anyNumber is where a format, or its documentation, sets no bound.
const anyNumber = 1 << 20

const jsonKind = "application/json"

// foreign gives the format's wire; false for those of the gateway itself.
func (f Format) foreign() (wire, bool) {
	switch f {
	case Snowplow:
		return wire{"snowplow", "/com.snowplowanalytics.snowplow/tp2", jsonKind + "; charset=UTF-8", anyNumber, true, [2]int{200}, (*Stream).snowplowBody, nil}, true
	case Matomo:
		return wire{"matomo", "/matomo.php", "application/x-www-form-urlencoded", anyNumber, false, [2]int{200, 204}, (*Stream).matomoBody, checkMatomo}, true
	case Umami:
		return wire{"umami", "/api/send", jsonKind, 1, false, [2]int{200}, (*Stream).umamiBody, checkUmami}, true
	case GoatCounter:
		return wire{"goatcounter", "/api/v0/count", jsonKind, 500, false, [2]int{202, 200}, (*Stream).goatCounterBody, nil}, true
	case Plausible:
		return wire{"plausible", "/api/event", jsonKind, 1, false, [2]int{202, 200}, (*Stream).plausibleBody, nil}, true
	}
	return wire{}, false
}

// Formats are the names that ParseFormat reads.
func Formats() []string {
	names := []string{"reuna", "segment"}
	for f := Snowplow; f <= Plausible; f++ {
		w, _ := f.foreign()
		names = append(names, w.name)
	}
	return names
}

// ParseFormat reads the name of a format that sends events, one of Formats.
func ParseFormat(s string) (Format, error) {
	switch s {
	case "reuna":
		return Interact, nil
	case "segment":
		return Segment, nil
	}
	for f := Snowplow; f <= Plausible; f++ {
		if w, _ := f.foreign(); w.name == s {
			return f, nil
		}
	}
	return 0, fmt.Errorf("unknown format %q: expected one of %s", s, strings.Join(Formats(), ", "))
}

// Check says why there are no requests of this shape; nil when there are.
func (s Shape) Check() error {
	if w, ok := s.Format.foreign(); ok && s.Batch > w.most {
		return fmt.Errorf("a request of %s holds %d events at most, not %d", w.name, w.most, s.Batch)
	}
	return nil
}

// Identifies says whether the format's events have ids, by which a server can tell
// an event that is sent again.
func (f Format) Identifies() bool {
	w, ok := f.foreign()
	return f != Profile && (!ok || w.ids)
}

// checkForeign judges the answer of another collector.
func (s *Stream) checkForeign(w *wire, a Answer) error {
	if a.Status != w.answers[0] && a.Status != w.answers[1] {
		return fmt.Errorf("status %d: expected %d of %s; the answer is %s", a.Status, w.answers[0], w.name, excerpt(a.Body))
	}
	if w.check != nil && len(a.Body) > 0 {
		if err := w.check(a.Body, s.request.Events); err != nil {
			return fmt.Errorf("%w; the answer is %s", err, excerpt(a.Body))
		}
	}
	s.open = false
	return nil
}

// deed is what a visitor does, for formats that know page views and named events.
type deed struct {
	event string // its name; "" for a page view
	label string // what it is about
	cents int    // what was paid
}

// do decides what v does next, and writes nothing yet.
func (s *Stream) do(v *visitor, t *traitsOf) (d deed) {
	k := s.move(v, t)
	s.look(v, k)
	v.seq++
	p := &s.products[t.taste*perCategory]
	if v.page > frontPage {
		p = &s.products[v.page-2]
	}
	d.label = p.title
	switch k {
	case viewProduct:
		d.event = "Product Viewed"
	case click:
		d.event = "Element Clicked"
	case search:
		d.event, d.label = "Products Searched", queries[s.random.Uint64N(uint64(len(queries)))]
	case read:
		d.event = "Page Read"
	case addToCart:
		d.event = "Product Added"
	case order:
		d.event, d.cents = "Order Completed", p.price
	case identify:
		v.user = true
		d.event, d.label = "Signed In", ""
	}
	return d
}

// appendURL writes the page's URL without its origin.
func (s *Stream) appendURL(b []byte) []byte {
	return append(append(b, s.at.path...), s.at.query...)
}

// appendReferrer writes where the visitor came to the page from; nothing when
// that is not known.
func (s *Stream) appendReferrer(b []byte) []byte {
	if s.at.inside {
		return append(append(b, s.origin...), '/')
	}
	return append(b, s.at.referrer...)
}

func (s *Stream) appendTitle(b []byte) []byte {
	return append(append(b, s.at.title...), " – The Reading Room"...)
}

// The screens of desktopScreens and mobileScreens.
var (
	desktopSizes = [...][2]string{{"1920", "1080"}, {"1536", "864"}, {"1440", "900"}, {"2560", "1440"}}
	mobileSizes  = [...][2]string{{"390", "844"}, {"412", "915"}, {"360", "800"}, {"430", "932"}}
)

// size is the visitor's screen, width and height in CSS pixels.
func (t *traitsOf) size() [2]string {
	if t.agent.mobile {
		return mobileSizes[t.screen]
	}
	return desktopSizes[t.screen]
}

// appendCents writes an amount of money.
func appendCents(b []byte, cents int) []byte {
	b = strconv.AppendInt(b, int64(cents/100), 10)
	return append(b, '.', byte('0'+cents/10%10), byte('0'+cents%10))
}
