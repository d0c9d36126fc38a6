package collect

import (
	"bufio"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/token"
)

func TestRatePerAddress(t *testing.T) {
	w := start(t, func(o *Options) {
		o.Limits.PerAddress = Rate{PerSecond: 0.5, Burst: 3}
		o.TrustedProxies = prefixes("127.0.0.1/32")
		o.ClientAddr = func(peer netip.Addr, forwarded string, _ []netip.Prefix) netip.Addr {
			if a, err := netip.ParseAddr(forwarded); err == nil {
				return a
			}
			return peer
		}
	})
	send := func(from string) *reply {
		return w.post("/v1/track", trackBody, "X-Forwarded-For: "+from, "Origin: https://shop.example")
	}
	for range 3 {
		w.want(send("203.0.113.1"), 200, "")
	}
	r := send("203.0.113.1")
	w.want(r, 429, "address_rate")
	if r.Header.Get("Retry-After") != "2" || r.Header.Get("Access-Control-Expose-Headers") != "Retry-After" || r.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("%v", r.Header)
	}
	w.want(send("203.0.113.2"), 200, "")
	w.advance(2 * time.Second)
	w.want(send("203.0.113.1"), 200, "")
	w.want(send("203.0.113.1"), 429, "address_rate")
	// One IPv6 subscriber has a network of 64 bits.
	for i := range 3 {
		w.want(send("2001:db8::"+strconv.Itoa(i)), 200, "")
	}
	w.want(send("2001:db8::ffff"), 429, "address_rate")
	w.want(send("2001:db8:0:1::1"), 200, "")
	// The site's own server on this machine is exempt, and so is health.
	for range 10 {
		w.want(w.post("/v1/track", trackBody), 200, "")
		w.want(w.send("GET", "/healthz", "", "X-Forwarded-For: 203.0.113.1"), 200, "")
	}
	w.want(w.send("GET", "/v1/p.gif?writeKey=wk_shop", "", "X-Forwarded-For: 203.0.113.1"), 429, "address_rate")
}

func TestRatePerKey(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.PerKey = Rate{PerSecond: 1, Burst: 2} })
	for range 2 {
		w.want(w.post("/v1/track", trackBody), 200, "")
	}
	r := w.post("/v1/track", trackBody)
	w.want(r, 429, "key_rate")
	if r.Header.Get("Retry-After") != "1" {
		t.Errorf("%v", r.Header)
	}
	w.want(w.post("/v1/track", `{"event":"A"}`, basic("wk_local")), 200, "")
	w.want(w.post("/v1/track", `{"event":"A"}`, basic("sk_shop_0123456789")), 200, "")
	w.advance(time.Second)
	w.want(w.post("/v1/track", trackBody), 200, "")
	w.intake.last(t, 5)
}

// The one number of the cell rate algorithm says the same as a bucket of tokens
// counted out step by step.
func TestPaceIsATokenBucket(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for range 200 {
		rate := Rate{PerSecond: float64(1 + r.IntN(50)), Burst: 1 + r.IntN(20)}
		p := newPace(rate)
		var full int64
		now := int64(1e18)
		tokens, at := float64(rate.Burst), now
		for range 300 {
			now += r.Int64N(2 * p.interval)
			tokens = min(float64(rate.Burst), tokens+float64(now-at)/float64(p.interval))
			at = now
			next, wait := p.next(full, now)
			if d := tokens - 1; d > -1e-6 && d < 1e-6 {
				// Too close for a float to tell: follow the one under test.
				if wait == 0 {
					tokens--
				}
				full = next
				continue
			}
			if (wait == 0) != (tokens >= 1) {
				t.Fatalf("%+v: wait %s with %v tokens", rate, wait, tokens)
			}
			if wait == 0 {
				tokens--
			} else if _, again := p.next(next, now+int64(wait)); again != 0 {
				t.Fatalf("%+v: told to wait %s, then again %s", rate, wait, again)
			}
			full = next
		}
	}
}

