// Personalisation: the page owns the content, the gateway names the variant.
//
//     <div data-reuna-slot="hero"> default… <template data-reuna-variant="thrillers">…</template></div>
//     <span data-reuna-text="traits.firstName">reader</span>
//     <html data-reuna-segments="…">
//
// No markup is ever made from text: a variant is a clone of the page's own
// template, a text is a text node. Nothing is hidden; a decision that comes
// later than WAIT_MS after the page view is kept for the next page instead.
//
// A gateway in front of the site has shown a variant already:
//
//     <div data-reuna-slot="hero" data-reuna-shown="thrillers"> variant… <template data-reuna-default> default and templates </template></div>
//
// What a slot shows of the gateway's decisions is told: "Experiment Viewed", with
// all that the decision says.

import type { Profile } from "../types/reuna";
import { personal } from "./consent.ts";
import { send } from "./core.ts";
import { variants, WAIT_MS } from "./profile.ts";
import { listen, on } from "./signals.ts";
import { slotSources } from "./transport.ts";

/** An element with what was its own: a slot's children exactly while it shows a variant, a text's text once it was looked at. */
type Own<T> = HTMLElement & { reuna?: T };
/** A slot, with the variant that it was last made to show, be it the default, and the one that the gateway was told of: each is told once a page load. */
type Slot = Own<ChildNode[]> & { is_?: string; told_?: string | undefined };

let until = 0;

const find = <E extends HTMLElement>(attribute: string) => [...document.querySelectorAll<E>(`[data-reuna-${attribute}]`)];

/** The text at a dotted path of the profile; "" when it is absent or no plain value. */
export const textAt = (profile: Profile | undefined, path: string): string => {
	const v = path.split(".").reduce((v: any, key) => v?.[key], profile) as unknown;
	return /^[sn]/.test(typeof v) ? "" + v : "";
};

const show = (slot: Slot): void => {
	const { dataset } = slot;
	const last = SETTINGS.given ? (slot.lastElementChild as HTMLElement | null) : null;
	const name = dataset.reunaSlot!;
	// What the parser is not through with would get the rest of its content behind the variant.
	if (!slot.nextSibling && document.readyState == "loading") return;
	if (SETTINGS.given && last?.dataset.reunaDefault == "") {
		slot.reuna = [...(last as HTMLTemplateElement).content.childNodes];
		last.remove();
		// That decision is as new as the page: it stays while the page is being read.
		if (personal()) variants[name] = dataset.reunaShown!;
		until = 0;
	} else if (slot.reuna) dataset.reunaShown ||= variants[name]; // by the inline stub, from the same cache

	const variant = (slot.is_ = variants[name]);
	if (dataset.reunaShown == variant) return;
	const own = slot.reuna || [...slot.childNodes];
	const template = variant && own.find((n): n is HTMLTemplateElement => (n as Partial<HTMLTemplateElement>).dataset?.reunaVariant == variant);
	if (template) {
		slot.reuna = own;
		slot.replaceChildren(template.content.cloneNode(true));
		dataset.reunaShown = variant;
	} else if (slot.reuna) {
		slot.replaceChildren(...own);
		delete slot.reuna;
		delete dataset.reunaShown;
	}
};

/** Fills texts and segments from the profile; without one the page's own come back. */
const fill = (profile?: Profile): void => {
	document.documentElement.dataset.reunaSegments = profile?.segments?.join(" ") ?? "";
	find<Own<string | null>>("text").forEach((el) => {
		el.reuna = el.reuna || el.textContent;
		el.textContent = textAt(profile, el.dataset.reunaText!) || el.reuna;
	});
};

const wait = (): unknown => (until = performance.now() + WAIT_MS);

export const slots = (): void => {
	const showAll = () => find("slot").forEach(show);
	slotSources.push(() => (personal() ? find("slot").map((slot) => slot.dataset.reunaSlot!) : []));
	on("view", () => {
		wait();
		showAll();
	});
	listen("DOMContentLoaded", showAll);
	on("identity", wait);
	on("answer", ({ ms, profile, decisions }) => {
		if ((SETTINGS.given && !ms) || performance.now() < until) showAll();
		// Of a decision that came too late nothing is told, whichever variant it names: else slow visitors counted for the default alone.
		find<Slot>("slot").forEach((slot) => {
			const name = slot.dataset.reunaSlot!;
			const chosen = decisions[name];
			if (chosen && slot.is_ == chosen.variant && slot.told_ != (slot.told_ = slot.is_)) send({ type: "track", event: "Experiment Viewed", properties: { experiment_id: name, variation_id: slot.is_, ...chosen } });
		});
		if (profile) fill(profile);
		// What came with the page or the tag is new enough for this page.
		if (SETTINGS.given) until = ms && until;
	});
	on("forget", () => {
		showAll();
		fill();
		wait();
	});
};
