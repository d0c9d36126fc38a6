// Command verify-receipt checks the receipt of an erasure, alone and offline:
//
//	go run ./tools/verify-receipt -key PUBLICKEY receipt.json
//	curl … | go run ./tools/verify-receipt -key install.pub -
//
// The key is the install's public key, as its desk serves it: base64, 64
// hexadecimal digits, PEM, or a file of one of these. Get it on another way than
// the receipt. Without -key the receipt is checked with the key inside it: that
// shows that nothing was changed, not who signed it.
//
// Exit status: 0 the receipt is good, 1 it is not, 2 it could not be checked.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/reuna/reuna/storage/receipt"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit statuses.
const (
	exitGood  = 0
	exitBad   = 1
	exitUsage = 2
)

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("verify-receipt", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintln(stderr, "usage: verify-receipt [-key KEY] receipt.json, or - for standard input")
		f.PrintDefaults()
	}
	keyText := f.String("key", "", "the install's public `key`: base64, hexadecimal or PEM, or a file of one")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitGood
		}
		return exitUsage
	}
	usage := func(err error) int {
		fmt.Fprintf(stderr, "verify-receipt: %v\n", err)
		return exitUsage
	}
	if f.NArg() != 1 {
		return usage(fmt.Errorf("%d arguments, expected one: the receipt's file, or - for standard input", f.NArg()))
	}
	text, err := read(f.Arg(0), stdin)
	if err != nil {
		return usage(err)
	}
	var public ed25519.PublicKey
	if *keyText != "" {
		if public, err = findKey(*keyText); err != nil {
			return usage(err)
		}
	} else if public, err = receipt.EmbeddedKey(text); err != nil {
		fmt.Fprintf(stderr, "BAD  %s: %v\n", f.Arg(0), err)
		return exitBad
	}
	e, err := receipt.VerifyErasure(public, text)
	if err != nil {
		fmt.Fprintf(stderr, "BAD  %s: %v\n", f.Arg(0), err)
		return exitBad
	}
	var out bytes.Buffer
	verdict(&out, f.Arg(0), public, *keyText != "")
	summary(&out, e)
	if _, err := stdout.Write(out.Bytes()); err != nil {
		return usage(err)
	}
	return exitGood
}

func read(path string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	// One byte more than is taken, so that a longer one is told apart.
	return io.ReadAll(io.LimitReader(in, receipt.MaxEnvelope+1))
}

// findKey reads a key, or the file that it names.
func findKey(text string) (ed25519.PublicKey, error) {
	key, err := parseKey(text)
	if err == nil {
		return key, nil
	}
	content, ferr := os.ReadFile(text)
	if errors.Is(ferr, os.ErrNotExist) || errors.Is(ferr, os.ErrInvalid) || len(text) > 255 {
		return nil, fmt.Errorf("-key: %w, and it is no file either", err)
	}
	if ferr != nil {
		return nil, fmt.Errorf("-key: %w", ferr)
	}
	if key, err = parseKey(string(content)); err != nil {
		return nil, fmt.Errorf("-key: file %s: %w", text, err)
	}
	return key, nil
}

func parseKey(text string) (ed25519.PublicKey, error) {
	text = strings.TrimSpace(text)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		if block.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("PEM holds a %s, expected a PUBLIC KEY", block.Type)
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("PEM: %w", err)
		}
		key, ok := parsed.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("PEM holds a %T, expected an Ed25519 key", parsed)
		}
		return key, nil
	}
	if b, err := hex.DecodeString(text); err == nil && len(b) == ed25519.PublicKeySize {
		return b, nil
	}
	for _, base := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := base.DecodeString(text); err == nil && len(b) == ed25519.PublicKeySize {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%d characters are no public key: expected 32 bytes as base64 (44 characters) or hexadecimal (64), or PEM", len(text))
}

func verdict(w io.Writer, name string, public ed25519.PublicKey, known bool) {
	if known {
		fmt.Fprintf(w, "GOOD  %s: signed by the key that you gave, %s\n\n", name, receipt.KeyID(public))
		return
	}
	fmt.Fprintf(w, `GOOD  %s: unchanged since it was signed

No key was given, so it was checked with the key inside it. That proves that nothing was changed, and not who signed it.
Compare this key with the one that the install's desk shows, or give that one with -key:
  id   %s
  key  %s

`, name, receipt.KeyID(public), base64.StdEncoding.EncodeToString(public))
}

func summary(w io.Writer, e receipt.Erasure) {
	at := func(t time.Time) string { return t.Format("2006-01-02 15:04:05.000 MST") }
	fmt.Fprintf(w, "Erasure %q of install %s\n", e.ID, e.Install)
	line := func(name string, value any) { fmt.Fprintf(w, "  %-24s %v\n", name, value) }
	line("requested", at(e.Requested))
	line("decided", fmt.Sprintf("%s, entry %d of log %s", at(e.Decided), e.Seq, e.Origin))
	line("completed", at(e.Completed))
	if e.Completed.Before(e.Decided) || e.Decided.Before(e.Requested) {
		line("", "these times are not in order: the install's clock was set back meanwhile")
	}
	line("view", e.View)
	if e.Reason != "" {
		line("reason", fmt.Sprintf("%q", e.Reason)) // quoted: it is free text
	}
	fmt.Fprintln(w, "Erased")
	line("facets", e.Facets)
	line("events", e.Events)
	line("sessions", e.Sessions)
	line("refused messages", e.Refused)
	line("evidence records", e.EvidenceRecords)
	line("history chunks", e.HistoryChunks)
	line("log entries overwritten", e.LogEntriesBlanked)
	fmt.Fprintln(w, "How")
	line("keys destroyed", e.KeysDestroyed)
	line("key groups rewritten", e.GroupsRewritten)
	line("key ranges compacted", e.CompactedRanges)
	line("tombstones kept", e.Tombstones)
	fmt.Fprintf(w, "Identifiers, as keyed hashes (%d)\n", len(e.Identifiers))
	for _, id := range e.Identifiers {
		fmt.Fprintf(w, "  %s\n", id)
	}
}
