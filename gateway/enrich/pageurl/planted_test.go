package pageurl

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/reuna/reuna/identity/event"
)

// garden makes addresses with something personal planted in them.
type garden struct{ *rand.Rand }

func newGarden(t testing.TB) garden {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return garden{rand.New(rand.NewPCG(seed, 7))}
}

func (g garden) of(list ...string) string { return list[g.IntN(len(list))] }

func (g garden) letters(abc string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = abc[g.IntN(len(abc))]
	}
	return string(b)
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
	base62 = lower + digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

func (g garden) email() string {
	local := g.letters(lower, 2+g.IntN(6))
	if g.IntN(2) == 0 {
		local += g.of(".", "+", "_", "-", "%v", "!") + g.letters(lower+digits, 1+g.IntN(6))
	}
	domain := g.letters(lower+digits, 2+g.IntN(8)) + g.of("", "-x") + g.of("", ".mail") + g.of(".example", ".co.uk", ".fi", ".xn--p1ai")
	mail := local + "@" + domain
	if g.IntN(4) == 0 {
		mail = strings.ToUpper(mail)
	}
	return mail
}

// token is something long and random, or short and behind a name that says so.
func (g garden) token() string {
	for {
		var s string
		switch g.IntN(3) {
		case 0:
			s = g.letters(digits+"abcdef", []int{32, 40, 64}[g.IntN(3)])
		case 1:
			s = g.letters(base62, 28+g.IntN(40))
		default:
			b := make([]byte, 32)
			for i := range b {
				b[i] = byte(g.Uint32())
			}
			s = base64.RawURLEncoding.EncodeToString(b)
		}
		// One in a thousand looks like a product's name; those are no test.
		if changes := strings.Count(strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return '0'
			}
			return 'a'
		}, s), "0a"); changes > 3 && strings.Count(s, "-")+strings.Count(s, "_") < 3 && !strings.HasPrefix(s, "c") {
			return s
		}
	}
}

func (g garden) jwt() string {
	body, _ := json.Marshal(map[string]any{"sub": g.letters(digits, 8), "email": g.email()})
	e := base64.RawURLEncoding
	return e.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + e.EncodeToString(body) + "." + g.letters(base62, 43)
}

func (g garden) card() string {
	b := []byte("4" + g.letters(digits, 15))
	for ; ; b[15] = '0' + (b[15]-'0'+1)%10 {
		if luhn(b) {
			return string(b)
		}
	}
}

// escaped writes a text as clients do, and as attackers do.
func (g garden) escaped(s string) string {
	switch g.IntN(6) {
	case 0:
		s = url.QueryEscape(s)
	case 1:
		s = url.QueryEscape(url.QueryEscape(s))
	case 2:
		s = strings.ToLower(url.QueryEscape(url.QueryEscape(url.QueryEscape(s))))
	case 3:
		var b strings.Builder
		for _, c := range []byte(s) {
			if g.IntN(3) == 0 {
				fmt.Fprintf(&b, g.of("%%%02x", "%%%02X", "%%25%02x"), c)
			} else {
				b.WriteByte(c)
			}
		}
		s = strings.ReplaceAll(b.String(), "%!", "%25!")
	default:
		s = strings.ReplaceAll(s, "%", "%25")
	}
	return s
}

func (g garden) word() string {
	return g.of("shoes", "the-silent-harbour-2019", "42", "sale", "äiti", "red%20shoes", "a+b", "p.html", "x=1", "@user", "", "100%", "b%C3%A4r", "a1b2")
}

// plant gives an address with the text at a random place that any text may
// stand at.
func (g garden) plant(s string) string {
	base := g.of("https://shop.example", "http://Shop.Example:80", "//shop.example", "", "https://u:p@[::1]:8443")
	path := "/" + g.word() + "/" + g.word()
	query := g.of("?", "?a="+g.word()+"&", "?utm_source=x&gclid=abc&", "?"+g.word()+"&")
	tail := g.of("", "&b="+g.word(), "#/route", "#!/x?y=1")
	switch g.IntN(9) {
	case 0:
		return base + path + "/" + s + g.of("", "/", "/more", "?a=b")
	case 1:
		return base + path + query + "q=" + s + tail
	case 2:
		return base + path + query + "q=hello%20" + s + "%20bye" + tail
	case 3:
		return base + path + query + g.of("utm_content", "ref", "u", "x[y]", "data") + "=" + s + tail
	case 4:
		return base + path + "#/route/" + s + "?x=1"
	case 5:
		return base + path + "#!/route?x=" + s
	case 6:
		return base + path + query + "next=" + url.QueryEscape("https://other.example/p/"+s+"?x=1&y="+s) + tail
	case 7:
		return base + path + ";v=1/" + s + tail
	default:
		return base + path + query + "n=" + g.of("1,", "a:", "(", `"`, "to;", "%2C", "%26", "%22", "=") + s + tail
	}
}

