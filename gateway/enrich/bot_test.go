package enrich

import (
	"strings"
	"testing"
)

func TestBots(t *testing.T) {
	a := testAgents(t)
	for _, c := range []struct{ ua, class, name string }{
		{"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "search", "Googlebot"},
		{"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "search", "Googlebot"},
		{"AdsBot-Google (+http://www.google.com/adsbot.html)", "search", "AdsBot-Google"},
		{"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "search", "bingbot"},
		{"Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", "search", "YandexBot"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)", "search", "Applebot"},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; OAI-SearchBot/1.0; +https://openai.com/searchbot)", "search", "OAI-SearchBot"},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)", "search", "PerplexityBot"},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)", "ai-training", "GPTBot"},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", "ai-training", "ClaudeBot"},
		{"CCBot/2.0 (https://commoncrawl.org/faq/)", "ai-training", "CCBot"},
		{"Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)", "ai-training", "Bytespider"},
		{"meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)", "ai-training", "Meta-ExternalAgent"},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot", "ai-assistant", "ChatGPT-User"},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Claude-User/1.0; +Claude-User@anthropic.com)", "ai-assistant", "Claude-User"},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Perplexity-User/1.0; +https://perplexity.ai/perplexity-user)", "ai-assistant", "Perplexity-User"},
		{"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "preview", "Facebook"},
		{"Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "preview", "Slack"},
		{"WhatsApp/2.23.20.0 A", "preview", "WhatsApp"},
		{"TelegramBot (like TwitterBot)", "preview", "Twitterbot"},
		{"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "preview", "Google image proxy"},
		{"Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "monitor", "UptimeRobot"},
		{"Mozilla/5.0 (Linux; Android 11; moto g power (2022)) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36 Chrome-Lighthouse", "monitor", "PageSpeed"},
		{"kube-probe/1.29", "monitor", "Kubernetes probe"},
		{"sqlmap/1.8.2#stable (https://sqlmap.org)", "scanner", "sqlmap"},
		{"Mozilla/5.0 zgrab/0.x", "scanner", "ZGrab"},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36", "headless", "HeadlessChrome"},
		{"curl/8.5.0", "library", "curl"},
		{"python-requests/2.32.3", "library", "python-requests"},
		{"Go-http-client/1.1", "library", "Go"},
		{"node", "library", "Node.js"},
		{"axios/1.7.2", "library", "axios"},
		{"PostmanRuntime/7.39.0", "library", "Postman"},
		{"okhttp/4.12.0", "library", "OkHttp"},
		{"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", "other", "AhrefsBot"},
		{"Mozilla/5.0 (compatible; ExampleBot/2.0; hello)", "other", "ExampleBot"},
		{"my-own-crawler/1.0", "other", "my-own-crawler"},
		{"Mozilla/5.0 (compatible; Thing/1.0; +https://thing.example)", "other", ""},
	} {
		got := a.find(agentKey{ua: c.ua})
		if !got.bot.Is || got.bot.Class != c.class || got.bot.Name != c.name || got.bot.Reason == "" {
			t.Errorf("%s\n got %+v, want %s %s", c.ua, got.bot, c.class, c.name)
		}
		if headless := c.class == classHeadless; (got.device.Type == typeBot) == headless {
			t.Errorf("%s: device type %s", c.ua, got.device.Type)
		}
	}
	if got := a.find(agentKey{ua: chromeWindows, hints: Hints{UA: `"HeadlessChrome";v="126", "Chromium";v="126"`}}); got.bot.Class != classHeadless {
		t.Errorf("a headless brand behind an ordinary agent: %+v", got.bot)
	}
	if got := a.find(agentKey{}); got.bot.Is {
		t.Errorf("nothing said is no bot by itself: %+v", got.bot)
	}
}

// Each line of the table must be able to decide: a line whose literal holds
// the literal of one above it never would.
func TestNoBotLineIsShadowed(t *testing.T) {
	a := testAgents(t)
	for i, later := range a.bots {
		for _, earlier := range a.bots[:i] {
			shadowed := strings.Contains(later.literal, earlier.literal) && !earlier.atStart ||
				earlier.atStart && later.atStart && strings.HasPrefix(later.literal, earlier.literal)
			if shadowed && later.verdict.Name != earlier.verdict.Name {
				t.Errorf("%q (%s) stands below %q (%s)", later.literal, later.verdict.Name, earlier.literal, earlier.verdict.Name)
			}
		}
	}
}

func TestParseBotsRefuses(t *testing.T) {
	for _, line := range []string{"search|x", "unheard|x|y", "search|x|Y", "search|x|", "search|x|^"} {
		if _, err := parseBots("# head\n" + line); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: error %v", line, err)
		}
	}
}
