// Web vitals, as https://github.com/GoogleChrome/web-vitals defines them: LCP
// and TTFB of the load, CLS and INP of each page view.

import type { Properties } from "../types/reuna";
import { guard } from "./signals.ts";
import { summary } from "./summary.ts";

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

/** What is told once: LCP and TTFB. */
let load: Properties = {};
/** Undefined where the browser does not measure it. */
let cls: number | undefined;
/** The running window of shifts: its sum, and when it and its last shift began. */
let sum = 0;
let first = 0;
let last = 0;
/** How long each interaction took, by its id. */
let took: Record<number, number> = {};
/** Interactions of earlier views. */
let earlier = 0;

const counted = () => (performance as { interactionCount?: number }).interactionCount!;

export const vitals = (): void => {
	const [navigation] = performance.getEntriesByType("navigation") as Entry[];
	const since = (t: number) => Math.max(0, Math.round(t - (navigation?.activationStart ?? 0)));
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
	if (navigation) load.TTFB = since(navigation.responseStart);
	guard(() => {
		const observer = new PerformanceObserver((list) => take(list.getEntries()));
		for (const type of PerformanceObserver.supportedEntryTypes) {
			// largest-contentful-paint, layout-shift, event, first-input
			if (/^(la|event|first-i)/.test(type)) observer.observe({ type, buffered: true, durationThreshold: Limit.EventMs } as PerformanceObserverInit);
			if (/^lay/.test(type)) cls = 0;
		}
		summary((properties, end) => {
			take(observer.takeRecords());
			watched = false;
			const durations = Object.values(took).sort((a, b) => b - a);
			Object.assign(properties, load, { CLS: cls && +cls.toFixed(4), INP: durations[Math.min(durations.length - 1, ((counted() - earlier) / Limit.Per) | 0)] });
			return () => {
				load = {};
				if (!end) return;
				cls = cls && (sum = 0);
				took = {};
				earlier = counted();
			};
		});
	});
};
