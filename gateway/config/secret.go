package config

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

const maxSecretFile = 64 << 10 // bytes; a key or a PEM block is far below

// Secret is a value that no log, error or dump may show. In a file it is the
// text itself, "env:NAME" or "file:PATH". Only Reveal gives it away.
//
// Invariant: value is empty until the reference, if there is one, was resolved.
type Secret struct {
	ref   string // "env:NAME" or "file:PATH"; not secret
	value string
}

// NewSecret holds the secret text itself; "env:" and "file:" mean nothing here.
func NewSecret(text string) Secret { return Secret{value: text} }

// readSecret takes what a file says.
func readSecret(text string) Secret {
	if strings.HasPrefix(text, "env:") || strings.HasPrefix(text, "file:") {
		return Secret{ref: text}
	}
	return Secret{value: text}
}

// Reveal is the secret text; "" when there is none or it is not resolved.
func (s Secret) Reveal() string { return s.value }

// IsZero says that nothing was given.
func (s Secret) IsZero() bool { return s.ref == "" && s.value == "" }

// pending says that the secret is named but not resolved, so nothing can be
// said about its text.
func (s Secret) pending() bool { return s.ref != "" && s.value == "" }

// String names where the secret comes from, never what it is.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return strings.TrimSpace(s.ref + " …redacted")
}

// Format answers every verb with String, so that not even %d or %#v walks into
// the fields.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue keeps the text out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the text out of JSON and of every other encoding.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// resolve fetches what the reference names. Its error tells the reference only.
func (s *Secret) resolve() error {
	switch kind, name, _ := strings.Cut(s.ref, ":"); {
	case s.ref == "":
	case name == "":
		return fmt.Errorf("saw %s without a name, expected env:NAME or file:PATH", s.ref)
	case kind == "env":
		v := os.Getenv(name)
		if v == "" {
			return fmt.Errorf("the environment variable %s is not set or empty; set it for this process", name)
		}
		s.value = v
	default:
		v, err := readSecretFile(name)
		if err != nil {
			return err
		}
		s.value = v
	}
	return nil
}

func readSecretFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("the secret's file cannot be read: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", fmt.Errorf("the secret's file cannot be read: %w", err)
	}
	if len(b) > maxSecretFile {
		return "", fmt.Errorf("the file %s is longer than %d bytes; expected a secret, perhaps with a line end", quoted(path), maxSecretFile)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if text == "" {
		return "", fmt.Errorf("the file %s is empty; expected a secret", quoted(path))
	}
	return text, nil
}

// eachSecret visits every secret of the configuration.
func (c *Config) eachSecret(visit func(path string, s *Secret)) {
	visit("master_key", &c.MasterKey)
	visit("next_master_key", &c.NextMasterKey)
	for i := range c.AdminKeys {
		visit(fmt.Sprintf("admin_keys[%d]", i), &c.AdminKeys[i])
	}
	for i := range c.Sites {
		s := &c.Sites[i]
		for j := range s.ServerKeys {
			visit(fmt.Sprintf("sites[%d].server_keys[%d]", i, j), &s.ServerKeys[j])
		}
		for j := range s.IdentityKeys {
			visit(fmt.Sprintf("sites[%d].identity_keys[%d].secret", i, j), &s.IdentityKeys[j].Secret)
			visit(fmt.Sprintf("sites[%d].identity_keys[%d].public_key", i, j), &s.IdentityKeys[j].PublicKey)
		}
	}
}

var (
	errMasterKey = errors.New("expected 32 bytes as 64 hex digits or as base64 (make one with: openssl rand -hex 32)")
	errPublicKey = errors.New("expected an Ed25519 public key: PEM, or its 32 bytes as base64")
)

// MasterKeyBytes decodes a master key's text: 32 bytes, written as 64 hex
// digits or as base64. Its error never holds the text.
func MasterKeyBytes(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if b, err := hex.DecodeString(text); err == nil && len(b) == 32 {
		return b, nil
	}
	if b := anyBase64(text); len(b) == 32 {
		return b, nil
	}
	return nil, errMasterKey
}

// Ed25519 decodes PublicKey.
func (k IdentityKey) Ed25519() (ed25519.PublicKey, error) {
	text := strings.TrimSpace(k.PublicKey.Reveal())
	if block, _ := pem.Decode([]byte(text)); block != nil {
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, errPublicKey
		}
		pub, ok := key.(ed25519.PublicKey)
		if !ok {
			return nil, errPublicKey
		}
		return pub, nil
	}
	if b := anyBase64(text); len(b) == ed25519.PublicKeySize {
		return ed25519.PublicKey(b), nil
	}
	return nil, errPublicKey
}

// anyBase64 decodes standard or URL-safe base64, padded or not; nil when it is neither.
func anyBase64(text string) []byte {
	text = strings.TrimRight(text, "=")
	if b, err := base64.RawStdEncoding.DecodeString(text); err == nil {
		return b
	}
	if b, err := base64.RawURLEncoding.DecodeString(text); err == nil {
		return b
	}
	return nil
}
