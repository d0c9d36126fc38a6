package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"testing"
)

// Chunks on disk need their dictionary byte for byte. Better words make a new
// dictionary with the next id; they never change an old one.
func TestDictionariesNeverChange(t *testing.T) {
	sums := map[uint]string{
		1: "e1b330bf3e45f811d8c1e907220c282e85a41a90775920bee5def286ff8382e1",
		2: "9ce0803412a7de44d2d78f525e6e844ce099b8e15b65435448897388292087ff",
	}
	for id := uint(1); id <= newestDictionary; id++ {
		sum := sha256.Sum256(ChunkDictionary(id))
		if got := hex.EncodeToString(sum[:]); got != sums[id] {
			t.Errorf("dictionary %d has check sum %s, chunks were written with %s", id, got, sums[id])
		}
	}
	if ChunkDictionary(0) != nil || ChunkDictionary(newestDictionary+1) != nil {
		t.Error("there is a dictionary that nobody made")
	}
}

// Every install has the dictionary, so it must not hold anybody's data.
func TestDictionaryNamesNobody(t *testing.T) {
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-|[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}[^0-9.]|[0-9]{9}`)
	address := regexp.MustCompile(`[\w.+-]+@[\w.-]+`)
	for n := uint(1); n <= newestDictionary; n++ {
		text := string(ChunkDictionary(n))
		for _, found := range id.FindAllString(text, -1) {
			// Chromium's reduced versions look like addresses: 142.0.0.0.
			if !strings.Contains(found, ".0.0.0") && !strings.HasPrefix(found, "141.0.7390.") {
				t.Errorf("dictionary %d holds an id or address: %q", n, found)
			}
		}
		for _, found := range address.FindAllString(text, -1) {
			if _, err := mail.ParseAddress(found); err == nil {
				t.Errorf("dictionary %d holds a mail address: %q", n, found)
			}
		}
	}
}

func TestExpandDictionary(t *testing.T) {
	if got := expandDictionary("# a heading\nab\\x00\\\\c\\x1f\n#é\n# another"); string(got) != "ab\x00\\c\x1f#é" {
		t.Errorf("%q", got)
	}
	for _, text := range []string{`\`, `\n`, `\x1`, `\xgg`} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, "is no escape") {
					t.Errorf("%q: %s", text, p)
				}
			}()
			expandDictionary(text)
		}()
	}
}

// What the dictionary is for: an event alone in its chunk.
func TestDictionaryHelpsAShortChunk(t *testing.T) {
	var b ChunkBuilder
	b.Add(1, 1_700_000_000_000, 1_700_000_000_000, []byte(`{"path":"/pricing","referrer":"https://www.google.com/","search":"","title":"Pricing"}`+"\x07desktop\x07Windows\x0210\x06Chrome"))
	c := newChunkCodec(t)
	value := c.Encode(nil, &b, openSealer{}, nil)
	if h, n, err := ParseChunkHeader(value, 1); err != nil || h.Packing != PackedZstd+newestDictionary || len(value)-n > b.Len()*2/3 {
		t.Errorf("%d bytes became %d, packing %d, %v", b.Len(), len(value)-n, h.Packing, err)
	}
	if bytes.Contains(value, []byte("referrer")) {
		t.Error("the dictionary was not used")
	}
}
