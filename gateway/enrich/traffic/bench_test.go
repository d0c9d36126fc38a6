package traffic

import (
	"strings"
	"testing"
)

// What visits look like: a landing page with tags, one with Google's mark, one by a
// search engine, one by a shop's own page, one typed in.
func visits() []Input {
	own := []string{"shop.example", "*.family.example"}
	return []Input{
		{PageURL: "https://www.shop.example/books/thrillers?page=2&utm_source=News%20letter&utm_medium=Email&utm_campaign=Spring+Sale+2026&utm_content=hero&fbclid=IwAR0abc&sort=new", Referrer: "https://mail.google.com/", KnowsReferrer: true, Internal: own},
		{PageURL: "https://www.shop.example/?gad_source=1&gad_campaignid=22110099&gclid=Cj0KCQjwiMmwBhDmARIsABeQ7xRJWGVfm8Tw5EtQbxSiM8", Referrer: "https://www.google.com/", KnowsReferrer: true, Internal: own},
		{PageURL: "https://www.shop.example/books", Referrer: "https://www.bing.com/search?q=Red%20shoes&form=QBLH", KnowsReferrer: true, Internal: own},
		{PageURL: "https://www.shop.example/books?ref=Nav_top", Referrer: "https://www.shop.example/", KnowsReferrer: true, Internal: own, Origin: "https://www.shop.example", Gateway: "t.shop.example"},
		{PageURL: "https://www.shop.example/books", KnowsReferrer: true, Internal: own},
		{PageURL: "https://www.shop.example/books", Referrer: "https://Blog.somebody.fi/post", KnowsReferrer: true, Internal: own, Origin: "https://www.shop.example", Gateway: "t.shop.example"},
	}
}

func TestReadDoesNotAllocate(t *testing.T) {
	r := newTestRules(t)
	all := visits()
	for i := range all {
		in := &all[i]
		if n := testing.AllocsPerRun(200, func() { r.Read(in) }); n != 0 {
			t.Errorf("%s from %q: %v allocations", in.PageURL, in.Referrer, n)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	r := newTestRules(b)
	all := visits()
	for i, name := range []string{"tagged", "advertisement", "search", "internal", "direct", "referral"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Read(&all[i])
			}
		})
	}
	b.Run("unseen host", func(b *testing.B) {
		b.ReportAllocs()
		in := all[5]
		for i := 0; b.Loop(); i++ {
			in.Referrer = "https://" + strings.Repeat("a", 1+i%60) + string(rune('a'+i/60%26)) + string(rune('a'+i/1560%26)) + string(rune('a'+i/40560%26)) + ".example.fi/"
			r.Read(&in)
		}
	})
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New(); err != nil {
			b.Fatal(err)
		}
	}
}
