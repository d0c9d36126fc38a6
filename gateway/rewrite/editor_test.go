package rewrite

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

const (
	stubText = `window.reuna=[]`
	tagPath  = "/tag/wk_shop.js"
	stubTag  = "<script>" + stubText + "</script>"
	srcTag   = `<script async fetchpriority="high" src="` + tagPath + `"></script>`
	both     = stubTag + srcTag
)

func shopPage() *Page {
	return &Page{Stub: stubText, Src: tagPath, Personal: true, Segments: "a b", Variants: map[string]string{"hero": "red", "foot": "blue"}}
}

// edit rewrites a page that comes in pieces of the given sizes, over and over.
// The second result is what stands there without what was put in.
func edit(page *Page, in string, sizes ...int) (out, bare string) {
	e := &editor{page: page, origin: "https://shop.example", sized: true}
	var added [][2]int
	e.added = func(from, to int) { added = append(added, [2]int{from, to}) }
	s := &scanner{e: e}
	for i := 0; len(in) > 0; i++ {
		n := len(in)
		if len(sizes) > 0 {
			n = min(n, sizes[i%len(sizes)])
		}
		s.write([]byte(in[:n]))
		in = in[n:]
	}
	s.close()
	e.release()
	var b strings.Builder
	at := 0
	for _, x := range added {
		b.Write(e.out[at:x[0]])
		at = x[1]
	}
	b.Write(e.out[at:])
	return string(e.out), b.String()
}

