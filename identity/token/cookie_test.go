package token

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"flag"
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
// several at work and texts of either length in turns.
func TestMACIsHMAC(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	key := []byte(testKey)
	m := newMAC(key)
	var wg sync.WaitGroup
	for g := range 4 {
		r := rand.New(rand.NewPCG(seed, uint64(g)))
		wg.Go(func() {
			for i := range 300 {
				var b [maxIn]byte
				for j := 0; j < maxIn; j += 8 {
					binary.LittleEndian.PutUint64(b[j:], r.Uint64())
				}
				text := b[:16+i%2*16]
				got := m.sum(text)
				h := hmac.New(sha256.New, key)
				h.Write(text)
				if want := h.Sum(nil); !bytes.Equal(got[:], want[:macBytes]) {
					t.Errorf("%x: %x, want %x", text, got, want)
				}
			}
		})
	}
	wg.Wait()
}

// both are a visitor's cookie before and after a login.
func both(c *Cookies) [2]Cookie {
	v := c.Mint()
	return [2]Cookie{{Visitor: v}, {Visitor: v, Login: NewLogin()}}
}

func TestCookieRoundTrip(t *testing.T) {
	c := cookies(t, testKey)
	seen := make(map[string]bool)
	for range 200 {
		name := ""
		for i, x := range both(c) {
			text := c.Encode(x)
			if want := [2]int{44, 65}[i]; len(text) != want || text[0] != "12"[i] {
				t.Fatalf("%q has %d bytes; want %d", text, len(text), want)
			}
			if got, ok := c.Parse(text); !ok || got != x {
				t.Fatalf("Parse(%q) = %x, %v; want %x", text, got, ok, x)
			}
			id := c.AnonymousID(x.Visitor)
			if len(id) != AnonymousIDLength || !strings.HasPrefix(id, "v_") || strings.Trim(id[2:], "abcdefghijklmnopqrstuvwxyz234567") != "" {
				t.Fatalf("anonymous id %q", id)
			}
			if i == 1 && id != name {
				t.Fatal("the login changed the visitor's id")
			}
			name = id
			if seen[text] {
				t.Fatal("the same cookie twice")
			}
			seen[text] = true
		}
		if seen[name] {
			t.Fatal("the same visitor twice")
		}
		seen[name] = true
	}
}

// A cookie of the first version, made by the program that knew no other: they
// lie in browsers for 400 days.
func TestTheFirstVersionIsReadForEver(t *testing.T) {
	c := cookies(t, testKey)
	const text = "1AQIDAAAAAAAAAAAAAAAAAJny6uw-OXtTTNmNQEor6UU"
	if got, ok := c.Parse(text); !ok || got != (Cookie{Visitor: Visitor{1, 2, 3}}) {
		t.Errorf("%x, %v", got, ok)
	}
}

