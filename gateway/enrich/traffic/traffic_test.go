package traffic

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

type T = event.Traffic

func TestRead(t *testing.T) {
	r := newTestRules(t)
	const page = "https://www.shop.example/books"
	direct := T{Channel: "Direct", Source: "(direct)", Medium: "(none)"}
	for _, c := range []struct {
		name, url, referrer string
		want                T
	}{
		{"typed in", page, "", direct},
		{"other parameters are none of ours", page + "?q=utm_source&utm_foo=1&utm_source=&x", "", direct},
		{"GA4's that we do not keep", page + "?utm_source_platform=p&utm_creative_format=f&utm_marketing_tactic=t", "", direct},
		{"no page, no referrer, no tags", "", "", direct},
		{"a referrer without a page", "", "https://www.google.com/", T{Channel: "Organic Search", Source: "google", Medium: "organic", Referrer: "www.google.com"}},
		{"a referrer that is none", page, "about:client", T{}},
		{"a script is no place", page, "javascript://google.com/%0aalert(1)", T{}},
		{"somebody's page", page, "https://WWW.Blog.Example:8443/post", T{Channel: "Referral", Source: "blog.example", Medium: "referral", Referrer: "www.blog.example"}},

		// Tags.
		{"tags over the referrer", page + "?utm_source=News&utm_medium=Email&utm_campaign=Spring%20Sale&utm_term=a+b&utm_content=C", "https://www.google.com/",
			T{Channel: "Email", Source: "news", Medium: "email", Campaign: "Spring Sale", Term: "a b", Content: "C", Referrer: "www.google.com"}},
		{"names in capitals", page + "?UTM_Source=mag&UTM_MEDIUM=cpc", "", T{Channel: "Paid Other", Source: "mag", Medium: "cpc"}},
		{"an id instead of a name", page + "?utm_source=mag&utm_medium=affiliate&utm_id=77", "", T{Channel: "Affiliates", Source: "mag", Medium: "affiliate", Campaign: "77"}},
		{"twice: the first with a value", page + "?utm_source=&utm_source=a&utm_source=b", "", T{Channel: "Unassigned", Source: "a"}},
		{"behind the hash", page + "#utm_source=mag&utm_medium=sms", "", T{Channel: "SMS", Source: "mag", Medium: "sms"}},
		{"behind the hash of a page that routes there", page + "#/path/x?utm_source=mag&utm_medium=sms", "", T{Channel: "SMS", Source: "mag", Medium: "sms"}},
		{"a fragment that is a name", page + "#utm_source", "", direct},
		{"the query before the hash", page + "?utm_source=a#utm_source=b&utm_medium=sms", "", T{Channel: "SMS", Source: "a", Medium: "sms"}},
		{"escaped for HTML", page + "?utm_source=mag&amp;utm_medium=sms&amp;utm_campaign=x", "", T{Channel: "SMS", Source: "mag", Medium: "sms", Campaign: "x"}},
		{"escaped twice", page + "?utm_source=mag&utm_campaign=Spring%2520Sale%252B1", "", T{Channel: "Unassigned", Source: "mag", Campaign: "Spring Sale+1"}},
		{"escaped three times", page + "?utm_source=mag&utm_campaign=a%252520b", "", T{Channel: "Unassigned", Source: "mag", Campaign: "a b"}},
		{"a percent sign that is meant", page + "?utm_source=mag&utm_campaign=20%25de%20ht", "", T{Channel: "Unassigned", Source: "mag", Campaign: "20%de ht"}},
		{"an escaped name", page + "?utm%5Fsource=mag", "", T{Channel: "Unassigned", Source: "mag"}},
		{"a broken escape stands", page + "?utm_source=50%&utm_medium=%zz%4", "", T{Channel: "Unassigned", Source: "50%", Medium: "%zz%4"}},
		{"bytes that are no text", page + "?utm_source=a%ff", "", T{Channel: "Unassigned", Source: "a\ufffd"}},
		{"nobody filled it in", page + "?utm_source={{site_source_name}}&utm_medium=[medium]&utm_campaign=%7Bcampaignid%7D&utm_term=(not+set)&utm_content=undefined&utm_id=NULL", "https://t.co/",
			T{Channel: "Organic Social", Source: "twitter", Medium: "social", Referrer: "t.co"}},
		{"only part of it", page + "?utm_source=mag&utm_campaign=x-{{ad.name}}", "", T{Channel: "Unassigned", Source: "mag", Campaign: "x-{{ad.name}}"}},
		{"Matomo's", page + "?mtm_source=mag&mtm_medium=e-mail&mtm_campaign=c&mtm_kwd=k&mtm_content=o&mtm_cid=7", "", T{Channel: "Email", Source: "mag", Medium: "email", Campaign: "c", Term: "k", Content: "o"}},
		{"Piwik's", page + "?pk_campaign=c&pk_kwd=k&piwik_source=mag", "", T{Channel: "Unassigned", Source: "mag", Campaign: "c", Term: "k"}},
		{"utm over Matomo's, wherever they stand", page + "?mtm_source=a&mtm_medium=sms&utm_source=b", "", T{Channel: "SMS", Source: "b", Medium: "sms"}},
		{"the referrer fills in for a name alone", page + "?utm_campaign=x", "https://www.google.com/", T{Channel: "Organic Search", Source: "google", Medium: "organic", Campaign: "x", Referrer: "www.google.com"}},
		{"and for a source", page + "?utm_medium=affiliate", "https://www.blog.example/", T{Channel: "Affiliates", Source: "blog.example", Medium: "affiliate", Referrer: "www.blog.example"}},
		{"nothing fills in a medium for a source of its own", page + "?utm_source=mag", "https://www.google.com/", T{Channel: "Unassigned", Source: "mag", Referrer: "www.google.com"}},

		// Folding.
		{"fb", page + "?utm_source=FB&utm_medium=paid_social", "", T{Channel: "Paid Social", Source: "facebook", Medium: "paid_social"}},
		{"a host for a source", page + "?utm_source=m.facebook.com", "", T{Channel: "Organic Social", Source: "facebook"}},
		{"an address for a source", page + "?utm_source=blog.example/today", "", T{Channel: "Unassigned", Source: "blog.example/today"}},
		{"ig", page + "?utm_source=ig&utm_medium=Social+Media", "", T{Channel: "Organic Social", Source: "instagram", Medium: "social"}},
		{"Google Ads", page + "?utm_source=Google+Ads&utm_medium=ppc", "", T{Channel: "Paid Search", Source: "google", Medium: "ppc"}},
		{"google_ads", page + "?utm_source=google_ads&utm_medium=cpc", "", T{Channel: "Paid Search", Source: "google", Medium: "cpc"}},
		{"a newsletter as a medium", page + "?utm_source=newsletter&utm_medium=Newsletter", "", T{Channel: "Email", Source: "newsletter", Medium: "email"}},
		{"an assistant that tags", page + "?utm_source=chatgpt.com", "", T{Channel: "AI Assistant", Source: "chatgpt", Medium: "ai-assistant"}},
		{"an assistant's advertisement", page + "?utm_source=chatgpt.com&utm_medium=cpc", "", T{Channel: "Paid Other", Source: "chatgpt", Medium: "cpc"}},
		{"a whole address for a source", page + "?utm_source=https://www.facebook.com/ads", "", T{Channel: "Organic Social", Source: "facebook"}},

		// ref and source, last.
		{"ref names a site", page + "?ref=producthunt", "", T{Channel: "Organic Social", Source: "product hunt", Medium: "social"}},
		{"source names a host", page + "?source=www.partner.fi", "", T{Channel: "Referral", Source: "partner.fi", Medium: "referral"}},
		{"ref is a button", page + "?ref=nav_top", "", direct},
		{"ref is a version", page + "?ref=v2.0", "", direct},
		{"the referrer knows better than ref", page + "?ref=producthunt", "https://www.google.com/", T{Channel: "Organic Search", Source: "google", Medium: "organic", Referrer: "www.google.com"}},
		{"the site's own ref", page + "?ref=google", "https://www.shop.example/", T{}},

		// The site itself.
		{"from the site itself", page, "https://www.shop.example/", T{}},
		{"from the site without www", page, "http://shop.example:8080/x", T{}},
		{"from the same owner's domain", page, "https://checkout.shop.example/", T{}},
		{"from a listed host", page, "https://pay.partner.example/done", T{}},
		{"from below a listed domain", page, "https://a.b.family.example/", T{}},
		{"from the listed domain itself", page, "https://family.example/", T{}},
		{"from a listed origin", page, "https://origin.example/", T{}},
		{"a host that only ends alike", page, "https://notfamily.example/", T{Channel: "Referral", Source: "notfamily.example", Medium: "referral", Referrer: "notfamily.example"}},
		{"a neighbour on a shared suffix", "https://alice.github.io/", "https://bob.github.io/", T{Channel: "Referral", Source: "bob.github.io", Medium: "referral", Referrer: "bob.github.io"}},
		{"a neighbour shop", "https://alice.myshopify.com/", "https://bob.myshopify.com/", T{Channel: "Referral", Source: "bob.myshopify.com", Medium: "referral", Referrer: "bob.myshopify.com"}},
		{"a neighbour at a provider that is no public suffix", "https://www.alice.squarespace.com/", "https://bob.squarespace.com/", T{Channel: "Referral", Source: "bob.squarespace.com", Medium: "referral", Referrer: "bob.squarespace.com"}},
		{"the same owner there", "https://www.alice.squarespace.com/", "https://shop.alice.squarespace.com/", T{}},
		{"a neighbour below co.uk", "https://alice.co.uk/", "https://bob.co.uk/", T{Channel: "Referral", Source: "bob.co.uk", Medium: "referral", Referrer: "bob.co.uk"}},
		{"addresses are not domains", "http://192.168.1.7/", "http://10.0.1.7/", T{Channel: "Referral", Source: "10.0.1.7", Medium: "referral", Referrer: "10.0.1.7"}},
		{"IPv6", "http://[2001:db8::1]:8080/", "http://[2001:DB8::1]/x", T{}},
		{"the same name in two scripts", "https://www.bücher.example/", "https://xn--bcher-kva.example/", T{}},
		{"tags count from the site itself too", page + "?utm_source=banner&utm_medium=display", "https://shop.example/", T{Channel: "Display", Source: "banner", Medium: "display"}},

		// Where people pay and sign in.
		{"back from paying", page, "https://www.paypal.com/", T{}},
		{"back from a checkout", page, "https://checkout.stripe.com/c/pay/cs_x", T{}},
		{"back from Shop Pay", page, "https://shop.app/", T{}},
		{"back from a bank", page, "https://acs2.swedbank.se/acs", T{}},
		{"back from Paytrail", page, "https://services.paytrail.com/", T{}},
		{"back from MobilePay", page, "https://products.mobilepay.dk/", T{}},
		{"back from signing in", page, "https://accounts.google.com/", T{}},
		{"and in another country", page, "https://accounts.google.fi/", T{}},
		{"at Microsoft", page, "https://login.microsoftonline.com/", T{}},
		{"at Facebook", page, "https://www.facebook.com/v19.0/dialog/oauth?client_id=1", T{}},
		{"at GitHub", page, "https://github.com/login/oauth/authorize", T{}},
		{"but not from somebody there", page, "https://github.com/loginov", T{Channel: "Organic Social", Source: "github", Medium: "social", Referrer: "github.com"}},
		{"but not from Facebook itself", page, "https://www.facebook.com/somebody/dialog", T{Channel: "Organic Social", Source: "facebook", Medium: "social", Referrer: "www.facebook.com"}},
		{"tags count there too", page + "?utm_source=paypal&utm_medium=affiliate", "https://www.paypal.com/", T{Channel: "Affiliates", Source: "paypal", Medium: "affiliate"}},
	} {
		in := &Input{PageURL: c.url, Referrer: c.referrer, KnowsReferrer: true, Internal: []string{"Pay.Partner.Example", "*.family.example", "https://origin.example:8443"}}
		got := r.Read(in)
		if got != c.want {
			t.Errorf("%s (%s from %q):\n got %+v\nwant %+v", c.name, c.url, c.referrer, got, c.want)
		}
	}
}

