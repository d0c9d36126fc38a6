package token

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var (
	now    = time.Unix(1_800_000_000, 0).UTC()
	secret = []byte("an HS256 secret of 32 bytes, yes")
	seed   = []byte("an Ed25519 seed has 32 bytes too")
)

func edKey() Key {
	private := ed25519.NewKeyFromSeed(seed)
	return Key{KID: "ed", Alg: EdDSA, PrivateKey: private, PublicKey: private.Public().(ed25519.PublicKey)}
}

func hsKey() Key { return Key{KID: "hs", Alg: HS256, Secret: secret} }

func verifier(t testing.TB, o Options) *Verifier {
	t.Helper()
	if o.Audience == "" {
		o.Audience = "shop"
	}
	v, err := NewVerifier([]Key{hsKey(), edKey()}, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func good() Claims {
	return Claims{Audience: "shop", Subject: "u1", ID: "j1", IssuedAt: now, Expires: now.Add(5 * time.Minute)}
}

func sign(t testing.TB, k Key, c Claims) string {
	t.Helper()
	s, err := Sign(k, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// raw signs any header and payload with HS256.
func raw(header, payload string) string {
	e := base64.RawURLEncoding.EncodeToString
	signed := e([]byte(header)) + "." + e([]byte(payload))
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(signed))
	return signed + "." + e(h.Sum(nil))
}

const goodHeader = `{"alg":"HS256","kid":"hs","typ":"JWT"}`

func payloadWith(more string) string {
	return fmt.Sprintf(`{"aud":"shop","sub":"u1","jti":"j1","iat":%d,"exp":%d%s}`, now.Unix(), now.Unix()+300, more)
}

func code(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return Code("not an *Error: " + err.Error())
	}
	return ""
}

func TestSignThenVerify(t *testing.T) {
	v := verifier(t, Options{})
	for _, k := range []Key{hsKey(), edKey()} {
		c := good()
		c.Visitor = "v_x"
		got, err := v.Verify(sign(t, k, c), "v_x", now)
		if err != nil || got != c {
			t.Errorf("%s: %+v, %v; want %+v", k.Alg, got, err, c)
		}
	}
}

func TestTokenClaims(t *testing.T) {
	change := func(f func(*Claims)) Claims { c := good(); f(&c); return c }
	tests := []struct {
		name    string
		claims  Claims
		visitor string
		at      time.Time
		require bool
		want    Code
	}{
		{name: "good", claims: good()},
		{name: "good at the end of skew", claims: good(), at: now.Add(5*time.Minute + 59*time.Second)},
		{name: "expired", claims: good(), at: now.Add(6 * time.Minute), want: CodeExpired},
		{name: "good a minute early", claims: good(), at: now.Add(-time.Minute)},
		{name: "not yet", claims: good(), at: now.Add(-61 * time.Second), want: CodeNotYet},
		{name: "ten years off", claims: good(), at: now.AddDate(10, 0, 0), want: CodeExpired},
		{name: "ten minutes", claims: change(func(c *Claims) { c.Expires = now.Add(10 * time.Minute) })},
		{name: "too long", claims: change(func(c *Claims) { c.Expires = now.Add(601 * time.Second) }), want: CodeLifetime},
		{name: "ends before it starts", claims: change(func(c *Claims) { c.Expires = now }), want: CodeLifetime},
		{name: "other site", claims: change(func(c *Claims) { c.Audience = "Shop" }), want: CodeAudience},
		{name: "no site", claims: change(func(c *Claims) { c.Audience = "" }), want: CodeAudience},
		{name: "no subject", claims: change(func(c *Claims) { c.Subject = "" }), want: CodeSubject},
		{name: "long subject", claims: change(func(c *Claims) { c.Subject = strings.Repeat("x", 513) }), want: CodeSubject},
		{name: "longest subject", claims: change(func(c *Claims) { c.Subject = strings.Repeat("x", 512) })},
		{name: "no id", claims: change(func(c *Claims) { c.ID = "" }), want: CodeID},
		{name: "long id", claims: change(func(c *Claims) { c.ID = strings.Repeat("x", 257) }), want: CodeID},
		{name: "its visitor", claims: change(func(c *Claims) { c.Visitor = "v_a" }), visitor: "v_a", require: true},
		{name: "another visitor", claims: change(func(c *Claims) { c.Visitor = "v_a" }), visitor: "v_b", want: CodeVisitor},
		{name: "no visitor presents it", claims: change(func(c *Claims) { c.Visitor = "v_a" }), want: CodeVisitor},
		{name: "visitor required", claims: good(), visitor: "v_a", require: true, want: CodeVisitor},
		{name: "visitor not required", claims: good(), visitor: "v_a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.at.IsZero() {
				tt.at = now
			}
			for _, k := range []Key{hsKey(), edKey()} {
				got, err := verifier(t, Options{RequireVisitor: tt.require}).Verify(sign(t, k, tt.claims), tt.visitor, tt.at)
				if code(err) != tt.want {
					t.Errorf("%s: %v; want %q", k.Alg, err, tt.want)
				}
				if err != nil && got != (Claims{}) {
					t.Errorf("claims of a refused token: %+v", got)
				}
			}
		})
	}
}

