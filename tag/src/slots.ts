// Personalisation: the page owns the content, the gateway names the variant.
//
//     <div data-reuna-slot="hero"> default… <template data-reuna-variant="thrillers">…</template></div>
//     <span data-reuna-text="traits.firstName">reader</span>
//     <html data-reuna-segments="…">
//
// No markup is ever made from text: a variant is a clone of the page's own
// template, a text is a text node. Nothing is hidden; a decision that comes
// later than WAIT_MS after the page view is kept for the next page instead.

import type { Profile } from "../types/reuna";
import { personal } from "./consent.ts";
import { variants, WAIT_MS } from "./profile.ts";
import { on } from "./signals.ts";
import { slotSources } from "./transport.ts";

/** The slot's own children, put away by the inline stub or here: it has them exactly while it shows a variant. */
type Slot = HTMLElement & { reuna?: ChildNode[] };

const defaults = new WeakMap<Element, string>();
let until = 0;

const find = <E extends HTMLElement>(attribute: string) => [...document.querySelectorAll<E>(`[data-reuna-${attribute}]`)];
const name = (slot: Slot) => slot.dataset.reunaSlot!;

/** The text at a dotted path of the profile; "" when it is absent or no plain value. */
export function textAt(profile: Profile | undefined, path: string): string {
	let v: unknown = profile;
	for (const key of path.split(".")) v = (v as Record<string, unknown> | null | undefined)?.[key];
	return typeof v == "string" || typeof v == "number" ? "" + v : "";
}

function show(slot: Slot, variant: string | undefined): void {
	const { dataset } = slot;
	if (dataset.reunaShown == variant) return;
	const own = slot.reuna ?? [...slot.childNodes];
	const template = own.find((n): n is HTMLTemplateElement => (n as Partial<HTMLTemplateElement>).dataset?.reunaVariant == (variant ?? ""));
	if (template?.content) {
		slot.reuna = own;
		slot.replaceChildren(template.content.cloneNode(true));
		dataset.reunaShown = variant;
	} else if (slot.reuna) {
		slot.replaceChildren(...own);
		delete slot.reuna;
		delete dataset.reunaShown;
	}
}

/** Fills texts and segments from the profile; without one the page's own come back. */
function fill(profile?: Profile): void {
	const { dataset } = document.documentElement;
	dataset.reunaSegments = profile?.segments?.join(" ") ?? "";
	find("text").forEach((el) => {
		if (!defaults.has(el)) defaults.set(el, el.textContent ?? "");
		const text = textAt(profile, el.dataset.reunaText!) || defaults.get(el)!;
		if (el.textContent != text) el.textContent = text;
	});
}

const wait = () => (until = performance.now() + WAIT_MS);

export function slots(): void {
	const showAll = () => find("slot").forEach((slot) => show(slot, variants[name(slot)]));
	slotSources.push(() => (personal() ? find("slot").map(name) : []));
	// What has its children put away by now was shown by the inline stub, from the same cache.
	find<Slot>("slot").forEach((slot) => slot.reuna && (slot.dataset.reunaShown = variants[name(slot)]));
	on("view", () => {
		wait();
		showAll();
	});
	on("identity", wait);
	on("answer", ({ profile }) => {
		if (performance.now() < until) showAll();
		if (profile) fill(profile);
	});
	// profile.ts has forgotten the variants by now.
	const bare = () => {
		showAll();
		fill();
		wait();
	};
	on("reset", bare);
	on("consent", () => personal() || bare());
}
