package enrich

// forms are agents of browsers that send no client hints.
func forms() []form {
	firefoxes := []int{72, 78, 85, 91, 96, 102, 109, 115, 121, 128, 133, 140, 145}
	safaris := []int{13, 14, 15, 16, 17, 18, 26}
	phones := []string{"13_7", "14_8_1", "15_6", "16_6_1", "17_5_1", "18_3", "26_1"}
	iPhone := "Mozilla/5.0 (iPhone; CPU iPhone OS {s} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	iPad := "Mozilla/5.0 (iPad; CPU OS {s} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	mac := "Mozilla/5.0 (Macintosh; Intel Mac OS X {s}) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	apples := func(browser, middle string, versions []int) []form {
		return []form{
			{browser: browser, system: "iOS", kind: "mobile", text: iPhone + middle + " Mobile/15E148 Safari/604.1", versions: versions, systems: phones},
			{browser: browser, system: "iOS", kind: "tablet", text: iPad + middle + " Mobile/15E148 Safari/604.1", versions: versions, systems: phones},
		}
	}
	all := []form{
		{browser: "Firefox", system: "Windows", kind: "desktop", versions: firefoxes, systems: []string{"10.0; Win64; x64", "6.1; Win64; x64", "10.0; WOW64"},
			text: "Mozilla/5.0 (Windows NT {s}; rv:{v}.0) Gecko/20100101 Firefox/{v}.0"},
		{browser: "Firefox", system: "Mac OS X", kind: "desktop", versions: firefoxes, systems: []string{"10.14", "10.15"},
			text: "Mozilla/5.0 (Macintosh; Intel Mac OS X {s}; rv:{v}.0) Gecko/20100101 Firefox/{v}.0"},
		{browser: "Firefox", system: "Linux", kind: "desktop", versions: firefoxes, systems: []string{"X11; Linux x86_64", "X11; Ubuntu; Linux x86_64", "X11; Fedora; Linux x86_64", "Wayland; Linux x86_64"},
			text: "Mozilla/5.0 ({s}; rv:{v}.0) Gecko/20100101 Firefox/{v}.0"},
		{browser: "Firefox Mobile", system: "Android", kind: "mobile", versions: firefoxes, systems: []string{"8.0.0", "10", "11", "12", "13", "14", "15"},
			text: "Mozilla/5.0 (Android {s}; Mobile; rv:{v}.0) Gecko/{v}.0 Firefox/{v}.0"},
		{browser: "Firefox Mobile", system: "Android", kind: "tablet", versions: firefoxes, systems: []string{"10", "12", "14"},
			text: "Mozilla/5.0 (Android {s}; Tablet; rv:{v}.0) Gecko/{v}.0 Firefox/{v}.0"},

		{browser: "Safari", system: "Mac OS X", kind: "desktop", versions: safaris, systems: []string{"10_13_6", "10_14_6", "10_15_7"},
			text: mac + "Version/{v}.1 Safari/605.1.15"},

		{browser: "IE", system: "Windows", kind: "desktop", versions: []int{11}, systems: []string{"6.1; WOW64", "6.1; Win64; x64", "6.3; WOW64", "10.0; WOW64", "10.0; Win64; x64"},
			text: "Mozilla/5.0 (Windows NT {s}; Trident/7.0; rv:{v}.0) like Gecko"},
		{browser: "IE", system: "Windows", kind: "desktop", versions: []int{9, 10}, systems: []string{"6.1; Trident/6.0", "6.2; WOW64; Trident/6.0"},
			text: "Mozilla/5.0 (compatible; MSIE {v}.0; Windows NT {s})"},

		{browser: "Edge", system: "Windows", kind: "desktop", versions: []int{17, 18}, text: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/64.0.3282.140 Safari/537.36 Edge/{v}.17763"},

		{browser: "Android", system: "Android", kind: "mobile", systems: []string{"2.3.6; de-de; GT-S5830i Build/GINGERBREAD", "4.0.4; en-us; GT-I9100 Build/IMM76D", "4.1.2; en-gb; GT-I8190 Build/JZO54K", "4.4.2; en-us; LG-D320 Build/KOT49I"},
			text: "Mozilla/5.0 (Linux; U; Android {s}) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30"},

		{browser: "UC Browser", system: "Android", kind: "mobile", versions: []int{12, 13, 15, 17}, systems: []string{"9; en-US; vivo 1904 Build/PPR1.180610.011", "10; en-US; RMX1911 Build/QKQ1.200209.002", "11; id; CPH2185 Build/RP1A.200720.011", "13; zh-CN; 2201122C Build/TKQ1.220807.001"},
			text: "Mozilla/5.0 (Linux; U; Android {s}) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.58 UCBrowser/{v}.4.0.1306 Mobile Safari/537.36"},

		{browser: "QQ Browser Mobile", system: "Android", kind: "mobile", versions: []int{10, 11, 12, 13, 14}, systems: []string{"10; zh-cn; MI 9 Build/QKQ1.190825.002", "12; zh-cn; PEEM00 Build/SP1A.210812.016", "14; zh-cn; V2171A Build/UP1A.231005.007"},
			text: "Mozilla/5.0 (Linux; U; Android {s}) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/98.0.4758.102 MQQBrowser/{v}.6 Mobile Safari/537.36 COVC/046429"},

		{browser: "Opera Mini", system: "Android", kind: "mobile", versions: []int{7, 8, 36, 50}, systems: []string{"191.256", "37.9178"},
			text: "Opera/9.80 (Android; Opera Mini/{v}.2.2254/{s}; U; en) Presto/2.12.423 Version/12.16"},
		{browser: "Opera Mini", kind: "mobile", versions: []int{4, 5, 7, 8}, systems: []string{"191.256", "37.9178"},
			text: "Opera/9.80 (J2ME/MIDP; Opera Mini/{v}.1.21965/{s}; U; en) Presto/2.12.423 Version/12.16"},

		{system: "KaiOS", kind: "mobile", versions: []int{48, 84}, systems: []string{"Nokia_8110_4G", "LYF/F320B/LYF-F320B-003", "Alcatel_4056O"},
			text: "Mozilla/5.0 (Mobile; {s}; rv:{v}.0) Gecko/{v}.0 Firefox/{v}.0 KAIOS/2.5.4"},
	}
	all = append(all, apples("Mobile Safari", "Version/{v}.1", safaris)...)
	all = append(all, apples("Chrome Mobile iOS", "CriOS/{v}.0.6045.109", []int{80, 90, 100, 110, 120, 131, 142})...)
	all = append(all, apples("Firefox iOS", "FxiOS/{v}.0", []int{20, 36, 100, 115, 128, 141})...)
	all = append(all, apples("Edge Mobile", "Version/16.0 EdgiOS/{v}.0.2210.126", []int{45, 100, 120, 131})...)
	return all
}

// screens are agents of televisions, consoles and watches. Which browser they
// carry is not asked.
func screens() []form {
	chrome := " AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.3945.79 "
	years := []int{63, 79, 94, 108, 120}
	return []form{
		{kind: "tv", versions: []int{47, 56, 63, 76, 85, 94, 108}, systems: []string{"2.4", "4.0", "6.0", "7.0"},
			text: "Mozilla/5.0 (SMART-TV; LINUX; Tizen {s}) AppleWebKit/537.36 (KHTML, like Gecko) {v}.0.3809.146/{s} TV Safari/537.36"},
		{kind: "tv", versions: []int{2, 3}, text: "Mozilla/5.0 (SMART-TV; Linux; Tizen 5.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/{v}.2 Chrome/63.0.3239.84 TV Safari/537.36"},
		{kind: "tv", versions: years, text: "Mozilla/5.0 (Web0S; Linux/SmartTV)" + chrome + "Safari/537.36 WebAppManager"},
		{kind: "tv", versions: years, text: "Mozilla/5.0 (Linux; NetCast; U)" + chrome + "SmartTV/10.0 Colt/2.0"},
		{kind: "tv", system: "Android", versions: years, systems: []string{"9; BRAVIA 4K UR2", "10; BRAVIA VH1", "8.0.0; SHIELD Android TV", "9; MiTV-AXSO0", "12; Chromecast", "11; Smart TV Pro", "7.0; SMART_TV", "9; MIBOX4", "14; Google TV Streamer"},
			text: "Mozilla/5.0 (Linux; Android {s} Build/PTT1.190515.001)" + chrome + "Safari/537.36"},
		{kind: "tv", system: "Android", versions: years, systems: []string{"7.1.2; AFTMM", "9; AFTKA", "9; AFTSSS", "5.1.1; AFTT"},
			text: "Mozilla/5.0 (Linux; Android {s} Build/PS7233; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/{v}.0.4324.152 Mobile Safari/537.36"},
		{kind: "tv", versions: years, text: "Mozilla/5.0 (X11; Linux armv7l)" + chrome + "Safari/537.36 CrKey/1.56.500000"},
		{kind: "tv", versions: years, systems: []string{"1.2.1 (+DRM;Samsung;SmartTV2020;T-HKMUDEUC;;)", "1.5.1 (+DRM; Hisense; SmartTV_2020; V0000; HE55A7; )", "1.4.1 (; Philips; ; ; ; )", "1.6.1 (; VESTEL; MB230; 1.0; ; )"},
			text: "Mozilla/5.0 (Linux armv7l)" + chrome + "Safari/537.36 HbbTV/{s}"},
		{kind: "tv", versions: []int{9, 10, 11, 12}, text: "Roku/DVP-{v}.10 (519.10E04111A)"},
		{kind: "tv", versions: []int{9, 11, 14}, text: "AppleTV{v},1/11.1"},
		{kind: "tv", versions: []int{13, 15, 17}, text: "Mozilla/5.0 (Apple TV; CPU OS {v}_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"},

		{kind: "console", versions: []int{5, 8, 10, 11}, text: "Mozilla/5.0 (PlayStation 4 {v}.50) AppleWebKit/605.1.15 (KHTML, like Gecko)"},
		{kind: "console", versions: []int{2, 4, 6, 8}, text: "Mozilla/5.0 (PlayStation; PlayStation 5/{v}.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15"},
		{kind: "console", versions: []int{3, 4}, text: "Mozilla/5.0 (PLAYSTATION {v}; 4.90) AppleWebKit/531.22.8 (KHTML, like Gecko)"},
		{kind: "console", versions: []int{3}, text: "Mozilla/5.0 (PlayStation Vita {v}.74) AppleWebKit/537.73 (KHTML, like Gecko) Silk/3.2"},
		{kind: "console", versions: []int{90, 101, 113, 120}, systems: []string{"Xbox; Xbox One", "Xbox; Xbox Series X"}, text: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; {s}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.4430.212 Safari/537.36 Edg/{v}.0.818.66"},
		{kind: "console", systems: []string{"WifiWebAuthApplet", "ShareApplet", "LobbyApplet"}, versions: []int{5, 6}, text: "Mozilla/5.0 (Nintendo Switch; {s}) AppleWebKit/609.4 (KHTML, like Gecko) NF/{v}.0.2.21.3 NintendoBrowser/5.1.0.22474"},
		{kind: "console", versions: []int{1}, text: "Mozilla/5.0 (Nintendo WiiU) AppleWebKit/536.30 (KHTML, like Gecko) NX/3.0.4.2.12 NintendoBrowser/4.3.{v}.11264.EU"},
		{kind: "console", versions: []int{1}, text: "Mozilla/5.0 (Nintendo 3DS; U; ; en) Version/{v}.7498.EU"},

		{kind: "wearable", versions: []int{5, 7, 9, 10}, text: "atc/1.0 watchOS/{v}.1.3 model/Watch3,4 hwp/t8004 build/16S535 (6; dt:156)"},
		{kind: "wearable", versions: []int{64, 71}, systems: []string{"SM-R800", "SM-R850", "SM-R500"}, text: "Mozilla/5.0 (Linux; Tizen 4.0; SAMSUNG {s}) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/1.0 Chrome/{v}.0.3029.83 Mobile Safari/537.36"},
	}
}
