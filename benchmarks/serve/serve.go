// Package serve runs the servers that benchmarks measure: child processes on
// loopback, what they have used, and rounds of load on them.
package serve

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
	"sync"
	"syscall"
	"time"
)

// Server is a child process that answers on loopback.
type Server struct {
	Name    string
	Site    string // URL
	Desk    string // URL; only a gateway has one
	PID     int
	Data    string // data folder; only a gateway has one
	Process *exec.Cmd

	output *tail
	stdin  io.Closer  // closing it ends a server without a data folder
	ended  chan error // what Wait gave; filled once
}

// Start runs a command, whose orderly end is that of its standard input, and gives
// what it says. Whoever has read what was expected of it calls Watch.
func Start(name string, command []string, environment ...string) (*Server, *bufio.Reader, error) {
	s := &Server{Name: name, Process: exec.Command(command[0], command[1:]...), output: &tail{}, ended: make(chan error, 1)}
	s.Process.Env = append(os.Environ(), environment...)
	s.Process.Stderr = s.output
	out, err := s.Process.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if s.stdin, err = s.Process.StdinPipe(); err != nil {
		return nil, nil, err
	}
	if err := s.Process.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting the %s: %w", name, err)
	}
	s.PID = s.Process.Process.Pid
	return s, bufio.NewReader(out), nil
}

// Watch collects the process's end once nothing more is to be read of its output.
func (s *Server) Watch(out *bufio.Reader) {
	// The output is the process's own talk: it goes where its errors go.
	_, _ = io.Copy(s.output, out)
	s.ended <- s.Process.Wait()
}

// Gateway says how to start a gateway.
type Gateway struct {
	Command  []string
	Dir      string // for its configuration and, unless Data says otherwise, its data
	Data     string // data folder; "": "data" in Dir
	Config   string // text of the configuration
	AdminKey string
}

// StartGateway starts a gateway and waits until it says that it is ready.
func StartGateway(ctx context.Context, g Gateway) (*Server, error) {
	if err := os.MkdirAll(g.Dir, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(g.Dir, "gateway.yaml")
	if err := os.WriteFile(config, []byte(g.Config), 0o600); err != nil {
		return nil, err
	}
	if g.Data == "" {
		g.Data = filepath.Join(g.Dir, "data")
	}
	command := append(append([]string{}, g.Command...), "-config", config, "-data", g.Data, "-site-addr", "127.0.0.1:0", "-desk-addr", "127.0.0.1:0")
	s, out, err := Start("gateway", command, "REUNA_ADMIN_KEY="+g.AdminKey)
	if err != nil {
		return nil, err
	}
	s.Data = g.Data
	go s.Watch(out)
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// startTime is how long a gateway may take until it is ready.
const startTime = 30 * time.Second

// ready waits for run.json of this very process.
func (s *Server) ready(ctx context.Context) error {
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
		data, err := os.ReadFile(filepath.Join(s.Data, "run.json"))
		// A file that is only half written is read again.
		if err == nil && json.Unmarshal(data, &run) == nil && run.PID == s.PID {
			s.Site, s.Desk = run.Site, run.Desk
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

// Alive gives an error when the process has ended.
func (s *Server) Alive() error {
	select {
	case err := <-s.ended:
		s.ended <- err
		return fmt.Errorf("the %s ended during the run (%v); it said:\n%s", s.Name, err, s.output)
	default:
		return nil
	}
}

// stopTime is how long a server may take to drain and end.
const stopTime = 30 * time.Second

// Stop ends the process in its orderly way and says when that failed. It may be
// called again.
func (s *Server) Stop() error {
	if s.Data == "" {
		s.stdin.Close()
	} else if err := s.Process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the %s: %w", s.Name, err)
	}
	select {
	case err := <-s.ended:
		s.ended <- err
		if err != nil {
			return fmt.Errorf("the %s ended with %w; it said:\n%s", s.Name, err, s.output)
		}
		return nil
	case <-time.After(stopTime):
		return errors.Join(fmt.Errorf("the %s did not end within %v of being asked", s.Name, stopTime), s.Process.Process.Kill())
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
