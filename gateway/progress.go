package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress shows how far a command is: one line that changes on a terminal, a
// line now and then elsewhere. What is written through it does not collide.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	term  bool
	shown string    // on the terminal's line
	last  time.Time // when a line was shown, or could have been
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, last: time.Now()}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		p.term = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// How often a line is shown at most.
const (
	termEvery  = 100 * time.Millisecond
	plainEvery = 10 * time.Second
)

func (p *progress) step(name string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := plainEvery
	if p.term {
		every = termEvery
	}
	now := time.Now()
	if now.Sub(p.last) < every {
		return
	}
	p.last = now
	line := fmt.Sprintf("%s: %d", name, done)
	if total > 0 {
		line = fmt.Sprintf("%s: %d of %d (%d%%)", name, done, total, 100*done/total)
	}
	if !p.term {
		fmt.Fprintln(p.out, line)
		return
	}
	fmt.Fprintf(p.out, "\r%s%s", line, strings.Repeat(" ", max(len(p.shown)-len(line), 0)))
	p.shown = line
}

// Write puts a line above the one that changes.
func (p *progress) Write(b []byte) (int, error) {
	p.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// end takes the changing line away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown != "" {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", len(p.shown)))
		p.shown = ""
	}
}
