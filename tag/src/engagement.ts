// How long and how far a page was read: the time in which it was visible and
// somebody was active, and the deepest part that came into view. It is told when
// the page is hidden or closed, or when another view begins.
//
// Time needs no timer: each sign of life adds what has passed since the one
// before, at most IdleMs. Depth is read in the task after the frame that shows a
// scroll, when layout is clean: to read it in the handler would force one.

import type { Properties } from "../types/reuna";
import { later } from "./later.ts";
import { emit, listen, on } from "./signals.ts";

const enum Limit {
	/** Who shows no sign of life for longer has gone, or sleeps. */
	IdleMs = 30_000,
	/** Less is not worth a message; a page that closes is left twice, closed and hidden. */
	LeastMs = 50,
}

let engaged = 0;
/** The last sign of life; 0 while nobody is looking. */
let last = 0;
let bottom = 0;
let height = 1;

const look = () => {
	const now = performance.now();
	if (last) engaged += Math.min(now - last, Limit.IdleMs);
	last = document.hidden ? 0 : now;
};

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
	on("leave", (end) => {
		look();
		if (engaged < Limit.LeastMs) return;
		const properties: Properties = { engagement_time_msec: Math.round(engaged), percent_scrolled: Math.min(100, Math.round((bottom / height) * 100)) };
		emit("summary", properties);
		if (later({ type: "track", event: "User Engagement", properties }, end)) engaged = 0;
	});
	on("view", () => {
		look();
		bottom = 0;
		measure();
	});
};