// named puts a text behind a parameter's name that says what it is.
func (g garden) named(s string) string {
	name := g.of("token", "access_token", "ID_TOKEN", "resetToken", "user[reset_token]", "user%5Bpassword%5D", "X-Amz-Signature", "sid", "PHPSESSID", "api-key",
		"%74oken", "code_verifier", "email", "firstName", "phone_number", "customer.email", "contact[0][phone]", "ssn", "otp", "SAMLResponse", "mc_eid", "session_id2")
	switch g.IntN(5) {
	case 0:
		return "/a/b;" + name + "=" + s + "/c"
	case 1:
		return "https://shop.example/?a=1&" + name + "=" + s + "&b=2"
	case 2:
		return "https://shop.example/#/r?" + name + "=" + s
	case 3:
		return "?next=" + url.QueryEscape("/x?"+name+"="+s+"&z=1") + "&q=1"
	default:
		return "?next=" + url.QueryEscape(url.QueryEscape("https://x.example/?a=1&"+name+"="+s))
	}
}

// bare resolves all escapes of a text, in lower case.
func bare(s string) string {
	for range 8 {
		var b strings.Builder
		for i := 0; i < len(s); i++ {
			if s[i] == '%' && i+2 < len(s) {
				if c, err := url.PathUnescape(s[i : i+3]); err == nil {
					b.WriteString(c)
					i += 2
					continue
				}
			}
			b.WriteByte(s[i])
		}
		if b.String() == s {
			break
		}
		s = b.String()
	}
	return strings.ToLower(s)
}

// Nothing that was planted comes out, not even a part of it that tells something.
func TestPlanted(t *testing.T) {
	g := newGarden(t)
	for _, o := range []Options{{}, {Fragment: "keep", TrailingSlash: "add", IDN: "ascii"}, {Tracking: "drop", TrailingSlash: "drop", IDN: "unicode", Drop: []string{"b"}}} {
		c := cleaner(t, o)
		for range 8000 {
			var in, secret string
			switch g.IntN(6) {
			case 0:
				secret = base64.StdEncoding.EncodeToString([]byte(g.email()))
				in = g.plant(strings.TrimRight(secret, "="))
				secret = strings.TrimRight(secret, "=")
			case 1, 5:
				secret = g.email()
				in = g.plant(g.escaped(secret))
			case 2:
				secret = g.token()
				if in = g.plant(secret); strings.Contains(in, "utm_content=") {
					continue // a campaign may be called anything
				}
			case 3:
				secret = g.jwt()
				in = g.plant(secret)
			default:
				secret = "Zq" + g.letters(lower+digits, 6) + "7"
				in = g.named(secret)
			}
			check(t, c, in, secret)
		}
		for range 500 {
			secret := g.card()
			check(t, c, g.plant(secret), secret)
		}
	}
}

func check(t *testing.T, c *Cleaner, in, secret string) {
	t.Helper()
	out := c.URL(in)
	left := bare(out)
	if strings.Contains(left, strings.ToLower(secret)) || leaks(left, secret) {
		t.Errorf("%s\nplanted in %s\ncame out   %s", secret, in, out)
	}
	if again := c.URL(out); again != out {
		t.Errorf("%s\ncleaned %s\n twice  %s", in, out, again)
	}
	if len(out) > len(in)+maxGrowth+maxHost {
		t.Errorf("%s grew to %s", in, out)
	}
}

// leaks says that 12 characters on end of a secret are left, or the half of an
// e-mail address.
func leaks(left, secret string) bool {
	secret = strings.ToLower(secret)
	if local, domain, ok := strings.Cut(secret, "@"); ok {
		return len(local) > 5 && strings.Contains(left, local) || strings.Contains(left, "@"+domain)
	}
	for i := 0; i+12 <= len(secret); i++ {
		if strings.Contains(left, secret[i:i+12]) {
			return true
		}
	}
	return false
}

// The same in events, where JSON may escape every character.
func TestPlantedInEvents(t *testing.T) {
	g := newGarden(t)
	c := cleaner(t, Options{})
	for range 3000 {
		secret := g.email()
		address := g.plant(g.escaped(secret))
		if g.IntN(2) == 0 {
			secret = g.jwt()
			address = g.plant(secret)
		}
		address = "https://shop.example/?x=" + url.QueryEscape(address) // so that it looks like one wherever it stands
		if g.IntN(2) == 0 {
			address = strings.ReplaceAll(address, "%", "%25")
		}
		quoted := g.quote(address)
		page := `{"title":` + g.quote("Mail to "+secret) + `,"url":` + quoted + `,"n":[1,{"x":` + quoted + `}]}`
		ev := event.Event{Type: event.Page, Context: event.Value(`{"a":1,"page":` + page + `,"campaign":{"query":` + g.quote("utm_term="+secret) + `}}`), Properties: event.Value(page), Name: address}
		for _, v := range []event.Value{ev.Context, ev.Properties} {
			if _, err := event.Check(string(v)); err != nil {
				t.Fatalf("%s: %v", v, err)
			}
		}
		c.Event(&ev)
		for _, v := range []event.Value{ev.Context, ev.Properties, event.Quote(ev.Name)} {
			if _, err := event.Check(string(v)); err != nil {
				t.Fatalf("%s: %v", v, err)
			}
			flat, _ := json.Marshal(v.Any())
			if left := bare(string(flat)); strings.Contains(left, strings.ToLower(secret)) || leaks(left, secret) {
				t.Errorf("%s\nplanted in %s\ncame out   %s", secret, address, v)
			}
		}
		before := ev
		c.Event(&ev)
		if ev != before {
			t.Errorf("%s\n twice %s", before.Properties, ev.Properties)
		}
	}
}