func TestEdits(t *testing.T) {
	slot := func(tag, shown, text string) string {
		return `<` + tag + ` data-reuna-slot="hero"` + shown + `>` + text + `</` + tag + `>`
	}
	const red = `<template data-reuna-variant="red"><b>red</b></template>`
	for name, c := range map[string]struct{ in, out string }{
		"usual head":      {`<!doctype html><html lang=en><head><meta charset=utf-8><title>T</title><link rel=stylesheet href=x></head><body>B`, `<!doctype html><html lang=en data-reuna-segments="a b"><head><meta charset=utf-8><title>T</title>` + both + `<link rel=stylesheet href=x></head><body>B`},
		"empty head":      {`<html><head></head><body>`, `<html data-reuna-segments="a b"><head>` + both + `</head><body>`},
		"no head":         {`<title>T</title><p>B`, `<title>T</title>` + both + `<p>B`},
		"upper case":      {`<HTML><HEAD><SCRIPT>1</SCRIPT>`, `<HTML data-reuna-segments="a b"><HEAD>` + both + `<SCRIPT>1</SCRIPT>`},
		"own segments":    {`<html data-reuna-segments=x><body>`, `<html data-reuna-segments=x>` + both + `<body>`},
		"blunt html":      {`<html a=><body>`, `<html a=>` + both + `<body>`},
		"base elsewhere":  {`<base href="https://cdn.example/"><body>`, `<base href="https://cdn.example/">` + stubTag + strings.Replace(srcTag, tagPath, "https://shop.example"+tagPath, 1) + `<body>`},
		"no tag":          {`just text, 1 < 2`, `just text, 1 < 2`},
		"comment":         {`<!-- <body> --><body>`, `<!-- <body> -->` + both + `<body>`},
		"odd comments":    {`<!--><!---><!--a--!><!x><?y></ z></><!----!><body>`, `<!--><!---><!--a--!><!x><?y></ z></><!----!>` + both + `<body>`},
		"title is text":   {`<title><body></title><body>`, `<title><body></title>` + both + `<body>`},
		"UTF-16":          {"\xff\xfe<\x00b\x00", "\xff\xfe<\x00b\x00"},
		"other encoding":  {`<meta charset=iso-2022-jp><body>` + slot("div", "", red), `<meta charset=iso-2022-jp><body>` + slot("div", "", red)},
		"latin":           {`<meta charset=windows-1252><body>`, `<meta charset=windows-1252>` + both + `<body>`},
		"shown":           {slot("div", "", "old"+red), both + slot("div", ` data-reuna-shown="red"`, `<b>red</b><template data-reuna-default>old`+red+`</template>`)},
		"empty variant":   {slot("div", "", `old<template data-reuna-variant=red></template>`), both + slot("div", ` data-reuna-shown="red"`, `<template data-reuna-default>old<template data-reuna-variant=red></template></template>`)},
		"shown, upper":    {`<DIV DATA-REUNA-SLOT=hero>old<TEMPLATE data-reuna-variant='red'>R</TEMPLATE></DIV>`, both + `<DIV DATA-REUNA-SLOT=hero data-reuna-shown="red">R<template data-reuna-default>old<TEMPLATE data-reuna-variant='red'>R</TEMPLATE></template></DIV>`},
		"custom element":  {slot("my-hero", "", red), both + slot("my-hero", ` data-reuna-shown="red"`, `<b>red</b><template data-reuna-default>`+red+`</template>`)},
		"loose lists":     {slot("div", "", `<ul><li>1<li>2</ul><p>3</p>`+red), both + slot("div", ` data-reuna-shown="red"`, `<b>red</b><template data-reuna-default><ul><li>1<li>2</ul><p>3</p>`+red+`</template>`)},
		"drawing":         {slot("div", "", `<svg><title>x</title><path/></svg>`+red), both + slot("div", ` data-reuna-shown="red"`, `<b>red</b><template data-reuna-default><svg><title>x</title><path/></svg>`+red+`</template>`)},
		"other variant":   {slot("div", "", `old<template data-reuna-variant=green>g</template>`), both + slot("div", "", `old<template data-reuna-variant=green>g</template>`)},
		"not decided":     {`<div data-reuna-slot=side>` + red + `</div>`, both + `<div data-reuna-slot=side>` + red + `</div>`},
		"shown already":   {slot("div", " data-reuna-shown=x", red), both + slot("div", " data-reuna-shown=x", red)},
		"never closed":    {`<div data-reuna-slot=hero>` + red + `<p>rest`, both + `<div data-reuna-slot=hero>` + red + `<p>rest`},
		"closed by other": {`<section><div data-reuna-slot=hero>` + red + `</section></div>`, both + `<section><div data-reuna-slot=hero>` + red + `</section></div>`},
		"script in slot":  {slot("div", "", `<script>1</script>`+red), both + slot("div", "", `<script>1</script>`+red)},
		"list item":       {slot("li", "", red), both + slot("li", "", red)},
		"block in inline": {slot("span", "", `<template data-reuna-variant=red><p>x</p></template>`), both + slot("span", "", `<template data-reuna-variant=red><p>x</p></template>`)},
		"in a template":   {`<template>` + slot("div", "", red) + `</template>`, both + `<template>` + slot("div", "", red) + `</template>`},
		"in a script":     {`<script>"<div data-reuna-slot=hero>` + red + `</div>"</script>`, both + `<script>"<div data-reuna-slot=hero>` + red + `</div>"</script>`},
		"in a comment":    {`<p><!--` + slot("div", "", red) + `-->`, both + `<p><!--` + slot("div", "", red) + `-->`},
		"in a textarea":   {`<textarea>` + slot("div", "", red) + `</textarea>`, both + `<textarea>` + slot("div", "", red) + `</textarea>`},
		"escaped script":  {`<script><!--<script></script>` + slot("div", "", red) + `--></script>`, both + `<script><!--<script></script>` + slot("div", "", red) + `--></script>`},
		"CDATA":           {`<svg><![CDATA[ > ` + slot("div", "", red), both + `<svg><![CDATA[ > ` + slot("div", "", red)},
		"nested": {`<div data-reuna-slot=hero>a<div data-reuna-slot=foot>b<template data-reuna-variant=blue>B</template></div>` + red + `</div>`,
			both + `<div data-reuna-slot=hero data-reuna-shown="red"><b>red</b><template data-reuna-default>a<div data-reuna-slot=foot>b<template data-reuna-variant=blue>B</template></div>` + red + `</template></div>`},
		"two": {slot("div", "", red) + `-<p data-reuna-slot=foot><template data-reuna-variant=blue>B</template></p>`,
			both + slot("div", ` data-reuna-shown="red"`, `<b>red</b><template data-reuna-default>`+red+`</template>`) + `-<p data-reuna-slot=foot data-reuna-shown="blue">B<template data-reuna-default><template data-reuna-variant=blue>B</template></template></p>`},
		"too big": {slot("div", "", strings.Repeat("x", maxSlot)+red), both + slot("div", "", strings.Repeat("x", maxSlot)+red)},
	} {
		if out, bare := edit(shopPage(), c.in); out != c.out || bare != c.in {
			t.Errorf("%s:\n got %.600s\nwant %.600s", name, out, c.out)
		}
	}
}

