package main

import (
	"bytes"
	"io"
)

// testOutput passes on what go test prints, as it comes: each package's last
// line at once, and before it what the package printed, if it failed. go test
// prints one package after the other, so what came since the last such line
// belongs to the next. Only what the compiler and vet say comes when it comes,
// under a line that begins with "# ": that is passed on at once.
type testOutput struct {
	out  io.Writer
	all  bool // pass everything on
	line []byte
	held bytes.Buffer
	said bool // the compiler or vet is speaking

	passed, failed, untested int
	err                      error // the first error of out
}

func (t *testOutput) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			t.line = append(t.line, rest...)
			break
		}
		t.line = append(t.line, rest[:i+1]...)
		t.take(t.line)
		t.line, rest = t.line[:0], rest[i+1:]
	}
	return len(p), t.err
}

// take judges one whole line.
func (t *testOutput) take(line []byte) {
	summary := true
	switch {
	case bytes.HasPrefix(line, []byte("ok  \t")):
		t.passed++
		t.held.Reset()
		t.put(line)
	case bytes.HasPrefix(line, []byte("FAIL\t")):
		t.failed++
		t.put(t.held.Bytes())
		t.held.Reset()
		t.put(line)
	case bytes.HasPrefix(line, []byte("?   \t")):
		t.untested++
		if t.all {
			t.put(line)
		}
	case bytes.Equal(line, []byte("FAIL\n")):
		// Closes a package, or the whole run; the line with the name says it.
	default:
		summary = false
		t.said = t.said || bytes.HasPrefix(line, []byte("# "))
		if t.all || t.said {
			t.put(line)
		} else {
			t.held.Write(line)
		}
	}
	if summary {
		t.said = false
	}
}

func (t *testOutput) put(p []byte) {
	if _, err := t.out.Write(p); err != nil && t.err == nil {
		t.err = err
	}
}

// end passes on what no package claimed, if the run failed: go test itself said it.
func (t *testOutput) end(failed bool) {
	if len(t.line) > 0 {
		t.take(append(t.line, '\n'))
		t.line = nil
	}
	if failed {
		t.put(t.held.Bytes())
	}
	t.held.Reset()
}
