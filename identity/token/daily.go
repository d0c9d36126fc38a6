package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
)

// Salt keys the ids of one day's visitors who are counted without a cookie: 128
// random bits. Who has it can try out addresses and user agents against the ids
// of that day, so it is destroyed when the day ends.
type Salt [16]byte

// dailyPrefix begins the id of a visitor who is counted without a cookie.
const dailyPrefix = "c_"

// DailyID is what a visitor without a cookie is called on the salt's day: "c_"
// and 26 characters of base32 in lower case, the first 128 bits of HMAC-SHA-256
// under the salt over the site, the client's network (24 bits of IPv4, 48 of
// IPv6) and the user agent. Another day, or another site, is another id; once the
// salt is gone nothing leads from one to what it was made of.
func DailyID(salt Salt, site string, client netip.Addr, userAgent string) string {
	h := hmac.New(sha256.New, salt[:])
	b := make([]byte, 0, 64+len(site)+len(userAgent))
	for _, s := range [...]string{site, network(client).String(), userAgent} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	h.Write(b)
	sum := h.Sum(nil)
	return string(lowerBase32.AppendEncode([]byte(dailyPrefix), sum[:16]))
}
