package app_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

var (
	identitySeed   = flag.Uint64("identity.seed", uint64(time.Now().UnixNano()), "seed of the identity scenarios")
	identitySample = flag.Int("identity.sample", 24, "orders that are tried of a sequence that has more than 120; all up to 5,040 with -identity.whole")
)

// TestIdentityScenarios tells the scenarios of the identity rules, 1 to 21, to a
// running gateway: what is sent goes in over HTTP, what came of it is read at
// the desk. Files of testdata/identity carry the scenario's number; rewrite them
// with -rewrite. In names the first letter is the type: user, anonymous, e-mail,
// phone, crm id.
//
// Commands, each with statements below it:
//
//	people [permute] [retime] [plain]  a new telling; prints everybody, at both views
//	more                               the same telling goes on
//	unchanged                          goes on, and nobody's profile may change by a byte
//	eyes                               (devices) what their pages read now
//	answered                           (devices) what their newest event was answered with
//	lookup                             (names) what the desk answers who asks for them
//	expire                             (a device) waits for the end of its session
//	replay times=N                     sends every message again, shuffled, N times
//	restart                            stops the gateway and starts it again
//	refused key=K                      what an operator's statement is answered with another key
//	claimants                          (users, real or not) what a claim to be each is answered
//	gateway session=D                  first in a file: a gateway of its own, with sessions of that length
//	kiosk, blocked, chain, traces      see identity_scale_test.go
//
// A command with the argument whole does nothing without -identity.whole.
//
// permute: all orders of arrival, with each message delivered twice, give the
// same bytes at the desk. retime: all orders in which the same things may happen
// give the same people. plain: names are the identifiers themselves.
//
// Statements; the n-th happens at n minutes unless @1h30m, @2099 or @now says
// otherwise, and with "page" in front it goes through a browser's cookie and
// /v1/interact (V then shows an identity token):
//
//	T a [Name] [k=v…]  track with the write key         P a  page view
//	U a u [k=v…]       identify with the write key      W u u  alias with the write key
//	V a u [e p c k=v…] identify with the server's key   S u [a] [Name] [k=v…]  track with it
//	L x y              a server's link                  X a->b  reset
//	link x y, cut x y [as n], lift n, erase x           the operator
func TestIdentityScenarios(t *testing.T) {
	t.Parallel() // half of the time it waits
	t.Logf("seed %d", *identitySeed)
	root := t
	var shared *lab
	datadriven.Walk(t, "testdata/identity", func(t *testing.T, path string) {
		if filepath.Ext(path) != "" {
			t.Fatalf("%s: scenarios have names such as 01_one_device", path)
		}
		l := shared
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "gateway" { // one of its own
				l = openLab(root, sessionArg(t, d))
			} else if l == nil {
				shared = openLab(root, 0)
				l = shared
			}
			l.t, l.gateway.t = t, t
			return l.command(t, d)
		})
	})
}

