// Package rewrite is the gateway as a reverse proxy in front of a site, which
// puts the tag and the variants that were decided into the site's pages while
// they stream through.
package rewrite