func TestTokenAttacks(t *testing.T) {
	e := base64.RawURLEncoding.EncodeToString
	ed := edKey()
	valid := sign(t, hsKey(), good())
	parts := strings.Split(valid, ".")
	tests := []struct {
		name, token string
		want        Code
	}{
		{"empty", "", CodeMalformed},
		{"two parts", parts[0] + "." + parts[1], CodeMalformed},
		{"four parts", valid + ".x", CodeMalformed},
		{"five parts, as a JWE", valid + ".x.y", CodeMalformed},
		{"too long", raw(goodHeader, payloadWith(`,"x":"`+strings.Repeat("x", 4096)+`"`)), CodeMalformed},
		{"padding", parts[0] + "=." + parts[1] + "." + parts[2], CodeMalformed},
		{"line break", valid[:5] + "\n" + valid[5:], CodeMalformed},
		{"line break at the end", valid + "\n", CodeMalformed},
		{"loose last bits", valid[:len(valid)-1] + string(valid[len(valid)-1]+1), CodeMalformed},
		{"none", e([]byte(`{"alg":"none","kid":"hs"}`)) + "." + parts[1] + ".", CodeAlgorithm},
		{"None", e([]byte(`{"alg":"None","kid":"hs"}`)) + "." + parts[1] + ".", CodeAlgorithm},
		{"no alg", e([]byte(`{"kid":"hs"}`)) + "." + parts[1] + "." + parts[2], CodeAlgorithm},
		{"alg in lower case", raw(`{"alg":"hs256","kid":"hs"}`, payloadWith("")), CodeAlgorithm},
		{"alg not a string", raw(`{"alg":["HS256"],"kid":"hs"}`, payloadWith("")), CodeMalformed},
		{"HS256 with the public key as secret", sign(t, Key{KID: "ed", Alg: HS256, Secret: ed.PublicKey}, good()), CodeAlgorithm},
		{"EdDSA under the HS256 kid", sign(t, Key{KID: "hs", Alg: EdDSA, PrivateKey: ed.PrivateKey}, good()), CodeAlgorithm},
		{"other secret", sign(t, Key{KID: "hs", Alg: HS256, Secret: []byte(strings.Repeat("z", 32))}, good()), CodeSignature},
		{"no signature", parts[0] + "." + parts[1] + ".", CodeSignature},
		{"short signature", parts[0] + "." + parts[1] + "." + parts[2][:4], CodeSignature},
		{"signature of another payload", raw(goodHeader, payloadWith(""))[:len(parts[0])] + "." + e([]byte(payloadWith(`,"x":1`))) + "." + parts[2], CodeSignature},
		{"no kid", raw(`{"alg":"HS256"}`, payloadWith("")), CodeUnknownKey},
		{"unknown kid", raw(`{"alg":"HS256","kid":"zz"}`, payloadWith("")), CodeUnknownKey},
		{"kid is a path", raw(`{"alg":"HS256","kid":"../../dev/null"}`, payloadWith("")), CodeUnknownKey},
		{"kid twice", raw(`{"alg":"HS256","kid":"zz","kid":"hs"}`, payloadWith("")), CodeMalformed},
		{"crit", raw(`{"alg":"HS256","kid":"hs","crit":["exp"]}`, payloadWith("")), CodeMalformed},
		{"crit empty", raw(`{"alg":"HS256","kid":"hs","crit":[]}`, payloadWith("")), CodeMalformed},
		{"typ", raw(`{"alg":"HS256","kid":"hs","typ":"at+jwt"}`, payloadWith("")), CodeMalformed},
		{"own key in the header", raw(`{"alg":"HS256","kid":"zz","jwk":{"kty":"oct","k":"AA"}}`, payloadWith("")), CodeUnknownKey},
		{"trailing data in the header", raw(goodHeader+`{}`, payloadWith("")), CodeMalformed},
		{"trailing data in the payload", raw(goodHeader, payloadWith("")+`x`), CodeMalformed},
		{"payload a list", raw(goodHeader, `[]`), CodeMalformed},
		{"payload null", raw(goodHeader, `null`), CodeMalformed},
		{"payload empty", raw(goodHeader, ``), CodeMalformed},
		{"payload not closed", raw(goodHeader, strings.TrimSuffix(payloadWith(""), "}")), CodeMalformed},
		{"sub twice", raw(goodHeader, payloadWith(`,"sub":"u2"`)), CodeMalformed},
		{"sub twice, once escaped", raw(goodHeader, payloadWith(`,"su\u0062":"u2"`)), CodeMalformed},
		{"sub a number", raw(goodHeader, `{"aud":"shop","sub":1}`), CodeMalformed},
		{"sub null", raw(goodHeader, `{"aud":"shop","sub":null}`), CodeMalformed},
		{"lone surrogate", raw(goodHeader, `{"aud":"shop","sub":"\ud800"}`), CodeMalformed},
		{"bad UTF-8", raw(goodHeader, "{\"aud\":\"shop\",\"sub\":\"\xff\"}"), CodeMalformed},
		{"zero byte", raw(goodHeader, `{"aud":"shop","sub":"u1\u0000"}`), CodeMalformed},
		{"exp huge", raw(goodHeader, `{"aud":"shop","sub":"u1","jti":"j","iat":1,"exp":1e400}`), CodeMalformed},
		{"exp beyond int64", raw(goodHeader, `{"aud":"shop","sub":"u1","jti":"j","iat":1,"exp":99999999999999999999}`), CodeMalformed},
		{"exp negative", raw(goodHeader, `{"aud":"shop","sub":"u1","jti":"j","iat":1,"exp":-1}`), CodeMalformed},
		{"exp a string", raw(goodHeader, `{"aud":"shop","sub":"u1","jti":"j","iat":1,"exp":"2"}`), CodeMalformed},
		{"no exp", raw(goodHeader, fmt.Sprintf(`{"aud":"shop","sub":"u1","jti":"j","iat":%d}`, now.Unix())), CodeLifetime},
		{"no iat", raw(goodHeader, fmt.Sprintf(`{"aud":"shop","sub":"u1","jti":"j","exp":%d}`, now.Unix()+9)), CodeLifetime},
		{"nbf ahead", raw(goodHeader, payloadWith(fmt.Sprintf(`,"nbf":%d`, now.Unix()+61))), CodeNotYet},
		{"aud an object", raw(goodHeader, `{"aud":{"shop":1}}`), CodeMalformed},
		{"aud with a number", raw(goodHeader, `{"aud":["shop",1]}`), CodeMalformed},
		{"aud empty list", raw(goodHeader, `{"aud":[],"sub":"u1"}`), CodeAudience},
		{"deep", raw(goodHeader, `{"x":`+strings.Repeat("[", 900)+strings.Repeat("]", 900)+`}`), CodeAudience},

		{"fine: aud a list", raw(goodHeader, strings.Replace(payloadWith(""), `"shop"`, `["blog","shop"]`, 1)), ""},
		{"fine: fractions, other claims", raw(goodHeader, payloadWith(`,"nbf":1.5,"iss":"x","roles":{"a":[1]}`)), ""},
		{"fine: no typ", raw(`{"kid":"hs","alg":"HS256"}`, payloadWith("")), ""},
	}
	v := verifier(t, Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := v.Verify(tt.token, "", now)
			if code(err) != tt.want {
				t.Errorf("%v; want %q", err, tt.want)
			}
		})
	}
}

