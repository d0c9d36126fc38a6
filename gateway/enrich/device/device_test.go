package device

import (
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

const (
	chromeWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	safariPhone   = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)

// Agents as browsers send them, with what uap-core calls them.
var realAgents = []struct {
	ua   string
	want event.Device
}{
	// Desktop
	{chromeWindows, event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Chrome", BrowserVersion: "126.0.0.0"}},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.87", event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Edge", BrowserVersion: "126.0.2592.87"}},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763", event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Edge", BrowserVersion: "18.17763"}},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0", event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Firefox", BrowserVersion: "127.0"}},
	{"Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko", event.Device{Type: "desktop", OS: "Windows", OSVersion: "7", Browser: "IE", BrowserVersion: "11"}},
	{"Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)", event.Device{Type: "desktop", OS: "Windows", OSVersion: "8", Browser: "IE", BrowserVersion: "10.0"}},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 OPR/110.0.0.0", event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Opera", BrowserVersion: "110.0.0.0"}},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 YaBrowser/24.4.0.0 Safari/537.36", event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Yandex Browser", BrowserVersion: "24.4.0.0"}},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 Vivaldi/6.7.3329.31", event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Vivaldi", BrowserVersion: "6.7.3329.31"}},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.38.125 Chrome/124.0.6367.207 Electron/30.0.6 Safari/537.36", event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Slack Desktop Client", BrowserVersion: "4.38.125"}},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15", event.Device{Type: "desktop", OS: "Mac OS X", OSVersion: "10.15.7", Browser: "Safari", BrowserVersion: "17.5", Vendor: "Apple"}},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", event.Device{Type: "desktop", OS: "Mac OS X", OSVersion: "10.15.7", Browser: "Chrome", BrowserVersion: "126.0.0.0", Vendor: "Apple"}},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:127.0) Gecko/20100101 Firefox/127.0", event.Device{Type: "desktop", OS: "Mac OS X", OSVersion: "10.15", Browser: "Firefox", BrowserVersion: "127.0", Vendor: "Apple"}},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15 Ddg/17.5", event.Device{Type: "desktop", OS: "Mac OS X", OSVersion: "10.15.7", Browser: "DuckDuckGo", BrowserVersion: "17.5", Vendor: "Apple"}},
	{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", event.Device{Type: "desktop", OS: "Linux", Browser: "Chrome", BrowserVersion: "126.0.0.0"}},
	{"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", event.Device{Type: "desktop", OS: "Ubuntu", Browser: "Firefox", BrowserVersion: "127.0"}},
	{"Mozilla/5.0 (X11; Fedora; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", event.Device{Type: "desktop", OS: "Fedora", Browser: "Firefox", BrowserVersion: "127.0"}},
	{"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", event.Device{Type: "desktop", OS: "Chrome OS", OSVersion: "14541.0.0", Browser: "Chrome", BrowserVersion: "126.0.0.0"}},
	{"Mozilla/5.0 (X11; FreeBSD amd64; rv:127.0) Gecko/20100101 Firefox/127.0", event.Device{Type: "desktop", OS: "FreeBSD", Browser: "Firefox", BrowserVersion: "127.0"}},
	// Phones
	{safariPhone, event.Device{Type: "mobile", OS: "iOS", OSVersion: "17.5.1", Browser: "Mobile Safari", BrowserVersion: "17.5", Vendor: "Apple", Model: "iPhone"}},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1", event.Device{Type: "mobile", OS: "iOS", OSVersion: "17.5", Browser: "Chrome Mobile iOS", BrowserVersion: "126.0.6478.54", Vendor: "Apple", Model: "iPhone"}},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/127.0 Mobile/15E148 Safari/605.1.15", event.Device{Type: "mobile", OS: "iOS", OSVersion: "17.5", Browser: "Firefox iOS", BrowserVersion: "127.0", Vendor: "Apple", Model: "iPhone"}},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 EdgiOS/126.0.2592.56 Mobile/15E148 Safari/605.1.15", event.Device{Type: "mobile", OS: "iOS", OSVersion: "17.5.1", Browser: "Edge Mobile", BrowserVersion: "126.0.2592.56", Vendor: "Apple", Model: "iPhone"}},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21F90 Instagram 336.0.0.32.90 (iPhone14,5; iOS 17_5_1; fi_FI; fi; scale=3.00; 1170x2532; 611537000)", event.Device{Type: "mobile", OS: "iOS", OSVersion: "17.5.1", Browser: "Instagram", BrowserVersion: "336.0.0.32.90", Vendor: "Apple", Model: "iPhone"}},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21F90 [FBAN/FBIOS;FBAV/469.0.0.37.107;FBBV/609;FBDV/iPhone14,5]", event.Device{Type: "mobile", OS: "iOS", OSVersion: "17.5.1", Browser: "Facebook", BrowserVersion: "469.0.0.37.107", Vendor: "Apple", Model: "iPhone"}},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/321.0.642804631 Mobile/15E148 Safari/604.1", event.Device{Type: "mobile", OS: "iOS", OSVersion: "17.5.1", Browser: "Google", BrowserVersion: "321.0.642804631", Vendor: "Apple", Model: "iPhone"}},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148", event.Device{Type: "mobile", OS: "iOS", OSVersion: "17.5.1", Browser: "Mobile Safari UI/WKWebView", Vendor: "Apple", Model: "iPhone"}},
	{"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36", event.Device{Type: "mobile", OS: "Android", OSVersion: "10", Browser: "Chrome Mobile", BrowserVersion: "126.0.0.0"}},
	{"Mozilla/5.0 (Linux; Android 14; Pixel 8 Pro) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.71 Mobile Safari/537.36", event.Device{Type: "mobile", OS: "Android", OSVersion: "14", Browser: "Chrome Mobile", BrowserVersion: "126.0.6478.71", Vendor: "Google", Model: "Pixel 8 Pro"}},
	{"Mozilla/5.0 (Linux; Android 13; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36", event.Device{Type: "mobile", OS: "Android", OSVersion: "13", Browser: "Samsung Internet", BrowserVersion: "23.0", Vendor: "Samsung", Model: "SM-S918B"}},
	{"Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0", event.Device{Type: "mobile", OS: "Android", OSVersion: "14", Browser: "Firefox Mobile", BrowserVersion: "127.0"}},
	{"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36 EdgA/126.0.0.0", event.Device{Type: "mobile", OS: "Android", OSVersion: "10", Browser: "Edge Mobile", BrowserVersion: "126.0.0.0"}},
	{"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36 OPR/82.0.0.0", event.Device{Type: "mobile", OS: "Android", OSVersion: "10", Browser: "Opera Mobile", BrowserVersion: "82.0.0.0"}},
	{"Opera/9.80 (Android; Opera Mini/36.2.2254/191.255; U; en) Presto/2.12.423 Version/12.16", event.Device{Type: "mobile", OS: "Android", Browser: "Opera Mini", BrowserVersion: "36.2.2254"}},
	{"Mozilla/5.0 (Linux; Android 12; Redmi Note 11 Build/SKQ1.211103.001; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/125.0.6422.165 Mobile Safari/537.36", event.Device{Type: "mobile", OS: "Android", OSVersion: "12", Browser: "Chrome Mobile WebView", BrowserVersion: "125.0.6422.165", Vendor: "Xiaomi", Model: "Redmi Note 11"}},
	{"Mozilla/5.0 (Linux; U; Android 13; fi-fi; 2201117TY Build/TKQ1.221114.001) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.11.0", event.Device{Type: "mobile", OS: "Android", OSVersion: "13", Browser: "MiuiBrowser", BrowserVersion: "14.11.0", Vendor: "Xiaomi", Model: "2201117TY"}},
	{"Mozilla/5.0 (Linux; Android 11; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Mobile Safari/537.36", event.Device{Type: "mobile", OS: "Android", OSVersion: "11", Browser: "Chrome Mobile", BrowserVersion: "125.0.0.0", Vendor: "Cubot", Model: "CUBOT X30"}},
	{"Mozilla/5.0 (Linux; Android 13; CPH2449 Build/TP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/125.0.6422.165 Mobile Safari/537.36 musical_ly_2023501020 BytedanceWebview/d8a21c6", event.Device{Type: "mobile", OS: "Android", OSVersion: "13", Browser: "TikTok", Vendor: "OnePlus", Model: "CPH2449"}},
	{"Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5", event.Device{Type: "mobile", OS: "KaiOS", OSVersion: "2.5", Browser: "Firefox Mobile", BrowserVersion: "48.0", Vendor: "Nokia", Model: "Nokia_8110_4G"}},
	{"Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.15063", event.Device{Type: "mobile", OS: "Windows Phone", OSVersion: "10.0", Browser: "Edge Mobile", BrowserVersion: "15.15063", Vendor: "Nokia", Model: "Lumia 950"}},
	// Tablets
	{"Mozilla/5.0 (iPad; CPU OS 12_5_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1", event.Device{Type: "tablet", OS: "iOS", OSVersion: "12.5.7", Browser: "Mobile Safari", BrowserVersion: "12.1.2", Vendor: "Apple", Model: "iPad"}},
	{"Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", event.Device{Type: "tablet", OS: "Android", OSVersion: "13", Browser: "Chrome", BrowserVersion: "126.0.0.0", Vendor: "Samsung", Model: "SM-X700"}},
	{"Mozilla/5.0 (Linux; U; Android 4.4.2; en-us; SM-T531 Build/KOT49H) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Safari/534.30", event.Device{Type: "tablet", OS: "Android", OSVersion: "4.4.2", Browser: "Android", BrowserVersion: "4.4.2", Vendor: "Samsung", Model: "SM-T531"}},
	{"Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/126.2.1 like Chrome/126.0.6478.71 Safari/537.36", event.Device{Type: "tablet", OS: "Android", OSVersion: "9", Browser: "Amazon Silk", BrowserVersion: "126.2.1", Vendor: "Amazon", Model: "KFMAWI"}},
	// Televisions and consoles
	{"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/2.2 Chrome/63.0.3239.84 TV Safari/537.36", event.Device{Type: "tv", OS: "Tizen", OSVersion: "6.0", Browser: "Samsung Internet", BrowserVersion: "2.2", Vendor: "Samsung"}},
	{"Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/79.0.3945.79 Safari/537.36 WebAppManager", event.Device{Type: "tv", OS: "webOS", Browser: "Chrome", BrowserVersion: "79.0.3945.79", Vendor: "LG"}},
	{"Mozilla/5.0 (Linux; Android 9; AFTSSS Build/PS7633.3445N) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/99.0.4844.73 Mobile Safari/537.36", event.Device{Type: "tv", OS: "Android", OSVersion: "9", Browser: "Chrome Mobile WebView", BrowserVersion: "99.0.4844.73", Vendor: "Amazon", Model: "AFTSSS"}},
	{"Mozilla/5.0 (Linux; Android 10; BRAVIA 4K UR2 Build/QTG3.200305.006) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36", event.Device{Type: "tv", OS: "Android", OSVersion: "10", Browser: "Chrome", BrowserVersion: "125.0.0.0", Vendor: "Sony", Model: "BRAVIA 4K UR2"}},
	{"Mozilla/5.0 (PlayStation; PlayStation 5/6.50) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15", event.Device{Type: "console", OS: "PlayStation", Vendor: "Sony", Model: "PlayStation 5", Browser: "Safari", BrowserVersion: "13.0"}},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/58.0.3029.110 Safari/537.36 Edge/16.16299", event.Device{Type: "console", OS: "Windows", OSVersion: "10", Vendor: "Microsoft", Model: "Xbox One", Browser: "Edge", BrowserVersion: "16.16299"}},
	{"Mozilla/5.0 (Nintendo Switch; WifiWebAuthApplet) AppleWebKit/609.4 (KHTML, like Gecko) NF/6.0.2.21.3 NintendoBrowser/5.1.0.22474", event.Device{Type: "console", OS: "Nintendo", Vendor: "Nintendo", Model: "Switch", Browser: "NetFront NX", BrowserVersion: "6.0.2.21.3"}},
	// Nothing to go by
	{"Mozilla/5.0", event.Device{Type: "other"}},
	{"x", event.Device{Type: "other"}},
}

