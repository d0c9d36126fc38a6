package workload

import (
	"bytes"
	"errors"
)

// umamiBody writes what Umami's script sends. The write key is the website's id.
// https://docs.umami.is/docs/api/sending-stats
func (s *Stream) umamiBody(b []byte, v *visitor, t *traitsOf) []byte {
	d := s.do(v, t)
	size := t.size()
	b = append(b, `{"type":"event","payload":{"website":`...)
	b = append(b, s.writeKey...)
	b = append(b, `,"hostname":"`...)
	b = append(b, s.host...)
	b = append(b, `","screen":"`...)
	b = append(append(append(b, size[0]...), 'x'), size[1]...)
	b = append(b, `","language":"`...)
	b = append(b, t.locale.tag...)
	b = append(b, `","title":"`...)
	b = s.appendTitle(b)
	b = append(b, `","url":"`...)
	b = s.appendURL(b)
	b = append(b, `","referrer":"`...)
	b = append(s.appendReferrer(b), '"')
	if d.event != "" {
		b = append(b, `,"name":"`...)
		b = append(b, d.event...)
		b = append(b, `","data":{`...)
		b = append(s.appendAbout(b, &d), '}')
	}
	return append(b, `}}`...)
}

// appendAbout writes what an event is about, as fields of an object.
func (s *Stream) appendAbout(b []byte, d *deed) []byte {
	b = append(b, `"about":"`...)
	b = append(append(b, d.label...), '"')
	if d.cents > 0 {
		b = append(b, `,"total":`...)
		b = appendCents(b, d.cents)
	}
	return b
}

// checkUmami judges an answer: for agents that Umami takes for robots it is another
// one, also with status 200, and the event is not kept.
func checkUmami(body []byte, _ int) error {
	if bytes.Contains(body, []byte(`"beep"`)) {
		return errors.New("the visitor's agent was taken for a robot's: set DISABLE_BOT_CHECK=1 where the test runs")
	}
	return nil
}

// goatCounterBody writes what a site's server sends to GoatCounter. The write key is an API token with the
// permission to record page views.
// https://www.goatcounter.com/help/api
func (s *Stream) goatCounterBody(b []byte, v *visitor, t *traitsOf) []byte {
	now := s.now()
	b = append(b, `{"hits":[`...)
	for i := range s.shape.Batch {
		if i > 0 {
			b = append(b, ',')
		}
		d := s.do(v, t)
		size := t.size()
		b = append(b, `{"path":"`...)
		if d.event != "" {
			b = append(append(b, d.event...), `","event":true`...)
		} else {
			b = append(append(b, s.at.path...), `","event":false`...)
		}
		b = append(b, `,"title":"`...)
		b = s.appendTitle(b)
		b = append(b, `","ref":"`...)
		b = s.appendReferrer(b)
		b = append(b, `","query":"`...)
		b = append(b, s.at.query...)
		b = append(b, `","size":[`...)
		b = append(append(append(b, size[0]...), ','), size[1]...)
		b = append(b, `,1],"user_agent":"`...)
		b = append(b, t.agent.ua...)
		b = append(b, `","ip":"`...)
		b = appendAddress(b, t.hash)
		b = append(b, `","created_at":"`...)
		b = appendTime(b, now)
		b = append(b, `"}`...)
	}
	return append(b, `]}`...)
}

// plausibleBody writes what Plausible's script sends. The write key is the site's domain.
// https://plausible.io/docs/events-api
func (s *Stream) plausibleBody(b []byte, v *visitor, t *traitsOf) []byte {
	d := s.do(v, t)
	b = append(b, `{"name":"`...)
	if d.event == "" {
		b = append(b, `pageview`...)
	} else {
		b = append(b, d.event...)
	}
	b = append(b, `","url":"`...)
	b = s.appendURL(append(b, s.origin...))
	b = append(b, `","domain":`...)
	b = append(b, s.writeKey...)
	b = append(b, `,"referrer":"`...)
	b = append(s.appendReferrer(b), '"')
	if d.event != "" {
		b = append(b, `,"props":{`...)
		b = append(s.appendAbout(b, &d), '}')
	}
	if d.cents > 0 {
		b = append(b, `,"revenue":{"currency":"EUR","amount":`...)
		b = append(appendCents(b, d.cents), '}')
	}
	return append(b, '}')
}
