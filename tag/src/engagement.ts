// How long and how far a page was read: the time in which it was visible and
// somebody was active, and the deepest part that came into view.
//
// Time needs no timer: each sign of life adds what has passed since the one
// before, at most IdleMs. Depth is read in the task after the frame that shows a
// scroll, when layout is clean: to read it in the handler would force one.

import { listen, on } from "./signals.ts";
import { summary } from "./summary.ts";

const enum Limit {
	/** Who shows no sign of life for longer has gone, or sleeps. */
	IdleMs = 30_000,
}

let engaged = 0;
/** The last sign of life; 0 while nobody is looking. */
let last = 0;
let bottom = 0;
let height = 0;

const tick = (looking: boolean) => {
	const now = performance.now();
	if (last) engaged += Math.min(now - last, Limit.IdleMs);
	last = looking ? now : 0;
};

const look = () => tick(!document.hidden);

const measure = () =>
	requestAnimationFrame(() =>
		setTimeout(() => {
			height = document.documentElement.scrollHeight;
			bottom = Math.max(bottom, scrollY + innerHeight);
		}),
	);

export const engagement = (): void => {
	listen("pointermove pointerdown keydown scroll visibilitychange", look);
	// Each image that loads may have made the page longer.
	listen("scroll load", measure);
	summary((properties, end) => {
		tick(end);
		properties.engagement_time_msec = Math.round(engaged);
		properties.percent_scrolled = height ? Math.min(100, Math.round((bottom / height) * 100)) : undefined;
		return () => {
			engaged = 0;
			if (end) bottom = height = 0;
		};
	});
	on("view", () => {
		look();
		measure();
	});
};
