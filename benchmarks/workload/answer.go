package workload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Answer is what came back. Nothing of it is kept.
type Answer struct {
	Status int
	Body   []byte
	Cookie []byte // a Set-Cookie header of ours as it stood, or nil
}

// Lost says that an attempt of the request under way had no answer, so that
// nobody knows whether its events were taken. The same request may be sent
// again: messageIds make that harmless.
func (s *Stream) Lost() { s.lost = true }

// abandon closes a request that is not going to be sent again.
func (s *Stream) abandon() {
	if s.open && s.lost {
		s.people[s.who].doubt = true
	}
	s.open = false
}

// Check judges the answer to the request under way and takes its cookie into
// the visitor's jar. A visitor's page views must have grown by exactly those
// that were sent, unless an answer was lost on the way.
//
// A cheap scan reads every answer; the first of a stream, every 64th and any
// that the scan does not like are decoded whole, and the two must agree.
func (s *Stream) Check(a Answer) error {
	if w, ok := s.shape.Format.foreign(); ok {
		return s.checkForeign(&w, a)
	}
	if a.Status != 200 {
		return fmt.Errorf("status %d: expected 200; the answer is %s", a.Status, excerpt(a.Body))
	}
	v := &s.people[s.who]
	if s.shape.Format == Segment {
		s.open = false
		return checkPlain(a.Body)
	}
	isNew := v.cookie == ""
	s.keepCookie(v, a.Cookie)
	if v.cookie == "" {
		return fmt.Errorf("no cookie: expected Set-Cookie with reuna or __Host-reuna in the first answer to a visitor; the answer is %s", excerpt(a.Body))
	}
	views, ok := scan(a.Body)
	if !ok || s.checked%64 == 0 {
		whole, err := decode(a.Body, s.placements)
		if err != nil {
			return fmt.Errorf("%w; the answer is %s", err, excerpt(a.Body))
		}
		if ok && views != whole {
			return fmt.Errorf("the first pageviews of the answer is %d and profile.visit.pageviews %d: expected them to be the same; the answer is %s", views, whole, excerpt(a.Body))
		}
		views = whole
	}
	s.checked++
	s.open = false
	want := v.pages + s.pages
	switch {
	case isNew && s.lost:
		// The lost attempt made a visitor of its own for the gateway, and the
		// events may be that one's.
	case v.doubt && views >= want:
	case views != want:
		return fmt.Errorf("profile.visit.pageviews is %d: expected %d, the %d acknowledged before and %d in this request; the answer is %s",
			views, want, v.pages, s.pages, excerpt(a.Body))
	}
	v.pages, v.doubt = views, false
	return nil
}

func (s *Stream) keepCookie(v *visitor, set []byte) {
	if len(set) == 0 {
		return
	}
	pair, _, _ := bytes.Cut(set, []byte(";"))
	name, value, found := bytes.Cut(pair, []byte("="))
	if n := string(name); !found || n != "reuna" && n != "__Host-reuna" || len(pair) > maxCookie {
		return
	}
	if len(value) == 0 {
		v.cookie = ""
		return
	}
	if string(pair) != v.cookie {
		v.cookie = string(pair)
	}
	s.known = s.who
}

// CheckBare judges the answer of a handler that stores nothing: the status and
// the number of bytes.
func CheckBare(a Answer, size int) error {
	if a.Status != 200 || len(a.Body) != size {
		return fmt.Errorf("the bare handler answered status %d with %d bytes: expected 200 with %d", a.Status, len(a.Body), size)
	}
	return nil
}

// scan finds what a right answer must hold without decoding it; false when
// anything is missing or looks different, which is then for decode to judge.
func scan(body []byte) (pageviews uint32, ok bool) {
	if v := after(body, `"success":`); !bytes.HasPrefix(v, []byte("true")) {
		return 0, false
	}
	if v := after(body, `"rejected":`); v != nil && !bytes.HasPrefix(v, []byte("[]")) {
		return 0, false
	}
	rest := after(body, `"profile":`)
	if !bytes.HasPrefix(rest, []byte(`{`)) {
		return 0, false
	}
	digits := after(rest, `"pageviews":`)
	n := 0
	for n < len(digits) && n < 9 && digits[n] >= '0' && digits[n] <= '9' {
		pageviews = pageviews*10 + uint32(digits[n]-'0')
		n++
	}
	return pageviews, n > 0
}

func after(body []byte, key string) []byte {
	at := bytes.Index(body, []byte(key))
	if at < 0 {
		return nil
	}
	return body[at+len(key):]
}

// decode reads a whole answer of interact or profile and says what is wrong
// with it.
func decode(body []byte, placements []string) (uint32, error) {
	var a struct {
		Success  *bool             `json:"success"`
		Rejected []json.RawMessage `json:"rejected"`
		Profile  *struct {
			ID    string `json:"id"`
			Visit *struct {
				Pageviews *uint32 `json:"pageviews"`
				Sessions  uint32  `json:"sessions"`
			} `json:"visit"`
		} `json:"profile"`
		Decisions map[string]*struct {
			Variant string `json:"variant"`
		} `json:"decisions"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return 0, fmt.Errorf("not JSON of the contract: %w", err)
	}
	switch {
	case a.Success == nil || !*a.Success:
		return 0, fmt.Errorf("success is not true")
	case len(a.Rejected) > 0:
		return 0, fmt.Errorf("%d events were rejected: expected none", len(a.Rejected))
	case a.Profile == nil:
		return 0, fmt.Errorf("there is no profile")
	case !strings.HasPrefix(a.Profile.ID, "v_"):
		return 0, fmt.Errorf("profile.id is %q: expected it to begin with v_", a.Profile.ID)
	case a.Profile.Visit == nil || a.Profile.Visit.Pageviews == nil:
		return 0, fmt.Errorf("there is no profile.visit.pageviews")
	case a.Profile.Visit.Sessions == 0 && *a.Profile.Visit.Pageviews > 0:
		return 0, fmt.Errorf("profile.visit.sessions is 0: expected 1 or more")
	}
	for _, p := range placements {
		if a.Decisions[p] == nil || a.Decisions[p].Variant == "" {
			return 0, fmt.Errorf("decisions.%s names no variant", p)
		}
	}
	return *a.Profile.Visit.Pageviews, nil
}

// checkPlain judges the answer of the Segment routes.
func checkPlain(body []byte) error {
	if string(body) == `{"success":true}` {
		return nil
	}
	var a struct {
		Success  bool              `json:"success"`
		Rejected []json.RawMessage `json:"rejected"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("not JSON: %w; the answer is %s", err, excerpt(body))
	}
	if !a.Success || len(a.Rejected) > 0 {
		return fmt.Errorf("success is %t with %d rejected: expected true and none; the answer is %s", a.Success, len(a.Rejected), excerpt(body))
	}
	return nil
}

// excerpt is the beginning of a body, fit for a message.
func excerpt(body []byte) string {
	if len(body) > 600 {
		return fmt.Sprintf("%q and %d bytes more", body[:600], len(body)-600)
	}
	return fmt.Sprintf("%q", body)
}
