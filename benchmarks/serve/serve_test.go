package serve

import (
	"fmt"
	"strings"
	"testing"
)

func TestTailKeepsTheEnd(t *testing.T) {
	s := &tail{}
	for i := range 3000 {
		fmt.Fprintf(s, "line %d\n", i)
	}
	if got := s.String(); len(got) > tailBytes || !strings.HasSuffix(got, "line 2999") {
		t.Errorf("%d bytes, end %q", len(got), got[max(0, len(got)-20):])
	}
}
