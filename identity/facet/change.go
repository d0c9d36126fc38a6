package facet

// Core names what folding an event may change of a profile, apart from computed
// traits: the inputs that rules read.
type Core uint32

// The inputs.
const (
	ChangedEvents    Core = 1 << iota // how many events, people's and robots'
	ChangedPageviews                  // how many page views, people's and robots'
	ChangedSessions                   // how many visits
	ChangedOrders                     // orders, revenue, the last order, returns
	ChangedTraits                     // what was said of the person
	ChangedIdentity                   // who belongs to the person, and with it everything
	ChangedDevice
	ChangedGeo
	ChangedTraffic // the latest source and both touches
	ChangedConsent
	ChangedSite
	ChangedSeen // which variants were shown
)

// MaxComputed is how many computed traits an installation may have.
const MaxComputed = 256

// Change is what may be different in a profile. The zero Change is nothing.
type Change struct {
	Core     Core
	Computed [MaxComputed / 64]uint64 // by Spec.Slot
}

// Everything is the Change after which nothing that was known need hold.
func Everything() Change {
	c := Change{Core: ^Core(0)}
	for i := range c.Computed {
		c.Computed[i] = ^uint64(0)
	}
	return c
}

// Add takes another change in.
func (c *Change) Add(o Change) {
	c.Core |= o.Core
	for i := range c.Computed {
		c.Computed[i] |= o.Computed[i]
	}
}

// Mark notes that the computed trait in a slot changed.
func (c *Change) Mark(slot int) { c.Computed[slot/64] |= 1 << (slot % 64) }

// Has says that the computed trait in a slot may have changed.
func (c *Change) Has(slot int) bool { return c.Computed[slot/64]&(1<<(slot%64)) != 0 }

// IsZero says that nothing changed.
func (c Change) IsZero() bool { return c == Change{} }
