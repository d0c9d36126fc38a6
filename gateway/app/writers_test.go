package app_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	writersSeed  = flag.Uint64("writers.seed", uint64(time.Now().UnixNano()), "seed of TestWritersEqualASequence")
	writersKills = flag.Int("writers.kills", 2, "how often TestWritersEqualASequence kills the gateway")
)

// TestWritersEqualASequence is scenario 15: 64 writers do random things to 5
// users and 20 devices of a gateway that is killed again and again. What then is
// in the log, sent to a fresh gateway one after the other by one sender, makes
// the same people, to the byte; what was acknowledged is there, once.
//
// Writers send again what was not answered, as SDKs do, or give it up, and now
// and then send again what was. Events happen at random times, so their order
// in the log is not that of their times.
func TestWritersEqualASequence(t *testing.T) {
	t.Parallel() // half of the time it waits
	const writers = 64
	t.Logf("seed %d", *writersSeed)
	r := rand.New(rand.NewPCG(*writersSeed, 0))
	dir, conf := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "reuna.yaml")
	if err := os.WriteFile(conf, []byte(laboratory), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := buildGateway(t)
	s := &scribes{t: t, base: time.Now().Add(-10 * 24 * time.Hour).Truncate(time.Hour).UnixMilli(), acked: map[string]bool{}}
	s.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: writers}}
	var p *process
	for round := range *writersKills + 1 {
		p = launch(t, bin, dir, "-config", conf)
		s.round, s.site, s.desk = round, p.site, p.desk
		var all sync.WaitGroup
		stop := make(chan struct{})
		for i := range writers {
			seed := r.Uint64()
			all.Go(func() { s.write(i, rand.New(rand.NewPCG(seed, 0)), stop) })
		}
		select { // a time to live, not a wait for something to happen
		case <-time.After(time.Duration(30+r.IntN(150)) * time.Millisecond):
		case err := <-p.done:
			t.Fatalf("the gateway ended by itself: %v\n%s", err, p.out.String())
		}
		if round == *writersKills { // the last one lives
			close(stop)
			all.Wait()
			break
		}
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-p.done
		close(stop)
		all.Wait()
		s.client.CloseIdleConnections()
	}
	if t.Failed() {
		t.FailNow()
	}
	s.finish() // what operators did and nobody answered

	// What the process says, from memory, a gateway on its folder says from disk.
	memory := s.everybody()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-p.done; err != nil {
		t.Fatalf("after SIGTERM: %v\n%s", err, p.out.String())
	}
	after := openLabOn(t, dir, 0)
	s.desk = after.DeskURL()
	if disk := s.everybody(); !maps.Equal(disk, memory) {
		for path := range memory {
			if disk[path] != memory[path] {
				t.Fatalf("%s was, from memory,\n%s\nand from disk is\n%s", path, memory[path], disk[path])
			}
		}
	}

	w := &world{l: after, names: names()}
	present, err := w.gather("all")
	if err != nil {
		t.Fatal(err)
	}
	sent := map[string]message{}
	for _, m := range s.sent {
		sent[m.id] = m
	}
	for id := range s.acked {
		if _, there := present[id]; !there {
			t.Errorf("%s was acknowledged and is gone", id)
		}
	}
	order := slices.SortedFunc(maps.Values(present), func(a, b happened) int {
		return cmp.Or(cmp.Compare(a.ReceivedAt, b.ReceivedAt), cmp.Compare(a.MessageID, b.MessageID))
	})
	for _, e := range order {
		m, known := sent[e.MessageID]
		if !known {
			t.Fatalf("%s is there and was never sent", e.MessageID)
		}
		w.sent = append(w.sent, m)
	}
	if err := w.timelines(); err != nil { // at the verified view, too
		t.Error(err)
	}

	fresh := openLab(t, 0)
	v := &world{l: fresh, names: w.names, sent: w.sent}
	if err := v.deliver(w.sent); err != nil {
		t.Fatal(err)
	}
	s.desk = fresh.DeskURL()
	for _, o := range s.operations {
		if status, raw, err := s.post(s.desk+"/admin/v1/identities/"+o.do, o.body, o.key()); err != nil || status != 200 {
			t.Fatalf("%s %s: %d %s: %v", o.do, o.body, status, raw, err)
		}
	}
	got, err := w.read(false)
	if err != nil {
		t.Fatal(err)
	}
	want, err := v.read(false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := got.once().same(want.once(), false); diff != "" {
		t.Error(diff)
	}
	if _, err := want.people(v); err != nil { // every event with one person
		t.Error(err)
	}
	t.Logf("killed %d times: %d messages sent, %d acknowledged, %d there; %d things done by operators",
		*writersKills, len(s.sent), len(s.acked), len(present), len(s.operations))
}

