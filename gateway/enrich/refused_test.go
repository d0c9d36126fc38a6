package enrich

import "testing"

func TestRefused(t *testing.T) {
	e := newEnricher(t, Options{})
	for _, c := range []struct{ name, raw, want string }{
		{"nothing to hide", `{"type":"track","event":7}`, `{"type":"track","event":7}`},
		{"an address of a page, and the client's", `{"type":"page","context":{"ip":"193.166.3.2","page":{"url":"https://shop.example/?email=a%40b.example&p=1"}},"traits":{"email":"a@b.example"}}`,
			`{"type":"page","context":{"ip":"193.166.3.0","page":{"url":"https://shop.example/?email=[email]&p=1"}},"traits":{"email":"a@b.example"}}`},
		{"an address that is none", `{"context":{"ip":"me","a":1}}`, `{"context":{"a":1}}`},
		{"no JSON", `{"url":"https://shop.example/?q=a@b.example`, `{"url":"https://shop.example/?q=[email]`},
		{"no object", `"a@b.example"`, `"[email]"`},
	} {
		if got := e.Refused(c.raw, nil); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}
