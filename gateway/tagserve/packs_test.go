package tagserve

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
)

// TestPacksCompressOnce: servers that share packs share what is compressed, and a
// changed tag is another text.
func TestPacksCompressOnce(t *testing.T) {
	var packs Packs
	var servers [3]*Server
	var all sync.WaitGroup
	for i := range servers {
		all.Go(func() {
			key := "wk_one"
			if i == 2 {
				key = "wk_two"
			}
			var err error
			if servers[i], err = New(Options{Sites: []Site{{Name: "shop", WriteKey: key}}, Packs: &packs}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	again, err := New(Options{Sites: []Site{{Name: "shop", WriteKey: "wk_one"}}, Packs: &packs})
	if err != nil || t.Failed() {
		t.Fatal(err)
	}
	kept := len(packs.kept)
	one, other := servers[0].files["wk_one.js"], servers[2].files["wk_two.js"]
	if f := again.files["wk_one.js"]; &f.brotli[0] != &one.brotli[0] && &f.brotli[0] != &servers[1].files["wk_one.js"].brotli[0] {
		t.Error("the same tag was compressed again")
	}
	if string(one.brotli) == string(other.brotli) || string(one.gzip) == string(other.gzip) {
		t.Error("another tag has the same bytes")
	}
	if kept != 5 { // two tags, each as a module, too, and the types
		t.Errorf("%d texts are kept", kept)
	}
	for i := range mostPacks { // as if they had been compressed
		packs.kept[sha256.Sum256(fmt.Append(nil, i))] = pack{}
	}
	text := []byte("one more")
	if _, err := packs.of(sha256.Sum256(text), text); err != nil || len(packs.kept) > mostPacks {
		t.Errorf("%d texts are kept, %v", len(packs.kept), err)
	}
}
