// Campaign tags and click ids of the address that the visitor came to, which
// the page may have cleaned before the tag arrived: the browser still knows it.
// Nothing else of that address is told; the gateway reads them as it reads those
// of `page.url`.

import { view } from "./core.ts";
import { once } from "./signals.ts";

const TAGS = /\b(utm_\w+|\w*c[lc](ic)?k?id|[gw]braid|li_fat_id|rdt_cid|mc_eid)=[^&#]+/gi;

export const campaign = (): void => once("view", () => (view.campaign = { query: performance.getEntriesByType("navigation")[0]?.name.match(TAGS)?.join("&") }));
