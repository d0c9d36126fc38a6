package pipeline

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/reuna/reuna/identity/event"
)

// BotPolicy is what becomes of a robot's events.
type BotPolicy uint8

const (
	FlagBots    BotPolicy = iota // they are in profiles, and counted apart
	ExcludeBots                  // they are in the log, and in no profile
	RefuseBots                   // they are not taken
)

// ErrAutomated says that all the request's events were a robot's, on a site that
// takes none. Nothing of the request was kept.
var ErrAutomated = errors.New("this site takes no events of robots, and these look like a robot's")

// screen takes robots' events out of the batch where the site refuses them, and
// lists them as rejected there. When no other events are left it gives
// ErrAutomated.
func (p *Pipeline) screen(j *job) error {
	b := j.r.Batch
	if j.site.Bots != RefuseBots || !slices.ContainsFunc(b.Events, isBot) {
		return nil
	}
	kept, bots := b.Events[:0], []event.Rejection(nil)
	place, before := 0, b.Rejected // in the batch as it was sent, and what is missing of it
	for i := range b.Events {
		for len(before) > 0 && before[0].Index <= place {
			place, before = place+1, before[1:]
		}
		if isBot(b.Events[i]) {
			bots = append(bots, event.Rejection{Index: place, Code: event.CodeAutomated, Message: ErrAutomated.Error()})
		} else {
			kept = append(kept, b.Events[i])
		}
		place++
	}
	p.stats.BotsRefused.Add(int64(len(bots)))
	b.Events = kept
	if len(kept) == 0 {
		p.unredeem(j)
		return ErrAutomated
	}
	b.Rejected = append(b.Rejected, bots...)
	slices.SortStableFunc(b.Rejected, func(x, y event.Rejection) int { return cmp.Compare(x.Index, y.Index) })
	return nil
}

func isBot(e event.Event) bool { return e.Bot.Is }

// botClasses are the classes of event.Bot, and "behaviour" for who gave itself
// away by what it did alone, whatever its class. What is none of them counts as
// "other".
var botClasses = [...]string{"search", "ai-training", "ai-assistant", "monitor", "preview", "library", "headless", "scanner", "behaviour", "other"}

// Bots counts the events of robots that were taken, by class.
type Bots struct {
	byClass [len(botClasses)]atomic.Int64
}

// count counts one event. said: it told of itself that a robot made it, before
// anybody watched.
func (b *Bots) count(class string, said bool) {
	if !said {
		class = "behaviour"
	}
	for i, c := range &botClasses {
		if c == class || i == len(botClasses)-1 {
			b.byClass[i].Add(1)
			return
		}
	}
}

// All is how many there were.
func (b *Bots) All() (n int64) {
	for i := range b.byClass {
		n += b.byClass[i].Load()
	}
	return n
}

// Each gives every class with its counter, in a fixed order.
func (b *Bots) Each(fn func(class string, count *atomic.Int64)) {
	for i, c := range &botClasses {
		fn(c, &b.byClass[i])
	}
}
