// The summary of a page view: one event with what the modules have gathered,
// told when the page is hidden or closed, or when another view begins.

import type { Properties } from "../types/reuna";
import { later } from "./later.ts";
import { on } from "./signals.ts";

/** Adds to the summary; `end`: the view is over. Gives what is to be done when it has left. */
type Part = (summary: Properties, end: boolean) => () => void;

let parts: Part[] = [];
let told = "";

export const summary = (part: Part): void => {
	if (parts.push(part) > 1) return;
	on("leave", (end) => {
		const properties: Properties = {};
		const left = parts.map((p) => p(properties, end));
		// Nothing new to tell: nobody has looked since, or nothing was measured.
		if (SETTINGS.engagement ? !properties.engagement_time_msec : !end && told == (told = JSON.stringify(properties))) return;
		if (later({ type: "track", event: SETTINGS.engagement ? "User Engagement" : "Web Vitals", properties }, end)) left.forEach((run) => run());
	});
};
