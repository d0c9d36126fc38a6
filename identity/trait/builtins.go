package trait

// Builtins are computed traits that every shop asks for. An operator's definition
// of the same name takes the place of one. What counts by itself (sessions, page
// views, orders, revenue, the last order) is no definition: rules read it in
// counts.
func Builtins() []Definition {
	return []Definition{
		// How often something came back. (Segment's spec has the first, the others are in use)
		{Name: "returns", Kind: Count, Events: []string{"Order Refunded", "Order Returned", "Product Returned"}},
		{Name: "favourite_category", Kind: Affinity, Events: []string{"Product Viewed", "Product Added"}, By: "properties.category", HalfLife: 30 * day},
		// By which way they come: a GA4 default channel group.
		{Name: "preferred_channel", Kind: Affinity, Event: "page", By: "context.traffic.channel", HalfLife: 90 * day},
		// When they open mail, follow its links, and visit. (Segment's email and mobile specs)
		{Name: "best_hour", Kind: BestHour, Events: []string{"Email Opened", "Email Link Clicked", "Push Notification Tapped", "page", "screen"}},
		// desktop, mobile, tablet …, the most used first.
		{Name: "devices", Kind: MostFrequent, Events: []string{"page", "screen"}, By: "context.device.type", Limit: 3},
	}
}
