package admin

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// Sites tells of the sites, and how much of what their pages made arrived.
type Sites interface {
	// Sites lists them in the order of the configuration.
	Sites() []Site
	// Delivered gives the counts of the page loads that began within the last so
	// many hours, the present one not counted, of all sites.
	Delivered(hours int) []Delivered
	// Counted says up to where the log is counted.
	Counted() Counted
}

// Site is one site as an operator sets it up.
type Site struct {
	Name, WriteKey string
	Origins        []string
	Tag            SiteTag
	Headers        []Header // advised
}

// SiteTag is where the site's tag is, and what stands in a page for it.
type SiteTag struct {
	Path      string // short cache
	Module    string // the same as an ES module
	Immutable string // named by its content
	Integrity string // "sha384-…", of the immutable one
	Snippet   string
}

// Header is one that the site's own answers should carry, and why.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Why   string `json:"why"`
}

// Delivered is what one site's browsers of one family made on one page, and
// how much of it arrived.
type Delivered struct {
	Site, Browser, Page string
	Made, Received      uint64
}

// Counted says up to where the log is counted.
type Counted struct {
	UpTo, Durable uint64 // entries
	NotJudged     uint64 // messages and reports of page loads that are too old, too long or malformed, since the figures began
}

// Windows over which delivery is shown, in hours.
const (
	windowDay  = 24
	windowWeek = 7 * 24
)

type deliveryView struct {
	Made     uint64  `json:"made"`
	Received uint64  `json:"received"`
	Lost     uint64  `json:"lost"`
	Ratio    float64 `json:"ratio"` // of made, six digits
}

func viewDelivery(made, received uint64) deliveryView {
	v := deliveryView{Made: made, Received: received, Lost: made - min(received, made)}
	if made > 0 {
		v.Ratio = math.Round(float64(v.Lost)/float64(made)*1e6) / 1e6
	}
	return v
}

type browserView struct {
	Browser string `json:"browser"`
	deliveryView
}

type pageView struct {
	Page string `json:"page"`
	deliveryView
}

type rowView struct {
	Browser string `json:"browser"`
	Page    string `json:"page"`
	deliveryView
}

type windowView struct {
	Hours int `json:"hours"`
	deliveryView
	Browsers []browserView `json:"browsers"`
	Pages    []pageView    `json:"pages"`
	Rows     []rowView     `json:"rows"`
}

// viewWindow sums up what a site's pages made, the greatest losses first.
func viewWindow(hours int, rows []Delivered) windowView {
	v := windowView{Hours: hours, Browsers: []browserView{}, Pages: []pageView{}, Rows: []rowView{}}
	var made, received uint64
	browsers, pages := map[string][2]uint64{}, map[string][2]uint64{}
	for _, r := range rows {
		made, received = made+r.Made, received+r.Received
		for _, by := range []struct {
			sums map[string][2]uint64
			name string
		}{{browsers, r.Browser}, {pages, r.Page}} {
			n := by.sums[by.name]
			by.sums[by.name] = [2]uint64{n[0] + r.Made, n[1] + r.Received}
		}
		v.Rows = append(v.Rows, rowView{r.Browser, r.Page, viewDelivery(r.Made, r.Received)})
	}
	v.deliveryView = viewDelivery(made, received)
	for name, n := range browsers {
		v.Browsers = append(v.Browsers, browserView{name, viewDelivery(n[0], n[1])})
	}
	for name, n := range pages {
		v.Pages = append(v.Pages, pageView{name, viewDelivery(n[0], n[1])})
	}
	worse := func(a, b deliveryView) int { return cmp.Or(cmp.Compare(b.Lost, a.Lost), cmp.Compare(b.Made, a.Made)) }
	slices.SortFunc(v.Browsers, func(a, b browserView) int {
		return cmp.Or(worse(a.deliveryView, b.deliveryView), strings.Compare(a.Browser, b.Browser))
	})
	slices.SortFunc(v.Pages, func(a, b pageView) int {
		return cmp.Or(worse(a.deliveryView, b.deliveryView), strings.Compare(a.Page, b.Page))
	})
	slices.SortFunc(v.Rows, func(a, b rowView) int {
		return cmp.Or(worse(a.deliveryView, b.deliveryView), strings.Compare(a.Browser, b.Browser), strings.Compare(a.Page, b.Page))
	})
	return v
}

type countedView struct {
	UpTo      uint64 `json:"upTo"`
	Behind    uint64 `json:"behind"` // entries of the log that are not counted yet
	NotJudged uint64 `json:"notJudged"`
}

func (c *call) counted() countedView {
	n := c.s.o.Sites.Counted()
	return countedView{n.UpTo, n.Durable - min(n.UpTo, n.Durable), n.NotJudged}
}

type siteSummary struct {
	Name     string       `json:"name"`
	WriteKey string       `json:"writeKey"`
	Delivery deliveryView `json:"delivery"`
}

func (c *call) serveSites() *failure {
	type sum struct{ made, received uint64 }
	sums := map[string]sum{}
	for _, r := range c.s.o.Sites.Delivered(windowDay) {
		n := sums[r.Site]
		sums[r.Site] = sum{n.made + r.Made, n.received + r.Received}
	}
	v := struct {
		Hours   int           `json:"hours"`
		Counted countedView   `json:"counted"`
		Sites   []siteSummary `json:"sites"`
	}{windowDay, c.counted(), []siteSummary{}}
	for _, s := range c.s.o.Sites.Sites() {
		n := sums[s.Name]
		v.Sites = append(v.Sites, siteSummary{s.Name, s.WriteKey, viewDelivery(n.made, n.received)})
	}
	return c.encode(fasthttp.StatusOK, v)
}

type tagView struct {
	Path      string `json:"path"`
	Module    string `json:"module"`
	Immutable string `json:"immutable"`
	Integrity string `json:"integrity"`
	Snippet   string `json:"snippet"`
}

type siteDelivery struct {
	Counted countedView `json:"counted"`
	Day     windowView  `json:"day"`
	Week    windowView  `json:"week"`
}

func (c *call) serveSite() *failure {
	name, err := url.PathUnescape(c.param)
	list := c.s.o.Sites.Sites()
	i := slices.IndexFunc(list, func(s Site) bool { return s.Name == name })
	if err != nil || i < 0 {
		names := make([]string, len(list))
		for i := range list {
			names[i] = list[i].Name
		}
		return refuse(fasthttp.StatusNotFound, "unknown_site", fmt.Sprintf("there is no site %q; expected %s", clip([]byte(c.param)), oneOf(names)))
	}
	s := list[i]
	of := func(hours int) windowView {
		rows := slices.DeleteFunc(c.s.o.Sites.Delivered(hours), func(r Delivered) bool { return r.Site != s.Name })
		return viewWindow(hours, rows)
	}
	return c.encode(fasthttp.StatusOK, struct {
		Name     string       `json:"name"`
		WriteKey string       `json:"writeKey"`
		Origins  []string     `json:"origins"`
		Tag      tagView      `json:"tag"`
		Headers  []Header     `json:"headers"`
		Delivery siteDelivery `json:"delivery"`
	}{
		s.Name, s.WriteKey, append([]string{}, s.Origins...), tagView(s.Tag), append([]Header{}, s.Headers...),
		siteDelivery{c.counted(), of(windowDay), of(windowWeek)},
	})
}

// maxNamed is how many names one message lists.
const maxNamed = 20

func oneOf(names []string) string {
	if len(names) > maxNamed {
		return list(names[:maxNamed]) + " or another of the configuration"
	}
	return list(names)
}
