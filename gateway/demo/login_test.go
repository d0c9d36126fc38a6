package demo

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestLogin(t *testing.T) {
	s := newShop(t)
	const good = `{"name":" Aino Ääkkönen ","visitor":"v_abc-1"}`
	for _, c := range []struct {
		name    string
		body    string
		headers []string
		status  int
		want    string // user id, or code and field of the error
	}{
		{"from the shop's page", good, []string{"Origin", "http://shop.test", "Sec-Fetch-Site", "same-origin"}, 200, "demo:aino-ääkkönen"},
		{"behind a proxy that took the TLS off", good, []string{"Origin", "https://shop.test"}, 200, "demo:aino-ääkkönen"},
		{"from a program", good, nil, 200, "demo:aino-ääkkönen"},
		{"any script's letters", `{"name":"李 小龙","visitor":"v_1"}`, nil, 200, "demo:李-小龙"},
		{"punctuation goes", `{"name":"--O'Neill, 3rd!!","visitor":"v_1"}`, nil, 200, "demo:o-neill-3rd"},
		{"type with a charset", good, []string{"Content-Type", "application/json; charset=utf-8"}, 200, "demo:aino-ääkkönen"},

		{"another site's page", good, []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross_site"},
		{"another origin of the same site", good, []string{"Sec-Fetch-Site", "same-site"}, 403, "cross_site"},
		{"another origin", good, []string{"Origin", "https://evil.test"}, 403, "cross_site"},
		{"an origin that begins alike", good, []string{"Origin", "https://shop.test.evil.test"}, 403, "cross_site"},
		{"a hidden origin", good, []string{"Origin", "null"}, 403, "cross_site"},
		{"a form", "name=a&visitor=v_1", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_type"},
		{"text that is JSON", good, []string{"Content-Type", "text/plain"}, 415, "unsupported_type"},
		{"no type", good, []string{"Content-Type", ""}, 415, "unsupported_type"},
		{"too large", `{"name":"` + strings.Repeat("a", 3000) + `","visitor":"v_1"}`, nil, 413, "too_large"},
		{"no JSON", "hello", nil, 400, "invalid_login"},
		{"nothing", "", nil, 400, "invalid_login"},
		{"a list", "[]", nil, 400, "invalid_login"},
		{"two objects", good + good, nil, 400, "invalid_login"},
		{"an unknown key", `{"name":"a","visitor":"v_1","admin":true}`, nil, 400, "invalid_login"},
		{"a number for a name", `{"name":1,"visitor":"v_1"}`, nil, 400, "invalid_login"},
		{"no name", `{"visitor":"v_1"}`, nil, 400, "invalid_login name"},
		{"a name of nothing", `{"name":" !?- ","visitor":"v_1"}`, nil, 400, "invalid_login name"},
		{"a long name", `{"name":"` + strings.Repeat("ä", 61) + `","visitor":"v_1"}`, nil, 400, "invalid_login name"},
		{"no visitor", `{"name":"a"}`, nil, 400, "invalid_login visitor"},
		{"an odd visitor", `{"name":"a","visitor":"v 1"}`, nil, 400, "invalid_login visitor"},
		{"a long visitor", `{"name":"a","visitor":"` + strings.Repeat("v", 129) + `"}`, nil, 400, "invalid_login visitor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ask(s, "POST", "/demo/login", []byte(c.body), append([]string{"Content-Type", "application/json"}, c.headers...)...)
			if r.StatusCode() != c.status {
				t.Fatalf("status %d, expected %d: %s", r.StatusCode(), c.status, r.Body())
			}
			if got := string(r.Header.Peek("Cache-Control")); got != "no-store" {
				t.Errorf("Cache-Control %q, expected no-store", got)
			}
			var answer struct {
				UserID string            `json:"userId"`
				Token  string            `json:"token"`
				Traits map[string]string `json:"traits"`
				Error  struct{ Code, Message, Field string }
			}
			if err := json.Unmarshal(r.Body(), &answer); err != nil {
				t.Fatal(err)
			}
			if c.status != 200 {
				if got := strings.TrimSpace(answer.Error.Code + " " + answer.Error.Field); got != c.want || answer.Error.Message == "" || answer.Token != "" {
					t.Errorf("got %s, expected %s", r.Body(), c.want)
				}
				return
			}
			if answer.UserID != c.want || !strings.HasPrefix(answer.Token, c.want+"@v_") || answer.Traits["plan"] != "reader" {
				t.Errorf("got %s, expected the user %s", r.Body(), c.want)
			}
		})
	}
}

func TestLoginThatCannotSignSaysSoToTheLogAlone(t *testing.T) {
	var log strings.Builder
	s, err := New(Options{
		Snippet: snippet,
		Sign:    func(string, string) (string, error) { return "", errors.New("the key is gone") },
		Log:     slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := ask(s, "POST", "/demo/login", []byte(`{"name":"Aino","visitor":"v_1"}`), "Content-Type", "application/json")
	if r.StatusCode() != 500 || strings.Contains(string(r.Body()), "key is gone") {
		t.Errorf("status %d: %s", r.StatusCode(), r.Body())
	}
	if !strings.Contains(log.String(), "the key is gone") {
		t.Errorf("the log does not say why: %s", log.String())
	}
}

func FuzzParseLogin(f *testing.F) {
	for _, body := range []string{`{"name":"Aino","visitor":"v_1"}`, `{}`, `{"name":"\ud800","visitor":"v"}`, `[`, `{"name":"İ","visitor":"v"} `, "\x00"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseLogin(body)
		if err != nil {
			var known fault
			if !errors.As(err, &known) || known.status < 400 || known.code == "" || known.message == "" {
				t.Fatalf("%q: an error that cannot be told: %v", body, err)
			}
			return
		}
		id := slug(r.Name)
		if id == "" || slug(id) != id || strings.ContainsAny(id, " \t\n\"'<>&:/\\") || strings.HasPrefix(id, "-") || strings.HasSuffix(id, "-") {
			t.Errorf("the name %q became %q", r.Name, id)
		}
		if r.Visitor == "" || len(r.Visitor) > maxVisitor || strings.ContainsAny(r.Visitor, " \"'<>&:./\\") {
			t.Errorf("the visitor %q was let in", r.Visitor)
		}
	})
}
