package admin

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/id"
)

// FuzzQuestions: whatever stands in a path or its parameters, the answer is a
// refusal that says why, or a name and types that are such.
func FuzzQuestions(f *testing.F) {
	for _, s := range [][2]string{{"fans", "segment=fans"}, {"%66ans", "segment=a&trait=b"}, {"a%20b", "with=email,user_id"}, {"%zz", "with=,"}, {"", "placement=%00"}, {"..", "trait=../x"}, {"\xff", "segment=\xff&with=\xff"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		ctx := &fasthttp.RequestCtx{}
		ctx.Request.URI().SetQueryString(query)
		c := &call{s: &Server{o: Options{Types: id.Default()}}, ctx: ctx, param: path}
		refused := func(x *failure) {
			if x.status < 400 || x.status > 499 || x.code == "" || x.message == "" || len(x.message) > 1000 || !utf8.ValidString(x.message) {
				t.Errorf("%+v", x)
			}
		}
		isName := func(s string) bool {
			return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == ""
		}
		for _, kind := range []string{KindTrait, KindSegment, KindPlacement} {
			name, x := c.named(kind)
			if x != nil {
				refused(x)
			} else if again, err := url.PathUnescape(path); err != nil || again != name || !isName(name) {
				t.Errorf("%q is the name %q", path, name)
			}
		}
		kind, name, x := c.asked()
		if x != nil {
			refused(x)
		} else if !isName(name) || string(ctx.QueryArgs().Peek(kind)) != name {
			t.Errorf("%q asks for %s %q", query, kind, name)
		}
		types, x := c.with()
		if x != nil {
			refused(x)
		}
		for _, typ := range types {
			if !slices.Contains(id.Default().Names(), typ) {
				t.Errorf("%q is with %q", query, typ)
			}
		}
	})
}
