// What every batch says about the page and the browser, in Segment's words.
// Time zone by Date's offset alone: the first Intl call costs a slow phone 180 ms.

import type { Properties } from "../types/reuna";
import { uuidv7 } from "./uuid.ts";
import type { View } from "./types.ts";

/** The page as it stands now, as a view of its own. */
export function look(referrer: string): View {
	return { id: uuidv7(Date.now()), page: { url: location.href, path: location.pathname, search: location.search, title: document.title, referrer } };
}

/** The context that a batch's messages share. */
export function context(view: View, consent: Properties | undefined): Properties {
	const { language, userAgentData } = navigator as Navigator & { userAgentData?: Properties };
	const { width, height } = screen;
	return {
		library: { name: "reuna.js", version: SETTINGS.version },
		page: view.page,
		pageViewId: view.id,
		locale: language,
		timezoneOffset: -new Date().getTimezoneOffset(),
		screen: { width, height, density: devicePixelRatio, innerWidth, innerHeight },
		// Its JSON form is the low-entropy hints: brands, mobile, platform.
		userAgentData,
		consent,
	};
}
