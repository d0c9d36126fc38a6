package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	writeKey  = "wk_bench"
	placement = "hero"
)

// gatewayConfig is a site with what a shop would have: an interest that
// computes itself, an audience, a placement with a variant for it. The rates
// are not limited, since all load comes from one address and one key.
const gatewayConfig = `demo: false
trusted_proxies: [127.0.0.1/32]
log: {level: warn}
sites:
  - {name: bench, write_key: ` + writeKey + `, origins: [], page_traits: [plan, favourite_category]}
limits: {requests_per_second_per_address: 0, requests_per_second_per_key: 0}
behaviour: {page_views_per_minute: 0} # visitors come back faster than people can
traits:
  - {name: favourite_category, kind: affinity, event: Product Viewed, by: properties.category, half_life: 14d}
  - {name: thriller_orders_30d, kind: count, event: Order Completed, where: "properties.products.exists(p, p.category == 'thrillers')", window: 30d}
segments:
  - {name: thriller-fans, when: "has(computed.thriller_orders_30d) && computed.thriller_orders_30d >= 2"}
placements:
  - name: ` + placement + `
    variants:
      - {name: thrillers, when: "'thriller-fans' in segments"}
      - {name: default}
`

// server is a child process that answers on loopback.
type server struct {
	name string
	site string // URL
	desk string // URL; the bare handler has none
	pid  int
	data string // data folder; the bare handler has none

	process *exec.Cmd
	output  *tail
	stdin   io.Closer  // closing it ends the bare handler
	ended   chan error // what Wait gave; filled once
}

// start runs a command and watches for its end.
func start(name string, command []string, environment ...string) (*server, *bufio.Reader, error) {
	s := &server{name: name, process: exec.Command(command[0], command[1:]...), output: &tail{}, ended: make(chan error, 1)}
	s.process.Env = append(os.Environ(), environment...)
	s.process.Stderr = s.output
	out, err := s.process.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if s.stdin, err = s.process.StdinPipe(); err != nil {
		return nil, nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting the %s: %w", name, err)
	}
	s.pid = s.process.Process.Pid
	return s, bufio.NewReader(out), nil
}

// watch collects the process's end once nothing more is to be read of its output.
func (s *server) watch(out *bufio.Reader) {
	// The output is the process's own talk: it goes where its errors go.
	_, _ = io.Copy(s.output, out)
	s.ended <- s.process.Wait()
}

// startBare runs this program again as the bare handler.
func startBare(self []string, interact, profile int) (*server, error) {
	command := append(append([]string{}, self...), bareCommand, fmt.Sprintf("-interact=%d", interact), fmt.Sprintf("-profile=%d", profile))
	s, out, err := start("bare handler", command)
	if err != nil {
		return nil, err
	}
	line, err := out.ReadString('\n')
	go s.watch(out)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the bare handler gave no address: %w", err), s.stop())
	}
	s.site = strings.TrimSpace(line)
	return s, nil
}

// startGateway starts a gateway with a fresh data folder below dir and waits
// until it says that it is ready.
func startGateway(ctx context.Context, command []string, dir, adminKey string) (*server, error) {
	config := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(config, []byte(gatewayConfig), 0o600); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	command = append(append([]string{}, command...), "-config", config, "-data", data, "-site-addr", "127.0.0.1:0", "-desk-addr", "127.0.0.1:0")
	s, out, err := start("gateway", command, "REUNA_ADMIN_KEY="+adminKey)
	if err != nil {
		return nil, err
	}
	s.data = data
	go s.watch(out)
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// startTime is how long a gateway may take until it is ready.
const startTime = 30 * time.Second

// ready waits for run.json of this very process.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var run struct {
			Site string `json:"site"`
			Desk string `json:"desk"`
			PID  int    `json:"pid"`
		}
		data, err := os.ReadFile(filepath.Join(s.data, "run.json"))
		// A file that is only half written is read again.
		if err == nil && json.Unmarshal(data, &run) == nil && run.PID == s.pid {
			s.site, s.desk = run.Site, run.Desk
			return nil
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("the gateway ended before it was ready (%v); it said:\n%s", err, s.output)
		case <-ctx.Done():
			return fmt.Errorf("the gateway was not ready: expected run.json in its data folder within %v; it said:\n%s", startTime, s.output)
		case <-tick.C:
		}
	}
}

// alive gives an error when the process has ended.
func (s *server) alive() error {
	select {
	case err := <-s.ended:
		s.ended <- err
		return fmt.Errorf("the %s ended during the run (%v); it said:\n%s", s.name, err, s.output)
	default:
		return nil
	}
}

// stopTime is how long a server may take to drain and end.
const stopTime = 30 * time.Second

// stop ends the process in its orderly way and says when that failed. It may be
// called again.
func (s *server) stop() error {
	if s.data == "" {
		s.stdin.Close()
	} else if err := s.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the %s: %w", s.name, err)
	}
	select {
	case err := <-s.ended:
		s.ended <- err
		if err != nil {
			return fmt.Errorf("the %s ended with %w; it said:\n%s", s.name, err, s.output)
		}
		return nil
	case <-time.After(stopTime):
		return errors.Join(fmt.Errorf("the %s did not end within %v of being asked", s.name, stopTime), s.process.Process.Kill())
	}
}

// tail keeps the last of what a process wrote.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailBytes; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}
