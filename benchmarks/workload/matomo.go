package workload

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// matomoBody writes what Matomo's tracker sends: the parameters of one request as a form, or those of
// several in bulk. The write key is the site's number (idsite).
// https://developer.matomo.org/api-reference/tracking-api
func (s *Stream) matomoBody(b []byte, v *visitor, t *traitsOf) []byte {
	if s.shape.Batch == 1 {
		return s.matomoRequest(b, v, t)
	}
	b = append(b, `{"requests":[`...)
	for i := range s.shape.Batch {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `"?`...)
		b = append(s.matomoRequest(b, v, t), '"')
	}
	return append(b, `]}`...)
}

// matomoRequest writes one, which is escaped so that it may stand in JSON as it is.
func (s *Stream) matomoRequest(b []byte, v *visitor, t *traitsOf) []byte {
	d := s.do(v, t)
	text := func(name, value string) { b = appendEscaped(append(append(b, name...), '='), value) }
	text("idsite", s.key)
	b = append(b, `&rec=1&apiv=1&send_image=0&rand=`...)
	b = strconv.AppendUint(b, s.ids.Uint64(), 36)
	b = append(b, `&_id=`...)
	b = appendHex(b, t.hash)
	// What consists of parts is put together first, and then escaped.
	piece := func(name string, from func([]byte) []byte) {
		s.piece = from(s.piece[:0])
		b = append(append(append(b, '&'), name...), '=')
		b = appendEscaped(b, s.piece)
	}
	piece("url", func(p []byte) []byte { return s.appendURL(append(p, s.origin...)) })
	piece("action_name", s.appendTitle)
	piece("urlref", s.appendReferrer)
	size := t.size()
	b = append(append(append(append(b, `&res=`...), size[0]...), 'x'), size[1]...)
	b = append(b, `&cookie=1&pv_id=`...)
	b = appendHex(b, s.ids.Uint64())
	b = b[:len(b)-10] // six digits of it
	if v.user {
		b = append(b, `&uid=u-`...)
		b = strconv.AppendUint(b, s.userNumber(), 10)
	}
	switch {
	case d.cents > 0:
		b = append(b, `&idgoal=0&ec_id=o-`...)
		b = strconv.AppendUint(b, s.ids.Uint64(), 36)
		b = append(b, `&revenue=`...)
		b = appendCents(b, d.cents)
	case d.event == "Products Searched":
		text("&search", d.label)
	case d.event != "":
		text("&e_c=shop&e_a", d.event)
		text("&e_n", d.label)
	}
	return b
}

// checkMatomo judges the answer to requests in bulk; one alone is answered 204 without a body, or with
// an image.
func checkMatomo(body []byte, events int) error {
	if events == 1 {
		return nil
	}
	var a struct {
		Status  string `json:"status"`
		Tracked int    `json:"tracked"`
		Invalid int    `json:"invalid"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if a.Status != "success" || a.Tracked != events || a.Invalid != 0 {
		return fmt.Errorf("status %q with %d tracked and %d invalid: expected success with %d and none", a.Status, a.Tracked, a.Invalid, events)
	}
	return nil
}

// appendEscaped writes text as a query's value: all but unreserved characters (RFC 3986, 2.3) as
// percent and two digits.
func appendEscaped[T string | []byte](b []byte, text T) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// appendHex writes 16 digits.
func appendHex(b []byte, n uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&15])
	}
	return b
}
