package collect

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// LimitPeers makes a listener that takes at most n connections at a time from
// one address (one /64 of IPv6); 0 takes any number. Trusted proxies are
// exempt, since all clients behind one share its address. A connection too many
// is told so and closed.
//
// fasthttp's own MaxConnsPerIP counts IPv6 peers as one address, answers in
// plain text, and races with its own shutdown.
func LimitPeers(l net.Listener, n int, trusted []netip.Prefix) net.Listener {
	if n <= 0 {
		return l
	}
	return &peerListener{Listener: l, most: n, trusted: trusted, open: map[netip.Addr]int{}}
}

type peerListener struct {
	net.Listener
	most    int
	trusted []netip.Prefix

	mu   sync.Mutex
	open map[netip.Addr]int // by peer; no entry stands for none
}

// peerConn gives its peer's place back when it is closed.
type peerConn struct {
	net.Conn
	l    *peerListener
	peer netip.Addr
	once sync.Once
}

// Accept gives the next connection that is within its peer's bound.
func (l *peerListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer := peerOf(c)
		if slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Contains(peer) }) {
			return c, nil
		}
		if peer.Is6() {
			wide, err := peer.Prefix(64)
			if err == nil {
				peer = wide.Addr()
			}
		}
		l.mu.Lock()
		full := l.open[peer] >= l.most
		if !full {
			l.open[peer]++
		}
		l.mu.Unlock()
		if !full {
			return &peerConn{Conn: c, l: l, peer: peer}, nil
		}
		go turnAway(c)
	}
}

// turnAway answers a connection too many. What it says is best effort: the
// peer may be gone, or hostile.
func turnAway(c net.Conn) {
	const answer = `{"error":{"code":"too_many_connections","message":"this address has as many connections open as it may; close some, or raise limits.connections_per_address"}}`
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\nRetry-After: 1\r\nConnection: close\r\n\r\n" + answer))
	_ = c.Close()
}

func peerOf(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// Close closes the connection.
func (c *peerConn) Close() error {
	c.once.Do(func() {
		c.l.mu.Lock()
		if c.l.open[c.peer]--; c.l.open[c.peer] <= 0 {
			delete(c.l.open, c.peer)
		}
		c.l.mu.Unlock()
	})
	return c.Conn.Close()
}