func TestPaceSurvivesTheClock(t *testing.T) {
	p := newPace(Rate{PerSecond: 1, Burst: 5})
	day := int64(24 * time.Hour)
	now := int64(1.8e18)
	full, _ := p.next(0, now)
	for _, shift := range []int64{-3650 * day, 3650 * day, -day / 24, day / 24} {
		if next, wait := p.next(full, now+shift); wait != 0 {
			t.Errorf("a clock off by %s blocks for %s", time.Duration(shift), wait)
		} else {
			full, now = next, now+shift
		}
	}
	for _, r := range []Rate{{PerSecond: 1e-12, Burst: 1 << 30}, {PerSecond: 1e12, Burst: 1 << 30}, {PerSecond: 1, Burst: 0}} {
		p := newPace(r)
		if _, wait := p.next(0, now); wait != 0 {
			t.Errorf("%+v refuses the first request", r)
		}
	}
}

func TestBucketTogether(t *testing.T) {
	p := newPace(Rate{PerSecond: 1, Burst: 100})
	var b bucket
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if b.take(p, 1e18) == 0 {
					taken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() != 100 {
		t.Errorf("%d taken of a burst of 100", taken.Load())
	}
}

// A flood of addresses neither grows the table nor washes the offender out.
func TestAddressTableIsBounded(t *testing.T) {
	l := newAddressLimits(Rate{PerSecond: 1, Burst: 10})
	offender := netip.MustParseAddr("203.0.113.7")
	now := int64(1e18)
	for range 20 {
		l.take(offender, now)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	for range 10 * addressSets * addressWays {
		var b [4]byte
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		l.take(netip.AddrFrom4(b), now)
	}
	if l.take(offender, now) == 0 {
		t.Error("the offender was forgotten")
	}
}

func BenchmarkInteract(b *testing.B) {
	s, ctx := hotPath(b)
	b.ReportAllocs()
	for b.Loop() {
		s.Handle(ctx)
		ctx.Response.Reset()
	}
}

// idle is an Intake that answers at once.
type idle struct{}

func (idle) Interact(_ *Request, dst []byte) ([]byte, error) {
	return append(dst, `"profile":{},"decisions":{}`...), nil
}
func (idle) Profile(_ *Request, dst []byte) ([]byte, error) { return dst, nil }
func (idle) Collect(*Request) error                         { return nil }
func (idle) Reset(*Request) error                           { return nil }

// hotPath is a server and a request that a browser would send to it.
func hotPath(t testing.TB) (*Server, *fasthttp.RequestCtx) {
	t.Helper()
	o := options(t)
	o.Intake = idle{}
	o.Limits.PerAddress = Rate{PerSecond: 1e9, Burst: 1e6}
	o.Limits.PerKey = Rate{PerSecond: 1e9, Burst: 1e6}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"writeKey":"wk_shop","sentAt":"2027-01-15T08:00:00.000Z","context":{"page":{"url":"https://shop.example/books?utm_source=a","title":"Books","referrer":"https://google.com/"},"locale":"fi-FI"},` +
		`"batch":[{"type":"page","messageId":"0190b7a4-7d9a-7cc0-8000-000000000001","timestamp":"2027-01-15T07:59:59.900Z","properties":{"category":"thrillers"}}],"placements":[]}`
	head := "POST /v1/interact HTTP/1.1\r\nHost: shop.example\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n" +
		"Sec-CH-UA-Platform: \"Windows\"\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n" +
		"Sec-CH-UA: \"Chromium\";v=\"131\"\r\nContent-Type: text/plain;charset=UTF-8\r\nSec-CH-UA-Mobile: ?0\r\nAccept: */*\r\nOrigin: https://shop.example\r\n" +
		"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: https://shop.example/books\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: fi-FI,fi;q=0.9\r\nX-Forwarded-For: 203.0.113.9\r\nCookie: other=1; reuna=" + o.Cookies.Encode(token.Cookie{Visitor: token.Visitor{1, 2}}) + "\r\n\r\n"
	ctx := new(fasthttp.RequestCtx)
	ctx.Init2(fakeConn{}, nil, false)
	if err := ctx.Request.Read(bufio.NewReader(strings.NewReader(head + body))); err != nil {
		t.Fatal(err)
	}
	s.Handle(ctx)
	if ctx.Response.StatusCode() != 200 || !strings.Contains(string(ctx.Response.Body()), `"profile":{}`) {
		t.Fatalf("%s", ctx.Response.Body())
	}
	ctx.Response.Reset()
	return s, ctx
}

type fakeConn struct{ net.Conn }

func (fakeConn) RemoteAddr() net.Addr { return &fakeAddr }

var fakeAddr = net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
