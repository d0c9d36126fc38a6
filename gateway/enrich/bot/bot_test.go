package bot

import (
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

func testJudge(t testing.TB) *Judge {
	t.Helper()
	j, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// robots are agents that are met every day, and who they are.
var robots = []struct{ class, name, operator, ua string }{
	{Search, "Googlebot", "Google", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
	{Search, "Googlebot", "Google", "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
	{Search, "Googlebot-Image", "Google", "Googlebot-Image/1.0"},
	{Search, "AdsBot-Google", "Google", "AdsBot-Google (+http://www.google.com/adsbot.html)"},
	{Search, "AdsBot-Google-Mobile", "Google", "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36 (compatible; AdsBot-Google-Mobile; +http://www.google.com/mobile/adsbot.html)"},
	{Search, "Storebot-Google", "Google", "Mozilla/5.0 (X11; Linux x86_64; Storebot-Google/1.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/79.0.3945.88 Safari/537.36"},
	{Search, "Google-InspectionTool", "Google", "Mozilla/5.0 (compatible; Google-InspectionTool/1.0;)"},
	{Training, "GoogleOther", "Google", "GoogleOther"},
	{Training, "Google-CloudVertexBot", "Google", "Mozilla/5.0 (compatible; Google-CloudVertexBot; +https://cloud.google.com/enterprise-search)"},
	{Assistant, "Google-Agent", "Google", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Google-Agent; +https://developers.google.com/crawling/docs/crawlers-fetchers/google-agent) Chrome/140.0.0.0 Safari/537.36"},
	{Assistant, "Google-NotebookLM", "Google", "Google-NotebookLM"},
	{Assistant, "Gemini-Deep-Research", "Google", "Mozilla/5.0 (compatible; Gemini-Deep-Research; +https://gemini.google/overview/deep-research/)"},
	{Search, "bingbot", "Microsoft", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36"},
	{Search, "YandexBot", "Yandex", "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)"},
	{Search, "Baiduspider", "Baidu", "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)"},
	{Search, "DuckDuckBot", "DuckDuckGo", "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)"},
	{Assistant, "DuckAssistBot", "DuckDuckGo", "DuckAssistBot/1.2; (+http://duckduckgo.com/duckassistbot.html)"},
	{Search, "Applebot", "Apple", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)"},
	{Training, "Applebot-Extended", "Apple", "Mozilla/5.0 (compatible; Applebot-Extended/0.1; +http://www.apple.com/go/applebot)"},
	{Search, "PetalBot", "Huawei", "Mozilla/5.0 (Linux; Android 7.0;) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; PetalBot;+https://webmaster.petalsearch.com/site/petalbot)"},
	{Search, "Sogou", "Sogou", "Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)"},
	{Search, "SeznamBot", "Seznam", "Mozilla/5.0 (compatible; SeznamBot/4.0; +http://napoveda.seznam.cz/seznambot-intro/)"},
	{Search, "Naver Yeti", "Naver", "Mozilla/5.0 (compatible; Yeti/1.1; +https://naver.me/spd)"},
	{Search, "Yahoo! Slurp", "Yahoo", "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)"},

	{Training, "GPTBot", "OpenAI", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)"},
	{Search, "OAI-SearchBot", "OpenAI", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; OAI-SearchBot/1.0; +https://openai.com/searchbot)"},
	{Assistant, "ChatGPT-User", "OpenAI", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot"},
	{Training, "ClaudeBot", "Anthropic", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)"},
	{Assistant, "Claude-User", "Anthropic", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Claude-User/1.0; +Claude-User@anthropic.com)"},
	{Search, "Claude-SearchBot", "Anthropic", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Claude-SearchBot/1.0; +https://www.anthropic.com)"},
	{Search, "PerplexityBot", "Perplexity", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)"},
	{Assistant, "Perplexity-User", "Perplexity", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Perplexity-User/1.0; +https://perplexity.ai/perplexity-user)"},
	{Assistant, "MistralAI-User", "Mistral AI", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; MistralAI-User/1.0; +https://docs.mistral.ai/robots)"},
	{Training, "CCBot", "Common Crawl", "CCBot/2.0 (https://commoncrawl.org/faq/)"},
	{Training, "Bytespider", "ByteDance", "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)"},
	{Training, "Meta-ExternalAgent", "Meta", "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)"},
	{Assistant, "Meta-ExternalFetcher", "Meta", "meta-externalfetcher/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)"},
	{Training, "Amazonbot", "Amazon", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_10_1) AppleWebKit/600.2.5 (KHTML, like Gecko) Version/8.0.2 Safari/600.2.5 (Amazonbot/0.1; +https://developer.amazon.com/support/amazonbot)"},
	{Training, "DeepSeekBot", "DeepSeek", "Mozilla/5.0 (compatible; DeepSeekBot/1.0; +https://www.deepseek.com/bot)"},
	{Training, "GrokBot", "xAI", "GrokBot/1.0 (+https://x.ai)"},
	{Assistant, "Manus-User", "Butterfly Effect", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/132.0.0.0 Safari/537.36; Manus-User/1.0"},
	{Assistant, "Devin", "Cognition", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36 Devin/1.0"},

	{Preview, "Facebook", "Meta", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"},
	{Preview, "iMessage", "Apple", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0"},
	{Preview, "Slack", "Slack", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"},
	{Preview, "WhatsApp", "Meta", "WhatsApp/2.23.20.0 A"},
	{Preview, "TelegramBot", "Telegram", "TelegramBot (like TwitterBot)"},
	{Preview, "Discordbot", "Discord", "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)"},
	{Preview, "LinkedInBot", "LinkedIn", "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)"},
	{Preview, "Twitterbot", "X", "Twitterbot/1.0"},
	{Preview, "Skype", "Microsoft", "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com"},
	{Preview, "Pinterestbot", "Pinterest", "Mozilla/5.0 (compatible; Pinterestbot/1.0; +http://www.pinterest.com/bot.html)"},
	{Preview, "Gmail image proxy", "Google", "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"},
	{Preview, "Bluesky", "Bluesky", "Mozilla/5.0 (compatible; Bluesky Cardyb/1.1; +mailto:support@bsky.app)"},
	{Preview, "Mastodon", "", "http.rb/5.1.1 (Mastodon/4.2.0; +https://mastodon.example/) Bot"},

	{Monitor, "UptimeRobot", "UptimeRobot", "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)"},
	{Monitor, "Pingdom", "SolarWinds", "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)"},
	{Monitor, "PageSpeed", "Google", "Mozilla/5.0 (Linux; Android 11; moto g power (2022)) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36 Chrome-Lighthouse"},
	{Monitor, "Datadog", "Datadog", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36 DatadogSynthetics"},
	{Monitor, "Kubernetes probe", "", "kube-probe/1.29"},
	{Monitor, "AWS load balancer", "Amazon", "ELB-HealthChecker/2.0"},
	{Scanner, "sqlmap", "", "sqlmap/1.8.2#stable (https://sqlmap.org)"},
	{Scanner, "ZGrab", "", "Mozilla/5.0 zgrab/0.x"},
	{Scanner, "Censys", "Censys", "Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)"},
	{Scanner, "Nmap", "", "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)"},

	{Headless, "HeadlessChrome", "", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36"},
	{Headless, "PhantomJS", "", "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1"},
	{Headless, "Cypress", "", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Cypress/13.6.0 Chrome/118.0.0.0 Electron/27.1.3 Safari/537.36"},
	{Headless, "Puppeteer", "", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36 Puppeteer/22.0"},
	{Headless, "jsdom", "", "Mozilla/5.0 (linux) AppleWebKit/537.36 (KHTML, like Gecko) jsdom/22.1.0"},
	{Library, "curl", "", "curl/8.5.0"},
	{Library, "Wget", "", "Wget/1.21.4"},
	{Library, "python-requests", "", "python-requests/2.32.3"},
	{Library, "Go", "", "Go-http-client/1.1"},
	{Library, "Node.js", "", "node"},
	{Library, "undici", "", "undici"},
	{Library, "OkHttp", "", "okhttp/4.12.0"},
	{Library, "Scrapy", "Zyte", "Scrapy/2.11.0 (+https://scrapy.org)"},
	{Library, "Segment library", "Twilio", "analytics-node/6.0.0"},

	{Other, "AhrefsBot", "Ahrefs", "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"},
	{Other, "SemrushBot", "Semrush", "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)"},
	{Other, "Screaming Frog", "Screaming Frog", "Screaming Frog SEO Spider/19.0"},
	{Other, "Feedly", "Feedly", "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers; like FeedFetcher-Google)"},
	{Other, "archive.org", "Internet Archive", "Mozilla/5.0 (compatible; archive.org_bot +http://archive.org/details/archive.org_bot)"},

	// Robots that no table knows.
	{Other, "ExampleBot", "", "Mozilla/5.0 (compatible; ExampleBot/2.0; hello)"},
	{Other, "my-own-crawler", "", "my-own-crawler/1.0"},
	{Other, "Very Own Robot", "", "Very Own Robot (version 3)"},
	{Other, "Thing", "", "Mozilla/5.0 (compatible; Thing/1.0; +https://thing.example)"},
	{Other, "Thing", "", "Thing/1.0 (http://thing.example/bot.html)"},
	{Other, "ExampleBot", "", "python-requests/2.32.3 ExampleBot/1.0"},
	{Other, "Gwene", "gwene.org", "Gwene/1.0 (The gwene.org rss-to-news gateway) Googlebot"},
	{Other, "Thing", "", "Thing/1.0 (like TwitterBot)"},
	{Search, "YandexThing", "Yandex", "Mozilla/5.0 (compatible; YandexThing/3.0; +http://yandex.com/bots)"},
	{Other, "", "", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/115.0 +https://thing.example"},
}

func TestRobots(t *testing.T) {
	j := testJudge(t)
	classes := map[string]bool{}
	for _, c := range robots {
		got := j.Verdict(c.ua, false)
		if !got.Is || got.Class != c.class || got.Name != c.name || got.Operator != c.operator || got.Reason == "" {
			t.Errorf("%s\n got %+v\nwant %s %q by %q", c.ua, got, c.class, c.name, c.operator)
		}
		classes[c.class] = true
	}
	for _, class := range Classes() {
		if !classes[class] {
			t.Errorf("no robot of class %s", class)
		}
	}
}

// people are agents of browsers, apps and telephones that hold what looks like
// a robot's mark.
var people = []string{
	"",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (Linux; Android 7.0; CUBOT NOTE Plus Build/NRD90M) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/80.0.3987.99 Mobile Safari/537.36",
	"Mozilla/5.0 (Linux; Android 4.4.1; HTC Butterfly S Build/KRT16M) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.99 Mobile Safari/537.36",
	"Mozilla/5.0 (Linux; U; Android 2.2.2; en-us; ViewSonic-ViewPad4 Build/FRG83G) AppleWebKit/533.1 (KHTML, like Gecko) Version/4.0 Mobile Safari/533.1",
	"Mozilla/5.0 (Linux; Android 5.1; FEVER Build/LMY47D) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/80.0.3987.99 Mobile Safari/537.36",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/470.0.0.40.98;FBBV/615985022;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/17.5;FBSS/3;FBCR/;FBID/phone;FBLC/en_US;FBOP/80]",
	"Mozilla/5.0 (Linux; Android 13; Odin2 Build/TKQ1) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/440.0;FBDV/Odin;FBSV/13;]",
	"Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.7444.142 Mobile Safari/537.36 Instagram 406.0.0.58.159 Android (35/15; 480dpi; 1080x2400; OPPO; CPH2557; OP573DL1; mt6833; en_MY; 822918295)",
	"Mozilla/5.0 (Linux; Android 16; Pixel 10 Build/BP2A.250605.031; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/146.0.7680.174 Mobile Safari/537.36 MetaIAB Facebook",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [Pinterest/iOS]",
	"Mozilla/5.0 (Linux; Android 14; SM-A546B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36 [Pinterest/Android]",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [LinkedInApp]/9.29.5",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Snapchat/12.80.0.38 (like Safari/8617.2.4, panda)",
	"Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36 Telegram-Android/10.14.5 (Google Pixel 8; Android 14; SDK 34; HIGH)",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) WhatsApp/2.2144.11 Chrome/93.0.4577.82 Electron/14.2.3 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Notion/2.1.1 Chrome/93.0.4577.82 Electron/14.2.9 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.38.125 Chrome/124.0.6367.118 Electron/30.0.2 Safari/537.36 Sonic Slack_SSB/4.38.125",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Code/1.96.0 Chrome/128.0.6613.186 Electron/32.2.6 Safari/537.36",
	"Mozilla/5.0 (Linux; Android 10; EML-AL00) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/76.0 SogouMSE,SogouMobileBrowser/5.28.12 Mobile Safari/537.36",
	"Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/120.4.1 like Chrome/120.0.6099.230 Safari/537.36",
	"Mozilla/5.0 (Linux; Android 7.0; Lenovo K6 Power Build/NRD90N) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (Linux; Android 11; TECNO KG5j) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36 OPR/82.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/323.0.647062479 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 12; V2111) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0 Mobile Safari/537.36 musical_ly_2023105030 JsSdk/1.0 BytedanceWebview/d8a21c6",
	"Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; SLCC2; .NET CLR 2.0.50727; rv:11.0) like Gecko",
	"Opera/9.80 (J2ME/MIDP; Opera Mini/9.80 (S60; SymbOS; Opera Mobi/23.348; U; en) Presto/2.5.25 Version/10.54",
	"MyShop/3.2.1 (com.example.shop; build:412; iOS 17.5.0) Alamofire/5.9.1",
	"MyShop/3.2.1 (Android 14; Pixel 8) okhttp/4.12.0",
	"Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP2A.240605.024)",
}

func TestPeople(t *testing.T) {
	j := testJudge(t)
	for _, ua := range people {
		if got, why := j.Explain(ua, false); got != (event.Bot{}) || why != nil {
			t.Errorf("%s\n got %+v %v", ua, got, why)
		}
	}
}

func TestHeadlessBrand(t *testing.T) {
	j := testJudge(t)
	for _, c := range []struct{ ua, class, name, reason string }{
		{people[1], Headless, "HeadlessChrome", "client hint brand HeadlessChrome"},
		{"", Headless, "HeadlessChrome", "client hint brand HeadlessChrome"},
		{strings.Replace(people[1], "Chrome/", "HeadlessChrome/", 1), Headless, "HeadlessChrome", "client hint brand HeadlessChrome; user agent contains headlesschrome"},
		{people[1] + " DatadogSynthetics", Monitor, "Datadog", "client hint brand HeadlessChrome; user agent contains datadogsynthetics"},
		{people[1] + " ExampleBot/1.0", Other, "ExampleBot", "client hint brand HeadlessChrome; user agent contains bot"},
		{people[1] + " axios/1.7 +https://x.example", Headless, "HeadlessChrome", "client hint brand HeadlessChrome"},
	} {
		if got := j.Verdict(c.ua, true); !got.Is || got.Class != c.class || got.Name != c.name || got.Reason != c.reason {
			t.Errorf("%s\n got %+v\nwant %s %s: %s", c.ua, got, c.class, c.name, c.reason)
		}
	}
}

func TestReasons(t *testing.T) {
	j := testJudge(t)
	for ua, want := range map[string]string{
		"curl/8.5.0":                    "user agent starts with curl",
		"node":                          "user agent is node",
		"TelegramBot (like TwitterBot)": "user agent contains telegrambot",
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)":          "user agent contains googlebot",
		"Mozilla/5.0 (X11) HeadlessChrome/120.0.0.0 Safari/537.36 DatadogSynthetics":        "user agent contains datadogsynthetics; user agent contains headlesschrome",
		"Example Crawler/1.0 (+https://example.com)":                                        "user agent contains crawl; user agent contains +https://",
		strings.Repeat("ClaudeBot GPTBot CCBot Bytespider Amazonbot Googlebot bingbot ", 7): "user agent contains claudebot; user agent contains gptbot; user agent contains ccbot; user agent contains bytespider",
	} {
		if got := j.Verdict(ua, false).Reason; got != want {
			t.Errorf("%s\n got %s\nwant %s", ua, got, want)
		}
	}
}

func TestExplain(t *testing.T) {
	j := testJudge(t)
	ua := "Mozilla/5.0 (compatible; Cocolyzebot/1.0; https://cocolyze.com/bot) HeadlessChrome/120.0"
	got, why := j.Explain(ua, true)
	if got != j.Verdict(ua, true) {
		t.Errorf("Explain says %+v, Verdict %+v", got, j.Verdict(ua, true))
	}
	var said []string
	for _, w := range why {
		said = append(said, w.Field+"="+w.Value)
	}
	want := []string{
		"bot=user agent contains Cocolyzebot", "bot=user agent contains headlesschrome", "bot=client hint brand HeadlessChrome",
		"class=other", "name=Cocolyzebot", "operator=cocolyze.com",
	}
	if !slices.Equal(said, want) {
		t.Errorf("got %q, want %q", said, want)
	}
	if rule := why[0].Rule; !strings.HasPrefix(rule, "data/crawlers.txt line ") || !strings.HasSuffix(rule, ": Cocolyzebot (seo)") {
		t.Errorf("rule %q", rule)
	}
	if rule := why[1].Rule; !strings.HasPrefix(rule, "marks.txt line ") || !strings.HasSuffix(rule, ": *headlesschrome") {
		t.Errorf("rule %q", rule)
	}
}

func TestVerdictAllocations(t *testing.T) {
	j := testJudge(t)
	for ua, most := range map[string]float64{
		people[1]:                    0,
		people[7]:                    0,
		robots[0].ua:                 0,
		"ExampleBot":                 0,
		"curl/8.5.0":                 0,
		"TelegramBot Twitterbot/1.0": 1,
	} {
		if n := testing.AllocsPerRun(100, func() { j.Verdict(ua, false) }); n > most {
			t.Errorf("%s: %v allocations, want %v", ua, n, most)
		}
	}
}

// The tables take at most 4 MB, of which the automaton is the most.
func TestMemory(t *testing.T) {
	j := testJudge(t)
	size := j.literals.Size() + len(crawlersText) + len(marksText) + len(peopleText) + len(operatorsText)
	for _, m := range j.marks {
		size += 128 + len(m.rule) + len(m.verdict.Reason)
	}
	if size > 4<<20 {
		t.Errorf("%d bytes", size)
	}
	t.Logf("%d bytes, %d of them the automaton's, for %d marks", size, j.literals.Size(), len(j.marks))
}
