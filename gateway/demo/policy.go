package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// contentPolicy is the Content-Security-Policy of pages that carry the snippet
// and otherwise nothing that is not the shop's own: its inline scripts are
// named by hash, and a script of another origin brings that origin along, to be
// loaded from and to be sent to.
func contentPolicy(snippet string) (string, error) {
	scripts, connects := []string{"'self'"}, []string{"'self'"}
	z := html.NewTokenizer(strings.NewReader(snippet))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			if err := z.Err(); err != io.EOF {
				return "", fmt.Errorf("read its HTML: %w", err)
			}
			break
		}
		if kind != html.StartTagToken {
			continue
		}
		token := z.Token()
		if token.Data != "script" {
			continue
		}
		src, external := "", false
		for _, a := range token.Attr {
			if a.Key == "src" {
				src, external = a.Val, true
			}
		}
		if external {
			origin, err := originOf(src)
			if err != nil {
				return "", err
			}
			if origin != "" {
				scripts, connects = append(scripts, origin), append(connects, origin)
			}
			continue
		}
		if z.Next() == html.TextToken {
			// Raw but for line ends: what a browser hashes is the text as its
			// parser read it.
			sum := sha256.Sum256(bytes.ReplaceAll(z.Raw(), []byte("\r\n"), []byte("\n")))
			scripts = append(scripts, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		}
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + strings.Join(scripts, " "),
		"connect-src " + strings.Join(connects, " "),
		"style-src 'self'",
		"img-src 'self'",
		"manifest-src 'self'",
		"form-action 'self'",
		"base-uri 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; "), nil
}

// originOf is the origin of an absolute address; "" for one of the page's own.
func originOf(src string) (string, error) {
	u, err := url.Parse(src)
	if err != nil {
		return "", fmt.Errorf("its script's address: %w", err)
	}
	if u.Host == "" {
		return "", nil
	}
	if strings.ContainsAny(u.Host, " ;,'\"") {
		return "", fmt.Errorf("its script's address has the host %q, expected a plain host name", u.Host)
	}
	if u.Scheme == "" {
		return u.Host, nil
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return "", fmt.Errorf("its script's address is %q, expected http or https", src)
	}
	return u.Scheme + "://" + u.Host, nil
}
