package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/vault"
	"github.com/reuna/reuna/storage/verify"
)

var kills = flag.Int("kills", 20, "how often TestKillUnderLoad kills the gateway")

// process is the gateway's own program, started as a user starts it.
type process struct {
	cmd        *exec.Cmd
	site, desk string
	out        bytes.Buffer
	done       chan error
}

// builds is where the program is built, once for all tests.
var builds struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if builds.dir != "" {
		if err := os.RemoveAll(builds.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func buildGateway(t *testing.T) string {
	t.Helper()
	builds.Do(func() {
		if builds.dir, builds.err = os.MkdirTemp("", "reuna-gateway-"); builds.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", builds.dir, "github.com/reuna/reuna/gateway").CombinedOutput()
		if err != nil {
			builds.err = fmt.Errorf("building the gateway: %w\n%s", err, out)
		}
	})
	if builds.err != nil {
		t.Fatal(builds.err)
	}
	return filepath.Join(builds.dir, "gateway")
}

// launch starts the program and waits for its run file.
func launch(t *testing.T, bin, dir string, args ...string) *process {
	t.Helper()
	run := filepath.Join(dir, "run.json")
	if err := os.Remove(run); err != nil && !os.IsNotExist(err) {
		t.Fatal(err) // a killed process leaves its run file behind
	}
	p := &process{done: make(chan error, 1)}
	p.cmd = exec.Command(bin, append([]string{"-data", dir, "-site-addr", "127.0.0.1:0", "-desk-addr", "127.0.0.1:0"}, args...)...)
	p.cmd.Env = append(os.Environ(), "REUNA_ADMIN_KEY="+adminKey)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { p.cmd.Process.Kill() })
	deadline := time.After(60 * time.Second)
	for poll := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case err := <-p.done:
			t.Fatalf("the gateway ended before it was ready: %v\n%s", err, p.out.String())
		case <-deadline:
			t.Fatal("the gateway was not ready within a minute")
		case <-poll.C:
			text, err := os.ReadFile(run)
			if err != nil {
				continue
			}
			var at struct {
				Site, Desk string
				PID        int
			}
			if err := json.Unmarshal(text, &at); err != nil || at.PID != p.cmd.Process.Pid {
				t.Fatalf("run.json holds %s: %v", text, err)
			}
			p.site, p.desk = at.Site, at.Desk
			poll.Stop()
			return p
		}
	}
}

// TestKillUnderLoad kills the process again and again while senders wait for
// their answers. After each restart every event that was answered with 200 must
// be in its device's timeline, once; what was sent without an answer may be
// there, once, or not.
func TestKillUnderLoad(t *testing.T) {
	t.Parallel() // half of the time it waits
	const devices, senders = 16, 8
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dir := filepath.Join(t.TempDir(), "data")
	conf := filepath.Join(t.TempDir(), "reuna.yaml")
	if err := os.WriteFile(conf, []byte(shop), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := buildGateway(t)

	var mu sync.Mutex
	sent := map[string]bool{} // by messageId: whether it was acknowledged
	acknowledged := 0
	for round := range *kills + 1 {
		if round > 0 && round%max(1, *kills/20) == 0 {
			judge(t, dir)
		}
		began := time.Now()
		p := launch(t, bin, dir, "-config", conf)
		took := time.Since(began)
		if round > 0 {
			check(t, p, devices, sent)
			if t.Failed() {
				t.Fatalf("round %d; the gateway said\n%s", round, p.out.String())
			}
		}
		if round == *kills {
			t.Logf("killed %d times: %d events sent, %d acknowledged, all there once; last start took %v", *kills, len(sent), acknowledged, took)
			p.cmd.Process.Signal(syscall.SIGTERM)
			if err := <-p.done; err != nil {
				t.Errorf("after SIGTERM: %v\n%s", err, p.out.String())
			}
			return
		}
		var all sync.WaitGroup
		stop := make(chan struct{})
		for s := range senders {
			all.Go(func() {
				client := &http.Client{Timeout: 10 * time.Second}
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					ids := make([]string, 1+i%4)
					var batch []string
					for k := range ids {
						ids[k] = fmt.Sprintf("r%d-s%d-%d-%d", round, s, i, k)
						batch = append(batch, fmt.Sprintf(`{"type":"track","event":"Ping","messageId":%q,"anonymousId":"d%d"}`, ids[k], (i+k)%devices))
					}
					mu.Lock()
					for _, x := range ids {
						sent[x] = false
					}
					mu.Unlock()
					req, err := http.NewRequest("POST", p.site+"/v1/batch", strings.NewReader(`{"batch":[`+strings.Join(batch, ",")+`]}`))
					if err != nil {
						t.Error(err)
						return
					}
					req.SetBasicAuth(serverKey, "")
					resp, err := client.Do(req)
					if err != nil {
						continue // killed
					}
					resp.Body.Close()
					if resp.StatusCode != 200 {
						t.Errorf("answered %d", resp.StatusCode)
						return
					}
					mu.Lock()
					for _, x := range ids {
						sent[x] = true
						acknowledged++
					}
					mu.Unlock()
				}
			})
		}
		// A time to live, not a wait for something to happen.
		select {
		case <-time.After(time.Duration(50+r.IntN(500)) * time.Millisecond):
		case err := <-p.done:
			t.Fatalf("the gateway ended by itself: %v\n%s", err, p.out.String())
		}
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-p.done
		close(stop)
		all.Wait()
	}
}

// judge has the independent reader look at what a kill left, before a start
// mends anything.
func judge(t *testing.T, dir string) {
	t.Helper()
	db, v := openFolder(t, dir)
	report, err := verify.Run(t.Context(), verify.Options{DB: db, Vault: v, Types: id.Default()})
	if err := errors.Join(err, report.Err(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// openFolder opens a folder that no gateway has open, for reading.
func openFolder(t *testing.T, dir string) (*engine.DB, *vault.Vault) {
	t.Helper()
	db, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	key, err := vault.LoadMasterKey(filepath.Join(dir+".keys", "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(db, key)
	if err != nil {
		t.Fatal(err)
	}
	return db, v
}

func check(t *testing.T, p *process, devices int, sent map[string]bool) {
	t.Helper()
	seen := map[string]int{}
	for d := range devices {
		for _, e := range timeline(t, p.desk, "anonymous_id", fmt.Sprint("d", d)) {
			seen[e["messageId"].(string)]++
		}
	}
	for x, acked := range sent {
		switch n := seen[x]; {
		case acked && n == 0:
			t.Errorf("%s was acknowledged and is gone", x)
		case n > 1:
			t.Errorf("%s is there %d times", x, n)
		}
		delete(seen, x)
	}
	for x := range seen {
		t.Errorf("%s is there and was never sent", x)
	}
}
