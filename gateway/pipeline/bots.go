package pipeline

import "sync/atomic"

// botClasses are the classes of event.Bot, and "behaviour" for who gave itself
// away by what it did alone. What is none of them counts as "other".
var botClasses = [...]string{"search", "ai-training", "ai-assistant", "monitor", "preview", "library", "headless", "scanner", "behaviour", "other"}

// Bots counts the events of robots that were taken, by class.
type Bots struct {
	byClass [len(botClasses)]atomic.Int64
}

func (b *Bots) count(class string) {
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
