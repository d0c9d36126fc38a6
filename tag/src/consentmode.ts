// Consent from Google's Consent Mode v2: the commands that a page, or its consent
// manager, puts into `dataLayer` for Google's tags
// (https://developers.google.com/tag-platform/security/guides/consent):
// gtag("consent", "default" | "update", {analytics_storage: "granted" | "denied", …}),
// an arguments object each.

import type { Consent } from "../types/reuna";
import { told } from "./consent.ts";

/** What each of Google's types was last said to be. */
const said: Record<string, boolean> = {};

/**
 * Takes one entry of the data layer; what it makes of the consent, if anything.
 * A default that refuses is no answer of the visitor's, so it leaves the site's own
 * setting in force. Of several defaults, for different regions, the strictest
 * counts: where the visitor is, is not known here.
 */
export const entry = (e: any): Consent | undefined => {
	if (e?.[0] != "consent") return;
	const update = e[1] == "update";
	for (const type in e[2]) said[type] = e[2][type] == "granted" && (update || said[type] != false);
	const { analytics_storage: analytics, personalization_storage: personalisation = false, ad_storage, ad_user_data, ad_personalization } = said;
	if (update ? analytics != null : analytics) return { analytics: analytics!, personalisation, advertising: !!(ad_storage && ad_user_data && ad_personalization) };
};

export const consentmode = (): void => {
	const w = window as unknown as { dataLayer?: unknown[] };
	const layer = (w.dataLayer = w.dataLayer || []);
	const { push } = layer;
	const hear = (e: unknown) => told(entry(e));
	layer.forEach(hear);
	layer.push = (...all) => {
		all.forEach(hear);
		return push.apply(layer, all);
	};
};