// Before the encoding is known nothing is put where a browser looks for it.
func TestTheEncodingStaysWhereItIsLookedFor(t *testing.T) {
	in := `<title>T</title><link href=x><meta charset=utf-8><link href=y></head>`
	e := &editor{page: shopPage()}
	s := &scanner{e: e}
	s.write([]byte(in))
	if want := `<title>T</title><link href=x><meta charset=utf-8>` + both + `<link href=y></head>`; string(e.out) != want {
		t.Errorf("got %s", e.out)
	}
	e = &editor{page: shopPage()}
	s = &scanner{e: e}
	pad := "<!--" + strings.Repeat("x", prescan) + "-->"
	s.write([]byte(pad + "<link href=x>"))
	if want := pad + both + "<link href=x>"; string(e.out) != want {
		t.Errorf("behind the first %d bytes: %s", prescan, e.out[len(pad):])
	}
}

// words are what random pages are made of: enough of each kind to hit what is
// odd about HTML.
var words = strings.Fields(`<div <div <span <p <section <ul <li <table <tr <td <b <a <h1 <svg <math <path/> <title <style <script <textarea <template <template
	</div> </div> </span> </p> </section> </ul> </li> </table> </tr> </td> </b> </a> </h1> </svg> </math> </title> </style> </script> </textarea> </template> </template> </DIV>
	data-reuna-slot=hero data-reuna-slot="hero" data-reuna-slot='foot' data-reuna-variant=red data-reuna-variant="red" data-reuna-variant=blue data-reuna-shown=x class="a>b" x=' y=" = > > > > > > /> / text &amp; < <! <!-- --> --!> <!--> <![CDATA[ ]]> <? <html <head> </head> <body </html> <!doctype <meta charset=utf-8 <base href=/ <img <br> <noscript </noscript> <form </form> <button <select <option <foreignObject </foreignObject> <plaintext`)

func randomPage(r *rand.Rand) string {
	var b strings.Builder
	slot := []string{`<div data-reuna-slot=hero>`, `<span data-reuna-slot="foot">`, `<template data-reuna-variant=red>R</template>`, `<template data-reuna-variant=blue><i>B</i></template>`, `</div>`, `</span>`}
	for range r.IntN(40) {
		if r.IntN(5) < 3 {
			b.WriteString(slot[r.IntN(len(slot))])
			continue
		}
		b.WriteString(words[r.IntN(len(words))])
		if r.IntN(2) == 0 {
			b.WriteByte(" \n>"[r.IntN(3)])
		}
	}
	return b.String()
}

// held checks what holds of every page, and gives what it became.
func held(t *testing.T, in string, sizes ...int) string {
	t.Helper()
	out, bare := edit(shopPage(), in)
	if bare != in {
		t.Fatalf("without what was put in it is another page\n in %q\nout %q", in, out)
	}
	for _, cut := range [][]int{{1}, {2, 1}, sizes} {
		if again, _ := edit(shopPage(), in, cut...); again != out {
			t.Fatalf("in pieces of %v it becomes another page\n in %q\nout %q\nnow %q", cut, in, out, again)
		}
	}
	return out
}