// Each of them with nothing else to go by.
func TestReferrers(t *testing.T) {
	r := newTestRules(t)
	for _, c := range []struct{ referrer, channel, source, medium, term string }{
		{"https://www.google.com/", "Organic Search", "google", "organic", ""},
		{"https://www.google.co.uk/search?q=red+shoes", "Organic Search", "google", "organic", "red shoes"},
		{"https://www.google.com.br/", "Organic Search", "google", "organic", ""},
		{"https://news.google.com/", "Organic Search", "google", "organic", ""},
		{"https://www.google.com/search?tbm=shop&q=x", "Organic Shopping", "google shopping", "referral", ""},
		{"https://shopping.google.de/", "Organic Shopping", "google shopping", "referral", ""},
		{"https://www.google.com/aclk?sa=l&ai=x", "Paid Search", "google", "cpc", ""},
		{"https://www.googleadservices.com/pagead/aclk?x", "Paid Search", "google", "cpc", ""},
		{"https://googleads.g.doubleclick.net/", "Display", "google", "display", ""},
		{"https://docs.google.com/d/1", "Referral", "docs.google.com", "referral", ""},
		{"https://translate.google.fi/", "Referral", "translate.google.fi", "referral", ""},
		{"https://google.evil.example/", "Referral", "google.evil.example", "referral", ""},
		{"https://google.com.evil.com/", "Referral", "google.com.evil.com", "referral", ""},
		{"https://google.com@evil.example/", "Referral", "evil.example", "referral", ""},
		{"https://evil.example\\@google.com/", "Referral", "evil.example", "referral", ""},
		{"https://notgoogle.com/", "Referral", "notgoogle.com", "referral", ""},
		{"https://xx.com/", "Referral", "xx.com", "referral", ""},
		{"android-app://com.google.android.googlequicksearchbox/", "Organic Search", "google", "organic", ""},
		{"android-app://com.google.android.googlequicksearchbox/https/www.google.com", "Organic Search", "google", "organic", ""},
		{"android-app://com.amazon.unheard/", "Referral", "com.amazon.unheard", "referral", ""},
		{"https://www.bing.com/search?q=a%20b", "Organic Search", "bing", "organic", "a b"},
		{"https://www.bing.com/aclick?ld=1", "Paid Search", "bing", "cpc", ""},
		{"https://www.bing.com/chat", "AI Assistant", "copilot", "ai-assistant", ""},
		{"https://search.yahoo.co.jp/search?p=%E9%9D%B4", "Organic Search", "yahoo", "organic", "靴"},
		{"https://duckduckgo.com/", "Organic Search", "duckduckgo", "organic", ""},
		{"https://www.ecosia.org/search?q=tree", "Organic Search", "ecosia", "organic", "tree"},
		{"https://yandex.ru/search/?text=%D1%82%D0%B5%D1%81%D1%82", "Organic Search", "yandex", "organic", "тест"},
		{"https://yandex.com.tr/", "Organic Search", "yandex", "organic", ""},
		{"https://yabs.yandex.ru/count/x", "Paid Search", "yandex", "cpc", ""},
		{"https://www.baidu.com/s?wd=x&word=y", "Organic Search", "baidu", "organic", "x"},
		{"https://search.naver.com/search.naver?query=z", "Organic Search", "naver", "organic", "z"},
		{"https://search.seznam.cz/?q=x", "Organic Search", "seznam", "organic", "x"},
		{"https://search.brave.com/", "Organic Search", "brave", "organic", ""},
		{"https://kagi.com/", "Organic Search", "kagi", "organic", ""},
		{"https://kagi.com/assistant/1", "AI Assistant", "kagi assistant", "ai-assistant", ""},

		{"https://l.facebook.com/l.php?u=x", "Organic Social", "facebook", "social", ""},
		{"https://lm.facebook.com/", "Organic Social", "facebook", "social", ""},
		{"https://l.instagram.com/", "Organic Social", "instagram", "social", ""},
		{"https://l.threads.com/", "Organic Social", "threads", "social", ""},
		{"https://t.co/abc", "Organic Social", "twitter", "social", ""},
		{"https://x.com/", "Organic Social", "twitter", "social", ""},
		{"https://x.com/i/grok", "AI Assistant", "grok", "ai-assistant", ""},
		{"https://lnkd.in/x", "Organic Social", "linkedin", "social", ""},
		{"https://out.reddit.com/", "Organic Social", "reddit", "social", ""},
		{"https://fi.pinterest.com/", "Organic Social", "pinterest", "social", ""},
		{"https://www.pinterest.co.uk/", "Organic Social", "pinterest", "social", ""},
		{"https://bsky.app/", "Organic Social", "bluesky", "social", ""},
		{"https://mastodon.social/", "Organic Social", "mastodon", "social", ""},
		{"https://away.vk.com/away.php", "Organic Social", "vk", "social", ""},
		{"https://weibo.com/", "Organic Social", "weibo", "social", ""},
		{"https://someone.blogspot.com/", "Organic Social", "blogger", "social", ""},
		{"https://www.deviantart.com/", "Organic Social", "deviantart", "social", ""},
		{"https://news.ycombinator.com/", "Organic Social", "hacker news", "social", ""},
		{"android-app://com.facebook.katana/", "Organic Social", "facebook", "social", ""},
		{"ios-app://284882215/facebook", "Organic Social", "facebook", "social", ""},

		{"https://www.youtube.com/watch?v=1", "Organic Video", "youtube", "video", ""},
		{"https://youtu.be/1", "Organic Video", "youtube", "video", ""},
		{"https://www.twitch.tv/", "Organic Video", "twitch", "video", ""},

		{"https://mail.google.com/mail/u/0/", "Email", "gmail", "email", ""},
		{"android-app://com.google.android.gm/", "Email", "gmail", "email", ""},
		{"https://outlook.live.com/", "Email", "outlook", "email", ""},
		{"https://eur01.safelinks.protection.outlook.com/", "Email", "outlook", "email", ""},
		{"https://mail.yandex.ru/", "Email", "yandex mail", "email", ""},
		{"https://deref-gmx.net/", "Referral", "deref-gmx.net", "referral", ""},

		{"https://www.amazon.de/dp/1", "Organic Shopping", "amazon", "referral", ""},
		{"https://www.idealo.de/", "Organic Shopping", "idealo", "referral", ""},
		{"https://aws.amazon.com/", "Referral", "aws.amazon.com", "referral", ""},

		{"https://chatgpt.com/", "AI Assistant", "chatgpt", "ai-assistant", ""},
		{"https://chat.openai.com/", "AI Assistant", "chatgpt", "ai-assistant", ""},
		{"https://www.perplexity.ai/", "AI Assistant", "perplexity", "ai-assistant", ""},
		{"https://claude.ai/", "AI Assistant", "claude", "ai-assistant", ""},
		{"https://gemini.google.com/app", "AI Assistant", "gemini", "ai-assistant", ""},
		{"https://copilot.microsoft.com/", "AI Assistant", "copilot", "ai-assistant", ""},
		{"https://chat.deepseek.com/", "AI Assistant", "deepseek", "ai-assistant", ""},
		{"https://grok.com/", "AI Assistant", "grok", "ai-assistant", ""},
		{"https://www.meta.ai/", "AI Assistant", "meta ai", "ai-assistant", ""},
		{"https://chat.mistral.ai/", "AI Assistant", "mistral", "ai-assistant", ""},
		{"https://you.com/", "AI Assistant", "you.com", "ai-assistant", ""},
		{"https://www.phind.com/", "AI Assistant", "phind", "ai-assistant", ""},
		{"https://poe.com/", "AI Assistant", "poe", "ai-assistant", ""},
		{"https://duck.ai/", "AI Assistant", "duck.ai", "ai-assistant", ""},

		{"https://www.awin1.com/cread.php", "Affiliates", "awin", "affiliate", ""},
		{"https://trc.taboola.com/", "Paid Other", "taboola", "cpc", ""},
	} {
		got := r.Read(&Input{PageURL: "https://www.shop.example/", Referrer: c.referrer, KnowsReferrer: true})
		host := r.split(c.referrer).host
		if want := (T{Channel: c.channel, Source: c.source, Medium: c.medium, Term: c.term, Referrer: host}); got != want {
			t.Errorf("%s\n got %+v\nwant %+v", c.referrer, got, want)
		}
	}
}

