// Package id names people and devices: identifier types, how their values are
// normalised, and which values never identify anyone.
package id

import (
	"cmp"
	"strings"
)

// ID is one identifier after normalising: a type and a value.
// The zero ID names nobody.
type ID struct {
	Type  string // "user_id", "anonymous_id", "email", "phone" or a type of the config
	Value string
}

// Types every install has.
const (
	UserID      = "user_id"
	AnonymousID = "anonymous_id"
	Email       = "email"
	Phone       = "phone"
)

// String is the identifier's canonical text, "type:value". Evidence with equal
// times is ordered by these texts, so the form is part of the rules.
func (x ID) String() string { return x.Type + ":" + x.Value }

// Less orders identifiers by their canonical texts.
func (x ID) Less(y ID) bool { return Compare(x, y) < 0 }

// Compare orders identifiers by their canonical texts, without building them:
// -1, 0 or 1.
func Compare(x, y ID) int {
	if x.Type == y.Type {
		return strings.Compare(x.Value, y.Value)
	}
	n := min(len(x.Type), len(y.Type))
	if c := strings.Compare(x.Type[:n], y.Type[:n]); c != 0 {
		return c
	}
	// One type begins with the other, so a colon stands against a letter of the
	// longer one ("a1:" sorts before "a:", and "a:" before "a_b:").
	if len(x.Type) < len(y.Type) {
		if y.Type[n] != ':' {
			return cmp.Compare(':', y.Type[n])
		}
	} else if x.Type[n] != ':' {
		return cmp.Compare(x.Type[n], ':')
	}
	return strings.Compare(x.String(), y.String())
}

// IsZero says that x names nobody.
func (x ID) IsZero() bool { return x.Type == "" }

// Trust says who vouches for a fact. Higher is stronger.
type Trust uint8

const (
	// Claimed came from a browser that showed only the site's public write key.
	Claimed Trust = 1
	// Verified came with a valid identity token, or with a server's secret key.
	Verified Trust = 2
	// Admin was stated by an operator at the desk.
	Admin Trust = 3
)

func (t Trust) String() string {
	switch t {
	case Claimed:
		return "claimed"
	case Verified:
		return "verified"
	case Admin:
		return "admin"
	}
	return "none"
}

// View chooses whose word counts when evidence becomes clusters.
type View uint8

const (
	// VerifiedView follows verified and admin evidence only.
	VerifiedView View = iota
	// AllView follows claimed evidence too.
	AllView
)

func (v View) String() string {
	if v == VerifiedView {
		return "verified"
	}
	return "all"
}

// Reaches says whether evidence or a facet of trust t counts in view v.
func (v View) Reaches(t Trust) bool { return v == AllView || t >= Verified }
