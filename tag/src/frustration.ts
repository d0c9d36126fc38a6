// Rage clicks, three in quick succession at one place, and dead clicks: on what
// looks clickable, after which nothing happens.
//
// Signs of life: the document or the element's shadow tree changes, another view
// begins, something is fetched, scrolled, submitted, played or typed, the focus
// or the window goes elsewhere. What has one such sign, though of another cause,
// is not called dead; nor is a link that leads somewhere, nor a field. The
// observer runs only while a click waits for its verdict, one at a time.

import { clickable, FIELDS, find, passed, report, textOf } from "./elements.ts";
import { listen, on } from "./signals.ts";

const enum Limit {
	RageClicks = 3,
	/** From one click to the next. */
	RageMs = 500,
	RagePixels = 30,
	DeadMs = 1_500,
}

/** How many clicks there were in a row at one place, and the last of them. */
let row = 0;
let last = {} as MouseEvent;
let waiting: MouseEvent | undefined;

export const frustration = (): void => {
	const life = () => {
		waiting = undefined;
		changes.disconnect();
	};
	// The tag's own change of <html data-reuna-segments> is none.
	const changes = new MutationObserver((all) => all.every((m) => /^data-reuna/.test(m.attributeName!)) || life());
	listen("focus blur input submit scroll hashchange play pause", life);
	on("view", life);
	listen("click", (e: MouseEvent) => {
		const all = passed(e);
		const el = all[0]!;
		const path = clickable(all)[0] ? clickable(all) : all;
		const { timeStamp: at, clientX, clientY } = e;
		const tell = (event: string) => report(path, event, { text: textOf(path) });
		if (!e.isTrusted || find(all, FIELDS + ",[contenteditable]")) return;
		row = at - last.timeStamp < Limit.RageMs && Math.hypot(clientX - last.clientX, clientY - last.clientY) < Limit.RagePixels ? row + 1 : 1;
		last = e;
		// Three clicks that select a paragraph are none of anger.
		if (row == Limit.RageClicks && (path != all || getSelection()!.isCollapsed)) tell("Rage Clicked");
		if (waiting) return;
		waiting = e;
		[document, el.getRootNode()].forEach((root) => changes.observe(root, { subtree: true, childList: true, attributes: true, characterData: true }));
		setTimeout(() => {
			if (waiting != e) return;
			life();
			if (
								(e.defaultPrevented || !find(all, "a[href]:not([href^='#'],[href^=javascript])")) &&
				!performance.getEntriesByType("resource").some((r) => r.startTime > at && !r.name.endsWith("/interact")) &&
				// To be asked here costs no handler anything.
				(path != all || getComputedStyle(el).cursor == "pointer")
			)
				tell("Dead Clicked");
		}, Limit.DeadMs);
	});
};
