package workload

import (
	"strconv"
	"time"
)

// kind is what a visitor does.
type kind uint8

const (
	viewPage kind = iota
	viewProduct
	click
	search
	addToCart
	order
	identify
	read // of quiet visitors alone
)

// habits is how often each kind comes in a hundred events, in the order of the kinds.
var habits = [...]uint64{viewPage: 48, viewProduct: 22, click: 14, search: 6, addToCart: 5, order: 3, identify: 2}

func (s *Stream) draw() kind {
	n := s.random.Uint64N(100)
	for k, share := range habits {
		if n < share {
			return kind(k)
		}
		n -= share
	}
	return viewPage
}

const frontPage = 1

// move decides what v does next and brings it to the page where it does that.
// A visitor's first event is a page view.
func (s *Stream) move(v *visitor, t *traitsOf) kind {
	k := s.draw()
	if v.seq == 0 {
		k = viewPage
	} else if s.quiet {
		k = read
	}
	if k == identify && !t.customer {
		k = viewPage
	}
	switch k {
	case viewPage:
		v.page = 0 // a page view may begin a visit; look says which
		if v.seq > 0 && s.random.Uint64N(5) > 0 {
			v.page = s.place(t)
		}
	case viewProduct, addToCart:
		v.page = s.book(t)
	default:
		if v.page == 0 {
			v.page = frontPage
		}
	}
	return k
}

// again is what follows in the same batch: the tag sends several events of one
// page together, and a page has one page view.
func (s *Stream) again() kind {
	if s.quiet {
		return read
	}
	for {
		if k := s.draw(); k != identify && k != viewPage {
			return k
		}
	}
}

func (s *Stream) place(t *traitsOf) uint16 {
	if s.random.Uint64N(4) == 0 {
		return frontPage
	}
	return s.book(t)
}

// book picks a product, three times in five of the visitor's taste.
func (s *Stream) book(t *traitsOf) uint16 {
	n := s.random.Uint64()
	if n%5 < 3 {
		return uint16(2 + t.taste*perCategory + int(n>>8%perCategory))
	}
	return uint16(2 + int((n>>8)%uint64(len(s.products))))
}

// place is a page as a visitor came to it. Its texts may stand in JSON as they are.
type place struct {
	path, query, title, referrer string
	inside                       bool // from another page of the shop
}

// look writes the page on which v does k into s.page, as context.page says it.
// A visitor on no page (0) lands on one now, from outside.
func (s *Stream) look(v *visitor, k kind) {
	var referrer, query string
	inside := v.page != 0
	if !inside {
		way := &landings[s.random.Uint64N(uint64(len(landings)))]
		referrer, query = way.referrer, way.search
		v.page = frontPage
		if n := s.random.Uint64(); n%3 > 0 {
			v.page = uint16(2 + int((n>>8)%uint64(len(s.products))))
		}
	}
	path, title := "/", "Books for every evening"
	if v.page > frontPage {
		p := &s.products[v.page-2]
		path, title = p.path, p.title
	}
	if k == search {
		path, title, query = "/search", "Search", "?q=books"
	}
	s.at = place{path, query, title, referrer, inside}
	b := append(s.page[:0], `{"url":"`...)
	b = append(b, s.origin...)
	b = append(b, path...)
	b = append(b, query...)
	b = append(b, `","path":"`...)
	b = append(b, path...)
	b = append(b, `","search":"`...)
	b = append(b, query...)
	b = append(b, `","title":"`...)
	b = append(b, title...)
	b = append(b, ` – The Reading Room","referrer":"`...)
	if inside {
		b = append(b, s.origin...)
		b = append(b, '/')
	} else {
		b = append(b, referrer...)
	}
	s.page = append(b, `"}`...)
}

// event writes one message without its context and closing brace, and its id
// into s.id.
func (s *Stream) event(b []byte, v *visitor, t *traitsOf, k kind, now time.Time) []byte {
	b = append(b, `{"type":"`...)
	var p *product
	if v.page > frontPage {
		p = &s.products[v.page-2]
	} else {
		p = &s.products[t.taste*perCategory]
	}
	n := s.random.Uint64()
	switch k {
	case viewPage:
		s.pages++
		b = append(b, `page","properties":`...)
		b = append(b, s.page...)
	case viewProduct:
		b = append(b, `track","event":"Product Viewed","properties":{`...)
		b = append(b, p.props...)
		b = append(b, '}')
	case click:
		b = append(b, `track","event":"Element Clicked","properties":{"text":"`...)
		b = append(b, p.title...)
		b = append(b, `","element":"a.card < li < ul.grid < main","href":"`...)
		b = append(b, s.origin...)
		b = append(b, p.path...)
		b = append(b, `"}`...)
	case search:
		b = append(b, `track","event":"Products Searched","properties":{"query":"`...)
		b = append(b, queries[n%uint64(len(queries))]...)
		b = append(b, `","results":`...)
		b = strconv.AppendUint(b, n>>32%40, 10)
		b = append(b, '}')
	case read:
		b = append(b, `track","event":"Page Read","properties":{"depth":`...)
		b = strconv.AppendUint(b, n%100+1, 10)
		b = append(b, `,"title":"`...)
		b = append(b, p.title...)
		b = append(b, `","seconds":`...)
		b = strconv.AppendUint(b, n>>32%600, 10)
		b = append(b, '}')
	case addToCart:
		b = append(b, `track","event":"Product Added","properties":{`...)
		b = append(b, p.props...)
		b = append(b, `,"quantity":1,"cart_id":"c-`...)
		b = strconv.AppendUint(b, t.hash>>40, 36)
		b = append(b, `"}`...)
	case order:
		b = s.order(b, p, n)
	case identify:
		v.user = true
		b = append(b, `identify","traits":{"plan":"`...)
		b = append(b, plans[t.hash>>20%uint64(len(plans))]...)
		b = append(b, `","email":"reader`...)
		b = strconv.AppendUint(b, s.userNumber(), 10)
		b = append(b, `@mail.example","newsletter":true}`...)
	}
	if v.user {
		b = append(b, `,"userId":"u-`...)
		b = strconv.AppendUint(b, s.userNumber(), 10)
		b = append(b, '"')
	}
	b = append(b, `,"messageId":"`...)
	at := len(b)
	b = s.appendUUID(b, now)
	s.id = append(append(s.id, b[at:]...), '\n')
	b = append(b, `","timestamp":"`...)
	b = appendTime(b, now)
	return append(b, '"')
}

// userNumber is the account of the visitor under way. Two neighbouring
// visitors are two devices of one account.
func (s *Stream) userNumber() uint64 { return uint64(s.people[s.who].number) / 2 }

// order writes an order of one to three books, p the first.
func (s *Stream) order(b []byte, p *product, n uint64) []byte {
	books := 1 + int(n%3)
	b = append(b, `track","event":"Order Completed","properties":{"order_id":"o-`...)
	b = strconv.AppendUint(b, s.ids.Uint64(), 36)
	b = append(b, `","currency":"EUR","products":[`...)
	total := 0
	for i := range books {
		if i > 0 {
			b = append(b, ',')
			p = &s.products[(n>>(8*i))%uint64(len(s.products))]
		}
		total += p.price
		b = append(b, '{')
		b = append(b, p.props...)
		b = append(b, `,"quantity":1}`...)
	}
	b = append(b, `],"total":`...)
	b = strconv.AppendInt(b, int64(total/100), 10)
	b = append(b, '.')
	b = append(b, byte('0'+total/10%10), byte('0'+total%10))
	return append(b, '}')
}