// quote writes JSON with some characters escaped that need not be.
func (g garden) quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '/' && g.IntN(2) == 0:
			b.WriteString(`\/`)
		case g.IntN(8) == 0 && r < 0x10000:
			fmt.Fprintf(&b, g.of(`\u%04x`, `\u%04X`), r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

// FuzzURL: every text ends, soon, in one that stays as it is.
func FuzzURL(f *testing.F) {
	for _, s := range []string{
		"https://a:b@Shop.Example:443/reset/" + hex40 + "/?email=anna%40x.example&token=" + jwt + "&_reuna=x#/r?code=1&state=2",
		"mailto:anna@x.example", `https:\\x\y`, "?a[b][email]=1&x@y.zz=2", "%2525252540", "//@", "#[email]", "a@b.cc@d.ee", "x4111111111111111@a.bc", "data:,", "%", "[token]=x",
		"FI21 1234 5600 0007 85@a.bc", "https://xn--a.b/", "https://İ.example/", "eyJhbGciOiJIUzI1.a@b.cc",
	} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(0xFF))
	}
	f.Fuzz(func(t *testing.T, s string, settings uint8) {
		o := Options{
			Fragment: []string{"drop", "keep"}[settings&1], Tracking: []string{"keep", "drop"}[settings>>1&1],
			TrailingSlash: []string{"keep", "drop", "add", "add"}[settings>>2&3], IDN: []string{"keep", "unicode", "ascii", "ascii"}[settings>>4&3],
		}
		if settings&0x40 != 0 {
			o.Drop, o.Keep = []string{"a"}, []string{"b"}
		}
		c := cleaner(t, o)
		for name, clean := range map[string]func(string) string{"URL": c.URL, "Query": c.Query, "Text": Text} {
			once := clean(s)
			if once == "[removed]" && once != s {
				t.Errorf("%s of %q does not settle", name, s)
			}
			if twice := clean(once); twice != once {
				t.Errorf("%s of %q is %q, then %q", name, s, once, twice)
			}
			if len(once) > len(s)+maxGrowth+maxHost {
				t.Errorf("%s of %q grew to %q", name, s, once)
			}
			if utf8.ValidString(s) && !utf8.ValidString(once) {
				t.Errorf("%s of %q is no UTF-8: %q", name, s, once)
			}
		}
		explained, whys := c.Explain(s)
		if explained != c.URL(s) || (explained != s) != (len(whys) > 0) {
			t.Errorf("%q explained is %q: %v", s, explained, whys)
		}
	})
}

// FuzzEvent: what comes out is JSON of the same shape.
func FuzzEvent(f *testing.F) {
	for _, s := range []string{sentContext, `{"page":{"url":"https:\/\/a\u0040b.cc\/\ud83d\ude00?token=\"\\"},"traits":{"url":"a@b.cc"},"x":[["/a@b.cc"]]}`, `{}`, ` { "a" : { "url" : "a@b.cc" } } `} {
		f.Add(s)
	}
	c, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		Text(s)
		v, err := event.Check(s)
		if err != nil || v.Kind() != event.Object {
			return
		}
		ev := event.Event{Type: event.Page, Context: v, Properties: v}
		c.Event(&ev)
		for _, out := range []event.Value{ev.Context, ev.Properties, c.Message(v)} {
			if _, err := event.Check(string(out)); err != nil {
				t.Fatalf("%s\nbecame %s: %v", v, out, err)
			}
			if shape(out) != shape(v) {
				t.Errorf("%s\nbecame %s", v, out)
			}
		}
		before := ev
		if c.Event(&ev); ev != before {
			t.Errorf("%s\nthen %s", before.Context, ev.Context)
		}
	})
}

// shape is a value without the text of its strings.
func shape(v event.Value) string {
	switch v.Kind() {
	case event.String:
		return "s"
	case event.Object:
		b := "{"
		v.Each(func(k string, m event.Value) bool { b += k + ":" + shape(m) + ","; return true })
		return b + "}"
	case event.Array:
		b := "["
		v.Items(func(m event.Value) bool { b += shape(m) + ","; return true })
		return b + "]"
	}
	return string(v)
}