// names are all that writers name.
func names() (list []string) {
	for i := range 5 {
		list = append(list, fmt.Sprint("u", i), fmt.Sprint("e", i), fmt.Sprint("c", i))
	}
	for i := range 20 {
		list = append(list, fmt.Sprint("a", i))
	}
	return list
}

// once is a book without what tells of an operator's evidence that was stated
// twice, because the answer to the first time was lost: its names.
func (b book) once() book {
	o := book{}
	for key, text := range b {
		o[key] = strings.ReplaceAll(text, `"e_",`, "")
	}
	return o
}

// scribes are the writers, and what they know together.
type scribes struct {
	t          *testing.T
	client     *http.Client
	base       int64
	round      int
	site, desk string

	mu         sync.Mutex
	sent       []message
	acked      map[string]bool
	operations []operation // everything that operators did
	lost       []operation // of these, those without an answer
}

// operation is an operator's evidence.
type operation struct{ do, body string }

func (operation) key() string { return "Bearer " + adminKey }

// write does random things until the gateway is gone or the channel closes.
func (s *scribes) write(writer int, r *rand.Rand, stop chan struct{}) {
	w := &world{} // names are the identifiers
	var mine []message
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		if r.IntN(60) == 0 {
			if !s.operate(w, r) {
				return
			}
			continue
		}
		var list []message
		server := r.IntN(2) == 0
		for k := range 1 + r.IntN(12) {
			if len(mine) > 0 && r.IntN(10) == 0 {
				if again := mine[r.IntN(len(mine))]; again.server == server {
					list = append(list, again)
					continue
				}
			}
			list = append(list, s.event(w, r, server, fmt.Sprintf("r%d-w%d-%d-%d", s.round, writer, i, k)))
		}
		s.mu.Lock()
		s.sent = append(s.sent, list...)
		s.mu.Unlock()
		if !s.send(server, list) {
			return
		}
		mine = append(mine, list...)
	}
}

