package traffic

// clickID is a parameter that an advertiser's or a sender's system adds to its
// links, and the source and medium it stands for where no campaign tag says
// otherwise.
type clickID struct {
	param  string
	prefix string // what the value begins with; "" means any
	source string // a site's name; "" when the parameter cannot tell
	medium string // "" when the parameter cannot tell
	weight weight
	about  string // what is known of it, and where from
}

// weight is how much a click id proves about the visit at hand.
type weight uint8

const (
	// paidFor: added to the target of an advertisement when it is clicked.
	// It outranks the referrer, as Google's does.
	paidFor weight = iota
	// shared: also added to links that are free. Such an address is copied, sent
	// on and indexed with its parameter, so a referrer from elsewhere knows better.
	shared
	// recipient: as shared, and the value names the person who got the message
	// and not the click. It is not kept.
	recipient
	// noted: kept as the visit's click id, but it does not tell a source.
	noted
)

// clickIDs in the order in which they decide when a URL has several: paid ones
// first, the most exact before the vague.
func clickIDs() []clickID {
	return []clickID{
		// Search and display advertising.
		{"gclid", "", "google", "cpc", paidFor, "Google Ads auto-tagging: https://support.google.com/google-ads/answer/9744275"},
		{"gbraid", "", "google", "cpc", paidFor, "Google Ads, app to web without a person's id"},
		{"wbraid", "", "google", "cpc", paidFor, "Google Ads, web to app without a person's id"},
		{"dclid", "", "google", "display", paidFor, "Display & Video 360, Campaign Manager 360"},
		{"msclkid", "", "bing", "cpc", paidFor, "Microsoft Advertising auto-tagging"},
		{"yclid", "YSS.", "yahoo", "cpc", paidFor, "Yahoo! JAPAN search advertising uses Yandex's name for its own id"},
		{"yclid", "YJAD.", "yahoo", "display", paidFor, "Yahoo! JAPAN display advertising uses Yandex's name for its own id"},
		{"yclid", "", "yandex", "cpc", paidFor, "Yandex Direct"},
		{"sznclid", "", "seznam", "cpc", paidFor, "Sklik, the advertising of Seznam.cz"},
		{"bd_vid", "", "baidu", "cpc", paidFor, "Baidu advertising's conversion tracking"},
		{"qhclickid", "", "so.com", "cpc", paidFor, "360 Search advertising's conversion tracking"},
		{"gdt_vid", "", "tencent", "cpc", paidFor, "Tencent Ads' conversion tracking"},
		{"n_keyword_id", "", "naver", "cpc", paidFor, "Naver search advertising's automatic tracking"},
		{"vmcid", "", "yahoo", "cpc", paidFor, "Yahoo (Verizon Media) native and search advertising"},
		// Social networks' advertising.
		{"ttclid", "", "tiktok", "cpc", paidFor, "TikTok Ads"},
		{"twclid", "", "twitter", "cpc", paidFor, "X Ads"},
		{"li_fat_id", "", "linkedin", "cpc", paidFor, "LinkedIn's first-party ad tracking"},
		{"rdt_cid", "", "reddit", "cpc", paidFor, "Reddit Ads"},
		{"qclid", "", "quora", "cpc", paidFor, "Quora Ads' auto-tagging"},
		{"sccid", "", "snapchat", "cpc", paidFor, "Snapchat Ads (ScCid)"},
		{"ndclid", "", "nextdoor", "cpc", paidFor, "Nextdoor Ads' click id"},
		{"rb_clickid", "", "vk", "cpc", paidFor, "VK Ads (before: myTarget)"},
		// Recommendations under articles.
		{"tblci", "", "taboola", "cpc", paidFor, "Taboola's click id"},
		{"dicbo", "", "outbrain", "cpc", paidFor, "Outbrain's click id"},
		{"oborigurl", "", "outbrain", "cpc", paidFor, "Outbrain's mark of a paid link (obOrigUrl)"},
		{"cto_pld", "", "criteo", "retargeting", paidFor, "Criteo's payload on the links of its banners"},
		// Affiliate networks.
		{"irclickid", "", "impact", "affiliate", paidFor, "impact.com"},
		{"awc", "", "awin", "affiliate", paidFor, "Awin's click checksum"},
		{"zanpid", "", "awin", "affiliate", paidFor, "Awin, from its time as zanox"},
		{"cjevent", "", "cj", "affiliate", paidFor, "CJ Affiliate"},
		{"tduid", "", "tradedoubler", "affiliate", paidFor, "Tradedoubler"},
		{"sscid", "", "shareasale", "affiliate", paidFor, "ShareASale's click id"},
		{"ransiteid", "", "rakuten advertising", "affiliate", paidFor, "Rakuten Advertising, before LinkShare (ranSiteID)"},
		{"admitad_uid", "", "admitad", "affiliate", paidFor, "Admitad's click id"},
		// What is left of an advertisement's address when a browser took the id away.
		{"gad_campaignid", "", "google", "cpc", paidFor, "Google Ads, beside the click id: the campaign's number"},
		{"gad_source", "", "google", "cpc", paidFor, "Google Ads, beside the click id: where the advertisement was shown"},
		// Free links.
		{"srsltid", "", "google", "organic", shared, "Google Merchant Center, free listings"},
		{"ysclid", "", "yandex", "organic", shared, "Yandex marks the links of its search results"},
		{"igshid", "", "instagram", "social", shared, "Instagram's share button, until 2023"},
		{"igsh", "", "instagram", "social", shared, "Instagram's share button"},
		{"epik", "", "pinterest", "social", shared, "Pinterest marks free pins and paid ones alike"},
		{"fbclid", "", "facebook", "", shared, "Meta marks free links and paid ones alike, on Facebook and on Instagram; it tells no medium"},
		// Messages.
		{"mc_cid", "", "mailchimp", "email", shared, "Mailchimp: the campaign's id"},
		{"mc_eid", "", "mailchimp", "email", recipient, "Mailchimp: the recipient's id"},
		{"_hsenc", "", "hubspot", "email", recipient, "HubSpot: the recipient, encrypted"},
		{"_hsmi", "", "hubspot", "email", shared, "HubSpot: the e-mail's id"},
		{"_kx", "", "klaviyo", "email", recipient, "Klaviyo: the recipient's id"},
		{"mkt_tok", "", "marketo", "email", recipient, "Adobe Marketo Engage: the recipient's token"},
		{"vero_id", "", "vero", "email", recipient, "Vero: the recipient's id"},
		{"oly_enc_id", "", "omeda", "email", recipient, "Omeda: the recipient's id, encrypted"},
		{"ck_subscriber_id", "", "kit", "email", recipient, "Kit, before ConvertKit: the recipient's id"},
		{"ml_subscriber", "", "mailerlite", "email", recipient, "MailerLite: the recipient's id"},
		{"omnisendcontactid", "", "omnisend", "email", recipient, "Omnisend: the recipient's id"},
		{"vgo_ee", "", "activecampaign", "email", recipient, "ActiveCampaign: the recipient, encrypted"},
		{"dm_i", "", "dotdigital", "email", recipient, "Dotdigital: the campaign and the recipient"},
		// Measuring tools that follow any advertisement.
		{"wickedid", "", "", "", noted, "Wicked Reports numbers clicks of every source"},
	}
}

// elsewhereClick is a gclid beside gclsrc=3p.ds: Search Ads 360 numbers the
// clicks of other engines' advertisements with Google's parameter. The value is
// then the engine's own: Microsoft's has 32 hexadecimal digits and comes again as
// msclkid where that is on. Of others only the referrer knows the engine.
func elsewhereClick() (any, microsoft clickID) {
	const about = "with gclsrc=3p.…: Search Ads 360 on another engine than Google"
	return clickID{"gclid", "", "", "cpc", paidFor, about},
		clickID{"msclkid", "", "bing", "cpc", paidFor, "as a gclid " + about + "; 32 hexadecimal digits are Microsoft's click id"}
}
