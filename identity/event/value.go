package event

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Value is the text of one JSON value, checked by Check (or made by this
// package); "" is an absent value. Its methods trust the text to be valid, so a
// Value must never be made from unchecked bytes. Being a string it is
// immutable, and a part of it costs no copy.
type Value string

// Kind is a JSON value's kind.
type Kind uint8

const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"nothing", "null", "a boolean", "a number", "a string", "an array", "an object"}

// String names the kind as an error message would: "a string", "an object".
func (k Kind) String() string { return kindNames[k] }

// Kind says what v is.
func (v Value) Kind() Kind {
	if v == "" {
		return Absent
	}
	switch v[0] {
	case '{':
		return Object
	case '[':
		return Array
	case '"':
		return String
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	}
	return Number
}

// Get walks down objects by their keys; absent where a key is missing or
// something on the way is no object.
func (v Value) Get(keys ...string) Value {
	for _, k := range keys {
		v = v.member(k)
		if v == "" {
			return ""
		}
	}
	return v
}

// Path is Get with the keys in one dotted text, "page.url".
func (v Value) Path(path string) Value {
	for v != "" && path != "" {
		k, rest, _ := strings.Cut(path, ".")
		v, path = v.member(k), rest
	}
	return v
}

func (v Value) member(key string) (found Value) {
	v.eachRaw(func(k string, m Value) bool {
		if k == key || (strings.IndexByte(k, '\\') >= 0 && unescape(k) == key) {
			found = m
			return false
		}
		return true
	})
	return found
}

// Text is a string's text with its escapes resolved; "" for any other kind.
func (v Value) Text() string {
	if len(v) < 2 || v[0] != '"' {
		return ""
	}
	s := string(v[1 : len(v)-1])
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	return unescape(s)
}

// Number is a number's value; ok is false for any other kind.
func (v Value) Number() (f float64, ok bool) {
	if v.Kind() != Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

// Bool is a boolean's value; ok is false for any other kind.
func (v Value) Bool() (b, ok bool) {
	return v == "true", v == "true" || v == "false"
}

// Each calls fn for every member of an object, in order, until fn says false.
// Other kinds have no members.
func (v Value) Each(fn func(key string, m Value) bool) {
	v.eachRaw(func(k string, m Value) bool {
		if strings.IndexByte(k, '\\') >= 0 {
			k = unescape(k)
		}
		return fn(k, m)
	})
}

func (v Value) eachRaw(fn func(key string, m Value) bool) {
	if v == "" || v[0] != '{' {
		return
	}
	s := string(v)
	i := skipSpace(s, 1)
	for i < len(s) && s[i] == '"' {
		end := skipString(s, i)
		key := s[i+1 : end-1]
		i = skipSpace(s, end) + 1 // past the colon
		i = skipSpace(s, i)
		end = skipValue(s, i)
		if !fn(key, Value(s[i:end])) {
			return
		}
		i = skipSpace(s, end)
		if i < len(s) && s[i] == ',' {
			i = skipSpace(s, i+1)
		}
	}
}

// Items calls fn for every element of an array, in order, until fn says false.
func (v Value) Items(fn func(m Value) bool) {
	if v == "" || v[0] != '[' {
		return
	}
	s := string(v)
	i := skipSpace(s, 1)
	for i < len(s) && s[i] != ']' {
		end := skipValue(s, i)
		if !fn(Value(s[i:end])) {
			return
		}
		i = skipSpace(s, end)
		if i < len(s) && s[i] == ',' {
			i = skipSpace(s, i+1)
		}
	}
}

// Any decodes the value as encoding/json would: nil, bool, float64, string,
// []any, map[string]any.
func (v Value) Any() any {
	switch v.Kind() {
	case Bool:
		return v == "true"
	case Number:
		f, _ := v.Number()
		return f
	case String:
		return v.Text()
	case Array:
		list := []any{}
		v.Items(func(m Value) bool { list = append(list, m.Any()); return true })
		return list
	case Object:
		m := map[string]any{}
		v.Each(func(k string, x Value) bool { m[k] = x.Any(); return true })
		return m
	}
	return nil
}

// Quote makes the JSON string whose text is s. Bytes that are not UTF-8 become
// U+FFFD.
func Quote(s string) Value { return Value(AppendQuoted(nil, s)) }

const hexDigits = "0123456789abcdef"

// asIsBelow64 has a bit for each letter below 64 that a JSON string may have as it is.
const asIsBelow64 = math.MaxUint64 &^ (1<<0x20 - 1) &^ (1<<'"' | 1<<'<' | 1<<'>' | 1<<'&')

// AppendQuoted appends s as a JSON string. Besides what JSON demands it escapes
// <, >, & and the two line separators, so that the text is safe inside a page's
// script element too.
func AppendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < 64 && uint64(asIsBelow64)>>c&1 == 1 || c >= 64 && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\ufffd"...)
		case r == '\u2028' || r == '\u2029':
			dst = append(dst, s[start:i]...)
			dst = append(dst, '\\', 'u', '2', '0', '2', hexDigits[r&15])
		default:
			i += n
			continue
		}
		i += n
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// unescape resolves the escapes of a checked string's inside.
func unescape(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '\\' {
			b = append(b, c)
			continue
		}
		i++
		switch s[i] {
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r := hex4(s, i+1)
			i += 4
			if r >= 0xD800 && r < 0xDC00 { // checked: its other half follows
				low := hex4(s, i+3)
				i += 6
				r = (r-0xD800)<<10 | (low - 0xDC00) + 0x10000
			}
			b = utf8.AppendRune(b, r)
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

func hex4(s string, i int) (r rune) {
	for _, c := range []byte(s[i : i+4]) {
		r = r<<4 | rune(hexValue(c))
	}
	return r
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// skipString gives the index after the string that starts at i.
func skipString(s string, i int) int {
	for {
		n := strings.IndexByte(s[i+1:], '"')
		if n < 0 {
			return len(s)
		}
		i += n + 1
		// A quote ends the string unless an odd number of backslashes precedes it.
		k := i
		for s[k-1] == '\\' {
			k--
		}
		if (i-k)&1 == 0 {
			return i + 1
		}
	}
}

// skipValue gives the index after the valid value that starts at i.
func skipValue(s string, i int) int {
	switch s[i] {
	case '"':
		return skipString(s, i)
	case '{', '[':
		depth := 0
		for i < len(s) {
			switch s[i] {
			case '"':
				i = skipString(s, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
				if depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return len(s)
	}
	for i < len(s) && s[i] != ',' && s[i] != '}' && s[i] != ']' && s[i] > ' ' {
		i++
	}
	return i
}
