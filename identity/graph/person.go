package graph

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"

	"github.com/reuna/reuna/identity/id"
)

// PersonID is the public name of the person whom representative stands for:
// "p_" and 26 characters, the first 128 bits of HMAC-SHA-256(installKey,
// "type:value") in lower-case base32 (RFC 4648's alphabet, no padding). Without
// the key nobody can tell the identifier from it, nor guess one.
func PersonID(installKey []byte, representative id.ID) string {
	mac := hmac.New(sha256.New, installKey)
	mac.Write([]byte(representative.String()))
	lower := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	return "p_" + lower.EncodeToString(mac.Sum(nil)[:16])
}