func TestDevices(t *testing.T) {
	r := newReader(t)
	for _, c := range realAgents {
		if d := r.Read(c.ua, nil); d != c.want {
			t.Errorf("%s\n got %+v\nwant %+v", c.ua, d, c.want)
		}
	}
}

// asked is what a request brings along.
type asked struct {
	ua    string
	hints Hints
	data  event.Value
}

func TestHints(t *testing.T) {
	r := newReader(t)
	androidK := "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"
	chromeBrands := `"Not/A)Brand";v="8", "Chromium";v="126", "Google Chrome";v="126"`
	for _, c := range []struct {
		name string
		key  asked
		want event.Device
	}{
		{"Windows 11", asked{ua: chromeWindows, hints: Hints{UA: chromeBrands, Platform: `"Windows"`, PlatformVersion: `"15.0.0"`, Mobile: "?0"}},
			event.Device{Type: "desktop", OS: "Windows", OSVersion: "11", Browser: "Chrome", BrowserVersion: "126.0.0.0"}},
		{"Windows 10", asked{ua: chromeWindows, hints: Hints{UA: chromeBrands, Platform: `"Windows"`, PlatformVersion: `"10.0.0"`}},
			event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Chrome", BrowserVersion: "126.0.0.0"}},
		{"Windows 8.1", asked{ua: chromeWindows, hints: Hints{Platform: `"Windows"`, PlatformVersion: `"0.3.0"`}},
			event.Device{Type: "desktop", OS: "Windows", OSVersion: "8.1", Browser: "Chrome", BrowserVersion: "126.0.0.0"}},
		{"a real macOS version", asked{ua: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
			hints: Hints{UA: chromeBrands, Platform: `"macOS"`, PlatformVersion: `"14.5.0"`, FullVersionList: `"Google Chrome";v="126.0.6478.127", "Chromium";v="126.0.6478.127"`}},
			event.Device{Type: "desktop", OS: "Mac OS X", OSVersion: "14.5", Browser: "Chrome", BrowserVersion: "126.0.6478.127", Vendor: "Apple"}},
		{"the model behind K", asked{ua: androidK, hints: Hints{UA: chromeBrands, Mobile: "?1", Platform: `"Android"`, PlatformVersion: `"14.0.0"`, Model: `"SM-A546B"`}},
			event.Device{Type: "mobile", OS: "Android", OSVersion: "14", Browser: "Chrome Mobile", BrowserVersion: "126.0.0.0", Vendor: "Samsung", Model: "SM-A546B"}},
		{"a tablet", asked{ua: strings.Replace(androidK, "Mobile ", "", 1), hints: Hints{UA: chromeBrands, Mobile: "?0", Platform: `"Android"`, Model: `"SM-X200"`}},
			event.Device{Type: "tablet", OS: "Android", OSVersion: "10", Browser: "Chrome", BrowserVersion: "126.0.0.0", Vendor: "Samsung", Model: "SM-X200"}},
		{"Brave hides in its agent", asked{ua: chromeWindows, hints: Hints{UA: `"Brave";v="126", "Chromium";v="126", "Not/A)Brand";v="8"`, Platform: `"Windows"`}},
			event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Brave", BrowserVersion: "126"}},
		{"Chrome that says it is a desktop's", asked{ua: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
			hints: Hints{Mobile: "?1", Platform: `"Android"`, PlatformVersion: `"13.0.0"`, UA: chromeBrands}},
			event.Device{Type: "mobile", OS: "Android", OSVersion: "13", Browser: "Chrome Mobile", BrowserVersion: "126.0.0.0"}},
		{"what a script read", asked{ua: chromeWindows, data: event.Value(`{"mobile":false,"platform":"Windows","platformVersion":"15.0.0","brands":[{"brand":"Chromium","version":"126"},{"brand":"Microsoft Edge","version":"126"},{"brand":"Not.A/Brand","version":"24"}],"uaFullVersion":"126.0.2592.87"}`)},
			event.Device{Type: "desktop", OS: "Windows", OSVersion: "11", Browser: "Edge", BrowserVersion: "126.0.2592.87"}},
		// What the tag's hints get from getHighEntropyValues(["platformVersion", "fullVersionList", "model"]).
		{"the tag on Windows 11", asked{ua: chromeWindows, hints: Hints{UA: `"Google Chrome";v="126", "Chromium";v="126"`, Mobile: "?0", Platform: `"Windows"`},
			data: event.Value(`{"brands":[{"brand":"Not/A)Brand","version":"8"},{"brand":"Chromium","version":"126"},{"brand":"Google Chrome","version":"126"}],"fullVersionList":[{"brand":"Not/A)Brand","version":"8.0.0.0"},{"brand":"Chromium","version":"126.0.6478.127"},{"brand":"Google Chrome","version":"126.0.6478.127"}],"mobile":false,"model":"","platform":"Windows","platformVersion":"15.0.0"}`)},
			event.Device{Type: "desktop", OS: "Windows", OSVersion: "11", Browser: "Chrome", BrowserVersion: "126.0.6478.127"}},
		{"the tag on Windows 10", asked{ua: chromeWindows, data: event.Value(`{"fullVersionList":[{"brand":"Google Chrome","version":"126.0.6478.127"}],"mobile":false,"model":"","platform":"Windows","platformVersion":"10.0.0"}`)},
			event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Chrome", BrowserVersion: "126.0.6478.127"}},
		{"the tag on a phone whose agent hides it", asked{ua: "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
			data: event.Value(`{"brands":[{"brand":"Google Chrome","version":"126"}],"fullVersionList":[{"brand":"Google Chrome","version":"126.0.6478.122"}],"mobile":true,"model":"Pixel 8","platform":"Android","platformVersion":"14.0.0"}`)},
			event.Device{Type: "mobile", OS: "Android", OSVersion: "14", Browser: "Chrome Mobile", BrowserVersion: "126.0.6478.122", Vendor: "Google", Model: "Pixel 8"}},
		{"hints alone", asked{hints: Hints{UA: chromeBrands, Mobile: "?0", Platform: `"Linux"`}},
			event.Device{Type: "desktop", OS: "Linux", Browser: "Chrome", BrowserVersion: "126"}},
		{"an app's view keeps its name", asked{ua: "Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36 Instagram 336.0.0",
			hints: Hints{UA: `"Android WebView";v="126", "Chromium";v="126"`, Mobile: "?1", Platform: `"Android"`}},
			event.Device{Type: "mobile", OS: "Android", OSVersion: "14", Browser: "Instagram", BrowserVersion: "336.0.0", Vendor: "Google", Model: "Pixel 8"}},
		{"a distribution stays", asked{ua: "Mozilla/5.0 (X11; Ubuntu; Linux x86_64) AppleWebKit/537.36 Chromium/126.0 Chrome/126.0 Safari/537.36", hints: Hints{Platform: `"Linux"`}},
			event.Device{Type: "desktop", OS: "Ubuntu", Browser: "Chromium", BrowserVersion: "126.0"}},
		{"a version of the brand that nobody hides", asked{ua: androidK, hints: Hints{UA: chromeBrands, Mobile: "?1", FullVersionList: `"Google Chrome";v="126.0.6478.71"`}},
			event.Device{Type: "mobile", OS: "Android", OSVersion: "10", Browser: "Chrome Mobile", BrowserVersion: "126.0.6478.71"}},
		{"Opera on a phone", asked{ua: androidK, hints: Hints{UA: `"Opera";v="82", "Chromium";v="126"`, Mobile: "?1", Platform: `"Android"`}},
			event.Device{Type: "mobile", OS: "Android", OSVersion: "10", Browser: "Opera Mobile", BrowserVersion: "82"}},
		{"a tablet that says so", asked{ua: androidK, hints: Hints{Mobile: "?1", FormFactors: `"Tablet"`}},
			event.Device{Type: "tablet", OS: "Android", OSVersion: "10", Browser: "Chrome Mobile", BrowserVersion: "126.0.0.0"}},
		{"a headset", asked{ua: chromeWindows, data: event.Value(`{"formFactors":["Desktop?","XR"]}`)},
			event.Device{Type: "wearable", OS: "Windows", OSVersion: "10", Browser: "Chrome", BrowserVersion: "126.0.0.0"}},
		{"an iPad that asks for desktop pages", asked{ua: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15", data: event.Value(`{"maxTouchPoints":5}`)},
			event.Device{Type: "tablet", OS: "iOS", Browser: "Mobile Safari", BrowserVersion: "17.5", Vendor: "Apple", Model: "iPad"}},
		{"a television stays one", asked{ua: "Mozilla/5.0 (Linux; Android 9; AFTSSS) AppleWebKit/537.36 (KHTML, like Gecko) Silk/126.2.1 like Chrome/126.0.6478.71 Safari/537.36", hints: Hints{Mobile: "?0", Platform: `"Android"`, PlatformVersion: `"9.0.0"`}},
			event.Device{Type: "tv", OS: "Android", OSVersion: "9", Browser: "Amazon Silk", BrowserVersion: "126.2.1", Vendor: "Amazon", Model: "AFTSSS"}},
		{"Linux is what a television's browser calls it", asked{ua: "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128 Safari/537.36", hints: Hints{Platform: `"Linux"`}},
			event.Device{Type: "tv", OS: "webOS", Browser: "Chrome", BrowserVersion: "94.0.4606.128", Vendor: "LG"}},
		{"hints that are too long are not read", asked{ua: chromeWindows, hints: Hints{Platform: `"Linux"`, Model: strings.Repeat("x", maxHints)}},
			event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Chrome", BrowserVersion: "126.0.0.0"}},
		{"broken hints change nothing", asked{ua: chromeWindows, hints: Hints{UA: `"Chromium;v=`, Mobile: "?2", Platform: `"`, PlatformVersion: `\`, FullVersionList: `;;;"`}},
			event.Device{Type: "desktop", OS: "Windows", OSVersion: "10", Browser: "Chrome", BrowserVersion: "126.0.0.0"}},
	} {
		claims := ClaimsOf(c.key.hints, c.key.data)
		if got := r.Read(c.key.ua, &claims); got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
		got, whys := r.Explain(c.key.ua, &claims)
		if got != c.want || len(whys) == 0 {
			t.Errorf("%s: explained as %+v by %v", c.name, got, whys)
		}
	}
}

func TestGrease(t *testing.T) {
	for _, brand := range []string{" Not A;Brand", "Not)A;Brand", "Not/A)Brand", "Not_A Brand", "Not?A_Brand", "(Not(A:Brand", "Not.A/Brand", "Not A(Brand"} {
		if !isGrease(brand) {
			t.Errorf("%q is grease", brand)
		}
	}
	for _, brand := range []string{"Chromium", "Google Chrome", "Notable Browser", "Not A Brand Browser", ""} {
		if isGrease(brand) {
			t.Errorf("%q is none", brand)
		}
	}
}
