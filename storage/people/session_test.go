package people

import (
	"bytes"
	"testing"

	"github.com/reuna/reuna/identity/token"
)

// Layouts of sessions as FORMAT.md has them, byte by byte, in every version.
func TestSessionLayouts(t *testing.T) {
	hash := func(b byte) []byte { return bytes.Repeat([]byte{b}, 16) }
	old := Session{User: "u1", Until: 7, Token: Hash(hash(9)), Seq: 300}
	now := old
	now.Login = token.Login(hash(8))
	ended := Session{Revoked: true, Seq: 300}
	join := func(parts ...[]byte) string { return string(bytes.Join(parts, nil)) }
	body := []byte("\x02u1\x0e")
	for _, c := range []struct {
		name          string
		want          Session
		entry, record string
		written       bool
	}{
		{"version 1", old, join([]byte("\x01\x02a1"), body, hash(9), hash(0)[:1]), join([]byte("\x01\xac\x02"), body, hash(9), hash(0)[:1]), false},
		{"version 2", now, join([]byte("\x02\x02a1"), body, hash(9), hash(0)[:1], hash(8)), join([]byte("\x02\xac\x02"), body, hash(9), hash(0)[:1], hash(8)), true},
		{"a reset", ended, join([]byte("\x02\x02a1\x00\x00"), hash(0), hash(1)[:1], hash(0)), join([]byte("\x02\xac\x02\x00\x00"), hash(0), hash(1)[:1], hash(0)), true},
	} {
		visitor, x, err := parseSession(c.entry)
		x.Seq = c.want.Seq // an entry's is its place
		if err != nil || visitor != "a1" || x != c.want {
			t.Errorf("%s: the entry is %q %+v, %v; want %+v", c.name, visitor, x, err, c.want)
		}
		if x, err = decodeSession(c.record); err != nil || x != c.want {
			t.Errorf("%s: the record is %+v, %v; want %+v", c.name, x, err, c.want)
		}
		if !c.written {
			continue
		}
		if got := appendSession(nil, "a1", c.want); string(got[1:]) != c.entry || got[0] != entrySession {
			t.Errorf("%s: wrote the entry %x", c.name, got)
		}
		if got := encodeSession(nil, &c.want); string(got) != c.record {
			t.Errorf("%s: wrote the record %x", c.name, got)
		}
	}
	good := string(encodeSession(nil, &now))
	for name, bad := range map[string]string{"nothing": "", "cut": good[:len(good)-1], "longer": good + "x", "version 0": "\x00" + good[1:], "version 3": "\x03" + good[1:], "version 2 as 1": "\x01" + good[1:]} {
		if x, err := decodeSession(bad); err == nil || x != (Session{}) {
			t.Errorf("%s: read as %+v, %v", name, x, err)
		}
	}
}

// A session holds for the cookie that carries its login, and for no other.
func TestASessionHoldsForOneCookie(t *testing.T) {
	one, two := token.Login{1}, token.Login{2}
	for _, c := range []struct {
		name  string
		x     Session
		login token.Login
		want  string
	}{
		{"its cookie", Session{User: "u", Until: 10, Login: one}, one, "u"},
		{"a cookie from before the login", Session{User: "u", Until: 10, Login: one}, token.Login{}, ""},
		{"a cookie of another login", Session{User: "u", Until: 10, Login: one}, two, ""},
		{"begun before there were logins", Session{User: "u", Until: 10}, token.Login{}, "u"},
		{"that one, another cookie", Session{User: "u", Until: 10}, one, ""},
		{"over", Session{User: "u", Until: 9, Login: one}, one, ""},
		{"reset", Session{User: "u", Until: 10, Login: one, Revoked: true}, one, ""},
		{"nobody's", Session{}, token.Login{}, ""},
	} {
		if got := c.x.For(c.login, 9); got != c.want {
			t.Errorf("%s: %q; want %q", c.name, got, c.want)
		}
	}
}

func FuzzSession(f *testing.F) {
	f.Add(string(appendSession(nil, "a1", Session{User: "u1", Until: 7, Login: token.Login{1}})[1:]))
	f.Add("\x01\x02a1\x00\x00" + string(make([]byte, 17)))
	f.Fuzz(func(t *testing.T, text string) {
		if visitor, x, err := parseSession(text); err == nil {
			again, y, err := parseSession(string(appendSession(nil, visitor, x)[1:]))
			if err != nil || again != visitor || x != y {
				t.Fatalf("%+v came back as %+v, %v", x, y, err)
			}
		}
		if x, err := decodeSession(text); err == nil {
			if y, err := decodeSession(string(encodeSession(nil, &x))); err != nil || x != y {
				t.Fatalf("%+v came back as %+v, %v", x, y, err)
			}
		}
	})
}
