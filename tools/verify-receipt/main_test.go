package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/storage/receipt"
)

func key(b byte) (ed25519.PrivateKey, ed25519.PublicKey) {
	k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32))
	return k, k.Public().(ed25519.PublicKey)
}

func signed(t *testing.T, seed byte) []byte {
	t.Helper()
	k, _ := key(seed)
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	text, err := receipt.SignErasure(k, receipt.Erasure{
		ID: "er_7", Origin: strings.Repeat("0f", 16), Seq: 812, Requested: at, Decided: at.Add(time.Second), Completed: at.Add(time.Minute),
		View: "all", Identifiers: []string{strings.Repeat("ab", 16)}, Facets: 3, Events: 24011, KeysDestroyed: 5, Reason: "ticket\x1b[31m 7",
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pemOf(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestRun(t *testing.T) {
	_, public := key(1)
	good, b64 := write(t, "receipt.json", signed(t, 1)), base64.StdEncoding.EncodeToString(public)
	foreign := write(t, "foreign.json", signed(t, 2))
	changed := write(t, "changed.json", bytes.Replace(signed(t, 1), []byte("vnd.reuna"), []byte("vnd.other"), 1))
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		stdin  string
		status int
		out    string // one or more parts, "…" between
		err    string
	}{
		{"base64", []string{"-key", b64, good}, "", 0, `signed by the key that you gave, 34750f98bd59fcfc…Erasure "er_7" of install 34750f98bd59fcfc…2026-03-01 09:00:01.000 UTC, entry 812 of log 0f0f…reason                   "ticket\x1b[31m 7"…events                   24011…abab`, ""},
		{"URL-safe base64", []string{"-key", base64.RawURLEncoding.EncodeToString(public), good}, "", 0, "GOOD", ""},
		{"hexadecimal", []string{"-key", hex.EncodeToString(public), good}, "", 0, "GOOD", ""},
		{"PEM", []string{"-key", pemOf(t, public), good}, "", 0, "GOOD", ""},
		{"a file of PEM", []string{"-key", write(t, "k.pem", []byte(pemOf(t, public))), good}, "", 0, "GOOD", ""},
		{"a file of base64", []string{"-key", write(t, "k", []byte(b64+"\n")), good}, "", 0, "GOOD", ""},
		{"standard input", []string{"-key", b64, "-"}, string(signed(t, 1)), 0, "GOOD", ""},
		{"no key", []string{good}, "", 0, "unchanged since it was signed…not who signed it…34750f98bd59fcfc…" + b64, ""},
		{"no key, another install", []string{foreign}, "", 0, "not who signed it", ""},
		{"another install", []string{"-key", b64, foreign}, "", 1, "", `signed by key "6a3803d5f059902a", expected 34750f98bd59fcfc`},
		{"changed", []string{"-key", b64, changed}, "", 1, "", "changed after signing"},
		{"changed, no key", []string{changed}, "", 1, "", "changed after signing"},
		{"no receipt", []string{"-"}, "hello", 1, "", "expected JSON"},
		{"nothing", []string{"-key", b64, "-"}, "", 1, "", "expected JSON"},
		{"no file", []string{"-key", b64, good + ".no"}, "", 2, "", "no such file"},
		{"no argument", nil, "", 2, "", "0 arguments, expected one"},
		{"two arguments", []string{good, good}, "", 2, "", "2 arguments, expected one"},
		{"unknown flag", []string{"-x", good}, "", 2, "", "usage:"},
		{"help", []string{"-help"}, "", 0, "", "usage:"},
		{"no key at all", []string{"-key", "abc", good}, "", 2, "", "3 characters are no public key: expected 32 bytes"},
		{"a file of no key", []string{"-key", good, good}, "", 2, "", "characters are no public key"},
		{"a private key", []string{"-key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})), good}, "", 2, "", "expected a PUBLIC KEY"},
		{"another kind of key", []string{"-key", pemOf(t, &curve.PublicKey), good}, "", 2, "", "expected an Ed25519 key"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(c.args, strings.NewReader(c.stdin), &stdout, &stderr)
		rest, ok := stdout.String(), true
		for _, part := range strings.Split(c.out, "…") {
			_, after, found := strings.Cut(rest, part)
			rest, ok = after, ok && found
		}
		if status != c.status || !ok || c.out == "" && stdout.Len() > 0 || !strings.Contains(stderr.String(), c.err) || c.err == "" && stderr.Len() > 0 {
			t.Errorf("%s: status %d, wanted %d\n%s\n%s", c.name, status, c.status, stdout.String(), stderr.String())
		}
		if strings.ContainsRune(stdout.String(), 0x1b) {
			t.Errorf("%s: a control character reaches the terminal", c.name)
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// A verdict that nobody could read is not a good one.
func TestOutputThatFails(t *testing.T) {
	var stderr bytes.Buffer
	if status := run([]string{"-"}, bytes.NewReader(signed(t, 1)), brokenPipe{}, &stderr); status != exitUsage || !strings.Contains(stderr.String(), "broken pipe") {
		t.Error(status, stderr.String())
	}
}

func FuzzParseKey(f *testing.F) {
	_, public := key(1)
	f.Add(base64.StdEncoding.EncodeToString(public))
	f.Add(hex.EncodeToString(public))
	f.Add("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAiojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=\n-----END PUBLIC KEY-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseKey(text)
		if (err == nil) != (len(k) == ed25519.PublicKeySize) {
			t.Errorf("a key of %d bytes, %v", len(k), err)
		}
	})
}
