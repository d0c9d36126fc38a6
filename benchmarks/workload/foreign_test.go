package workload

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// sent is what all formats tell of an event, by one name.
type sent struct {
	event, url, title, referrer, site, screen string
	id                                        string // where events have one
	visitor                                   string
}

// readers read a body as the format's documentation says.
var readers = map[Format]func(r *Request) ([]sent, error){
	Snowplow: func(r *Request) (list []sent, err error) {
		var body struct {
			Schema string              `json:"schema"`
			Data   []map[string]string `json:"data"` // all values are strings
		}
		if err := json.Unmarshal(r.Body, &body); err != nil {
			return nil, err
		}
		if body.Schema != "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4" {
			return nil, fmt.Errorf("schema %q", body.Schema)
		}
		for _, d := range body.Data {
			name := d["se_ac"]
			if (d["e"] == "pv") != (name == "") || d["e"] == "se" && d["se_ca"] == "" || d["tv"] == "" || d["p"] != "web" || len(d["dtm"]) != 13 {
				return nil, fmt.Errorf("event %v", d)
			}
			list = append(list, sent{name, d["url"], d["page"], d["refr"], d["aid"], d["res"], d["eid"], d["duid"]})
		}
		return list, nil
	},
	Matomo: func(r *Request) (list []sent, err error) {
		var body struct {
			Requests []string `json:"requests"`
		}
		if r.Body[0] != '{' {
			body.Requests = []string{"?" + string(r.Body)}
		} else if err := json.Unmarshal(r.Body, &body); err != nil {
			return nil, err
		}
		for _, text := range body.Requests {
			q, err := url.ParseQuery(strings.TrimPrefix(text, "?"))
			if err != nil || text[0] != '?' {
				return nil, fmt.Errorf("request %q: %v", text, err)
			}
			name := q.Get("e_a")
			switch {
			case q.Get("search") != "":
				name = "Products Searched"
			case q.Has("ec_id"):
				if name = "Order Completed"; q.Get("idgoal") != "0" || q.Get("revenue") == "" {
					return nil, fmt.Errorf("order %v", q)
				}
			}
			if q.Get("rec") != "1" || q.Get("apiv") != "1" || len(q.Get("_id")) != 16 || len(q.Get("pv_id")) != 6 || q.Has("e_a") && q.Get("e_c") == "" {
				return nil, fmt.Errorf("request %v", q)
			}
			list = append(list, sent{name, q.Get("url"), q.Get("action_name"), q.Get("urlref"), q.Get("idsite"), q.Get("res"), "", q.Get("_id")})
		}
		return list, nil
	},
	Umami: func(r *Request) ([]sent, error) {
		var body struct {
			Type    string `json:"type"`
			Payload struct {
				Website, Hostname, Screen, Language, Title, URL, Referrer, Name string
				Data                                                            map[string]any
			} `json:"payload"`
		}
		if err := json.Unmarshal(r.Body, &body); err != nil {
			return nil, err
		}
		p := &body.Payload
		if body.Type != "event" || p.Hostname != "shop.example" || p.Language == "" || (p.Name == "") != (p.Data == nil) {
			return nil, fmt.Errorf("payload %+v", body)
		}
		return []sent{{p.Name, "https://" + p.Hostname + p.URL, p.Title, p.Referrer, p.Website, p.Screen, "", ""}}, nil
	},
	GoatCounter: func(r *Request) (list []sent, err error) {
		var body struct {
			Hits []struct {
				Path, Title, Ref, Query, IP, User_agent, Created_at string
				Event                                               bool
				Size                                                []float64
			} `json:"hits"`
		}
		if err := json.Unmarshal(r.Body, &body); err != nil {
			return nil, err
		}
		for _, h := range body.Hits {
			if _, err := netip.ParseAddr(h.IP); err != nil || h.User_agent == "" || h.Created_at == "" || len(h.Size) != 3 {
				return nil, fmt.Errorf("hit %+v: %v", h, err)
			}
			s := sent{"", "https://shop.example" + h.Path + h.Query, h.Title, h.Ref, "wk_bench", fmt.Sprintf("%gx%g", h.Size[0], h.Size[1]), "", h.IP + h.User_agent}
			if h.Event {
				s.event, s.url = h.Path, "https://shop.example/"
			}
			list = append(list, s)
		}
		return list, nil
	},
	Plausible: func(r *Request) ([]sent, error) {
		var body struct {
			Name, URL, Domain, Referrer string
			Props                       map[string]any
			Revenue                     *struct {
				Currency string
				Amount   float64
			}
		}
		if err := json.Unmarshal(r.Body, &body); err != nil {
			return nil, err
		}
		if body.Name == "pageview" {
			body.Name = ""
		}
		if (body.Name == "Order Completed") != (body.Revenue != nil) || body.Revenue != nil && (body.Revenue.Amount <= 0 || body.Revenue.Currency != "EUR") {
			return nil, fmt.Errorf("event %+v", body)
		}
		return []sent{{body.Name, body.URL, "", body.Referrer, body.Domain, "", "", ""}}, nil
	},
}