// send delivers a batch; false when it was not answered.
func (s *scribes) send(server bool, list []message) bool {
	bodies := make([]string, len(list))
	for i, m := range list {
		bodies[i] = m.body
	}
	key := writeKey
	if server {
		key = serverKey
	}
	req, err := http.NewRequest("POST", s.site+"/v1/batch", strings.NewReader(`{"batch":[`+strings.Join(bodies, ",")+`]}`))
	if err != nil {
		s.t.Error(err)
		return false
	}
	req.Header.Set("User-Agent", firefoxAgent)
	req.SetBasicAuth(key, "")
	resp, err := s.client.Do(req)
	if err != nil {
		return false // killed
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || err == nil && string(bytes.TrimSpace(raw)) != `{"success":true}` {
		s.t.Errorf("%s is answered %d %s", bodies, resp.StatusCode, raw)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range list {
		s.acked[m.id] = true
	}
	return true
}

// event makes something that happened at a random time. The devices of a user's
// own, eight in all, are never said to be another's by a server: not all is
// shared in the end.
func (s *scribes) event(w *world, r *rand.Rand, server bool, id string) message {
	device := r.IntN(20)
	user := r.IntN(5)
	if device < 8 && server {
		user = device % 5
	}
	a, u := fmt.Sprint("a", device), fmt.Sprint("u", user)
	// Within 40 hours: of more than 96 visits a facet forgets the oldest to come.
	st := &statement{at: s.base + r.Int64N(40*60*minute)}
	ops := "T P U U W"
	if server {
		ops = "V V V S S L"
	}
	st.op = strings.Fields(ops)[r.IntN(len(strings.Fields(ops)))]
	switch st.op {
	case "T", "P":
		st.names, st.set = []string{a}, []string{fmt.Sprintf(`"category":"c%d"`, r.IntN(3))}
	case "U", "V":
		st.names, st.set = []string{a, u}, []string{fmt.Sprintf(`"plan":%d`, r.IntN(1000))}
		if r.IntN(20) == 0 {
			st.names = append(st.names, fmt.Sprint("e", cmp.Or(user, r.IntN(5))))
		}
	case "S":
		st.names, st.event = []string{u, a}, "Order_Completed"
		st.set = []string{fmt.Sprintf(`"order_id":"o%d"`, r.IntN(500)), fmt.Sprintf(`"revenue":%d.%d`, r.IntN(100), r.IntN(100))}
	case "L":
		st.names = []string{u, fmt.Sprint("c", user)}
		if r.IntN(4) == 0 {
			st.names = []string{a, fmt.Sprint("a", (device+8)%20)}
		}
	case "W":
		st.names = []string{u, fmt.Sprint("u", r.IntN(5))}
	}
	m := w.message(st)
	// The world's own id is the writer's alone.
	m.body = strings.Replace(m.body, fmt.Sprintf("%q", m.id), fmt.Sprintf("%q", id), 1)
	m.id = id
	return m
}

// operate states an operator's link or cut, at a time of its own.
func (s *scribes) operate(w *world, r *rand.Rand) bool {
	a, b := fmt.Sprint("u", r.IntN(5)), fmt.Sprint("a", r.IntN(20))
	if r.IntN(4) == 0 {
		b = fmt.Sprint("u", r.IntN(5))
	}
	if a == b {
		return true
	}
	at := time.UnixMilli(s.base + r.Int64N(40*60*minute)).UTC().Format(time.RFC3339Nano)
	o := operation{"link", fmt.Sprintf(`{"a":%s,"b":%s,"time":%q}`, w.identifier(a), w.identifier(b), at)}
	if r.IntN(2) == 0 {
		o.do = "cut"
	}
	status, raw, err := s.post(s.desk+"/admin/v1/identities/"+o.do, o.body, o.key())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.operations = append(s.operations, o)
	if err != nil {
		s.lost = append(s.lost, o)
		return false
	}
	if status != 200 {
		s.t.Errorf("%s %s is answered %d %s", o.do, o.body, status, raw)
		return false
	}
	return true
}

// finish does again what operators did and nobody answered.
func (s *scribes) finish() {
	s.t.Helper()
	for _, o := range s.lost {
		if status, raw, err := s.post(s.desk+"/admin/v1/identities/"+o.do, o.body, o.key()); err != nil || status != 200 {
			s.t.Fatalf("%s %s: %d %s: %v", o.do, o.body, status, raw, err)
		}
	}
}

func (s *scribes) post(url, body, authorization string) (status int, raw []byte, err error) {
	return s.ask("POST", url, body, authorization)
}

func (s *scribes) ask(method, url, body, authorization string) (status int, raw []byte, err error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", authorization)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	raw, err = io.ReadAll(resp.Body)
	return resp.StatusCode, bytes.TrimSpace(raw), err
}

// everybody reads all names at both views, as bytes.
func (s *scribes) everybody() map[string]string {
	s.t.Helper()
	w := &world{}
	all := map[string]string{}
	for _, name := range names() {
		for _, tail := range []string{"?view=all", "?view=verified", "/identities?view=all"} {
			path := "/admin/v1/persons/" + typeOf[name[0]] + ":" + w.stored(name) + tail
			status, raw, err := s.ask("GET", s.desk+path, "", "Bearer "+adminKey)
			if err != nil || status != 200 && status != 409 && status != 404 {
				s.t.Fatalf("%s is answered %d %s: %v", path, status, raw, err)
			}
			all[path] = string(raw)
		}
	}
	return all
}
