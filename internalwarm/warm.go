package warm
import (
 _ "github.com/valyala/fasthttp"
 _ "github.com/cockroachdb/pebble/v2"
 _ "github.com/oschwald/geoip2-golang/v2"
 _ "github.com/mssola/useragent"
 _ "github.com/evanw/esbuild/pkg/api"
 _ "github.com/goccy/go-yaml"
 _ "github.com/google/cel-go/cel"
 _ "github.com/klauspost/compress/zstd"
 _ "github.com/andybalholm/brotli"
 _ "github.com/chromedp/chromedp"
 _ "github.com/HdrHistogram/hdrhistogram-go"
 _ "golang.org/x/net/idna"
 _ "golang.org/x/net/publicsuffix"
 _ "github.com/cockroachdb/datadriven"
 _ "github.com/VictoriaMetrics/metrics"
)
