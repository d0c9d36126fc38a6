package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/identity/token"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

// doors are the ways to link a device with a user.
var doors = [...]string{"login", "server", "operator"}

// linked is what linking costs.
type linked struct {
	disk         string // file system
	fsync        times  // there
	large, small [len(doors)]times
	entries      [len(doors)]map[int64]int // links by how many entries the log grew
	wal          [len(doors)][]float64     // bytes that the store wrote meanwhile
	before       histories                 // of all settled events,
	after        histories                 // and when all links were made
}

// histories are the records that settled events lie in.
type histories struct {
	records, bytes int64
	hash           [sha256.Size]byte
}

const (
	writeKey  = "wk_shop"
	serverKey = "sk_shop_0123456789abcdef"
	adminKey  = "ak_bench_0123456789abcdef"
	idSecret  = "0123456789abcdef0123456789abcdef"
	shop      = `
demo: false
limits: {requests_per_second_per_address: 0, requests_per_second_per_key: 0, processor_wait: 0}
sites:
  - {name: shop, write_key: ` + writeKey + `, server_keys: [` + serverKey + `], page_traits: [plan], identity_keys: [{kid: k1, alg: HS256, secret: ` + idSecret + `}]}
`
)

// gateway is an App and its clients.
type gateway struct {
	*app.App
	dir    string
	client http.Client
	serial int
}

func (g *gateway) start() (err error) {
	cfg, err := config.Parse("bench.yaml", []byte(shop))
	if err != nil {
		return err
	}
	cfg.DataDir, cfg.SiteAddr, cfg.DeskAddr = filepath.Join(g.dir, "data"), "127.0.0.1:0", "127.0.0.1:0"
	g.App, err = app.Start(app.Options{
		Config: cfg, AdminKey: adminKey, Logger: slog.New(slog.DiscardHandler),
	})
	return err
}

// send posts JSON with a key and wants a 200 (or another status) and JSON.
func (g *gateway) send(c *http.Client, url, authorization, body string, answer any) error {
	method := "POST"
	if body == "" {
		method = "GET"
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0") // a library's page views are no person's
	if user, ok := strings.CutPrefix(authorization, "Basic "); ok {
		req.SetBasicAuth(user, "")
	} else if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s: %.300s", url, resp.Status, raw)
	}
	if text, ok := answer.(*string); ok {
		*text = string(raw)
		return nil
	}
	return json.Unmarshal(raw, answer)
}

const operator = "Bearer " + adminKey

// visitor is a browser with its cookie.
type visitor struct {
	client http.Client
	id     string // as pages see it
}

// page is what a page is told.
type page struct {
	Profile struct {
		ID    string
		Known bool
		Visit struct{ Pageviews int }
	}
	Token json.RawMessage
}

func (g *gateway) visitor() (v *visitor, err error) {
	v = &visitor{}
	if v.client.Jar, err = cookiejar.New(nil); err != nil {
		return nil, err
	}
	var p page
	err = g.send(&v.client, g.SiteURL()+"/v1/interact", "", fmt.Sprintf(`{"writeKey":%q,"batch":[%s]}`, writeKey, g.event("page", "")), &p)
	v.id = p.Profile.ID
	return v, err
}

func (g *gateway) event(kind, members string) string {
	g.serial++
	return fmt.Sprintf(`{"type":%q,"messageId":"m%d"%s}`, kind, g.serial, members)
}

// perOrder is how many events there are for an order among them.
const perOrder = 50

// views are the page views among n events.
func views(n int) int { return n - n/perOrder }