func TestClickIDs(t *testing.T) {
	r := newTestRules(t)
	const page = "https://www.shop.example/books"
	for _, c := range []struct {
		name, query, referrer string
		want                  T
	}{
		{"Google", "gclid=Cj0K", "https://www.google.com/", T{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "Cj0K", ClickType: "gclid", Referrer: "www.google.com"}},
		{"Google, on another's page", "gclid=Cj0K", "https://blog.example/", T{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "Cj0K", ClickType: "gclid", Referrer: "blog.example"}},
		{"Google on an iPhone", "gbraid=1", "", T{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "1", ClickType: "gbraid"}},
		{"Google, with the campaign", "gad_source=1&gad_campaignid=2211&gclid=x", "", T{Channel: "Paid Search", Source: "google", Medium: "cpc", Campaign: "2211", ClickID: "x", ClickType: "gclid"}},
		{"Google, the id taken away", "gad_source=1&gad_campaignid=2211", "", T{Channel: "Paid Search", Source: "google", Medium: "cpc", Campaign: "2211", ClickID: "2211", ClickType: "gad_campaignid"}},
		{"Google's banner", "dclid=1", "", T{Channel: "Display", Source: "google", Medium: "display", ClickID: "1", ClickType: "dclid"}},
		{"Search Ads 360 on Microsoft", "gclid=e1b5099fa5b612965fdb6fcdfc044c18&gclsrc=3p.ds", "", T{Channel: "Paid Search", Source: "bing", Medium: "cpc", ClickID: "e1b5099fa5b612965fdb6fcdfc044c18", ClickType: "msclkid"}},
		{"Search Ads 360 on another", "gclsrc=3p.ds&gclid=CKb", "https://www.baidu.com/", T{Channel: "Paid Search", Source: "baidu", Medium: "cpc", ClickID: "CKb", ClickType: "gclid", Referrer: "www.baidu.com"}},
		{"Search Ads 360 on nobody knows what", "gclsrc=3p.ds&gclid=CKb", "", T{Channel: "Paid Other", Medium: "cpc", ClickID: "CKb", ClickType: "gclid"}},
		{"Search Ads 360 on Google", "gclsrc=aw.ds&gclid=CKb", "", T{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "CKb", ClickType: "gclid"}},
		{"Google's free listings", "srsltid=Af", "https://www.google.com/", T{Channel: "Organic Shopping", Source: "google", Medium: "organic", Campaign: "Shopping Free Listings", ClickID: "Af", ClickType: "srsltid", Referrer: "www.google.com"}},
		{"Microsoft", "msclkid=1", "", T{Channel: "Paid Search", Source: "bing", Medium: "cpc", ClickID: "1", ClickType: "msclkid"}},
		{"Yandex, paid", "yclid=123", "", T{Channel: "Paid Search", Source: "yandex", Medium: "cpc", ClickID: "123", ClickType: "yclid"}},
		{"Yandex, free", "ysclid=lx1", "", T{Channel: "Organic Search", Source: "yandex", Medium: "organic", ClickID: "lx1", ClickType: "ysclid"}},
		{"Yahoo! JAPAN", "yclid=YSS.1000.x", "", T{Channel: "Paid Search", Source: "yahoo", Medium: "cpc", ClickID: "YSS.1000.x", ClickType: "yclid"}},
		{"Yahoo! JAPAN's banner", "yclid=YJAD.1.x", "", T{Channel: "Display", Source: "yahoo", Medium: "display", ClickID: "YJAD.1.x", ClickType: "yclid"}},
		{"Facebook, not more known", "fbclid=Iw", "", T{Channel: "Organic Social", Source: "facebook", ClickID: "Iw", ClickType: "fbclid"}},
		{"Facebook, by the referrer", "fbclid=Iw", "https://m.facebook.com/", T{Channel: "Organic Social", Source: "facebook", Medium: "social", ClickID: "Iw", ClickType: "fbclid", Referrer: "m.facebook.com"}},
		{"Instagram, by the referrer", "fbclid=Iw", "https://l.instagram.com/", T{Channel: "Organic Social", Source: "instagram", Medium: "social", ClickID: "Iw", ClickType: "fbclid", Referrer: "l.instagram.com"}},
		{"a shared link that was shared on", "fbclid=Iw", "https://t.co/", T{Channel: "Organic Social", Source: "twitter", Medium: "social", ClickID: "Iw", ClickType: "fbclid", Referrer: "t.co"}},
		{"Instagram's share button", "igsh=x", "", T{Channel: "Organic Social", Source: "instagram", Medium: "social", ClickID: "x", ClickType: "igsh"}},
		{"a share of Instagram, shared on Facebook", "igsh=x", "https://m.facebook.com/", T{Channel: "Organic Social", Source: "facebook", Medium: "social", ClickID: "x", ClickType: "igsh", Referrer: "m.facebook.com"}},
		{"a newsletter that was sent on", "mc_cid=1", "https://t.co/", T{Channel: "Organic Social", Source: "twitter", Medium: "social", ClickID: "1", ClickType: "mc_cid", Referrer: "t.co"}},
		{"an advertisement, and back from paying", "gclsrc=3p.ds&gclid=CKb", "https://www.paypal.com/", T{Channel: "Paid Other", Medium: "cpc", ClickID: "CKb", ClickType: "gclid"}},
		{"TikTok", "ttclid=1", "", T{Channel: "Paid Social", Source: "tiktok", Medium: "cpc", ClickID: "1", ClickType: "ttclid"}},
		{"X", "twclid=1", "", T{Channel: "Paid Social", Source: "twitter", Medium: "cpc", ClickID: "1", ClickType: "twclid"}},
		{"LinkedIn", "li_fat_id=1", "", T{Channel: "Paid Social", Source: "linkedin", Medium: "cpc", ClickID: "1", ClickType: "li_fat_id"}},
		{"Reddit", "rdt_cid=1", "", T{Channel: "Paid Social", Source: "reddit", Medium: "cpc", ClickID: "1", ClickType: "rdt_cid"}},
		{"Quora", "qclid=1", "", T{Channel: "Paid Social", Source: "quora", Medium: "cpc", ClickID: "1", ClickType: "qclid"}},
		{"Pinterest", "epik=1", "", T{Channel: "Organic Social", Source: "pinterest", Medium: "social", ClickID: "1", ClickType: "epik"}},
		{"Snapchat", "ScCid=1", "", T{Channel: "Paid Social", Source: "snapchat", Medium: "cpc", ClickID: "1", ClickType: "sccid"}},
		{"Nextdoor", "ndclid=1", "", T{Channel: "Paid Social", Source: "nextdoor", Medium: "cpc", ClickID: "1", ClickType: "ndclid"}},
		{"Taboola", "tblci=1", "", T{Channel: "Paid Other", Source: "taboola", Medium: "cpc", ClickID: "1", ClickType: "tblci"}},
		{"Outbrain", "dicbo=1&obOrigUrl=true", "", T{Channel: "Paid Other", Source: "outbrain", Medium: "cpc", ClickID: "1", ClickType: "dicbo"}},
		{"impact", "irclickid=1", "", T{Channel: "Affiliates", Source: "impact", Medium: "affiliate", ClickID: "1", ClickType: "irclickid"}},
		{"Awin", "awc=1", "https://blog.example/", T{Channel: "Affiliates", Source: "awin", Medium: "affiliate", ClickID: "1", ClickType: "awc", Referrer: "blog.example"}},
		{"CJ", "cjevent=1", "", T{Channel: "Affiliates", Source: "cj", Medium: "affiliate", ClickID: "1", ClickType: "cjevent"}},
		{"Tradedoubler", "tduid=1", "", T{Channel: "Affiliates", Source: "tradedoubler", Medium: "affiliate", ClickID: "1", ClickType: "tduid"}},
		{"Mailchimp, without the person", "mc_eid=abc", "", T{Channel: "Email", Source: "mailchimp", Medium: "email", ClickType: "mc_eid"}},
		{"Mailchimp, with the campaign", "mc_eid=abc&mc_cid=77", "", T{Channel: "Email", Source: "mailchimp", Medium: "email", ClickID: "77", ClickType: "mc_cid"}},
		{"HubSpot, in a webmail", "_hsenc=abc", "https://mail.google.com/", T{Channel: "Email", Source: "hubspot", Medium: "email", ClickType: "_hsenc", Referrer: "mail.google.com"}},
		{"Klaviyo", "_kx=1", "", T{Channel: "Email", Source: "klaviyo", Medium: "email", ClickType: "_kx"}},
		{"a measuring tool", "wickedid=1", "https://t.co/", T{Channel: "Organic Social", Source: "twitter", Medium: "social", ClickID: "1", ClickType: "wickedid", Referrer: "t.co"}},
		{"a measuring tool alone", "wickedid=1", "", T{Channel: "Direct", Source: "(direct)", Medium: "(none)", ClickID: "1", ClickType: "wickedid"}},
		{"the stronger of two", "fbclid=2&gclid=1", "", T{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "1", ClickType: "gclid"}},
		{"without a value", "gclid=&fbclid", "", T{Channel: "Direct", Source: "(direct)", Medium: "(none)"}},
		{"behind the hash", "#gclid=1", "", T{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "1", ClickType: "gclid"}},
		{"tags over a click id", "utm_source=fb&utm_medium=paid_social&fbclid=Iw", "", T{Channel: "Paid Social", Source: "facebook", Medium: "paid_social", ClickID: "Iw", ClickType: "fbclid"}},
		{"a click id fills in for a campaign's name", "utm_campaign=x&gclid=1", "", T{Channel: "Paid Search", Source: "google", Medium: "cpc", Campaign: "x", ClickID: "1", ClickType: "gclid"}},
		{"and for its own source's medium", "utm_source=Google&gclid=1", "", T{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "1", ClickType: "gclid"}},
		{"not for another's", "utm_source=mag&gclid=1", "", T{Channel: "Unassigned", Source: "mag", ClickID: "1", ClickType: "gclid"}},
	} {
		got := r.Read(&Input{PageURL: page + "?" + c.query, Referrer: c.referrer, KnowsReferrer: true})
		if got != c.want {
			t.Errorf("%s (%s from %q):\n got %+v\nwant %+v", c.name, c.query, c.referrer, got, c.want)
		}
	}
}

