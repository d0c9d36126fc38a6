package collect

import (
	_ "embed"

	"github.com/valyala/fasthttp"
)

// openAPI describes every route of the site listener. A test holds it against
// the routes and their answers.
//
//go:embed openapi.yaml
var openAPI []byte

const pathOpenAPI = "/openapi.yaml"

// OpenAPI answers GET and HEAD of /openapi.yaml with the site listener's OpenAPI
// 3.1 document. It is one of a Server's Extra handlers: the document also
// describes the tags, which another package serves.
func OpenAPI(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.SetBytesK(headerNosniff, "nosniff")
	if path := ctx.Request.URI().PathOriginal(); string(path) != pathOpenAPI {
		refuseDocument(ctx, notFound(path))
		return
	}
	if !ctx.IsGet() && !ctx.IsHead() {
		f := fail(fasthttp.StatusMethodNotAllowed, "method_not_allowed", "this document is read with GET or HEAD")
		f.allow = fasthttp.MethodGet + ", " + fasthttp.MethodHead
		refuseDocument(ctx, f)
		return
	}
	h.SetBytesK(headerCacheControl, "public, max-age=3600")
	ctx.SetContentType("application/yaml")
	ctx.Response.SetBodyRaw(openAPI) // nobody writes to it
}

func refuseDocument(ctx *fasthttp.RequestCtx, f *failure) {
	h := &ctx.Response.Header
	h.SetBytesK(headerCacheControl, "no-store, private")
	if f.allow != "" {
		h.Set(fasthttp.HeaderAllow, f.allow)
	}
	ctx.SetStatusCode(f.status)
	ctx.SetContentType(jsonType)
	ctx.SetBody(f.append(nil))
}
