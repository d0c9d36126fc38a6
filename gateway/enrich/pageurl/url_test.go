package pageurl

import (
	"strings"
	"testing"
	"time"
)

func cleaner(t testing.TB, o Options) *Cleaner {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	jwt   = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSIsIm5hbWUiOiJBbm5hIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	hex40 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"
	b64   = "Xh3kP9_vQ2sLr7Tz-8WmB4nYc6JdA1eGfU0oIi5HqKs"
	gclid = "Cj0KCQjwqpSwBhClARIsADlZ_TmXyzAbCdEfGhIjKlMnOpQrStUvWxYz0123456789aB_cDeFgHiJkLaAvYpEALw_wcB"
)

// Addresses as sites make them, and what may be kept of each.
func TestURL(t *testing.T) {
	c := cleaner(t, Options{})
	for _, x := range []struct{ in, want string }{
		// Resets, confirmations, links by mail.
		{"https://shop.example/users/password/edit?reset_password_token=abc", "https://shop.example/users/password/edit?reset_password_token=[token]"},
		{"https://shop.example/a?resetToken=a&reset=ab12cd34&session-id=a&oauth.access_token=b&Api-Key=c&refresh_token=d&x-amz-security-token=e", "https://shop.example/a?resetToken=[token]&reset=[token]&session-id=[token]&oauth.access_token=[token]&Api-Key=[token]&refresh_token=[token]&x-amz-security-token=[token]"},
		{"https://shop.example/a?firstname=A&last_name=B&ssn=1234&birthdate=1990-01-01&userName=c&tel=1&otp=1&pin=0000&jwt=x&secret=y&pwd=z", "https://shop.example/a?firstname=[removed]&last_name=[removed]&ssn=[removed]&birthdate=[removed]&userName=[removed]&tel=1&otp=[token]&pin=[token]&jwt=[token]&secret=[token]&pwd=[token]"},
		{"https://shop.example/password/reset/" + hex40 + "?email=anna%40example.com", "https://shop.example/password/reset/[token]?email=[email]"},
		{"https://shop.example/reset/MQ/c8v2xk-3a4f5b6c7d8e9f0a1b2c3d4e5f6a7b8c/", "https://shop.example/reset/MQ/[token]/"},
		{"https://shop.example/account/activate/5832934/f1a9c8b1e1c8a1d7f3e7e0a4b7a5a0b8-1508934523", "https://shop.example/account/activate/[token]/[token]"},
		{"https://shop.example/verify/482913", "https://shop.example/verify/[token]"},
		{"https://shop.example/invite/aB3xK9pQ2w", "https://shop.example/invite/[token]"},
		{"https://shop.example/magic-link/" + b64, "https://shop.example/magic-link/[token]"},
		{"https://shop.example/My-Page-Title-1429989fe8ac5effbc8f57f56486db54", "https://shop.example/My-Page-Title-[token]"},
		{"https://shop.example/wp-login.php?action=rp&key=Zk3Fq9&login=anna", "https://shop.example/wp-login.php?action=rp&key=[token]&login=[removed]"},
		{"https://shop.example/unsubscribe?e=anna@example.com&list=7", "https://shop.example/unsubscribe?e=[email]&list=7"},
		{"https://shop.example/unsubscribe/anna+news@example.com", "https://shop.example/unsubscribe/[email]"},
		{"https://shop.example/optout?u=0123456789&hash=5d41402abc4b2a76b9719d911017c592", "https://shop.example/optout?u=0123456789&hash=[token]"},
		{"https://shop.example/?next=/a?hash=ab@cd.ef&b=1", "https://shop.example/?next=/a?hash=[email]&b=1"},
		{"https://shop.example/verify?code=123456", "https://shop.example/verify?code=[token]"},
		{"https://shop.example/invoices/" + hex40 + ".pdf", "https://shop.example/invoices/[token].pdf"},
		// Signing in elsewhere.
		{"https://shop.example/callback?code=SplxlOBeZQQYbYS6WxSbIA&state=af0ifjsldkj", "https://shop.example/callback?code=[token]&state=[token]"},
		{"https://shop.example/welcome?state=xyz&code=abc", "https://shop.example/welcome?state=[token]&code=[token]"},
		{"https://shop.example/cb#access_token=2YotnFZFEjr1zCsicMWpAA&token_type=example&id_token=" + jwt, "https://shop.example/cb"},
		{"https://shop.example/sp?SAMLResponse=PHNhbWxwOlJlc3BvbnNl%3D&RelayState=%2Fa", "https://shop.example/sp?SAMLResponse=[token]&RelayState=[token]"},
		{"https://shop.example/?ticket=ST-1-abc", "https://shop.example/?ticket=[token]"},
		{"https://shop.example/?next=%2Freset%3Ftoken%3Dabc%26page%3D2&x=1", "https://shop.example/?next=%2Freset%3Ftoken%3D[token]%26page%3D2&x=1"},
		{"https://shop.example/?next=/reset?token=abc", "https://shop.example/?next=/reset?token=[token]"},
		{"https://shop.example/?to=https%253A%252F%252Fa.example%252F%253Faccess_token%253Dabc%2526b%253D1", "https://shop.example/?to=https%253A%252F%252Fa.example%252F%253Faccess_token%253D[token]%2526b%253D1"},
		{"https://shop.example/?x=" + jwt + "&y=1", "https://shop.example/?x=[token]&y=1"},
		{"https://shop.example/t/" + jwt, "https://shop.example/t/[token]"},
		// Sessions.
		{"https://shop.example/cart;jsessionid=1A2B3C4D5E/items?page=2", "https://shop.example/cart;jsessionid=[token]/items?page=2"},
		{"https://shop.example/cart.php?PHPSESSID=abc123&id=5", "https://shop.example/cart.php?PHPSESSID=[token]&id=5"},
		{"https://shop.example/?ASPSESSIONIDQQABCDEF=xyz", "https://shop.example/?ASPSESSIONIDQQABCDEF=[token]"},
		{"https://bucket.s3.amazonaws.com/a.pdf?X-Amz-Credential=AKIA%2F2024&X-Amz-Date=20240101T000000Z&X-Amz-Signature=ab12", "https://bucket.s3.amazonaws.com/a.pdf?X-Amz-Credential=[token]&X-Amz-Date=20240101T000000Z&X-Amz-Signature=[token]"},
		{"https://shop.example/orders/" + strings.Repeat("0a1b2c3d", 4) + "?key=" + hex40, "https://shop.example/orders/[token]?key=[token]"},
		// Persons.
		{"https://anna:s3cret@shop.example/", "https://shop.example/"},
		{"https://a@b@shop.example/x", "https://shop.example/x"},
		{"https://shop.example/?q=red+shoes&email=ANNA%40EXAMPLE.COM", "https://shop.example/?q=red+shoes&email=[email]"},
		{"https://shop.example/search?q=invoice%20anna%40example.com%20may", "https://shop.example/search?q=invoice%20[email]%20may"},
		{"https://shop.example/?x=anna%2540example%252Ecom", "https://shop.example/?x=[email]"},
		{"https://shop.example/?anna@example.com=1", "https://shop.example/?[email]=1"},
		{"https://shop.example/?customer%5Bemail%5D=x&customer[first_name]=Anna", "https://shop.example/?customer%5Bemail%5D=[email]&customer[first_name]=[removed]"},
		{"https://shop.example/?phone=%2B358401234567&mobile=1", "https://shop.example/?phone=[removed]&mobile=1"},
		{"https://shop.example/#/user/anna@example.com", "https://shop.example/#/user/[email]"},
		{"https://shop.example/anna%40xn--exmple-cua.fi/", "https://shop.example/[email]/"},
		{"https://shop.example/?from=bounce%2Banna=home.example@lists.example", "https://shop.example/?from=[email]"},
		{"https://shop.example/u/YW5uYUBleGFtcGxlLmNvbQ==?x=aGVsbG8gYUBiLmNj", "https://shop.example/u/[email]==?x=[email]"},
		{"https://anna%40example.com/x", "https://email.invalid/x"},
		{"mailto:anna@example.com?subject=Hello%20Anna", "mailto:[email]"},
		{"MAILTO:anna@example.com", "mailto:[email]"},
		{"mailto:", "mailto:"},
		{"tel:+358401234567", "tel:[phone]"},
		{"data:text/html;base64,PGI+YW5uYUBleGFtcGxlLmNvbTwvYj4=", "data:text/html;base64,[removed]"},
		{"https://shop.example/pay?x=4111111111111111", "https://shop.example/pay?x=[number]"},
		{"https://shop.example/pay?x=4111-1111-1111-1111", "https://shop.example/pay?x=[number]"},
		{"https://shop.example/pay?x=3782+822463+10005&y=1", "https://shop.example/pay?x=[number]&y=1"},
		{"https://shop.example/pay/FI2112345600000785", "https://shop.example/pay/[number]"},
		{"https://shop.example/pay?to=de89+3704+0044+0532+0130+00", "https://shop.example/pay?to=[number]"},
		// Ours, and recipients of mails.
		{"https://shop.example/?_reuna=abc", "https://shop.example/"},
		{"https://shop.example/?a=1&_reuna=abc&b=2#top", "https://shop.example/?a=1&b=2"},
		{"https://shop.example/?_reuna=a&_reuna=b&c", "https://shop.example/?c"},
		{"https://shop.example/?_reuna=a&_reuna=b", "https://shop.example/"},
		{"https://shop.example/?utm_source=news&mc_eid=4a5b6c7d8e", "https://shop.example/?utm_source=news&mc_eid=[token]"},
		// Spelling.
		{"HTTPS://Shop.Example:443/Path?Q=A", "https://shop.example/Path?Q=A"},
		{"http://shop.example:80", "http://shop.example"},
		{"http://shop.example:/x", "http://shop.example/x"},
		{"https://shop.example:8443/", "https://shop.example:8443/"},
		{"https://[2001:DB8::1]:443/x", "https://[2001:db8::1]/x"},
		{"//User:pw@Cdn.Example/a.js", "//cdn.example/a.js"},
		{`https:\\anna:pw@Shop.Example\x`, `https:\\shop.example\x`},
		{"https://MÜNCHEN.example/", "https://münchen.example/"},
		{" https://shop.example/\n", "https://shop.example/"},
		{"https://shop.example/?to\tken=abc", "https://shop.example/?token=[token]"},
		{"https://shop.example/a#section-2", "https://shop.example/a"},
		{"https://shop.example/a#", "https://shop.example/a"},
		{"https://shop.example/#!/cart?token=abc&page=2", "https://shop.example/#!/cart?token=[token]&page=2"},
		{"?email=x&page=2", "?email=[email]&page=2"},
		{"/account?session=abc", "/account?session=[token]"},
		{"anna@example.com", "[email]"},
	} {
		if got := c.URL(x.in); got != x.want {
			t.Errorf("%s\n got %s\nwant %s", x.in, got, x.want)
		} else if again := c.URL(got); again != got {
			t.Errorf("%s\ncleaned %s\n twice %s", x.in, got, again)
		}
	}
}

