package main

const (
	writeKey  = "wk_bench"
	placement = "hero"
)

// gatewayConfig is a site with what a shop would have: an interest that
// computes itself, an audience, a placement with a variant for it. The rates
// are not limited, since all load comes from one address and one key.
const gatewayConfig = `demo: false
trusted_proxies: [127.0.0.1/32]
log: {level: warn}
sites:
  - {name: bench, write_key: ` + writeKey + `, origins: [], page_traits: [plan, favourite_category]}
limits: {requests_per_second_per_address: 0, requests_per_second_per_key: 0, processor_wait: 0}
behaviour: {page_views_per_minute: 0} # visitors come back faster than people can
traits:
  - {name: favourite_category, kind: affinity, event: Product Viewed, by: properties.category, half_life: 14d}
  - {name: thriller_orders_30d, kind: count, event: Order Completed, where: "properties.products.exists(p, p.category == 'thrillers')", window: 30d}
segments:
  - {name: thriller-fans, when: "has(computed.thriller_orders_30d) && computed.thriller_orders_30d >= 2"}
placements:
  - name: ` + placement + `
    variants:
      - {name: thrillers, when: "'thriller-fans' in segments"}
      - {name: default}
`
