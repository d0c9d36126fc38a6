package app_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

var timingSamples = flag.Int("timing", 600, "how many samples of each kind TestTheAnswersTimeTellsNothing takes; 7000 makes 21,000 in all")

// TestTheAnswersTimeTellsNothing: a page that claims to be somebody is answered
// as fast when they exist as when they do not. The users are cold, as an
// attacker would find them: on disk, and not in memory since the restart. Each
// is asked for once, since a claim makes the name known.
//
// Two groups of names that nobody has, measured among the others, say what the
// machine alone does to a difference of two groups: known against unknown may
// differ by no more than a multiple of that. So a busy machine widens the
// measure with the noise.
func TestTheAnswersTimeTellsNothing(t *testing.T) {
	n := *timingSamples
	seed := rand.Uint64()
	t.Logf("3 x %d samples, seed %d", n, seed)
	r := rand.New(rand.NewPCG(seed, 0))
	name := func(group byte, i int) string {
		return fmt.Sprintf("%c%019x", 'a'+r.IntN(26), uint64(i)<<8|uint64(group))
	}
	const known, unknown, alike = 0, 1, 2
	var names [3][]string
	for g := range names {
		for i := range n {
			names[g] = append(names[g], name(byte(g), i))
		}
	}
	g := start(t, shopAlone)
	populate(t, g, names[known])
	g.stop()
	g.run(shopAlone)
	for _, path := range []string{"/v1/interact", "/v1/identify"} {
		// Each path sees names that the other has not made known.
		half := [3][]string{}
		for k := range names {
			half[k], names[k] = names[k][:n/2], names[k][n/2:]
		}
		var took [3][]float64
		for i := range n / 2 {
			for _, k := range r.Perm(3) {
				one := claimTime(t, g, path, half[k][i])
				took[k] = append(took[k], one)
				if one < 1000 { // what reading takes is hidden in a millisecond
					t.Fatalf("%s: a claim was answered in %.0f µs", path, one)
				}
			}
		}
		v := compare(took[known], took[unknown], took[alike])
		t.Logf("%s: %s", path, v)
		if v.told() {
			t.Errorf("%s: the time of the answer tells whether the user exists: %s", path, v)
		}
	}
}

// populate makes users with a history: a verified profile, an address, orders.
func populate(t *testing.T, g *gateway, users []string) {
	t.Helper()
	b := g.browser()
	for list := range slices.Chunk(users, 200) {
		var batch strings.Builder
		for i, u := range list {
			if i > 0 {
				batch.WriteByte(',')
			}
			for device := range 1 + i%4 {
				fmt.Fprintf(&batch, `{"type":"identify","userId":%q,"anonymousId":"d%d-%s","traits":{"plan":"pro","email":"%s@example.com"}},`, u, device, u, u)
			}
			fmt.Fprintf(&batch, `{"type":"track","userId":%q,"event":"Order Completed","properties":{"order_id":"o-%s","revenue":49.9,"currency":"EUR"}}`, u, u)
		}
		if status, a := b.post("/v1/batch", `{"batch":[`+batch.String()+`]}`, "X-Write-Key", serverKey); status != 200 || a["rejected"] != nil {
			t.Fatalf("%d %v", status, a)
		}
	}
}

// claimTime is how long a claim takes on a connection that is there, in µs.
func claimTime(t *testing.T, g *gateway, path, user string) float64 {
	t.Helper()
	body := fmt.Sprintf(`{"type":"identify","userId":%q,"anonymousId":"x-%s","traits":{"plan":"free"}}`, user, user)
	if path == "/v1/interact" {
		body = fmt.Sprintf(`{"batch":[%s]}`, body)
	}
	req, err := http.NewRequest("POST", g.SiteURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Write-Key", writeKey)
	began := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	took := time.Since(began)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || !bytes.HasPrefix(text, []byte(`{"success":true`)) {
		t.Fatalf("%d %s %v", resp.StatusCode, text, err)
	}
	return float64(took) / float64(time.Microsecond)
}

// verdict compares known with unknown names, and unknown ones among themselves.
type verdict struct {
	median [3]float64 // µs: known, unknown, unknown again
	apart  float64    // known − unknown: mean over blocks of the difference of medians
	noise  float64    // what that is for two groups of unknown ones
	error  float64    // the standard error of either, the larger one
}

// compare cuts the samples into blocks in the order of time: a machine that is
// slow for a while is slow for the same blocks of all groups. A median forgets
// what the disk and the collector do now and then.
func compare(known, unknown, alike []float64) (v verdict) {
	const blocks = 25
	var ab, aa []float64
	size := len(known) / blocks
	for i := range blocks {
		from, to := i*size, (i+1)*size
		m := median(unknown[from:to])
		ab = append(ab, median(known[from:to])-m)
		aa = append(aa, median(alike[from:to])-m)
	}
	v.median = [3]float64{median(known), median(unknown), median(alike)}
	var e1, e2 float64
	v.apart, e1 = meanOf(ab)
	v.noise, e2 = meanOf(aa)
	v.error = max(e1, e2)
	return v
}

// told says that the two differ by more than noise can explain: five standard
// errors are less than one in a million, and differences below a hundredth of
// the answer's time drown in any network.
func (v verdict) told() bool {
	return math.Abs(v.apart) > 5*v.error+math.Abs(v.noise)+v.median[1]/100
}

func (v verdict) String() string {
	return fmt.Sprintf("medians known %.0f, unknown %.0f and %.0f µs; known-unknown %+.1f, unknown-unknown %+.1f, standard error %.1f µs",
		v.median[0], v.median[1], v.median[2], v.apart, v.noise, v.error)
}

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}

// meanOf is a mean and its standard error.
func meanOf(list []float64) (mean, err float64) {
	for _, x := range list {
		mean += x / float64(len(list))
	}
	for _, x := range list {
		err += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(err / float64(len(list)-1) / float64(len(list)))
}
