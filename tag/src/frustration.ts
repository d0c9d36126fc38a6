// Rage clicks, three in a second at one place, and dead clicks: on what looks
// clickable, after which nothing happens.
//
// Signs of life: the document or the element's shadow tree changes, the address
// changes, something is fetched, scrolled, submitted, played or typed, the focus
// or the window goes elsewhere. What has one such sign, though of another cause,
// is not called dead; nor is a link that leads somewhere, nor a field. The
// observer runs only while a click waits for its verdict, one at a time.

import { clickable, FIELDS, find, passed, report, textOf } from "./elements.ts";
import { listen } from "./signals.ts";

const enum Limit {
	RageClicks = 3,
	RageMs = 1_000,
	RagePixels = 30,
	DeadMs = 1_500,
}

let recent: MouseEvent[] = [];
let raged = -Infinity;
let waiting: MouseEvent | undefined;

export const frustration = (): void => {
	const life = () => {
		waiting = undefined;
		changes.disconnect();
	};
	// The tag's own change of <html data-reuna-segments> is none.
	const changes = new MutationObserver((all) => all.every((m) => /^data-reuna/.test(m.attributeName!)) || life());
	listen("focus blur input submit scroll hashchange play pause", life);
	listen("click", (e: MouseEvent) => {
		const all = passed(e);
		const el = all[0]!;
		const path = clickable(all)[0] ? clickable(all) : all;
		const { timeStamp: at, clientX, clientY } = e;
		const { href } = location;
		const tell = (event: string) => report(path, event, { text: textOf(path) });
		if (!e.isTrusted || find(all, FIELDS + ",[contenteditable]")) return;
		recent = [...recent.filter((r) => at - r.timeStamp < Limit.RageMs && Math.hypot(clientX - r.clientX, clientY - r.clientY) < Limit.RagePixels), e];
		// Three clicks that select a paragraph are none of anger.
		if (recent[Limit.RageClicks - 1] && (path != all || getSelection()!.isCollapsed)) {
			if (at - raged > Limit.RageMs) tell("Rage Clicked");
			raged = at;
		}
		if (waiting) return;
		waiting = e;
		for (const root of [document, el.getRootNode()]) changes.observe(root, { subtree: true, childList: true, attributes: true, characterData: true });
		setTimeout(() => {
			if (waiting != e) return;
			life();
			if (
				location.href == href &&
				(e.defaultPrevented || !find(all, "a[href]:not([href^='#'],[href^=javascript])")) &&
				!performance.getEntriesByType("resource").some((r) => r.startTime > at && !r.name.endsWith("/interact")) &&
				// To be asked here costs no handler anything.
				(path != all || getComputedStyle(el).cursor == "pointer")
			)
				tell("Dead Clicked");
		}, Limit.DeadMs);
	});
};
