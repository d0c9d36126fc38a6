package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

const (
	maxLoginBody = 2 << 10 // bytes
	maxName      = 60      // characters
	maxVisitor   = 128     // bytes
)

// fault is an error as it is told to whoever called.
type fault struct {
	status               int
	code, message, field string
}

func (f fault) Error() string { return f.code + ": " + f.message }

// loginRequest is the body of POST {prefix}login.
type loginRequest struct {
	Name    string `json:"name"`    // any name: this is a demo
	Visitor string `json:"visitor"` // the profile id that the page got from the gateway
}

// loginAnswer is what the page hands to the tag's identify.
type loginAnswer struct {
	UserID string            `json:"userId"`
	Token  string            `json:"token"`
	Traits map[string]string `json:"traits"`
}

// login stands for a site's own login: it believes any name, and mints the
// token with which the page proves to the gateway who has logged in. User ids
// begin with "demo:", so that no real user's can be had here.
func (s *Shop) login(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("Cache-Control", "no-store")
	answer, err := s.logIn(ctx)
	var f fault
	switch {
	case errors.As(err, &f):
		fail(ctx, f)
	case err != nil:
		s.log.Error("the demo shop could not log somebody in", "error", err)
		fail(ctx, fault{status: fasthttp.StatusInternalServerError, code: "sign_failed", message: "the identity token could not be made; the gateway's log says why"})
	default:
		sendJSON(ctx, answer)
	}
}

func (s *Shop) logIn(ctx *fasthttp.RequestCtx) (loginAnswer, error) {
	if err := sameSite(ctx); err != nil {
		return loginAnswer{}, err
	}
	// A form of another site cannot send this type without asking first.
	kind := string(ctx.Request.Header.ContentType())
	if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/json" {
		return loginAnswer{}, fault{status: fasthttp.StatusUnsupportedMediaType, code: "unsupported_type",
			message: fmt.Sprintf("the content type is %.80q, expected application/json", kind)}
	}
	request, err := parseLogin(ctx.PostBody())
	if err != nil {
		return loginAnswer{}, err
	}
	userID := "demo:" + slug(request.Name)
	token, err := s.sign(userID, request.Visitor)
	if err != nil {
		return loginAnswer{}, fmt.Errorf("sign a token for %s: %w", userID, err)
	}
	return loginAnswer{UserID: userID, Token: token, Traits: map[string]string{"plan": "reader"}}, nil
}

// sameSite refuses what a browser sent from a page of another origin. Programs
// that say nothing of an origin are let in: they carry nobody's cookie.
func sameSite(ctx *fasthttp.RequestCtx) error {
	if from := string(ctx.Request.Header.Peek("Sec-Fetch-Site")); from != "" && from != "same-origin" {
		return fault{status: fasthttp.StatusForbidden, code: "cross_site",
			message: fmt.Sprintf("the browser says that the request is %.40q, expected same-origin: log in from the shop's own page", from)}
	}
	origin := string(ctx.Request.Header.Peek("Origin"))
	if origin == "" {
		return nil
	}
	// Only hosts are compared, since a proxy before the gateway may have taken
	// the TLS off.
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || !strings.EqualFold(u.Host, string(ctx.Host())) {
		return fault{status: fasthttp.StatusForbidden, code: "cross_site",
			message: fmt.Sprintf("the request comes from %.80q, expected the shop's own host %.80q", origin, ctx.Host())}
	}
	return nil
}

// parseLogin reads and checks a login's body.
func parseLogin(body []byte) (loginRequest, error) {
	bad := func(field, format string, args ...any) (loginRequest, error) {
		return loginRequest{}, fault{status: fasthttp.StatusBadRequest, code: "invalid_login", field: field, message: fmt.Sprintf(format, args...)}
	}
	if len(body) > maxLoginBody {
		return loginRequest{}, fault{status: fasthttp.StatusRequestEntityTooLarge, code: "too_large",
			message: fmt.Sprintf("the body has %d bytes, expected %d at most", len(body), maxLoginBody)}
	}
	var r loginRequest
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return bad("", `the body is not what was expected, {"name":"…","visitor":"…"}: %v`, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return bad("", "something stands behind the JSON object, expected nothing")
	}
	r.Name = strings.TrimSpace(r.Name)
	switch {
	case slug(r.Name) == "":
		return bad("name", "the name is %.80q, expected at least one letter or digit", r.Name)
	case runes(r.Name) > maxName:
		return bad("name", "the name has %d characters, expected %d at most", runes(r.Name), maxName)
	case !isVisitor(r.Visitor):
		return bad("visitor", "the visitor is %.80q, expected the profile id that the gateway answered with: letters, digits, dashes and underscores, %d at most", r.Visitor, maxVisitor)
	}
	return r, nil
}

// slug is a name as a part of a user id: letters and digits of any script in
// lower case, with single dashes between them.
func slug(name string) string {
	var out strings.Builder
	gap := false
	for _, r := range name {
		if r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
			gap = out.Len() > 0
			continue
		}
		if gap {
			out.WriteByte('-')
			gap = false
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

func isVisitor(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= maxVisitor
}

func fail(ctx *fasthttp.RequestCtx, f fault) {
	ctx.SetStatusCode(f.status)
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Field   string `json:"field,omitempty"`
	}
	sendJSON(ctx, map[string]body{"error": {f.code, f.message, f.field}})
}

// sendJSON is only given values that always marshal.
func sendJSON(ctx *fasthttp.RequestCtx, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		ctx.Error(`{"error":{"code":"internal","message":"the answer could not be written"}}`, fasthttp.StatusInternalServerError)
		ctx.SetContentType("application/json; charset=utf-8")
		return
	}
	ctx.SetContentType("application/json; charset=utf-8")
	ctx.Response.SetBodyRaw(text)
}
