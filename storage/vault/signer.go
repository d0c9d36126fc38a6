package vault

import "crypto/ed25519"

// Signer is this install's signing key, for receipts, manifests and the audit
// log's heads (Ed25519, RFC 8032). It follows from the install key, so it
// outlives every rotation of the master key. It never leaves the process.
func (v *Vault) Signer() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(v.Subkey("signing key 1"))
}

// PublicKey is what anyone needs to check a signature of Signer: 32 bytes.
func (v *Vault) PublicKey() ed25519.PublicKey {
	return v.Signer().Public().(ed25519.PublicKey)
}
