package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Longest texts a token may carry, in bytes.
const (
	MaxTokenBytes   = 4096
	MaxSubjectBytes = 512
	MaxIDBytes      = 256
)

// Claims is what an identity token says.
type Claims struct {
	Audience string    // `aud`: the site's name
	Subject  string    // `sub`: the user's id
	ID       string    // `jti`: the caller takes each one once
	IssuedAt time.Time // `iat`
	Expires  time.Time // `exp`
	Visitor  string    // `vid`: the visitor it was made for, as AnonymousID; may be ""
}

// wire is a token's header or payload as it was read, before it is judged.
type wire struct {
	alg, kid, typ string
	crit          bool
	hasKid        bool

	aud            []string
	sub, jti, vid  string
	iat, exp, nbf  int64
	hasIat, hasExp bool
	hasNbf         bool
}

var errNotText = errors.New("expected a string")

// readObject reads one flat JSON object strictly: valid UTF-8, each name once,
// nothing behind it. Members it does not know are skipped.
func readObject(text []byte, into *wire) error {
	if !utf8.Valid(text) {
		return errors.New("it is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("it is not a JSON object")
	}
	seen := make(map[string]bool, 8)
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return errors.New("it is not valid JSON")
		}
		name, ok := t.(string)
		if !ok {
			return errors.New("it is not valid JSON")
		}
		if seen[name] {
			return fmt.Errorf("the name %.40q stands twice", name)
		}
		seen[name] = true
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return errors.New("it is not valid JSON")
		}
		if err := into.member(name, raw); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New("it is not valid JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more text after the object")
	}
	return nil
}

func (w *wire) member(name string, raw json.RawMessage) (err error) {
	switch name {
	case "alg":
		w.alg, err = text(raw)
	case "kid":
		w.kid, err = text(raw)
		w.hasKid = true
	case "typ":
		w.typ, err = text(raw)
	case "crit":
		w.crit = true
	case "aud":
		w.aud, err = audience(raw)
	case "sub":
		w.sub, err = text(raw)
	case "jti":
		w.jti, err = text(raw)
	case "vid":
		w.vid, err = text(raw)
	case "iat":
		w.iat, err = seconds(raw)
		w.hasIat = true
	case "exp":
		w.exp, err = seconds(raw)
		w.hasExp = true
	case "nbf":
		w.nbf, err = seconds(raw)
		w.hasNbf = true
	}
	return err
}

// text reads a JSON string. encoding/json turns half a surrogate pair into
// U+FFFD, which would give two different texts one meaning, so that character
// is refused.
func text(raw []byte) (string, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", errNotText
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", errNotText
	}
	if strings.ContainsAny(s, "\x00\uFFFD") {
		return "", errors.New("it holds a character that is no text")
	}
	return s, nil
}

// audience reads `aud`: one string or a list of them (RFC 7519, 4.1.3).
func audience(raw []byte) ([]string, error) {
	if len(raw) > 0 && raw[0] == '"' {
		s, err := text(raw)
		return []string{s}, err
	}
	var list []json.RawMessage
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, errors.New("expected a string or a list of strings")
	}
	names := make([]string, 0, len(list))
	for _, m := range list {
		s, err := text(m)
		if err != nil {
			return nil, err
		}
		names = append(names, s)
	}
	return names, nil
}

// seconds reads a NumericDate (RFC 7519, section 2): seconds since 1970, of
// which a fraction is dropped. Years beyond 9999 are refused.
func seconds(raw []byte) (int64, error) {
	const last = 253402300799
	if len(raw) == 0 || (raw[0] != '-' && (raw[0] < '0' || raw[0] > '9')) {
		return 0, errors.New("expected a number of seconds since 1970")
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f < 0 || f > last {
		return 0, errors.New("expected a number of seconds since 1970, up to the year 9999")
	}
	return int64(f), nil
}

// payloadJSON is the claims as Sign writes them.
type payloadJSON struct {
	Audience string `json:"aud"`
	Subject  string `json:"sub"`
	ID       string `json:"jti"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	Visitor  string `json:"vid,omitempty"`
}

type headerJSON struct {
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Typ string `json:"typ"`
}
