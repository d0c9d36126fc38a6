package pageurl

// Text takes e-mail addresses, JSON Web Tokens, card and account numbers out of
// a text that is no address, and, of the addresses in it, the values of
// parameters that are secrets: out of titles and search terms, and out of messages
// that nobody could read, in whose JSON an @ may be escaped. A text that needs no
// change comes back as it is, without an allocation.
func Text(s string) string {
	var none Cleaner
	return none.clean(s, asText, nil)
}