func TestForeignBodiesAreTheirCollectors(t *testing.T) {
	screen := regexp.MustCompile(`^\d{3,4}x\d{3,4}$`)
	for f := Snowplow; f <= Plausible; f++ {
		w, _ := f.foreign()
		for _, batch := range []int{1, 7} {
			shape := Shape{f, batch}
			if err := shape.Check(); err != nil {
				if batch == 1 || w.most > 1 {
					t.Errorf("%s, %d: %v", w.name, batch, err)
				}
				continue
			}
			t.Run(fmt.Sprintf("%s batch %d", w.name, batch), func(t *testing.T) {
				s := newWorkload(t, nil).Streams()[1]
				names, ids, visitors, landed := map[string]int{}, map[string]bool{}, map[string]bool{}, 0
				for range 3000 / batch {
					r := s.Next(shape)
					list, err := readers[f](r)
					if err != nil {
						t.Fatalf("%v\n%s", err, r.Body)
					}
					if len(list) != batch || r.Events != batch || r.Path != w.path {
						t.Fatalf("%d events and %d said, to %s: expected %d to %s", len(list), r.Events, r.Path, batch, w.path)
					}
					header := map[string]string{}
					for _, h := range r.Headers {
						header[h.Name] = string(h.Value)
					}
					if header["Content-Type"] != w.kind || header["User-Agent"] == "" || header["X-Forwarded-For"] == "" || header["Cookie"] != "" {
						t.Fatalf("headers %v", header)
					}
					if f == GoatCounter && header["Authorization"] != "Bearer wk_bench" {
						t.Fatalf("authorization %q", header["Authorization"])
					}
					for _, e := range list {
						names[e.event]++
						visitors[e.visitor] = true
						if u, err := url.Parse(e.url); err != nil || u.Host != "shop.example" || u.Scheme != "https" || u.Path == "" {
							t.Fatalf("url %q: %v", e.url, err)
						}
						if e.referrer != "" {
							if u, err := url.Parse(e.referrer); err != nil || u.Host == "" {
								t.Fatalf("referrer %q: %v", e.referrer, err)
							} else if u.Host != "shop.example" {
								landed++
							}
						}
						if e.site != "wk_bench" || f != Plausible && (!strings.HasSuffix(e.title, " – The Reading Room") || !screen.MatchString(e.screen)) {
							t.Fatalf("%+v", e)
						}
						if w.ids {
							if ids[e.id] || len(e.id) != 36 {
								t.Fatalf("id %q again, or none", e.id)
							}
							ids[e.id] = true
						}
					}
					if got := strings.Count(string(r.IDs), "\n"); f.Identifies() && got != batch || !f.Identifies() && got != 0 {
						t.Fatalf("%d ids of %d events", got, batch)
					}
				}
				for _, name := range []string{"", "Product Viewed", "Products Searched", "Order Completed", "Element Clicked", "Product Added"} {
					if names[name] == 0 {
						t.Errorf("no %q among %v", name, names)
					}
				}
				if landed == 0 {
					t.Error("nobody came from elsewhere")
				}
				if (f == Snowplow || f == Matomo || f == GoatCounter) && len(visitors) < 20 {
					t.Errorf("%d visitors: expected most of 100", len(visitors))
				}
			})
		}
	}
}

func TestForeignRequestsFollowFromTheSeed(t *testing.T) {
	for f := Snowplow; f <= Plausible; f++ {
		a, b := newWorkload(t, nil).Streams()[2], newWorkload(t, nil).Streams()[2]
		for range 200 {
			if x, y := string(a.Next(Shape{f, 1}).Body), string(b.Next(Shape{f, 1}).Body); x != y {
				t.Fatalf("one seed made\n%s\nand\n%s", x, y)
			}
		}
	}
}

func TestForeignAnswersAreJudged(t *testing.T) {
	for _, c := range []struct {
		format Format
		batch  int
		answer Answer
		wrong  string // "": right
	}{
		{Snowplow, 1, Answer{Status: 200, Body: []byte("ok")}, ""},
		{Snowplow, 1, Answer{Status: 404}, "status 404: expected 200 of snowplow"},
		{Matomo, 1, Answer{Status: 204}, ""},
		{Matomo, 1, Answer{Status: 200, Body: []byte("GIF89a")}, ""},
		{Matomo, 1, Answer{Status: 400}, "status 400"},
		{Matomo, 3, Answer{Status: 200, Body: []byte(`{"status":"success","tracked":3,"invalid":0}`)}, ""},
		{Matomo, 3, Answer{Status: 200, Body: []byte(`{"status":"success","tracked":2,"invalid":1}`)}, "2 tracked and 1 invalid"},
		{Matomo, 3, Answer{Status: 200, Body: []byte(`<html>`)}, "not JSON"},
		{Umami, 1, Answer{Status: 200, Body: []byte(`{"cache":"x","sessionId":"y"}`)}, ""},
		{Umami, 1, Answer{Status: 200, Body: []byte(`{"beep":"boop"}`)}, "robot"},
		{GoatCounter, 2, Answer{Status: 202}, ""},
		{GoatCounter, 2, Answer{Status: 401}, "status 401: expected 202 of goatcounter"},
		{Plausible, 1, Answer{Status: 202, Body: []byte("ok")}, ""},
		{Plausible, 1, Answer{Status: 400}, "status 400"},
	} {
		s := newWorkload(t, nil).Streams()[0]
		s.Next(Shape{c.format, c.batch})
		err := s.Check(c.answer)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("format %d, %d events, status %d %q: %v, expected %q", c.format, c.batch, c.answer.Status, c.answer.Body, err, c.wrong)
		}
	}
}

func TestFormatsHaveNames(t *testing.T) {
	seen := map[Format]bool{}
	for _, name := range Formats() {
		f, err := ParseFormat(name)
		if err != nil || seen[f] {
			t.Errorf("%q is format %d again, or none: %v", name, f, err)
		}
		seen[f] = true
	}
	if _, err := ParseFormat("ga4"); err == nil || !strings.Contains(err.Error(), "plausible") {
		t.Errorf("%v: expected the names that there are", err)
	}
	if err := (Shape{Umami, 4}).Check(); err == nil || !strings.Contains(err.Error(), "umami holds 1 events at most, not 4") {
		t.Errorf("%v: expected the bound", err)
	}
}