// visit sends page views of somebody, and orders now and then.
func (g *gateway) visit(key, members string, n int) error {
	for sent := 0; sent < n; {
		list := make([]string, min(n-sent, 2000))
		for i := range list {
			if sent++; sent%perOrder != 0 {
				list[i] = g.event("page", members)
				continue
			}
			order := fmt.Sprintf(`,"event":"Order Completed","properties":{"order_id":"o%d","revenue":%d.5,"currency":"EUR"}`, g.serial, sent%90)
			list[i] = g.event("track", order+members)
		}
		var answer struct{ Rejected []any }
		if err := g.send(&g.client, g.SiteURL()+"/v1/batch", "Basic "+key, `{"batch":[`+strings.Join(list, ",")+`]}`, &answer); err != nil {
			return err
		}
		if len(answer.Rejected) > 0 {
			return fmt.Errorf("events were refused: %v", answer.Rejected)
		}
	}
	return nil
}

// pool is people of one size, each device to be linked with each user.
type pool struct {
	kind    string
	events  int // of each
	devices []*visitor
}

func (p *pool) user(i int) string { return fmt.Sprint(p.kind, "-user-", i) }

func (g *gateway) fill(ctx context.Context, kind string, people, events int) (*pool, error) {
	p := &pool{kind: kind, events: events}
	for i := range people {
		v, err := g.visitor()
		if err == nil {
			err = g.visit(writeKey, fmt.Sprintf(`,"anonymousId":%q`, v.id), events-1)
		}
		if err == nil {
			err = g.visit(serverKey, fmt.Sprintf(`,"userId":%q,"anonymousId":"own-%s"`, p.user(i), p.user(i)), events)
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		p.devices = append(p.devices, v)
	}
	return p, nil
}

// link links large persons and small ones, in turn, by each door in turn. Each
// link is cut again afterwards, so that the device can be linked to the next user.
func link(ctx context.Context, dir string, o *options, progress io.Writer) (r *linked, err error) {
	g := &gateway{dir: dir}
	if err := g.start(); err != nil {
		return nil, err
	}
	defer func() {
		if g.App != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	fmt.Fprintf(progress, "%d persons of %d events\n", 2*o.people, o.events)
	large, err := g.fill(ctx, "large", o.people, o.events)
	if err != nil {
		return nil, err
	}
	small, err := g.fill(ctx, "small", o.people, 1)
	if err != nil {
		return nil, err
	}
	if err := g.settle(ctx); err != nil {
		return nil, err
	}
	r = &linked{}
	if r.before, err = g.histories(); err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "%d links\n", o.links)
	for k := range o.links {
		door := k % len(doors)
		device := k % o.people
		user := (k/o.people + device) % o.people
		took, wrote, err := g.join(large, door, device, user)
		if err != nil {
			return nil, err
		}
		r.large[door].add(took)
		if r.entries[door] == nil {
			r.entries[door] = map[int64]int{}
		}
		r.entries[door][wrote.entries]++
		r.wal[door] = append(r.wal[door], float64(wrote.wal))
		if took, _, err = g.join(small, door, device, user); err != nil {
			return nil, err
		}
		r.small[door].add(took)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	r.after, err = g.histories()
	return r, err
}

// join links a device with a user by a door and times the answer. Both must then
// be one person with the events of both, and two persons again after the cut.
// wrote is what was written until the answer.
func (g *gateway) join(p *pool, door, device, user int) (took time.Duration, wrote counters, err error) {
	before, err := g.counters()
	if err != nil {
		return 0, wrote, err
	}
	v, name := p.devices[device], p.user(user)
	alone := views(p.events)
	both := alone + 1 + views(p.events-1) // a device's first came before the others
	pair := fmt.Sprintf(`{"a":{"type":"user_id","value":%q},"b":{"type":"anonymous_id","value":%q}}`, name, v.id)
	began := time.Now()
	switch doors[door] {
	case "login":
		now := time.Now()
		signed, err := token.Sign(token.Key{KID: "k1", Alg: token.HS256, Secret: []byte(idSecret)}, token.Claims{
			Audience: "shop", Subject: name, ID: fmt.Sprint(now.UnixNano()), Visitor: v.id, IssuedAt: now, Expires: now.Add(5 * time.Minute),
		})
		if err != nil {
			return 0, wrote, err
		}
		body := fmt.Sprintf(`{"writeKey":%q,"batch":[%s],"token":%q}`, writeKey, g.event("identify", fmt.Sprintf(`,"userId":%q`, name)), signed)
		var answer page
		began = time.Now()
		err = g.send(&v.client, g.SiteURL()+"/v1/interact", "", body, &answer)
		took = time.Since(began)
		if err != nil {
			return 0, wrote, err
		}
		if answer.Token != nil || !answer.Profile.Known || answer.Profile.Visit.Pageviews != both {
			return 0, wrote, fmt.Errorf("the login answered %+v; expected %d page views", answer, both)
		}
	case "server":
		var answer map[string]any
		err = g.send(&g.client, g.SiteURL()+"/v1/identify", "Basic "+serverKey, g.event("identify", fmt.Sprintf(`,"userId":%q,"anonymousId":%q`, name, v.id)), &answer)
		took = time.Since(began)
	case "operator":
		var answer map[string]any
		err = g.send(&g.client, g.DeskURL()+"/admin/v1/identities/link", operator, pair, &answer)
		took = time.Since(began)
	}
	if err == nil {
		wrote, err = g.counters()
		wrote.entries -= before.entries
		wrote.wal -= before.wal
	}
	if err == nil {
		err = g.want(name, both)
	}
	var cut map[string]any
	if err == nil {
		err = g.send(&g.client, g.DeskURL()+"/admin/v1/identities/cut", operator, pair, &cut)
	}
	if err == nil {
		err = g.want(name, alone)
	}
	return took, wrote, err
}

// want asks the desk for a user's page views.
func (g *gateway) want(user string, pageviews int) error {
	var p struct{ Counts struct{ Pageviews int } }
	if err := g.send(&g.client, g.DeskURL()+"/admin/v1/persons/user_id:"+user+"?view=verified", operator, "", &p); err != nil {
		return err
	}
	if p.Counts.Pageviews != pageviews {
		return fmt.Errorf("%s has %d page views; expected %d", user, p.Counts.Pageviews, pageviews)
	}
	return nil
}

// counters are what the gateway counts of its writing.
type counters struct{ entries, wal int64 }

func (g *gateway) counters() (c counters, err error) {
	var text string
	if err := g.send(&g.client, g.DeskURL()+"/metrics", operator, "", &text); err != nil {
		return c, err
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		into := map[string]*int64{"reuna_log_last_seq": &c.entries, "reuna_store_wal_written_bytes_total": &c.wal}[name]
		if into == nil {
			continue
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return c, err
		}
		*into = int64(f)
	}
	return c, nil
}

// settle moves every event into the histories.
func (g *gateway) settle(ctx context.Context) error {
	var job map[string]any
	if err := g.send(&g.client, g.DeskURL()+"/admin/v1/log/settle", operator, `{"olderThan":"0s"}`, &job); err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var log struct {
			Settling struct{ State, Message string }
		}
		if err := g.send(&g.client, g.DeskURL()+"/admin/v1/log", operator, "", &log); err != nil {
			return err
		}
		switch log.Settling.State {
		case "done":
			return nil
		case "failed":
			return errors.New(log.Settling.Message)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// histories stops the gateway, reads every record of settled events, and starts
// the gateway again.
func (g *gateway) histories() (h histories, err error) {
	err = g.Close()
	g.App = nil
	if err != nil {
		return h, err
	}
	db, err := engine.Open(engine.Options{Dir: filepath.Join(g.dir, "data"), ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return h, err
	}
	sum := sha256.New()
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.History))
	err = db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		h.records++
		h.bytes += int64(len(k) + len(v))
		fmt.Fprintf(sum, "%d %d ", len(k), len(v))
		sum.Write(k) // a hash takes everything
		sum.Write(v)
		return true, nil
	})
	sum.Sum(h.hash[:0])
	if err := errors.Join(err, db.Close()); err != nil {
		return h, err
	}
	return h, g.start()
}
