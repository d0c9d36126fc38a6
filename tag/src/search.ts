// What was looked for on the site itself: a page view whose address has a search
// term. The names are GA4's (view_search_results, search_term).

import { send } from "./core.ts";
import { scrub } from "./scrub.ts";
import { on } from "./signals.ts";

export const search = (): void =>
	on("view", () => {
		const query = new URLSearchParams(location.search);
		const term = SETTINGS.search.split("|").map((name) => query.get(name)).find((t) => t);
		// After the page view itself.
		if (term) Promise.resolve().then(() => send({ type: "track", event: "Search Results Viewed", properties: { search_term: scrub(term) } }));
	});
