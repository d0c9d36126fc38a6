// What every batch says about the page and the browser, in Segment's words.
// Time zone by Date's offset alone: the first Intl call costs a slow phone 180 ms.

import type { Properties } from "../types/reuna";
import { consented } from "./consent.ts";
import { agent } from "./hints.ts";
import { run } from "./notes.ts";
import { scrub } from "./scrub.ts";
import type { View } from "./types.ts";
import { uuidv7 } from "./uuid.ts";

/** The page as it stands now, as a view of its own. */
export const look = (referrer: string): View => ({ id: uuidv7(Date.now()), page: { url: location.href, path: location.pathname, search: location.search, title: scrub(document.title), referrer } });

/** The context that a batch's messages share. */
export const context = (view: View): Properties => ({
	library: { name: "reuna.js", version: SETTINGS.version },
	page: view.page,
	pageViewId: view.id,
	run,
	locale: navigator.language,
	timezoneOffset: -new Date().getTimezoneOffset(),
	screen: { width: screen.width, height: screen.height, density: devicePixelRatio, innerWidth, innerHeight },
	// Its JSON form is the low-entropy hints: brands, mobile, platform.
	userAgentData: (SETTINGS.hints && agent) || (navigator as Navigator & { userAgentData?: Properties }).userAgentData,
	campaign: SETTINGS.campaign ? view.campaign : undefined,
	consent: consented(),
});
