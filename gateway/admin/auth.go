package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// keyring is the admin keys, as their SHA-256.
type keyring []adminKey

type adminKey struct {
	sum  [sha256.Size]byte
	name string // in the activity log: tells keys apart and opens nothing
}

func newAdminKey(key string) adminKey {
	name := sha256.Sum256([]byte("reuna admin key name\x00" + key))
	return adminKey{sha256.Sum256([]byte(key)), "key:" + hex.EncodeToString(name[:6])}
}

func newKeyring(keys []string) (keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("admin: there is no admin key, so nobody could use the desk; expected at least one (REUNA_ADMIN_KEY or admin_keys)")
	}
	var ring keyring
	var faults []error
	for i, k := range keys {
		if k == "" || strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r > '~' }) {
			faults = append(faults, fmt.Errorf("admin: admin key %d is empty or holds a character that an Authorization header cannot carry; expected printable ASCII without spaces", i+1))
			continue
		}
		ring = append(ring, newAdminKey(k))
	}
	return ring, errors.Join(faults...)
}

// position gives the place of a key in the ring, from 1; 0 when it is none of
// them. It takes as long for any key, right, wrong or nearly right: hashes are
// compared, all of them, each in constant time.
func (r keyring) position(key []byte) (at int) {
	sum := sha256.Sum256(key)
	for i := range r {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], r[i].sum[:]), i+1, at)
	}
	return at
}

// authorise asks for an admin key.
func (c *call) authorise() *failure {
	scheme, key, _ := strings.Cut(string(c.ctx.Request.Header.Peek("Authorization")), " ")
	if !strings.EqualFold(scheme, "Bearer") || key == "" {
		c.refused("no_key")
		return c.unauthorised("no_key", "no admin key came with the request; send the header `Authorization: Bearer KEY` with one of the gateway's admin keys (REUNA_ADMIN_KEY or admin_keys)")
	}
	at := c.s.keys.position([]byte(strings.TrimSpace(key)))
	switch left, failures := c.s.throttle.judge(c.from, at != 0, c.s.o.Now()); {
	case left > 0:
		c.refused("locked_out")
		f := refuse(fasthttp.StatusTooManyRequests, "too_many_failures",
			fmt.Sprintf("%d wrong admin keys came from this address within a minute; it may try again after the seconds in Retry-After", maxFailures))
		f.retryAfter = left
		return f
	case at == 0:
		c.refused("wrong_key")
		c.denied("wrong_key")
		if failures == maxFailures {
			c.denied("locked_out")
			c.s.log.Warn("an address is locked out of the desk: too many wrong admin keys", "from", c.from, "failures", failures, "for", lockOut)
		}
		return c.unauthorised("wrong_key", "this admin key opens nothing here; send one of the gateway's admin keys (REUNA_ADMIN_KEY or admin_keys)")
	}
	c.key, c.actor = at, c.s.keys[at-1].name
	return nil
}

func (c *call) unauthorised(code, message string) *failure {
	c.ctx.Response.Header.Set("WWW-Authenticate", `Bearer realm="reuna desk"`)
	return refuse(fasthttp.StatusUnauthorized, code, message)
}

// refused counts a request that was turned away at the door; reason is one of
// this program's constants.
func (c *call) refused(reason string) {
	c.s.o.Metrics.GetOrCreateCounter(fmt.Sprintf("reuna_desk_refused_total{reason=%q}", reason)).Inc()
}

const (
	maxFailures  = 10
	lockOut      = time.Minute
	maxAddresses = 4096
)

// throttle counts wrong keys by the address they came from. Ten within a minute
// lock the address out for a minute, whatever key it then shows: who guesses
// must not learn from the lock which guess was right. Requests without a key
// guess nothing and do not count.
//
// It holds at most maxAddresses addresses; the one whose time is up first makes
// room. An IPv6 address stands for its /64, which is what one host gets.
type throttle struct {
	mu   *sync.Mutex
	seen map[netip.Addr]failures
}

type failures struct {
	n    int
	ends time.Time
}

func newThrottle() throttle { return throttle{mu: &sync.Mutex{}, seen: map[netip.Addr]failures{}} }

// judge counts one request that showed a key. left is how long its address is
// still locked out, 0 when it is not; n is the wrong keys counted so far. The
// verdict on the key and the count are one step, so that many requests at once
// get no more guesses than one after the other.
func (t *throttle) judge(from netip.Addr, right bool, now time.Time) (left time.Duration, n int) {
	if from.Is6() {
		if p, err := from.WithZone("").Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f, known := t.seen[from]
	if known && !now.Before(f.ends) {
		delete(t.seen, from)
		f, known = failures{}, false
	}
	if f.n >= maxFailures {
		return f.ends.Sub(now), f.n
	}
	if right {
		return 0, f.n
	}
	if f.n++; f.n == 1 || f.n == maxFailures {
		f.ends = now.Add(lockOut)
	}
	if !known && len(t.seen) >= maxAddresses {
		t.makeRoom(now)
	}
	t.seen[from] = f
	return 0, f.n
}

func (t *throttle) makeRoom(now time.Time) {
	var first netip.Addr
	for a, f := range t.seen {
		if !now.Before(f.ends) {
			delete(t.seen, a)
		} else if !first.IsValid() || f.ends.Before(t.seen[first].ends) {
			first = a
		}
	}
	if len(t.seen) >= maxAddresses {
		delete(t.seen, first)
	}
}
