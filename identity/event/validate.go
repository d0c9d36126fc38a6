package event

import (
	"fmt"
	"time"
)

// Code names why a message or a body was refused; stable, for programs.
type Code string

const (
	CodeInvalidJSON      Code = "invalid_json"
	CodeInvalidType      Code = "invalid_type"
	CodeInvalidTimestamp Code = "invalid_timestamp"
	CodeMissingField     Code = "missing_field"
	CodeUnknownType      Code = "unknown_type"
	CodeTooLong          Code = "value_too_long"
	CodeTooDeep          Code = "too_deep"
	CodeEventTooLarge    Code = "event_too_large"
	CodeLimitExceeded    Code = "limit_exceeded"
	CodeForbiddenKey     Code = "forbidden_key"
	CodeDuplicateKey     Code = "duplicate_key"
	CodeCookieless       Code = "cookieless"
	CodeAutomated        Code = "automated_traffic" // of a robot, on a site that takes none; not kept
)

// Rejection says why one message was refused. Message is safe for the sender:
// it tells what was seen, what was expected and what to change.
type Rejection struct {
	Index   int // in the batch; -1 when the body as a whole was refused
	Code    Code
	Field   string // path of the member at fault, "" when it is the message itself
	Message string
	Raw     Value  // the refused message, for the quarantine,
	Run     string // and what its batch said in context.run: the page load whose messages these are
}

func (r *Rejection) Error() string { return r.Message }

// LimitError says that a body goes over one of the settings.
type LimitError struct {
	Limit     string // the setting's name
	Max, Seen int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the body holds %d; the limit is %d (setting %s)", e.Seen, e.Max, e.Limit)
}

func refuse(code Code, field, format string, args ...any) *Rejection {
	return &Rejection{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// excerpt is a value as an error may quote it.
func excerpt(v Value) string {
	const most = 40
	if len(v) <= most {
		return string(v)
	}
	return string(v[:most]) + "…"
}

// validate holds a message against the Segment spec's required members.
// A message without any identifier passes: it gets an anonymous id of its own
// when it is folded.
func validate(e *Event) *Rejection {
	need := func(value, field string) *Rejection {
		if value != "" {
			return nil
		}
		return refuse(CodeMissingField, field, "%s is missing; a message of type %s needs it", field, e.Type)
	}
	switch e.Type {
	case Track:
		return need(e.Name, "event")
	case Group:
		return need(e.GroupID, "groupId")
	case Alias:
		if r := need(e.PreviousID, "previousId"); r != nil {
			return r
		}
		if e.UserID == "" && e.AnonymousID == "" {
			return need("", "userId")
		}
	}
	return nil
}

// maxSkew is the clock difference beyond which sentAt says more about a stale
// retry or a wrong clock than about the way of the message.
const maxSkew = int64(time.Hour / time.Millisecond)

// date settles when the message happened: timestamp = receivedAt − (sentAt −
// originalTimestamp), never later than its receipt. Segment's rule, with two
// exceptions measured on real SDKs: a retry repeats the first attempt's sentAt,
// and so does a queue that slept for hours.
func (p *parser) date(e *Event) {
	e.ReceivedAt = p.o.ReceivedAt
	if e.SentAt == 0 {
		e.SentAt = p.b.SentAt
	}
	if e.OriginalTimestamp == 0 {
		e.OriginalTimestamp = e.Timestamp
	}
	if e.OriginalTimestamp == 0 {
		e.OriginalTimestamp = e.SentAt
	}
	switch {
	case e.OriginalTimestamp == 0:
		e.Timestamp = e.ReceivedAt
	case e.SentAt == 0 || p.o.Retried || abs(e.ReceivedAt-e.SentAt) > maxSkew:
		e.Timestamp = e.OriginalTimestamp
	default:
		e.Timestamp = e.ReceivedAt - (e.SentAt - e.OriginalTimestamp)
	}
	e.Timestamp = max(0, min(e.Timestamp, e.ReceivedAt))
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// ParseTime reads an RFC 3339 time, or a number of milliseconds (seconds when
// it is below 10¹¹) since 1970, into milliseconds. Years before 1 and after
// 9999 are no times.
func ParseTime(v Value) (ms int64, ok bool) {
	const last = 253402300799999 // 9999-12-31T23:59:59.999Z
	switch v.Kind() {
	case Number:
		f, ok := v.Number()
		if !ok || f < 0 || f > last {
			return 0, false
		}
		if f < 1e11 {
			f *= 1000
		}
		return int64(f), true
	case String:
		s := v.Text()
		if ms, ok := parseUTC(s); ok {
			return ms, true
		}
		for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.DateOnly} {
			if t, err := time.Parse(layout, s); err == nil {
				return t.UnixMilli(), true
			}
		}
	}
	return 0, false
}

// parseUTC reads what browsers write, "2026-01-31T12:00:00.000Z", without
// time.Parse: every message carries two or three of them.
func parseUTC(s string) (int64, bool) {
	if len(s) != 24 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[19] != '.' || s[23] != 'Z' {
		return 0, false
	}
	n := func(i, j int) int {
		v := 0
		for ; i < j; i++ {
			d := s[i] - '0'
			if d > 9 {
				return -1
			}
			v = v*10 + int(d)
		}
		return v
	}
	year, month, day := n(0, 4), n(5, 7), n(8, 10)
	hour, minute, second, milli := n(11, 13), n(14, 16), n(17, 19), n(20, 23)
	if year < 1 || month < 1 || month > 12 || day < 1 || day > 28 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || milli < 0 {
		return 0, false // days 29 to 31 need a calendar: time.Parse knows
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, milli*1e6, time.UTC)
	return t.UnixMilli(), true
}

// AppendTime appends ms as an RFC 3339 time in UTC with milliseconds.
func AppendTime(dst []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}
