package segment

// Member is one audience that a person is in.
type Member struct {
	Audience uint32 // its id, which no other audience ever has
	Since    int64  // ms since 1970 UTC
}

// Standing is which audiences a person is in, as of a time. It is never changed
// once it is made.
type Standing struct {
	In    []Member // ascending by Audience
	Until int64    // ms; until then nothing changes by itself. rule.Never: for ever
}
