package token

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

func cookies(t testing.TB, key string) *Cookies {
	t.Helper()
	c, err := NewCookies([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const testKey = "0123456789abcdef0123456789abcdef"

// A pooled state that was used before gives what a new one would, also with
// several at work.
func TestMACIsHMAC(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	key := []byte(testKey)
	m := newMAC(key)
	var wg sync.WaitGroup
	for g := range 4 {
		r := rand.New(rand.NewPCG(seed, uint64(g)))
		wg.Go(func() {
			for range 300 {
				var v Visitor
				binary.LittleEndian.PutUint64(v[:], r.Uint64())
				binary.LittleEndian.PutUint64(v[8:], r.Uint64())
				got := m.sum(v)
				h := hmac.New(sha256.New, key)
				h.Write(v[:])
				if want := h.Sum(nil); !bytes.Equal(got[:], want[:macBytes]) {
					t.Errorf("%x: %x, want %x", v, got, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestCookieRoundTrip(t *testing.T) {
	c := cookies(t, testKey)
	seen := make(map[string]bool)
	for range 200 {
		v := c.Mint()
		text := c.Encode(v)
		if len(text) != CookieLength {
			t.Fatalf("%q has %d bytes", text, len(text))
		}
		if got, ok := c.Parse(text); !ok || got != v {
			t.Fatalf("Parse(%q) = %x, %v; want %x", text, got, ok, v)
		}
		name := c.AnonymousID(v)
		if len(name) != AnonymousIDLength || !strings.HasPrefix(name, "v_") || strings.Trim(name[2:], "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Fatalf("anonymous id %q", name)
		}
		if seen[name] || seen[text] {
			t.Fatal("the same visitor twice")
		}
		seen[name], seen[text] = true, true
	}
}

// Every other text than the one that Encode gives is refused: each bit of it
// matters, and there is no second spelling.
func TestCookieForgeries(t *testing.T) {
	c := cookies(t, testKey)
	v := c.Mint()
	text := c.Encode(v)
	for i := range len(text) {
		for b := range 256 {
			if byte(b) == text[i] {
				continue
			}
			forged := text[:i] + string([]byte{byte(b)}) + text[i+1:]
			if _, ok := c.Parse(forged); ok {
				t.Fatalf("%q taken for %q", forged, text)
			}
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(text[1:])
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "1", text[:43], text + "=", text + "A", " " + text, text + " ", "2" + text[1:],
		"1" + base64.RawStdEncoding.EncodeToString(raw) + "=",
		"1" + text[1:20] + "\n" + text[20:], "1" + text[1:20] + "\r" + text[21:],
		cookies(t, strings.ToUpper(testKey)).Encode(v),
		"1" + base64.RawURLEncoding.EncodeToString(append(append([]byte{}, v[:]...), make([]byte, 16)...)),
	} {
		if _, ok := c.Parse(bad); ok {
			t.Errorf("%q taken", bad)
		}
	}
}

func TestCookieKeys(t *testing.T) {
	if _, err := NewCookies(make([]byte, 15)); err == nil {
		t.Error("a key of 15 bytes taken")
	}
	a, b := cookies(t, testKey), cookies(t, testKey+"x")
	v := a.Mint()
	if a.AnonymousID(v) == b.AnonymousID(v) || a.Encode(v) == b.Encode(v) {
		t.Error("the key does not matter")
	}
	if strings.Contains(a.Encode(v), a.AnonymousID(v)[2:]) {
		t.Error("the cookie shows the id")
	}
}

func BenchmarkParseAndName(b *testing.B) {
	c := cookies(b, testKey)
	text, buf := c.Encode(c.Mint()), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		v, _ := c.Parse(text)
		buf = c.AppendAnonymousID(buf[:0], v)
	}
}

func FuzzCookie(f *testing.F) {
	c := cookies(f, testKey)
	f.Add(c.Encode(Visitor{1, 2, 3}))
	f.Add("1" + strings.Repeat("A", 43))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if v, ok := c.Parse(text); ok && c.Encode(v) != text {
			t.Fatalf("%q is a second text of %x", text, v)
		}
	})
}
