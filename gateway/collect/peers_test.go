package collect

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// accepted takes connections and hands them out.
func accepted(t *testing.T, l net.Listener) chan net.Conn {
	t.Helper()
	got := make(chan net.Conn, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			got <- c
		}
	}()
	return got
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestOneAddressGetsSoManyConnections(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	l := LimitPeers(inner, 2, nil)
	got := accepted(t, l)
	dial(t, l)
	dial(t, l)
	first := <-got
	<-got
	answer, err := io.ReadAll(dial(t, l))
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 503") || !strings.Contains(string(answer), "connections_per_address") {
		t.Fatalf("the third connection heard %q, %v", answer, err)
	}
	// A place that is given back, once, is free again, once.
	first.Close()
	first.Close()
	dial(t, l)
	<-got
	if answer, _ = io.ReadAll(dial(t, l)); !strings.HasPrefix(string(answer), "HTTP/1.1 503") {
		t.Errorf("closing twice freed two places: %q", answer)
	}
}

func TestTrustedProxiesAreNotCounted(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	l := LimitPeers(inner, 1, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	got := accepted(t, l)
	for range 5 {
		dial(t, l)
		<-got
	}
	if LimitPeers(inner, 0, nil) != inner {
		t.Error("no bound should mean no wrapper")
	}
}
