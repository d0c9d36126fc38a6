// Package tag builds the browser tag: one script for each site, made of only
// the modules that the site's settings enable.
//
// The TypeScript sources are embedded in the program, and esbuild is a library,
// so a gateway builds its sites' tags at start with nothing installed. Build
// takes some milliseconds; its results are for keeping.
package tag

import (
	"crypto/sha256"
	"crypto/sha512"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"path"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// Version is what the tag calls itself in context.library.
const Version = "0.1.0"

//go:embed src/*.ts
var sources embed.FS

//go:embed types/reuna.d.ts
var types string

// Types is the TypeScript declaration of what the tag puts into the page and of
// what the module (Bundle.ESM) exports, generic in the site's events.
func Types() string { return types }

// Bundle is a built tag.
type Bundle struct {
	JS []byte // the script: an IIFE for ES2020, minified, UTF-8
	// ESM is the same as a module, for bundlers and for import(): it exports
	// reuna, also as its default. Where there is no window, such as on a server
	// that renders pages, every call on it does nothing.
	ESM  []byte
	Hash string // the first 16 hexadecimal digits of the script's SHA-256
	SRI  string // "sha384-…", for the integrity attribute
	Stub string // the inline script, without its <script> element
}

// Build makes the tag for one site.
func Build(o Options) (Bundle, error) {
	o, err := o.complete()
	if err != nil {
		return Bundle{}, err
	}
	js, err := script(o, api.FormatIIFE)
	if err != nil {
		return Bundle{}, err
	}
	esm, err := script(o, api.FormatESModule)
	if err != nil {
		return Bundle{}, err
	}
	stub, err := stub(o)
	if err != nil {
		return Bundle{}, err
	}
	short, long := sha256.Sum256(js), sha512.Sum384(js)
	return Bundle{
		JS:   js,
		ESM:  esm,
		Hash: hex.EncodeToString(short[:8]),
		SRI:  "sha384-" + base64.StdEncoding.EncodeToString(long[:]),
		Stub: stub,
	}, nil
}

// Snippet is the HTML to paste into a page's head. src is the tag's address as
// the page sees it.
func (b Bundle) Snippet(src string) string {
	return "<script>" + b.Stub + "</script>\n" +
		`<script async fetchpriority="high" src="` + html.EscapeString(src) + `"></script>`
}

// entry is the bundle's first module. It imports the enabled modules by name:
// a module that is looked up through an object would not be shaken out.
//
// The first argument of start is where the script came from. A bundler may put
// anything into import.meta.url; what is no address of the web is the page's own.
func entry(o Options, format api.Format) string {
	names := o.modules()
	var b strings.Builder
	b.WriteString("import { start } from \"./core.ts\";\n")
	for _, name := range names {
		fmt.Fprintf(&b, "import { %s } from \"./%s.ts\";\n", name, name)
	}
	modules := strings.Join(names, ", ")
	if format == api.FormatIIFE {
		fmt.Fprintf(&b, "start(document.currentScript?.src || location.href, %s);\n", modules)
		return b.String()
	}
	fmt.Fprintf(&b, `export const reuna = typeof window == "undefined"
	? new Proxy({}, { get: (_, name) => (name == "then" ? undefined : () => {}) })
	: start(/^http/.test(import.meta.url) ? import.meta.url : location.href, %s);
export default reuna;
`, modules)
	return b.String()
}

// joined is all modules of one script in one.
func joined(o Options, format api.Format) ([]byte, error) {
	result := api.Build(api.BuildOptions{
		Stdin:             &api.StdinOptions{Contents: entry(o, format), Sourcefile: "entry.ts", Loader: api.LoaderTS},
		Bundle:            true,
		Format:            format,
		Platform:          api.PlatformBrowser,
		Target:            api.ES2020,
		Charset:           api.CharsetUTF8,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		TsconfigRaw:       "{}",
		// A property whose name ends in "_" never leaves the tag, and needs no long name.
		MangleProps: `_$`,
		Define:      o.constants(),
		LogLevel:    api.LogLevelSilent,
		Plugins:     []api.Plugin{embedded()},
	})
	if err := failure(result.Errors); err != nil {
		return nil, fmt.Errorf("tag: building %s: %w", o.WriteKey, err)
	}
	return result.OutputFiles[0].Contents, nil
}

// script is the site's tag in one of its forms.
func script(o Options, format api.Format) ([]byte, error) {
	code, err := joined(o, format)
	if err != nil {
		return nil, err
	}
	return smaller(code, o, format)
}

// smaller makes a script of a bundle, whose modules were each minified alone.
func smaller(bundle []byte, o Options, format api.Format) ([]byte, error) {
	code := bundle
	var err error
	if format == api.FormatIIFE { // a module's users minify it themselves
		if code, err = inlined(code); err != nil {
			return nil, fmt.Errorf("tag: joining the modules of %s: %w", o.WriteKey, err)
		}
	}
	result := api.Transform(string(code), minified(o))
	if err := failure(result.Errors); err != nil {
		return nil, fmt.Errorf("tag: joining the modules of %s: %w", o.WriteKey, err)
	}
	if code, err = renamed(result.Code); err != nil {
		return nil, fmt.Errorf("tag: renaming the variables of %s: %w", o.WriteKey, err)
	}
	return code, nil
}

// minified are the settings of a single script.
func minified(o Options) api.TransformOptions {
	return api.TransformOptions{
		Loader:            api.LoaderTS,
		Target:            api.ES2020,
		Charset:           api.CharsetUTF8,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		TsconfigRaw:       "{}",
		Define:            map[string]string{"GLOBAL": quote(o.Global), "KEY": quote("reuna." + o.WriteKey)},
		LogLevel:          api.LogLevelSilent,
	}
}

func stub(o Options) (string, error) {
	source, err := sources.ReadFile("src/stub.ts")
	if err != nil {
		return "", fmt.Errorf("tag: reading the stub: %w", err)
	}
	result := api.Transform(string(source), minified(o))
	if err := failure(result.Errors); err != nil {
		return "", fmt.Errorf("tag: building the stub of %s: %w", o.WriteKey, err)
	}
	return strings.TrimSpace(string(result.Code)), nil
}

// embedded lets esbuild read the sources from the program instead of a disk.
func embedded() api.Plugin {
	const space = "reuna"
	return api.Plugin{Name: space, Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `^\./`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			return api.OnResolveResult{Path: path.Join("src", a.Path), Namespace: space}, nil
		})
		b.OnLoad(api.OnLoadOptions{Filter: `.`, Namespace: space}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
			text, err := sources.ReadFile(a.Path)
			if err != nil {
				return api.OnLoadResult{}, err
			}
			contents := string(text)
			return api.OnLoadResult{Contents: &contents, Loader: api.LoaderTS}, nil
		})
	}}
}

// failure joins esbuild's messages into one error.
func failure(messages []api.Message) error {
	if len(messages) == 0 {
		return nil
	}
	lines := make([]string, len(messages))
	for i, m := range messages {
		lines[i] = m.Text
		if l := m.Location; l != nil {
			lines[i] = fmt.Sprintf("%s:%d:%d: %s", l.File, l.Line, l.Column, m.Text)
		}
	}
	return fmt.Errorf("esbuild: %s", strings.Join(lines, "; "))
}