func sessionArg(t *testing.T, d *datadriven.TestData) (session time.Duration) {
	t.Helper()
	var text string
	d.ScanArgs(t, "session", &text)
	session, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func (l *lab) command(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	if d.HasArg("whole") && !*identityWhole {
		return d.Expected
	}
	switch d.Cmd {
	case "gateway":
		return ""
	case "people":
		return l.tellPeople(t, d)
	case "more":
		l.carryOut(t, d)
		return l.show(t)
	case "unchanged":
		before := l.book(t)
		l.carryOut(t, d)
		if diff := l.book(t).same(before, true); diff != "" {
			return diff
		}
		return "unchanged\n"
	case "answered":
		return l.each(d, func(name string) string { return eyes(l.telling.answers[name]) })
	case "eyes":
		return l.each(d, func(name string) string { return l.telling.look(name) })
	case "lookup":
		return l.each(d, func(name string) string { return l.lookup(t, name) })
	case "expire":
		return l.each(d, func(name string) string {
			await(t, "the end of the session", func() bool { return strings.HasPrefix(l.telling.look(name), "anonymous") })
			return "over"
		})
	case "replay":
		return l.replay(t, d)
	case "restart":
		before := l.book(t)
		l.stop()
		l.start()
		if diff := l.book(t).same(before, false); diff != "" {
			return diff
		}
		return "the same\n"
	case "refused":
		return l.refused(t, d)
	case "claimants":
		return l.claimants(t, d)
	case "kiosk":
		return l.kiosk(t, d)
	case "blocked":
		return l.blockedValues(t, d)
	case "chain":
		return l.chain(t, d)
	case "traces":
		return l.traces(t, d)
	}
	t.Fatalf("there is no command %q", d.Cmd)
	return ""
}

// carryOut carries the statements of a command out, one after the other.
func (l *lab) carryOut(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	for _, s := range parseStatements(t, d.Input, l.base) {
		if err := l.telling.do(s); err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
	}
}

func (l *lab) book(t *testing.T) book {
	t.Helper()
	b, err := l.telling.read(false)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// show tells everybody of the present telling.
func (l *lab) show(t *testing.T) string {
	t.Helper()
	out, err := l.book(t).people(l.telling)
	if err == nil && !l.telling.erased {
		err = l.telling.timelines()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (l *lab) each(d *datadriven.TestData, answer func(name string) string) string {
	var out strings.Builder
	for _, name := range strings.Fields(d.Input) {
		fmt.Fprintf(&out, "%s: %s\n", name, answer(name))
	}
	return out.String()
}

// tellPeople tells a sequence, then in every other order.
func (l *lab) tellPeople(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	statements := parseStatements(t, d.Input, l.base)
	w := l.world()
	if d.HasArg("plain") {
		w.n = 0
	}
	l.telling = w
	for _, s := range statements {
		if err := w.do(s); err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
	}
	want := l.book(t)
	out, err := want.people(w)
	if err == nil {
		err = w.timelines()
	}
	if err != nil {
		t.Fatalf("%s: %v", d.Pos, err)
	}
	if d.HasArg("permute") {
		l.orders(t, d, len(statements), func(o *world, order []int, r *rand.Rand) error {
			if err := o.arrive(statements, order, r); err != nil {
				return err
			}
			b, err := o.read(true)
			if err != nil {
				return err
			}
			if diff := b.same(want, false); diff != "" {
				return fmt.Errorf("arriving in another order %s", diff)
			}
			return nil
		})
	}
	if d.HasArg("retime") {
		l.orders(t, d, len(statements), func(o *world, order []int, r *rand.Rand) error {
			moved := make([]*statement, len(order))
			for when, i := range order {
				s := *statements[i]
				s.at = l.base + int64(when)*minute
				moved[i] = &s
			}
			if err := o.arrive(moved, order, r); err != nil {
				return err
			}
			b, err := o.read(false)
			if err != nil {
				return err
			}
			got, err := b.people(o)
			if err == nil && anonymously(got) != anonymously(out) {
				err = fmt.Errorf("happening in another order the people are\n%sand were\n%s", got, out)
			}
			return err
		})
	}
	return out
}

// allOrders is up to how many orders are always tried: those of 5.
const allOrders = 120

// orders tries the orders of n statements, several tellings at a time.
func (l *lab) orders(t *testing.T, d *datadriven.TestData, n int, try func(o *world, order []int, r *rand.Rand) error) {
	t.Helper()
	const tellers = 16
	type turn struct {
		order []int
		seed  uint64
	}
	turns := make(chan turn)
	faults := make(chan error, 1)
	var all sync.WaitGroup
	for range tellers {
		all.Go(func() {
			for x := range turns {
				o := l.world()
				if err := try(o, x.order, rand.New(rand.NewPCG(x.seed, 0))); err != nil {
					select {
					case faults <- fmt.Errorf("%s: order %v, telling %d: %w", d.Pos, x.order, o.n, err):
					default: // enough are told
					}
				}
			}
		})
	}
	most, sample := allOrders, *identitySample
	if *identityWhole {
		most, sample = 5040, max(sample, 200)
	}
	tried := 0
	for order := range permuted(n, most, sample, l.random) {
		turns <- turn{order, l.random.Uint64()}
		tried++
	}
	close(turns)
	all.Wait()
	close(faults)
	for err := range faults {
		t.Error(err)
	}
	t.Logf("%s: %d orders", d.Pos, tried)
}

// permuted gives every order of n things, or a sample when they are more than most.
func permuted(n, most, sample int, r *rand.Rand) func(yield func([]int) bool) {
	total := 1
	for i := 2; i <= n && total <= most; i++ {
		total *= i
	}
	if total > most {
		return func(yield func([]int) bool) {
			for range sample {
				if !yield(r.Perm(n)) {
					return
				}
			}
		}
	}
	return func(yield func([]int) bool) {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		var step func(k int) bool
		step = func(k int) bool {
			if k == n {
				return yield(slices.Clone(order))
			}
			for i := k; i < n; i++ {
				order[k], order[i] = order[i], order[k]
				if !step(k + 1) {
					return false
				}
				order[k], order[i] = order[i], order[k]
			}
			return true
		}
		step(0)
	}
}

// arrive has statements arrive in an order, each message twice, the second time
// anywhere after the first, cut into requests anywhere.
func (w *world) arrive(statements []*statement, order []int, r *rand.Rand) error {
	type arrival struct {
		s *statement // an operator's, which is done once
		m message
	}
	made := make([]arrival, len(statements))
	for i, s := range statements { // in their order, so that ids are those of the first telling
		if made[i].s = s; strings.Contains("TPVUSLW", s.op) {
			made[i] = arrival{m: w.message(s)}
			w.sent = append(w.sent, made[i].m)
		}
		for _, name := range s.names {
			w.meet(name)
		}
	}
	var list []arrival
	for _, i := range order {
		if statements[i].op != "X" { // an SDK that resets sends nothing
			list = append(list, made[i])
		}
	}
	for _, i := range order {
		if made[i].s == nil {
			first := slices.IndexFunc(list, func(a arrival) bool { return a.m == made[i].m })
			list = slices.Insert(list, first+1+r.IntN(len(list)-first), made[i])
		}
	}
	var ready []message
	pause := max(3, len(list)/100) // requests hold so many on average
	for i, a := range list {
		if a.s == nil {
			ready = append(ready, a.m)
		}
		if a.s != nil || i == len(list)-1 || r.IntN(pause) == 0 {
			if err := w.deliver(ready); err != nil {
				return err
			}
			ready = ready[:0]
		}
		if a.s != nil {
			if err := w.operate(a.s); err != nil {
				return err
			}
		}
	}
	return nil
}
