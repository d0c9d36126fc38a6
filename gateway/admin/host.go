package admin

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

// admitHost refuses requests that name a host which is not the desk. A page of
// a foreign site can point its own name at a loopback address and so reach a
// program that only listens there ("DNS rebinding"); the browser still sends
// that name as Host, and no page can change it.
//
// On other addresses the operator decided that the network may come in, by
// whatever name it has; there the check begins when Hosts names some.
func (s *Server) admitHost(ctx *fasthttp.RequestCtx) *failure {
	local, _ := netip.AddrFromSlice(ctx.LocalIP())
	local = local.Unmap()
	name, ok := hostName(string(ctx.Host()))
	if !ok {
		return refuse(fasthttp.StatusBadRequest, "invalid_host", fmt.Sprintf("the Host header is %q; expected a host name or an address, with or without a port", clip(ctx.Host())))
	}
	if name == "" { // HTTP/1.0 without one: no browser does that
		return nil
	}
	if !local.IsLoopback() && len(s.hosts) == 0 {
		return nil
	}
	if name == "localhost" || s.hosts[name] {
		return nil
	}
	if a, err := netip.ParseAddr(name); err == nil && (a.Unmap().IsLoopback() || a.Unmap() == local) {
		return nil
	}
	s.o.Metrics.GetOrCreateCounter(`reuna_desk_refused_total{reason="foreign_host"}`).Inc()
	return refuse(fasthttp.StatusForbidden, "foreign_host", fmt.Sprintf("the desk is not known as %q; use localhost or its address, or add the name to the desk's hosts", clip([]byte(name))))
}

// hostName takes the name out of a Host header: lower-case, without the port
// and a last dot, an IPv6 address without its brackets. An absent header has
// none, "". ok is false for what is no host (RFC 9110, 7.2).
func hostName(h string) (name string, ok bool) {
	if h == "" {
		return "", true
	}
	if rest, is6 := strings.CutPrefix(h, "["); is6 {
		address, port, closed := strings.Cut(rest, "]")
		a, err := netip.ParseAddr(address)
		if !closed || err != nil || !a.Is6() || a.Zone() != "" || !isPort(port) {
			return "", false
		}
		return a.String(), true
	}
	name = h
	if i := strings.IndexByte(h, ':'); i >= 0 {
		name = h[:i]
		if !isPort(h[i:]) {
			return "", false
		}
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if name == "" || len(name) > 253 {
		return "", false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return "", false
		}
	}
	return name, true
}

// isPort says that s is nothing, or a colon and up to five digits.
func isPort(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) > 6 {
		return false
	}
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
