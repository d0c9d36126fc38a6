// Clicks on what can be clicked: buttons, links, outbound links, downloads.
//
// The element is read in the handler, because a click may change it; making
// and keeping the message waits for the handler's end, unless the click leaves
// the page. No layout is read, preventDefault is never called.

import type { Properties } from "../types/reuna";
import { now, send } from "./core.ts";
import { chain, IGNORED, ownProperties, textOf } from "./elements.ts";
import { describeLink } from "./links.ts";
import type { Link } from "./links.ts";
import { guard } from "./signals.ts";

const CLICKABLE = "a,area,button,summary,label,input,select,textarea,[role=button],[role=link],[role=tab],[role=menuitem],[onclick],[data-reuna-track]";

let later: (() => void)[] = [];

function work(): void {
	later.splice(0).forEach(guard);
}

function clicked(e: MouseEvent): void {
	const target = e.composedPath()[0];
	const el = target instanceof Element && target.closest(CLICKABLE);
	if (!el || el.closest(IGNORED) || e.button > 1) return;
	const a = el.closest<HTMLAnchorElement>("a[href]");
	const { href, file, outbound } = a ? describeLink(a.href, location.hostname, a.hasAttribute("download"), SETTINGS.downloads) : ({} as Partial<Link>);
	const event = el.closest<HTMLElement>("[data-reuna-track]")?.dataset.reunaTrack || (file ? "File Downloaded" : outbound ? "Outbound Link Clicked" : "Element Clicked");
	const properties: Properties = { text: textOf(el), element: chain(el), href, file, ...ownProperties(el) };
	const leaves = a && !a.target && !(e.button || e.ctrlKey || e.metaKey || e.shiftKey);
	const time = now();
	const made = () => send({ type: "track", event, properties }, !!leaves, undefined, time);
	if (leaves) made();
	else if (later.push(made) == 1) setTimeout(work);
}

export function clicks(): void {
	for (const type of ["click", "auxclick"]) document.addEventListener(type, (e) => guard(() => clicked(e as MouseEvent)), true);
	addEventListener("pagehide", work, true);
}
