// What a page element tells: enough to find it again, nothing that a visitor
// typed. An element comes as its path, itself and its ancestors out through open
// shadow trees: `Element.closest` would not see the marks on their hosts.

import type { Properties } from "../types/reuna";
import { now, send } from "./core.ts";
import { scrub } from "./scrub.ts";
import { guard, on } from "./signals.ts";

export const IGNORED = "[data-reuna-ignore],.ph-no-capture";
export const FIELDS = "input,textarea,select";
/** Elements whose text belongs to the visitor, or to nobody. */
const SILENT = FIELDS + ",script,style,[contenteditable],[data-reuna-mask],[data-hj-suppress]," + IGNORED;
/** A label is not listed: the click that it passes on to its field is. */
const CLICKABLE = FIELDS + ",a,area,button,summary,[role=button],[role=link],[role=tab],[role=menuitem],[onclick],[data-reuna-track]";

const enum Most {
	/** Characters of an element's text that are looked at: twice those that are told. */
	Text = 510,
	/** Characters read of one text node, so that a huge one costs nothing. */
	Read = 999,
	/** Nodes whose text is read. */
	Nodes = 255,
	/** Characters of its description. */
	Word = 120,
	/** Ancestors, itself included, body and html not. */
	Levels = 6,
}

export const passed = (e: Event) => e.composedPath().filter((n): n is Element => n instanceof Element);

export const find = (path: Element[], selector: string) => path.find((el) => el.matches(selector));

/** The path from the first element on that can be clicked; empty when none can. */
export const clickable = (path: Element[]) => path.slice(path.findIndex((el) => el.matches(CLICKABLE)) >>> 0);

/** An element as one CSS-like word: `a#buy.primary[role=button]`. By attributes alone, because a form's fields hide its properties. */
const word = (el: Element) =>
	["id", "class", "type", "role", "name", "data-testid"]
		.reduce((word, name, i) => {
			const value = el.getAttribute(name);
			return value ? word + (i > 1 ? `[${name}=${value}]` : ("#."[i] + value).replace(/\s+/g, ".")) : word;
		}, el.localName)
		.slice(0, Most.Word);

/** What path[0] reads as, at most 255 characters; never what a visitor typed. */
export const textOf = (path: Element[]) => {
	const walker = document.createTreeWalker(path[0]!, 5, (n) => ((n as Partial<Element>).matches?.(SILENT) ? 2 : 1));
	let text = "";
	if (!find(path, SILENT)) {
		for (let n = 0; n++ < Most.Nodes && text.length < Most.Text && walker.nextNode(); ) text += " " + (walker.currentNode.nodeValue ?? "").slice(0, Most.Read);
		text = text.replace(/\s+/g, " ").trim() || path[0]!.getAttribute("aria-label") || "";
	}
	return scrub(text);
};

let later: (() => void)[] = [];
const work = () => later.splice(0).forEach(guard);
on("leave", work);

/**
 * Tells that something was done to path[0]: `event`, unless the page names it
 * (data-reuna-track), with its description, `more`, and data-reuna-prop-*, of
 * which the nearest win. Nothing where nothing may be captured.
 *
 * The element is read at once, because a handler may change it; making and
 * sending the message waits for the handlers' end.
 */
export const report = (path: Element[], event: string, more: Properties, urgent?: boolean): void => {
	if (find(path, IGNORED)) return;
	const own: Properties = {};
	for (const el of [...path].reverse())
		for (const { name, value } of el.attributes) {
			const [, track, key] = /^data-reuna-(track$|prop-)(.*)/.exec(name) ?? [];
			if (key) own[key] = value;
			else event = (track && value) || event;
		}
	const properties = { element: path.slice(0, -2).slice(0, Most.Levels).map(word), ...more, ...own };
	const time = now();
	if (later.push(() => send({ type: "track", event, properties }, urgent, undefined, time)) == 1) setTimeout(work);
};
