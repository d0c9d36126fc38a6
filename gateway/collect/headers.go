package collect

import (
	"bytes"
)

// head is what we read of a request's headers. The slices are windows into
// fasthttp's buffer: nothing in here outlives Handle.
//
// The raw block is walked once, for two reasons. Fifteen look-ups over twenty
// headers cost more than the walk. And fasthttp, which forgives what RFC 9112
// (section 6.3) calls an attempt at request smuggling, leaves the evidence only
// here: a Content-Length beside a Transfer-Encoding, folded lines, line ends
// without a carriage return.
type head struct {
	contentType, contentEncoding     []byte
	authorization, writeKey          []byte
	userAgent, referer, origin, host []byte
	secFetchSite, language           []byte
	forwardedFor, forwardedProto     []byte
	retryCount, retryAttempt         []byte
	gpc                              []byte
	brands, mobile, platform         []byte
	platformVersion, model           []byte
	fullVersions, arch, formFactors  []byte
	cookies                          [][]byte // Cookie lines
	joined                           []byte   // of several X-Forwarded-For lines
	transferEncoding                 []byte
	length, transfer                 bool
}

// maxHeader bounds the headers that are handed on, in bytes.
const maxHeader = 2048

func (h *head) reset() {
	cookies, joined := h.cookies, h.joined
	clear(cookies)
	*h = head{cookies: cookies[:0], joined: joined[:0]}
}

// read walks the header block (without the request line, with the empty line at
// its end). It gives what is wrong with it, or "".
func (h *head) read(raw []byte) (fault string) {
	for len(raw) > 0 {
		n := bytes.IndexByte(raw, '\n')
		if n < 1 || raw[n-1] != '\r' {
			return "a header line does not end with CR LF"
		}
		line := raw[:n-1]
		raw = raw[n+1:]
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			return "a header is folded over several lines; send it in one"
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 1 {
			return "a header line has no name"
		}
		if twice := h.take(line[:colon], bytes.Trim(line[colon+1:], " \t")); twice != "" {
			return "the header " + twice + " stands twice; send it once"
		}
	}
	if h.length && h.transfer {
		return "the request has both Content-Length and Transfer-Encoding; send one of them"
	}
	if h.transfer && (len(h.transferEncoding) != 7 || !equalFold(h.transferEncoding, "chunked")) {
		return "the Transfer-Encoding is something else than chunked; send the body chunked or with a Content-Length"
	}
	if h.host == nil {
		return "the request has no Host header"
	}
	return ""
}

// take keeps one header. It gives the name of one that must stand once, since
// who may do what hangs on it, and stands twice.
func (h *head) take(name, value []byte) (twice string) {
	is := func(s string) bool { return equalFold(name, s) }
	var to *[]byte
	switch len(name) {
	case 4:
		if is("Host") {
			to = &h.host
		}
	case 6:
		if is("Origin") {
			to = &h.origin
		} else if is("Cookie") {
			h.cookies = append(h.cookies, value)
		}
	case 7:
		if is("Referer") {
			to = &h.referer
		} else if is("Sec-GPC") {
			to = &h.gpc
		}
	case 9:
		if is("Sec-CH-UA") {
			to = &h.brands
		}
	case 10:
		if is("User-Agent") {
			to = &h.userAgent
		}
	case 11:
		if is("X-Write-Key") {
			to = &h.writeKey
		}
	case 12:
		if is("Content-Type") {
			to = &h.contentType
		}
	case 13:
		if is("Authorization") {
			to = &h.authorization
		} else if is("X-Retry-Count") {
			to = &h.retryCount
		}
	case 14:
		if is("Content-Length") {
			h.length = true
		} else if is("Sec-Fetch-Site") {
			to = &h.secFetchSite
		} else if is("Sec-CH-UA-Arch") {
			to = &h.arch
		}
	case 15:
		if is("X-Forwarded-For") {
			h.forward(value)
		} else if is("Sec-CH-UA-Model") {
			to = &h.model
		} else if is("Accept-Language") {
			to = &h.language
		}
	case 16:
		if is("Content-Encoding") {
			to = &h.contentEncoding
		} else if is("Sec-CH-UA-Mobile") {
			to = &h.mobile
		}
	case 17:
		if is("Transfer-Encoding") {
			h.transfer = true
			to = &h.transferEncoding
		} else if is("X-Forwarded-Proto") {
			h.forwardedProto = value // of several, the nearest proxy's
		} else if is("rsa-retry-attempt") {
			to = &h.retryAttempt
		}
	case 18:
		if is("Sec-CH-UA-Platform") {
			to = &h.platform
		}
	case 22:
		if is("Sec-CH-UA-Form-Factors") {
			to = &h.formFactors
		}
	case 26:
		if is("Sec-CH-UA-Platform-Version") {
			to = &h.platformVersion
		}
	case 27:
		if is("Sec-CH-UA-Full-Version-List") {
			to = &h.fullVersions
		}
	}
	if to == nil {
		return ""
	}
	if *to == nil {
		*to = value
		return ""
	}
	switch to {
	case &h.host, &h.origin, &h.authorization, &h.writeKey, &h.contentType, &h.contentEncoding, &h.secFetchSite:
		// Two parties could each believe another one of them.
		return string(name)
	}
	return "" // the first one counts
}

// forward joins X-Forwarded-For lines in their order (RFC 9110, section 5.3).
func (h *head) forward(value []byte) {
	if h.forwardedFor == nil {
		h.forwardedFor = value
		return
	}
	if len(h.joined) == 0 {
		h.joined = append(h.joined, h.forwardedFor...)
	}
	h.joined = append(append(h.joined, ", "...), value...)
	h.forwardedFor = h.joined
}

// equalFold compares a header's name, whose length is known to fit, in ASCII.
func equalFold(b []byte, s string) bool {
	for i := range len(s) {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// clip bounds a text that is handed on or quoted.
func clip(b []byte, most int) []byte {
	if len(b) > most {
		b = b[:most]
	}
	return b
}
