package admin

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
)

//go:embed landing.html
var landingHTML string

// landing is the page at /. It is made once but for the host's name.
type landing struct {
	page    *template.Template
	policy  string
	version string
	rows    []landingRow
}

type landingRow struct {
	Method, Path, About string
	Open                bool
}

func newLanding(version string, table []route) (l landing, err error) {
	l.version = version
	if l.page, err = template.New("landing").Parse(landingHTML); err != nil {
		return l, fmt.Errorf("admin: the page at /: %w", err)
	}
	_, rest, _ := strings.Cut(landingHTML, "<style>")
	style, _, ok := strings.Cut(rest, "</style>")
	if !ok {
		return l, fmt.Errorf("admin: the page at / has no style element")
	}
	sum := sha256.Sum256([]byte(style))
	l.policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	for i := range table {
		l.rows = append(l.rows, landingRow{table[i].method, table[i].path, table[i].about, table[i].open})
	}
	return l, nil
}

func (c *call) servePage() *failure {
	l := &c.s.page
	host := string(c.ctx.Host())
	if host == "" {
		host = c.ctx.LocalAddr().String()
	}
	var b bytes.Buffer
	if err := l.page.Execute(&b, map[string]any{"Version": l.version, "Host": host, "Rows": l.rows}); err != nil {
		return c.internal(err)
	}
	c.ctx.Response.Header.Set("Content-Security-Policy", l.policy)
	c.ctx.Response.Header.SetContentType("text/html; charset=utf-8")
	c.ctx.Response.SetBodyRaw(b.Bytes())
	return nil
}
