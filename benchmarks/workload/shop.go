package workload

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// The shop that visitors read. All texts below stand in JSON strings and URLs
// without escaping: no quotes, no backslashes, no control characters.

type category struct{ slug, title string }

var categories = [...]category{
	{"thrillers", "Thrillers"}, {"crime", "Crime"}, {"fantasy", "Fantasy"}, {"science-fiction", "Science fiction"},
	{"romance", "Romance"}, {"history", "History"}, {"biography", "Biography"}, {"children", "Children’s books"},
	{"cooking", "Cooking"}, {"travel", "Travel"}, {"poetry", "Poetry"}, {"business", "Business"},
}

var (
	firstWords = [...]string{"Silent", "Winter", "Hidden", "Northern", "Broken", "Golden", "Last", "Distant", "Burning", "Forgotten"}
	lastWords  = [...]string{"Harbour", "Letters", "Kingdom", "Witness", "Kitchen", "Orchard", "Signal", "Journey", "Järvi", "Promise"}
	queries    = [...]string{"nordic noir", "cook book", "birthday gift", "jännitys", "harbour", "new paperbacks", "kids 6 years", "history of finland"}
	plans      = [...]string{"free", "plus", "club"}
)

const perCategory = 50

// product is a book, with the texts that events say about it.
type product struct {
	category string
	path     string // /books/thrillers/silent-harbour-12
	title    string // Silent Harbour
	props    string // "product_id":…,"name":…,"category":…,"price":…,"currency":"EUR"
	price    int    // cents
}

func catalogue() []product {
	list := make([]product, 0, len(categories)*perCategory)
	for c := range categories {
		for i := range perCategory {
			n := len(list)
			h := mix(uint64(n))
			p := product{category: categories[c].slug, title: firstWords[h%10] + " " + lastWords[h/10%10], price: 490 + int(h/100%40)*50}
			slug := strings.ReplaceAll(strings.ToLower(p.title), " ", "-")
			slug = strings.ReplaceAll(slug, "ä", "a")
			p.path = "/books/" + p.category + "/" + slug + "-" + strconv.Itoa(i)
			p.props = `"product_id":"bk-` + strconv.Itoa(10_000+n) + `","name":"` + p.title + `","category":"` + p.category +
				`","price":` + cents(p.price) + `,"currency":"EUR"`
			list = append(list, p)
		}
	}
	return list
}

func cents(n int) string {
	s := strconv.Itoa(n/100) + "."
	if n%100 < 10 {
		s += "0"
	}
	return s + strconv.Itoa(n%100)
}

type locale struct {
	tag    string
	accept string
	offset string // minutes east of UTC
}

var locales = [...]locale{
	{"fi-FI", "fi-FI,fi;q=0.9,en-US;q=0.8,en;q=0.7", "120"}, {"en-US", "en-US,en;q=0.9", "-300"}, {"en-GB", "en-GB,en;q=0.9", "0"},
	{"sv-SE", "sv-SE,sv;q=0.9,en;q=0.8", "60"}, {"de-DE", "de-DE,de;q=0.9,en;q=0.8", "60"}, {"fr-FR", "fr-FR,fr;q=0.9,en;q=0.8", "60"},
	{"es-ES", "es-ES,es;q=0.9", "60"}, {"ja-JP", "ja,en-US;q=0.9,en;q=0.8", "540"},
}

var (
	desktopScreens = [...]string{`{"width":1920,"height":1080,"density":1,"innerWidth":1519,"innerHeight":730}`, `{"width":1536,"height":864,"density":1.25,"innerWidth":1536,"innerHeight":742}`, `{"width":1440,"height":900,"density":2,"innerWidth":1440,"innerHeight":789}`, `{"width":2560,"height":1440,"density":1,"innerWidth":1519,"innerHeight":730}`}
	mobileScreens  = [...]string{`{"width":390,"height":844,"density":3,"innerWidth":390,"innerHeight":664}`, `{"width":412,"height":915,"density":2.625,"innerWidth":412,"innerHeight":785}`, `{"width":360,"height":800,"density":3,"innerWidth":390,"innerHeight":664}`, `{"width":430,"height":932,"density":3,"innerWidth":390,"innerHeight":664}`}
)

// landings are the ways by which a visit begins: a referrer, and the campaign
// tags of the page's URL. More of the common ones.
var landings = [...]struct{ referrer, search string }{
	{"https://www.google.com/", ""}, {"https://www.google.com/", ""}, {"https://www.google.fi/", ""}, {"", ""}, {"", ""}, {"", ""},
	{"https://www.google.com/", "?gclid=Cj0KCQjw5ubABhDIARIsAHMighbPz7vQ0c"}, {"https://www.bing.com/", ""}, {"https://duckduckgo.com/", ""},
	{"https://l.facebook.com/", "?utm_source=facebook&utm_medium=paid_social&utm_campaign=autumn-reads&fbclid=IwAR0qk3Zb1"},
	{"https://l.instagram.com/", "?utm_source=instagram&utm_medium=social&utm_campaign=stories"}, {"https://t.co/", ""},
	{"", "?utm_source=newsletter&utm_medium=email&utm_campaign=thriller-week&utm_content=hero"}, {"https://chatgpt.com/", "?utm_source=chatgpt.com"},
	{"https://www.hs.fi/kulttuuri/", ""}, {"https://www.reddit.com/", ""},
}

// Addresses that a visitor may have: first octets of plain public ranges, and
// prefixes of large networks of people. None is reserved or private.
var (
	octets   = [...]byte{5, 23, 31, 46, 62, 78, 79, 81, 83, 84, 85, 87, 88, 91, 93, 109, 176, 178, 188, 193, 194, 195, 212, 213, 217, 24, 50, 66, 68, 71, 73, 75, 76, 98}
	prefixes = [...]string{"2001:14ba:", "2a00:1450:", "2a02:8108:", "2600:1700:", "2401:4900:", "2a01:cb00:"}
)

// appendAddress writes the address that belongs to a visitor's hash: four in
// five have IPv4.
func appendAddress(b []byte, hash uint64) []byte {
	if hash>>56%5 == 0 {
		b = append(b, prefixes[hash%uint64(len(prefixes))]...)
		for i := range 4 {
			b = strconv.AppendUint(b, hash>>(8*i)&0xfff|1, 16)
			b = append(b, ':')
		}
		b = append(b, "1:1"...)
		return b
	}
	b = append(b, strconv.Itoa(int(octets[hash%uint64(len(octets))]))...)
	for i := 1; i < 4; i++ {
		b = append(b, '.')
		b = strconv.AppendUint(b, hash>>(11*i)%254+1, 10)
	}
	return b
}

func basicAuth(writeKey string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(writeKey+":"))
}