func TestRandomPages(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	shown := 0
	for range 4_000 {
		in := randomPage(r)
		out := held(t, in, 1+r.IntN(9), 1+r.IntN(40))
		if strings.Contains(out, `data-reuna-shown="`) {
			shown++
		}
		sameTree(t, in, out)
	}
	if t.Logf("%d pages show a variant", shown); shown < 60 {
		t.Errorf("only %d pages show a variant: the test looks at nothing", shown)
	}
}

// sameTree holds what a browser makes of the new page against what it made of
// the old one: with the slots put back and our scripts taken out the two are
// the same, and each slot shows a copy of its template.
func sameTree(t *testing.T, in, out string) {
	t.Helper()
	was, is := tree(t, in), tree(t, out)
	restore(t, in, is)
	if a, b := render(was), render(is); a != b {
		t.Fatalf("a browser sees another page\n  in %q\n out %q\n was %s\n  is %s", in, out, a, b)
	}
}

func tree(t *testing.T, text string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// render writes a tree so that equal texts are equal trees, but for where one
// text is two nodes.
func render(n *html.Node) string {
	var b strings.Builder
	if n.Type == html.TextNode {
		return n.Data
	}
	fmt.Fprintf(&b, "<%d %s %s %v>", n.Type, n.Namespace, n.Data, n.Attr)
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(render(c))
	}
	return b.String() + "</>"
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func drop(n *html.Node, name string) {
	for i, a := range n.Attr {
		if a.Key == name {
			n.Attr = append(n.Attr[:i:i], n.Attr[i+1:]...)
			return
		}
	}
}

// restore undoes, in the parsed page, what the tag undoes in a browser.
func restore(t *testing.T, in string, n *html.Node) {
	t.Helper()
	for c, next := n.FirstChild, (*html.Node)(nil); c != nil; c = next {
		next = c.NextSibling
		if c.Type != html.ElementNode {
			continue
		}
		src, _ := attr(c, "src")
		if c.Data == "script" && (strings.HasSuffix(src, tagPath) || c.FirstChild != nil && c.FirstChild.Data == stubText) {
			n.RemoveChild(c)
			continue
		}
		if v, _ := attr(c, "data-reuna-segments"); c.Data == "html" && v == "a b" {
			drop(c, "data-reuna-segments")
		}
		shown, _ := attr(c, "data-reuna-shown")
		if last := c.LastChild; last != nil && (shown == "red" || shown == "blue") {
			if _, ours := attr(last, "data-reuna-default"); !ours {
				t.Fatalf("a slot shows %s and does not keep its own content: %q", shown, in)
			}
			var copied, own strings.Builder
			for x := c.FirstChild; x != last; x = c.FirstChild {
				copied.WriteString(render(x))
				c.RemoveChild(x)
			}
			c.RemoveChild(last)
			drop(c, "data-reuna-shown")
			found := false
			for x := last.FirstChild; x != nil; x = last.FirstChild {
				last.RemoveChild(x)
				c.AppendChild(x)
				if v, _ := attr(x, "data-reuna-variant"); !found && x.Data == "template" && v == shown {
					found = true
					for y := x.FirstChild; y != nil; y = y.NextSibling {
						own.WriteString(render(y))
					}
				}
			}
			if !found || copied.String() != own.String() {
				t.Fatalf("the slot shows %q, its template holds %q: %q", copied.String(), own.String(), in)
			}
			continue
		}
		restore(t, in, c)
	}
}

func FuzzEdit(f *testing.F) {
	f.Add(`<div data-reuna-slot=hero>a<template data-reuna-variant=red>b</template></div>`, uint8(3))
	f.Add(`<html><head><meta charset=utf-8></head><script><!--<script></script>--></script>`, uint8(1))
	f.Add(`<svg><style><a></style><![CDATA[>]]><title>`, uint8(2))
	f.Fuzz(func(t *testing.T, in string, n uint8) {
		sameTree(t, in, held(t, in, int(n)+1))
	})
}