// What looks like something personal and is not.
func TestURLStays(t *testing.T) {
	c := cleaner(t, Options{})
	for _, s := range []string{
		"", "/", "?", "?a", "https://shop.example", "https://shop.example/",
		"https://shop.example/u/SGVsbG8gV29ybGQsIGhl?x=HelloWorldTitle&y=AQIDBAUGBwgJCgsMDQ4P",
		"https://medium.com/@user/a-story-about-shoes-9a8b7c6d5e4f",
		"https://www.google.com/maps/@60.1699,24.9384,15z",
		"https://www.google.com/maps/place/Helsinki/@60.1,24.9,12z/data",
		"https://www.npmjs.com/package/@scope/pkg",
		"https://unpkg.com/react@18.2.0/umd/react.production.min.js",
		"https://unpkg.com/vue@3.4.21-rc.1/dist/vue.global.js",
		"https://cdn.jsdelivr.net/gh/user/repo@main/file.js",
		"https://shop.example/img/logo@2x.png", "https://shop.example/img/hero@1.5x.webp",
		"https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=42s",
		"https://shop.example/donaudampfschifffahrtselektrizitaetenhauptbetriebswerk",
		"https://shop.example/the-girl-with-the-dragon-tattoo-paperback-2011-edition",
		"https://shop.example/TheGirlWithTheDragonTattooPaperbackEdition",
		"https://shop.example/apple-iphone-15-pro-max-256gb-natural-titanium-5g",
		"https://shop.example/lg-oled55c34la-tv-4k-hdr10-2023",
		"https://shop.example/samsung-qe65qn90catxxh-65-4k-neo-qled",
		"https://shop.example/dell-xps-13-9340-i7-155h-32gb-1tb-w11p",
		"https://shop.example/p/550e8400-e29b-41d4-a716-446655440000",
		"https://shop.example/?product=550E8400-E29B-41D4-A716-446655440000",
		"https://shop.example/p/507f1f77bcf86cd799439011", "https://shop.example/p/01ARZ3NDEKTSV4RRFFQ69G5FAV", "https://shop.example/p/cjld2cjxh0000qzrmn831i7rn",
		"https://shop.example/p/Nice-shoes-507f1f77bcf86cd799439011", "https://shop.example/p/nice-shoes-550e8400-e29b-41d4-a716-446655440000", "https://shop.example/p/a-title-0123456789abcdef",
		"https://shop.example/p/4006381333931", "https://shop.example/p?variant=39412345678901", "https://shop.example/?_=1700000000003",
		"https://www.amazon.example/Some-Product-Name-2024/dp/B08N5WRWNW/ref=sr_1_1?crid=2M096C61O4MLT&qid=1700000000&sr=8-1",
		"https://shop.example/img/banner@0.5.png", "https://shop.example/img/icon@2.png", "https://9p.io/magic/man2html/1/yacc",
		"https://github.com/user/repo/blob/" + hex40 + "/file.go", "https://github.com/user/repo/commit/" + hex40,
		"https://shop.example/UI-" + hex40 + ".min._V2_.css", "https://shop.example/assets/app.4f3c2a1b9d8e7f6a5b4c3d2e.js?v=2", "https://cdn.example/" + hex40 + ".jpg",
		"https://shop.example/?utm_source=news&utm_medium=email&utm_campaign=2024_spring_sale&utm_id=120212345678901234",
		"https://shop.example/?gclid=" + gclid + "&gad_source=1", "https://shop.example/?fbclid=IwAR0" + b64,
		"https://shop.example/search?q=red%20shoes&page=2&sort=price_asc&size=42", "https://shop.example/search?q=%C3%A4iti+%26+is%C3%A4",
		"https://shop.example/?state=CA&city=Los%20Angeles", "https://shop.example/?code=SUMMER20",
		"https://shop.example/confirm/order", "https://shop.example/login", "https://shop.example/?verify=true&hash=features&reset=1",
		"https://shop.example/a%zz%4?b=%", "https://shop.example/100%25-cotton", "https://shop.example/?a=b@c&d=@e",
		"https://shop.example/#/products/42?color=red", "#!/cart", "javascript:void(0)", "about:blank", "android-app://com.google.android.gm/",
		"https://twitter.com/user/status/1734567890123456789", "https://www.tiktok.com/@user/video/7312345678901234567",
		"https://xn--mnchen-3ya.example/", "https://münchen.example/", "https://shop.example/?date=2024-01-15&from=2024-01-15T10:00:00Z",
		"https://shop.example/?email=&token=", "https://shop.example/?e=42&policy=returns&authuser=0", "https://shop.example/?email=[email]&x=[token]", "file:///C:/x", "[email]", "localhost:8080/x",
	} {
		if got := c.URL(s); got != s {
			t.Errorf("%s\nbecame %s", s, got)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, x := range []struct {
		o        Options
		in, want string
	}{
		{Options{Fragment: "keep"}, "https://a.example/#top", "https://a.example/#top"},
		{Options{Fragment: "keep"}, "https://a.example/#access_token=x&state=y", "https://a.example/#access_token=[token]&state=y"},
		{Options{KeepRoutes: true}, "https://a.example/#cart", "https://a.example/#cart"},
		{Options{Tracking: "drop"}, "https://a.example/?utm_source=a&b=1&gclid=x&mc_eid=y&fbclid=z", "https://a.example/?b=1"},
		{Options{Tracking: "drop"}, "https://a.example/?utm_source=a&gclid=x", "https://a.example/"},
		{Options{TrailingSlash: "drop"}, "https://a.example/b//?c=1", "https://a.example/b?c=1"},
		{Options{TrailingSlash: "drop"}, "https://a.example/", "https://a.example/"},
		{Options{TrailingSlash: "drop"}, "https://a.example", "https://a.example/"},
		{Options{TrailingSlash: "drop"}, "/", "/"},
		{Options{TrailingSlash: "add"}, "https://a.example/b?c=1", "https://a.example/b/?c=1"},
		{Options{TrailingSlash: "add"}, "https://a.example", "https://a.example/"},
		{Options{TrailingSlash: "add"}, "/b.html", "/b.html"},
		{Options{TrailingSlash: "add"}, "/reset/" + hex40, "/reset/[token]/"},
		{Options{TrailingSlash: "add"}, "?a=b", "?a=b"},
		{Options{IDN: "unicode"}, "https://xn--mnchen-3ya.example/", "https://münchen.example/"},
		{Options{IDN: "unicode"}, "https://xn--a.example/", "https://xn--a.example/"},
		{Options{IDN: "ascii"}, "https://MÜNCHEN.example:443/", "https://xn--mnchen-3ya.example/"},
		{Options{Drop: []string{"Color"}}, "https://a.example/?color=red&size=4", "https://a.example/?size=4"},
		{Options{Drop: []string{"flag"}}, "https://a.example/?a&flag", "https://a.example/?a"},
		{Options{Keep: []string{"key", "_reuna"}}, "https://a.example/?Key=anna@x.example&_reuna=x", "https://a.example/?Key=anna@x.example"},
		{Options{Keep: []string{"gclid"}, Tracking: "drop"}, "https://a.example/?gclid=x&utm_id=y", "https://a.example/?gclid=x"},
	} {
		c := cleaner(t, x.o)
		if got := c.URL(x.in); got != x.want {
			t.Errorf("%+v: %s\n got %s\nwant %s", x.o, x.in, got, x.want)
		} else if again := c.URL(got); again != got {
			t.Errorf("%+v: %s twice is %s", x.o, got, again)
		}
	}
	for _, o := range []Options{{Fragment: "x"}, {Tracking: "no"}, {TrailingSlash: "yes"}, {IDN: "punycode"}, {Drop: []string{"a"}, Keep: []string{"A"}}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestExplain(t *testing.T) {
	c := cleaner(t, Options{})
	got, whys := c.Explain("HTTPS://anna:pw@Shop.example/verify/482913?user%5Bemail%5D=anna@x.example&_reuna=x&q=anna@x.example#top")
	var lines []string
	for _, w := range whys {
		lines = append(lines, w.Field+"="+w.Value)
		if w.Rule == "" || strings.Contains(w.Rule+w.Value, "anna") {
			t.Errorf("%+v", w)
		}
	}
	if want := "address=https:|host=|host=shop.example|path=[token]|parameter user[email]=[email]|parameter _reuna=|parameter q=[email]|fragment="; strings.Join(lines, "|") != want {
		t.Errorf("got %s\nwant %s", strings.Join(lines, "|"), want)
	}
	if got != c.URL(got) {
		t.Errorf("%s is not clean", got)
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"Books for every evening – The Reading Room":        "Books for every evening – The Reading Room",
		"Mail from anna@example.com, to bob%40example.com.": "Mail from [email], to [email].",
		"Paid with 4111 1111 1111 1111 on 2024-01-15":       "Paid with [number] on 2024-01-15",
		"to FI21 1234 5600 0007 85!":                        "to [number]!",
		"bearer " + jwt:                                     "bearer [token]",
		`{"email":"anna\u0040example.com","x":1`:            `{"email":"[email]","x":1`,
		`{"a":"{\"b\":\"anna\\u0040example.com\"`:           `{"a":"{\"b\":\"[email]\"`,
		`{"url":"https:\/\/a.example\/?token=abc\u0026b=1"`: `{"url":"https:\/\/a.example\/?token=[token]\u0026b=1"`,
		"see https://a.example/?token=abc for more":         "see https://a.example/?token=[token] for more",
		"order 123456 of 2024":                              "order 123456 of 2024",
		"commit " + hex40:                                   "commit " + hex40,
	} {
		if got := Text(in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		} else if again := Text(got); again != got {
			t.Errorf("%s twice is %s", got, again)
		}
	}
}

func TestLongAddressesTakeLinearTime(t *testing.T) {
	c := cleaner(t, Options{Fragment: "keep", TrailingSlash: "add", IDN: "unicode"})
	for name, part := range map[string]string{
		"at": "@", "ats": "a@", "mail": "a@b.cc ", "dots": "a.", "percent": "%", "25": "%25", "2540": "%252540", "digits": "4", "cards": "4111 ", "eq": "=",
		"name": "token=", "amp": "&token=a", "enc": "%26token%3Da", "semi": ";token=a", "slash": "/", "reset": "/reset/", "jwt": "eyJ", "jwts": "eyJhbGciOiJIUzI1NiJ9.",
		"question": "?", "hash": "#", "quest": "?a=", "user": "a:b@", "host": "xn--a.", "wide": "é", "bad": "\xff", "back": `\`, "u": `\u0040`, "iban": "FI21 ", "tabs": "\ta",
		"reuna": "&_reuna=1", "code": "&code=1&state=2", "codes": "/code=", "states": ";state=1", "flags": "/email=1", "hashes": ";hash=a", "encode": "%26code%3D", "sp": "   ", "random": "a1b2c3d4e5f6a1b2c3d4e5f6.", "2525": "%2525", "com": ".com@",
	} {
		size := 1 << 20
		for _, start := range []string{"https://a.example/", "", "https://", "https://a.example/?", "https://a.example/#", "?x="} {
			s := start + strings.Repeat(part, size/len(part))
			begin := time.Now()
			got := c.URL(s)
			Text(s)
			size = 1 << 18
			if d := time.Since(begin); d > 3*time.Second {
				t.Errorf("%s of %q took %v", start, name, d)
			}
			if len(got) > len(s)+maxGrowth+2*maxHost {
				t.Errorf("%s of %q grew from %d to %d", start, name, len(s), len(got))
			}
		}
	}
}