func TestReadFromElsewhere(t *testing.T) {
	r := newTestRules(t)
	for _, c := range []struct {
		name string
		in   Input
		want T
	}{
		{"the SDK's campaign over the URL's", Input{PageURL: "https://s.example/?utm_source=x&utm_medium=push", KnowsReferrer: true, Campaign: Campaign{Source: "App", Name: "N"}},
			T{Channel: "Mobile Push Notifications", Source: "app", Medium: "push", Campaign: "N"}},
		{"an SDK's empty words", Input{PageURL: "https://s.example/", KnowsReferrer: true, Campaign: Campaign{Source: "(direct)", Medium: "(none)", Name: "undefined"}},
			T{Channel: "Direct", Source: "(direct)", Medium: "(none)"}},
		{"the click id of an address that the page has cleaned", Input{PageURL: "https://s.example/", Referrer: "https://www.google.com/", KnowsReferrer: true, Campaign: Campaign{Query: "fbclid=f&gclid=+g%20"}},
			T{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "g", ClickType: "gclid", Referrer: "www.google.com"}},
		{"and its tags", Input{PageURL: "https://s.example/", KnowsReferrer: true, Campaign: Campaign{Query: "utm_campaign=Spring&utm_source=x&utm_medium=email", Source: "News"}},
			T{Channel: "Email", Source: "news", Medium: "email", Campaign: "Spring"}},
		{"the URL's own click id counts first", Input{PageURL: "https://s.example/?fbclid=new", KnowsReferrer: true, Campaign: Campaign{Query: "gclid=old"}},
			T{Channel: "Organic Social", Source: "facebook", ClickID: "new", ClickType: "fbclid"}},
		{"a server may tell a campaign", Input{Campaign: Campaign{Source: "mailer", Medium: "e-mail"}}, T{Channel: "Email", Source: "mailer", Medium: "email"}},
		{"a server's event", Input{}, T{}},
		{"the pixel's page", Input{PageURL: "https://s.example/?utm_source=a&utm_medium=audio"}, T{Channel: "Audio", Source: "a", Medium: "audio"}},
		{"which proves nothing about its own referrer", Input{PageURL: "https://s.example/"}, T{}},
		{"the gateway's host is the site's own", Input{PageURL: "https://a.example/", Referrer: "https://b.s.example/", KnowsReferrer: true, Gateway: "B.S.Example:443"}, T{}},
		{"but not all of its domain", Input{PageURL: "https://a.example/", Referrer: "https://c.s.example/", KnowsReferrer: true, Gateway: "B.S.Example:443"},
			T{Channel: "Referral", Source: "c.s.example", Medium: "referral", Referrer: "c.s.example"}},
		{"the Origin too", Input{Referrer: "https://c.s.example/", KnowsReferrer: true, Origin: "https://a.s.example"}, T{}},
		{"a listed address", Input{PageURL: "https://a.example/", Referrer: "http://[::1]:3000/", KnowsReferrer: true, Internal: []string{"http://[::1]:3000"}}, T{}},
		{"a listed name in another script", Input{PageURL: "https://a.example/", Referrer: "https://xn--bcher-kva.example/", KnowsReferrer: true, Internal: []string{"www.Bücher.example"}}, T{}},
		{"a listed app", Input{PageURL: "https://a.example/", Referrer: "android-app://com.Shop.App/", KnowsReferrer: true, Internal: []string{"com.shop.app"}}, T{}},
		{"an empty entry", Input{PageURL: "https://a.example/", Referrer: "https://b.example/", KnowsReferrer: true, Internal: []string{"", "*.", "https://"}},
			T{Channel: "Referral", Source: "b.example", Medium: "referral", Referrer: "b.example"}},
		{"a relative page", Input{PageURL: "/books?utm_source=a&utm_medium=audio", KnowsReferrer: true}, T{Channel: "Audio", Source: "a", Medium: "audio"}},
	} {
		if got := r.Read(&c.in); got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestTextsAreBounded(t *testing.T) {
	r := newTestRules(t)
	long := strings.Repeat("ä", 1000)
	got := r.Read(&Input{PageURL: "https://s.example/?utm_source=" + long + "&utm_medium=" + strings.Repeat("%25C3%25A4", 1000) + "&utm_campaign=" + strings.Repeat("%C3%A4", 1000) + "&gclid=" + long, KnowsReferrer: true,
		Campaign: Campaign{Content: long}})
	for _, s := range []string{got.Source, got.Medium, got.Campaign, got.Content, got.ClickID} {
		if len(s) != memo.MaxText || !utf8.ValidString(s) || strings.Trim(s, "ä") != "" {
			t.Errorf("%d bytes: %q", len(s), s)
		}
	}
}
