package admin

// Row is a route as tests see it.
type Row struct {
	Method string
	Path   string
	Open   bool
	Query  []string
}

// Table is the desk's whole table.
func Table() (rows []Row) {
	for _, r := range routes() {
		rows = append(rows, Row{r.method, r.path, r.open, r.query})
	}
	return rows
}

// Match gives the route of a path as it was sent; "" for none.
func Match(method, path string) string {
	if r, _, _ := match(routes(), []byte(path), []byte(method)); r != nil {
		return r.path
	}
	return ""
}

// Document is the OpenAPI document.
func Document() []byte { return openAPI }
