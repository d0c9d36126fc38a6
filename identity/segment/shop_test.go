package segment

import (
	"time"

	"github.com/reuna/reuna/identity/trait"
)

func shop() ([]trait.Definition, []Definition) {
	return []trait.Definition{
			{Name: "orders_30d", Kind: trait.Count, Event: "Order Completed", Window: 30 * day},
			{Name: "views", Kind: trait.Count, Event: "Product Viewed"},
			{Name: "views_1h", Kind: trait.Count, Event: "Product Viewed", Window: time.Hour},
			{Name: "since_view", Kind: trait.TimeSince, Event: "Product Viewed"},
			{Name: "favourite", Kind: trait.Affinity, Event: "Product Viewed", By: "properties.category", HalfLife: day},
		}, []Definition{
			{Name: "fans", When: "count('Product Viewed', properties.category == 'thrillers', '2h') >= 2", ID: 40},
			{Name: "vip", When: "'customers' in segments && 'fans' in segments || counts.revenue > 500.0", ID: 7},
			{Name: "customers", When: "counts.orders > 0", ID: 3},
			{Name: "loyal", When: "computed.orders_30d >= 2", ID: 900},
			{Name: "busy", When: "computed.views_1h >= 3 || computed.views > 40", ID: 41},
			{Name: "recent", When: "now - counts.lastOrder < duration('36h')", ID: 1},
			{Name: "lapsed", When: "has(counts.lastOrder) && now - counts.lastOrder >= duration('36h')", ID: 2},
			{Name: "pro", When: "traits.plan == 'pro'", ID: 50},
			{Name: "finns", When: "geo.country == 'FI'", Site: "shop", ID: 51},
			{Name: "mobile", When: "device.type == 'mobile' || traffic.channel == 'Email'", ID: 52},
			{Name: "agreed", When: "consent.marketing", ID: 53},
			{Name: "evening", When: "now.getHours('Europe/Helsinki') >= 18 && counts.sessions > 0", ID: 54},
			{Name: "none", When: "size(segments) == 0", ID: 55},
			{Name: "many", When: "segments.exists(s, s == 'vip') || size(segments) > 5", ID: 56},
			{Name: "likes", When: "computed.favourite == 'thrillers' && affinity['thrillers'] > 1.5", ID: 57},
			{Name: "adored", When: "affinity['thrillers'] > 3.0 * affinity['crime']", ID: 61},
			{Name: "total", When: "sum('Order Completed', 'properties.revenue', '3d') > 300.0", ID: 62},
			{Name: "left", When: "notFollowed(step('Product Viewed', properties.category == 'crime'), step('Order Completed'), '5h')", ID: 63},
			{Name: "bought", When: "followed(step('Product Viewed'), step('Order Completed', properties.revenue > 50), '3h')", ID: 64},
			{Name: "idle", When: "computed.since_view > duration('9h') && has(computed.since_view)", ID: 65},
			{Name: "two", When: "counts.devices > 1 && counts.returns == 0", ID: 58},
			{Name: "new", When: "now < timestamp('2026-03-06T12:00:00Z') && !('customers' in segments)", ID: 59},
			{Name: "ever", When: "count('Order Completed', 'ever') >= 3", ID: 60},
		}
}

// steady are audiences that an event more can only bring somebody into, or out of, and some
// that are told apart by one text.
func steady() ([]trait.Definition, []Definition) {
	return []trait.Definition{
			{Name: "kinds", Kind: trait.Unique, Event: "Product Viewed", By: "properties.category", Window: 2 * time.Hour},
			{Name: "days", Kind: trait.DaysActive, Event: "Product Viewed", Window: 3 * day},
		}, []Definition{
			{Name: "liked-thrillers", When: "computed.favourite == 'thrillers'", ID: 100},
			{Name: "liked-crime", When: "computed.favourite == 'crime'", ID: 101},
			{Name: "liked-nothing", When: "computed.favourite == ''", ID: 102},
			{Name: "crime", When: "'liked-crime' in segments", ID: 103},
			{Name: "both", When: "computed.kinds >= 2", ID: 104},
			{Name: "one-kind", When: "!(1 < computed.kinds) && computed.views_1h >= 1", ID: 105},
			{Name: "fresh", When: "computed.since_view < duration('2h') || traits.plan == 'pro'", ID: 106},
			{Name: "stale", When: "!(computed.since_view <= duration('3h')) && computed.views > 0", ID: 107},
			{Name: "back", When: "computed.days >= 2 && duration('1h') > computed.since_view", ID: 108},
			{Name: "few-pages", When: "counts.pageviews < 5", ID: 109},
			{Name: "quiet", When: "computed.views_1h <= 1 && !(counts.pageviews > 8)", ID: 110},
			{Name: "either", When: "computed.views_1h >= 2 && !(computed.views_1h > 3)", ID: 111},
		}
}
