package workload

// agent is a browser that people use: its User-Agent and, for the Chromium
// family, what its client hints say.
type agent struct {
	ua       string
	brand    string // "" when the browser sends no client hints
	version  string
	platform string
	mobile   bool
	weight   int // roughly its share of visits, in thousandths

	hint   string // Sec-CH-UA
	mobi   string // Sec-CH-UA-Mobile
	plat   string // Sec-CH-UA-Platform
	uaData string // the same as navigator.userAgentData, JSON
}

const (
	winNT   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
	macOS   = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
	linux64 = "Mozilla/5.0 (X11; Linux x86_64) "
	cros    = "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) "
	androK  = "Mozilla/5.0 (Linux; Android 10; K) "
	webkit  = "AppleWebKit/537.36 (KHTML, like Gecko) "
	apple   = "AppleWebKit/605.1.15 (KHTML, like Gecko) "
)

// agentTable is the list, with its hints written out.
func agentTable() []agent {
	list := []agent{
		{ua: winNT + webkit + "Chrome/142.0.0.0 Safari/537.36", brand: "Google Chrome", version: "142", platform: "Windows", weight: 110},
		{ua: winNT + webkit + "Chrome/141.0.0.0 Safari/537.36", brand: "Google Chrome", version: "141", platform: "Windows", weight: 60},
		{ua: winNT + webkit + "Chrome/140.0.0.0 Safari/537.36", brand: "Google Chrome", version: "140", platform: "Windows", weight: 25},
		{ua: winNT + webkit + "Chrome/138.0.0.0 Safari/537.36", brand: "Google Chrome", version: "138", platform: "Windows", weight: 12},
		{ua: winNT + webkit + "Chrome/131.0.0.0 Safari/537.36", brand: "Google Chrome", version: "131", platform: "Windows", weight: 8},
		{ua: winNT + webkit + "Chrome/109.0.0.0 Safari/537.36", brand: "Google Chrome", version: "109", platform: "Windows", weight: 6},
		{ua: "Mozilla/5.0 (Windows NT 6.1; Win64; x64) " + webkit + "Chrome/109.0.0.0 Safari/537.36", brand: "Google Chrome", version: "109", platform: "Windows", weight: 2},
		{ua: macOS + webkit + "Chrome/142.0.0.0 Safari/537.36", brand: "Google Chrome", version: "142", platform: "macOS", weight: 40},
		{ua: macOS + webkit + "Chrome/141.0.0.0 Safari/537.36", brand: "Google Chrome", version: "141", platform: "macOS", weight: 20},
		{ua: linux64 + webkit + "Chrome/142.0.0.0 Safari/537.36", brand: "Google Chrome", version: "142", platform: "Linux", weight: 10},
		{ua: linux64 + webkit + "Chrome/139.0.0.0 Safari/537.36", brand: "Google Chrome", version: "139", platform: "Linux", weight: 4},
		{ua: cros + webkit + "Chrome/141.0.0.0 Safari/537.36", brand: "Google Chrome", version: "141", platform: "Chrome OS", weight: 6},
		{ua: androK + webkit + "Chrome/142.0.0.0 Mobile Safari/537.36", brand: "Google Chrome", version: "142", platform: "Android", mobile: true, weight: 130},
		{ua: androK + webkit + "Chrome/141.0.0.0 Mobile Safari/537.36", brand: "Google Chrome", version: "141", platform: "Android", mobile: true, weight: 60},
		{ua: androK + webkit + "Chrome/140.0.0.0 Mobile Safari/537.36", brand: "Google Chrome", version: "140", platform: "Android", mobile: true, weight: 20},
		{ua: androK + webkit + "Chrome/137.0.0.0 Mobile Safari/537.36", brand: "Google Chrome", version: "137", platform: "Android", mobile: true, weight: 9},
		{ua: androK + webkit + "Chrome/127.0.0.0 Mobile Safari/537.36", brand: "Google Chrome", version: "127", platform: "Android", mobile: true, weight: 5},
		{ua: androK + webkit + "Chrome/141.0.0.0 Safari/537.36", brand: "Google Chrome", version: "141", platform: "Android", weight: 8},
		{ua: winNT + webkit + "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", brand: "Microsoft Edge", version: "142", platform: "Windows", weight: 40},
		{ua: winNT + webkit + "Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0", brand: "Microsoft Edge", version: "141", platform: "Windows", weight: 18},
		{ua: winNT + webkit + "Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0", brand: "Microsoft Edge", version: "139", platform: "Windows", weight: 5},
		{ua: macOS + webkit + "Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0", brand: "Microsoft Edge", version: "141", platform: "macOS", weight: 4},
		{ua: androK + webkit + "Chrome/141.0.0.0 Mobile Safari/537.36 EdgA/141.0.0.0", brand: "Microsoft Edge", version: "141", platform: "Android", mobile: true, weight: 3},
		{ua: winNT + webkit + "Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0", brand: "Opera", version: "124", platform: "Windows", weight: 10},
		{ua: macOS + webkit + "Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0", brand: "Opera", version: "124", platform: "macOS", weight: 3},
		{ua: androK + webkit + "Chrome/139.0.0.0 Mobile Safari/537.36 OPR/92.0.0.0", brand: "Opera", version: "92", platform: "Android", mobile: true, weight: 4},
		{ua: winNT + webkit + "Chrome/140.0.0.0 Safari/537.36 Vivaldi/7.6.3797.58", weight: 2},
		{ua: winNT + webkit + "Chrome/138.0.0.0 YaBrowser/25.8.0.0 Safari/537.36", brand: "YaBrowser", version: "25.8", platform: "Windows", weight: 3},
		{ua: androK + webkit + "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", brand: "Samsung Internet", version: "28.0", platform: "Android", mobile: true, weight: 22},
		{ua: androK + webkit + "SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36", brand: "Samsung Internet", version: "27.0", platform: "Android", mobile: true, weight: 8},
		{ua: "Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-T870) " + webkit + "SamsungBrowser/27.0 Chrome/125.0.0.0 Safari/537.36", brand: "Samsung Internet", version: "27.0", platform: "Android", weight: 2},

		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) " + apple + "Version/18.6 Mobile/15E148 Safari/604.1", mobile: true, weight: 80},
		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) " + apple + "Version/26.0 Mobile/15E148 Safari/604.1", mobile: true, weight: 60},
		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) " + apple + "Version/18.5 Mobile/15E148 Safari/604.1", mobile: true, weight: 30},
		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) " + apple + "Version/17.6 Mobile/15E148 Safari/604.1", mobile: true, weight: 15},
		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 16_7_10 like Mac OS X) " + apple + "Version/16.6 Mobile/15E148 Safari/604.1", mobile: true, weight: 7},
		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 15_8_4 like Mac OS X) " + apple + "Version/15.6.6 Mobile/15E148 Safari/604.1", mobile: true, weight: 3},
		{ua: "Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X) " + apple + "Version/16.6 Mobile/15E148 Safari/604.1", weight: 3},
		{ua: macOS + apple + "Version/18.6 Safari/605.1.15", weight: 30},
		{ua: macOS + apple + "Version/26.0 Safari/605.1.15", weight: 20},
		{ua: macOS + apple + "Version/18.5 Safari/605.1.15", weight: 12},
		{ua: macOS + apple + "Version/17.6 Safari/605.1.15", weight: 6},
		{ua: macOS + apple + "Version/16.6 Safari/605.1.15", weight: 3},
		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) " + apple + "CriOS/141.0.7390.41 Mobile/15E148 Safari/604.1", mobile: true, weight: 10},
		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) " + apple + "FxiOS/143.0 Mobile/15E148 Safari/605.1.15", mobile: true, weight: 3},
		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) " + apple + "EdgiOS/141.0.3537.60 Version/18.0 Mobile/15E148 Safari/604.1", mobile: true, weight: 2},
		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6_2 like Mac OS X) " + apple + "GSA/388.0.811331708 Mobile/15E148 Safari/604.1", mobile: true, weight: 8},

		{ua: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0", weight: 30},
		{ua: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0", weight: 12},
		{ua: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", weight: 8},
		{ua: "Mozilla/5.0 (Windows NT 6.1; Win64; x64; rv:115.0) Gecko/20100101 Firefox/115.0", weight: 2},
		{ua: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:144.0) Gecko/20100101 Firefox/144.0", weight: 8},
		{ua: "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", weight: 8},
		{ua: "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0", weight: 4},
		{ua: "Mozilla/5.0 (Android 15; Mobile; rv:144.0) Gecko/144.0 Firefox/144.0", mobile: true, weight: 6},
		{ua: "Mozilla/5.0 (Android 13; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", mobile: true, weight: 2},

		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6_2 like Mac OS X) " + apple + "Mobile/15E148 [FBAN/FBIOS;FBAV/532.0.0.41.104;FBBV/798841571;FBDV/iPhone15,2;FBMD/iPhone;FBSN/iOS;FBSV/18.6.2;FBSS/3;FBID/phone;FBLC/fi_FI;FBOP/5;FBRV/0]", mobile: true, weight: 14},
		{ua: "Mozilla/5.0 (Linux; Android 14; SM-A546B Build/UP1A.231005.007; wv) " + webkit + "Version/4.0 Chrome/140.0.7339.207 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/531.0.0.44.109;]", mobile: true, weight: 12},
		{ua: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6_2 like Mac OS X) " + apple + "Mobile/15E148 Instagram 400.0.0.32.103 (iPhone16,1; iOS 18_6_2; en_GB; en-GB; scale=3.00; 1179x2556; 798000000)", mobile: true, weight: 8},
		{ua: "Mozilla/5.0 (Linux; Android 15; Pixel 9 Build/AP4A.250205.002; wv) " + webkit + "Version/4.0 Chrome/141.0.7390.43 Mobile Safari/537.36 Instagram 401.0.0.48.79 Android", mobile: true, weight: 6},
		{ua: "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) " + webkit + "76.0.3809.146/6.0 TV Safari/537.36", weight: 1},
		{ua: "Mozilla/5.0 (PlayStation; PlayStation 5/9.60) " + apple + "Version/15.4 Safari/605.1.15", weight: 1},
	}
	for i := range list {
		a := &list[i]
		a.mobi = "?0"
		mobile := "false"
		if a.mobile {
			a.mobi, mobile = "?1", "true"
		}
		if a.brand == "" {
			continue
		}
		engine := a.version
		if a.brand != "Google Chrome" && a.brand != "Microsoft Edge" {
			engine = "140"
		}
		a.hint = `"Chromium";v="` + engine + `", "` + a.brand + `";v="` + a.version + `", "Not_A Brand";v="99"`
		a.plat = `"` + a.platform + `"`
		a.uaData = `,"userAgentData":{"brands":[{"brand":"Chromium","version":"` + engine + `"},{"brand":"` + a.brand + `","version":"` + a.version +
			`"},{"brand":"Not_A Brand","version":"99"}],"mobile":` + mobile + `,"platform":"` + a.platform + `"}`
	}
	return list
}
