// Web vitals, as https://github.com/GoogleChrome/web-vitals defines them: LCP
// and TTFB of the load, CLS and INP of each page view.

import type { Properties } from "../types/reuna";
import { later } from "./later.ts";
import { on } from "./signals.ts";

interface Entry extends PerformanceEntry {
	/** layout-shift */
	value?: number;
	hadRecentInput?: boolean;
	/** event, first-input: all events of one press or key have the same; 0 for others. */
	interactionId?: number;
	/** navigation */
	responseStart: number;
	activationStart?: number;
}

const enum Limit {
	/** A window of layout shifts has no longer pause, and is no longer. */
	PauseMs = 1_000,
	WindowMs = 5_000,
	/** One interaction in fifty may be longer than what is told. */
	Per = 50,
	/** The least that browsers report. */
	EventMs = 16,
}

let cls: number | undefined;
/** The running window of shifts: its sum, and when it and its last shift began. */
let sum = 0;
let first = 0;
let last = 0;
/** How long each interaction took, by its id; those under EventMs are not known. */
let took: Record<number, number> = {};
let told = "";

export const vitals = (): void => {
	const [{ activationStart = 0, responseStart }] = performance.getEntriesByType("navigation") as [Entry];
	const since = (t: number) => Math.max(0, Math.round(t - activationStart));
	/** Of the load. */
	let load: Properties = { TTFB: since(responseStart) };
	/** What is painted after the page was hidden took as long as the visitor was away. */
	let watched = (document as { prerendering?: boolean }).prerendering || !document.hidden;
	const take = (entries: PerformanceEntryList) =>
		(entries as Entry[]).forEach(({ entryType, startTime, duration, value, hadRecentInput, interactionId }) => {
			if (interactionId) took[interactionId] = Math.max(took[interactionId] ?? 0, duration);
			else if (value && !hadRecentInput) {
				if (startTime - last >= Limit.PauseMs || startTime - first >= Limit.WindowMs) {
					first = startTime;
					sum = 0;
				}
				last = startTime;
				cls = Math.max(cls!, (sum += value));
			} else if (entryType[2] == "r" && watched) load.LCP = since(startTime);
		});
	const observer = new PerformanceObserver((list) => take(list.getEntries()));
	// largest-contentful-paint, layout-shift, event, first-input
	for (const type of PerformanceObserver.supportedEntryTypes) {
		if (/^(la|event|first-i)/.test(type)) observer.observe({ type, buffered: true, durationThreshold: Limit.EventMs } as PerformanceObserverInit);
		if (type[2] == "y") cls = 0; // la-y-out-shift
	}
	const add = (summary: Properties) => {
		take(observer.takeRecords());
		watched = false;
		const durations = Object.values(took).sort((a, b) => b - a);
		return Object.assign(summary, load, { CLS: cls && +cls.toFixed(4), INP: durations[(durations.length / Limit.Per) | 0] });
	};
	if (SETTINGS.engagement) on("summary", add);
	// After the summary: modules listen in their order.
	on("leave", (end) => {
		if (!SETTINGS.engagement) {
			const properties = add({});
			if (told != (told = JSON.stringify(properties)) || end) later({ type: "track", event: "Web Vitals", properties }, end);
		}
		if (!end) return;
		load = {};
		took = {};
		cls = cls && (sum = 0);
	});
};