// Every other text than the one that Encode gives is refused: each bit of it
// matters, and there is no second spelling.
func TestCookieForgeries(t *testing.T) {
	c := cookies(t, testKey)
	pair := both(c)
	// Without "-" and "_" the spelling in the other alphabet is the cookie itself.
	for !strings.ContainsAny(c.Encode(pair[0]), "-_") || !strings.ContainsAny(c.Encode(pair[1]), "-_") {
		pair = both(c)
	}
	for _, x := range pair {
		text := c.Encode(x)
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
		version := text[:1]
		raw, err := base64.RawURLEncoding.DecodeString(text[1:])
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{
			"", version, text[:len(text)-1], text + "=", text + "A", " " + text, text + " ", "3" + text[1:],
			version + base64.StdEncoding.EncodeToString(raw), version + base64.RawStdEncoding.EncodeToString(raw) + "=",
			version + text[1:20] + "\n" + text[20:], version + text[1:20] + "\r" + text[21:],
			cookies(t, strings.ToUpper(testKey)).Encode(x),
			version + base64.RawURLEncoding.EncodeToString(append(append([]byte{}, raw[:len(raw)-macBytes]...), make([]byte, macBytes)...)),
		} {
			if _, ok := c.Parse(bad); ok {
				t.Errorf("%q taken", bad)
			}
		}
	}
	// A visitor who knows their own cookie makes no login of it, nor do they get
	// rid of one, nor put another's beside their visitor.
	e := base64.RawURLEncoding.EncodeToString
	plain, login := decoded(t, c.Encode(pair[0])), decoded(t, c.Encode(pair[1]))
	other := decoded(t, c.Encode(both(c)[1]))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	none := make([]byte, 16)
	noneSum := c.login.sum(join(plain[:16], none))
	for name, bad := range map[string]string{
		"the first version's MAC":         "2" + e(join(plain[:16], login[16:32], plain[16:])),
		"no login, the first one's MAC":   "2" + e(join(plain[:16], none, plain[16:])),
		"no login, with a MAC of its own": "2" + e(join(plain[:16], none, noneSum[:])),
		"the login cut off":               "1" + e(join(login[:16], login[32:])),
		"the MAC for a login":             "2" + e(join(plain[:16], plain[16:], login[32:])),
		"somebody else's login":           "2" + e(join(plain[:16], other[16:])),
		"somebody else's visitor":         "2" + e(join(other[:16], login[16:])),
	} {
		if _, ok := c.Parse(bad); ok {
			t.Errorf("%s: taken", name)
		}
	}
}

func decoded(t *testing.T, cookie string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(cookie[1:])
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

var forgeries = flag.Int("forgeries", 20_000, "how many random cookies TestGuesses tries")

// TestGuesses: random cookies, some of them near a real one, are all refused.
func TestGuesses(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("%d forgeries, seed %d", *forgeries, seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := cookies(t, testKey)
	pair := both(c)
	real := [2][]byte{decoded(t, c.Encode(pair[0])), decoded(t, c.Encode(pair[1]))}
	raw, text := make([]byte, loginPayload), make([]byte, 0, MaxCookieLength)
	for i := range *forgeries {
		v := i % 2
		b := raw[:len(real[v])]
		from := 0
		if i%4 > 1 { // a real visitor, and login, with a guessed MAC
			from = copy(b, real[v][:len(real[v])-macBytes])
		}
		for j := from; j < len(b); j++ {
			b[j] = byte(r.Uint32())
		}
		text = base64.RawURLEncoding.AppendEncode(append(text[:0], "12"[v]), b)
		if x, ok := c.Parse(string(text)); ok {
			t.Fatalf("%s taken for %x", text, x)
		}
	}
}

func TestCookieKeys(t *testing.T) {
	if _, err := NewCookies(make([]byte, 15)); err == nil {
		t.Error("a key of 15 bytes taken")
	}
	a, b := cookies(t, testKey), cookies(t, testKey+"x")
	v := a.Mint()
	if a.AnonymousID(v) == b.AnonymousID(v) || a.Encode(Cookie{Visitor: v}) == b.Encode(Cookie{Visitor: v}) {
		t.Error("the key does not matter")
	}
	if strings.Contains(a.Encode(Cookie{Visitor: v}), a.AnonymousID(v)[2:]) {
		t.Error("the cookie shows the id")
	}
}

func BenchmarkParseAndName(b *testing.B) {
	c := cookies(b, testKey)
	for i, x := range both(c) {
		b.Run([2]string{"plain", "login"}[i], func(b *testing.B) {
			text, buf := c.Encode(x), make([]byte, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				got, _ := c.Parse(text)
				buf = c.AppendAnonymousID(buf[:0], got.Visitor)
			}
		})
	}
}

func FuzzCookie(f *testing.F) {
	c := cookies(f, testKey)
	f.Add(c.Encode(Cookie{Visitor: Visitor{1, 2, 3}}))
	f.Add(c.Encode(Cookie{Visitor: Visitor{1, 2, 3}, Login: Login{4}}))
	f.Add("1" + strings.Repeat("A", 43))
	f.Add("2" + strings.Repeat("A", 64))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if x, ok := c.Parse(text); ok && c.Encode(x) != text {
			t.Fatalf("%q is a second text of %x", text, x)
		}
	})
}
