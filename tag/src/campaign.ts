// Campaign tags and click ids of the address that the visitor came to, which
// the page may have cleaned before the tag arrived: the browser still knows it.
// Nothing else of that address is told.

import type { Properties } from "../types/reuna";
import { view } from "./core.ts";
import { once } from "./signals.ts";

export const campaign = (): void =>
	once("view", () => {
		const tags: Properties = {};
		new URL(performance.getEntriesByType("navigation")[0]!.name).searchParams.forEach((value, name) => {
			if (/^utm_|cl(ic)?k?id$|braid$|fat_id|rdt_cid|mc_eid|_hsenc|epik|awc|cjevent/.test(name)) tags[name.replace(/utm_(campaign)?/, (_, c) => (c ? "name" : ""))] = value;
		});
		view.campaign = tags;
	});
