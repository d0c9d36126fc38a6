package collect

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestWhatIsTooManyIsRefused floods a server whose Intake takes a while of the processor:
// it refuses some, answers others, and takes everything again when it is over.
func TestWhatIsTooManyIsRefused(t *testing.T) {
	w := start(t, func(o *Options) {
		o.Now = time.Now
		o.Limits.ProcessorWait, o.Limits.EventBytes = time.Millisecond, 64<<10
		o.Intake = busy{o.Intake}
	})
	body := `{"event":"A","writeKey":"wk_shop","properties":{"text":"` + strings.Repeat("x", 60<<10) + `"}}`
	var refused, taken, other atomic.Int64
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for range 64 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch r := w.post("/v1/track", body); {
				case r.StatusCode == 200:
					taken.Add(1)
				case r.StatusCode == 503 && strings.Contains(r.text, `"overloaded"`):
					refused.Add(1)
				default:
					other.Add(1)
					t.Errorf("%d %s", r.StatusCode, r.text)
				}
			}
		})
	}
	for end := time.Now().Add(time.Minute); (refused.Load() < 20 || taken.Load() < 20) && other.Load() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	senders.Wait()
	t.Logf("%d taken, %d refused", taken.Load(), refused.Load())
	if refused.Load() < 20 || taken.Load() < 20 {
		t.Errorf("%d taken and %d refused, want some of both", taken.Load(), refused.Load())
	}
	for end := time.Now().Add(10 * time.Second); w.server.pressure.part.Load() > 0; {
		if time.Now().After(end) {
			t.Fatal("it refuses still, and nothing comes any more")
		}
		w.post("/v1/track", `{"event":"A","writeKey":"wk_shop"}`)
	}
}

// busy is an Intake that takes a millisecond of the processor for events.
type busy struct{ Intake }

func (b busy) Collect(r *Request) error {
	for end := time.Now().Add(time.Millisecond); time.Now().Before(end); {
	}
	return b.Intake.Collect(r)
}

func TestWhoIsRefusedUnderPressure(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.ProcessorWait = time.Millisecond })
	p := w.server.pressure
	p.next.Store(1 << 62) // nobody looks
	p.part.Store(whole)
	for _, path := range []string{"/v1/track", "/v1/batch", "/v1/interact", "/v1/profile"} {
		r := w.post(path, trackBody, "Origin: https://shop.example")
		w.want(r, 503, "overloaded")
		after, err := strconv.Atoi(r.Header.Get("Retry-After"))
		if err != nil || after < 1 || after > 6 || r.Header.Get("Access-Control-Expose-Headers") != "Retry-After" {
			t.Errorf("%s: %v", path, r.Header)
		}
	}
	if n := len(w.intake.calls); n != 0 {
		t.Errorf("%d refused requests were taken", n)
	}
	for _, x := range []struct{ method, path string }{
		{"GET", "/healthz"}, {"GET", "/v1/p.gif?writeKey=wk_shop&event=A"}, {"GET", "/v1/projects/wk_shop/settings"}, {"POST", "/v1/reset"},
	} {
		if r := w.send(x.method, x.path, `{"writeKey":"wk_shop"}`, "Origin: https://shop.example"); r.StatusCode/100 != 2 {
			t.Errorf("%s %s: %d %s", x.method, x.path, r.StatusCode, r.text)
		}
	}
	never := newPressure(0)
	never.part.Store(whole)
	if never.refuses(time.Now(), 1<<20) {
		t.Error("a gateway that is to refuse nothing refuses")
	}
}

// TestPressureSettles: a machine that can do so much, and waits that grow with what is
// beyond it. The part that is refused comes to rest where the wait is about what it may
// be, goes no further than its bound, and is gone soon after the flood.
func TestPressureSettles(t *testing.T) {
	const most = 20 * time.Millisecond
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	for range 100 {
		offered := 0.2 + 5*r.Float64() // of what the machine can do
		part, queue := uint32(0), 0.0  // in looks' worth of work
		sum, n := 0.0, 0
		for i := range 2000 {
			queue = max(0, queue+offered*(1-float64(part)/whole)-1)
			queue = min(queue, 20) // senders wait for answers, too
			part = control(part, time.Duration(queue*float64(lookEvery)), most)
			if part > mostRefused {
				t.Fatalf("%d of %d are refused", part, whole)
			}
			if i >= 1000 {
				sum, n = sum+float64(part)/whole, n+1
			}
		}
		want := max(0, 1-1/offered)
		if got := sum / float64(n); got < want-0.1 || got > want+0.1 {
			t.Errorf("%.2f times what the machine can do: %.2f are refused, want %.2f", offered, got, want)
		}
		looks := 0
		for ; part > 0; looks++ {
			part = control(part, 0, most)
		}
		if looks > 17 {
			t.Errorf("it refuses for %d looks more", looks)
		}
	}
}