func TestVerifierKeys(t *testing.T) {
	for name, keys := range map[string][]Key{
		"no kid":           {{Alg: HS256, Secret: secret}},
		"kid twice":        {hsKey(), hsKey()},
		"short secret":     {{KID: "a", Alg: HS256, Secret: secret[:31]}},
		"short public key": {{KID: "a", Alg: EdDSA, PublicKey: seed[:31]}},
		"no algorithm":     {{KID: "a", Secret: secret}},
		"none":             {{KID: "a", Alg: "none"}},
	} {
		if _, err := NewVerifier(keys, Options{Audience: "shop"}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := NewVerifier(nil, Options{}); err == nil {
		t.Error("no audience: taken")
	}
	if _, err := NewVerifier(nil, Options{Audience: "a", Skew: 2 * time.Minute}); err == nil {
		t.Error("two minutes of skew: taken")
	}
	v, err := NewVerifier(nil, Options{Audience: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(sign(t, hsKey(), good()), "", now); code(err) != CodeUnknownKey {
		t.Errorf("without keys: %v", err)
	}
}

// Verify keeps its own copy of the keys.
func TestVerifierOwnsItsKeys(t *testing.T) {
	mine := []byte(string(secret))
	v, err := NewVerifier([]Key{{KID: "hs", Alg: HS256, Secret: mine}}, Options{Audience: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	clear(mine)
	if _, err := v.Verify(sign(t, hsKey(), good()), "", now); err != nil {
		t.Error(err)
	}
}

func FuzzToken(f *testing.F) {
	v := verifier(f, Options{})
	f.Add(goodHeader, payloadWith(""))
	f.Add(`{"alg":"EdDSA","kid":"ed"}`, payloadWith(`,"vid":"v"`))
	f.Add(`{"alg":"none"}`, `{}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		// Signed for real, so that the payload's reader is reached too.
		c, err := v.Verify(raw(header, payload), "", now)
		if err != nil {
			if !strings.HasPrefix(string(code(err)), "token_") {
				t.Fatalf("not an *Error: %v", err)
			}
			return
		}
		if c.Subject == "" || len(c.Subject) > MaxSubjectBytes || c.ID == "" || c.Audience != "shop" || c.Visitor != "" {
			t.Fatalf("taken: %+v", c)
		}
		if life := c.Expires.Sub(c.IssuedAt); life <= 0 || life > 10*time.Minute {
			t.Fatalf("lives %s", life)
		}
		if _, err := v.Verify(header+"."+payload, "", now); err == nil {
			t.Fatal("taken without a signature")
		}
	})
}
