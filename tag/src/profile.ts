// What the gateway answered: the profile, and the variants it chose.

import type { Answer, Profile } from "../types/reuna";
import { personal } from "./consent.ts";
import { expose, starts } from "./core.ts";
import { emit, off, on } from "./signals.ts";
import { attempt, named } from "./store.ts";
import { ask } from "./transport.ts";

/** How long anything on the page waits for an answer before the default stays, in milliseconds. */
export const WAIT_MS = 300;

/** Slot to variant, from the last answers of this session. */
export let variants: Record<string, string> = {};

let last: Profile | undefined;

/**
 * Keeps the variants for the next page: for its inline stub the selector of
 * their templates, and behind it in a comment, which selectors may hold, the
 * variants themselves. Of none nothing is kept, because no selector is empty.
 * The gateway's names hold letters, digits and _ . - alone.
 */
const keep = (): void =>
	attempt(() => {
		delete sessionStorage[named()];
		const selector = Object.entries(variants).map(([slot, variant]) => `[data-reuna-slot="${slot}"]>[data-reuna-variant="${variant}"]`);
		if (selector[0]) sessionStorage[named()] = selector + `/*${JSON.stringify(variants)}*/`;
	});

const forget = (): void => {
	last = undefined;
	variants = {};
	keep();
	emit("forget");
};

export const profile = (): void => {
	if (personal()) attempt(() => (variants = JSON.parse(sessionStorage[named()].split("*")[1])));
	// The gateway's answer that came with the tag or the page, if it did, is the first one.
	if (SETTINGS.given) {
		const { a } = ((window as any)[SETTINGS.global] ?? {}) as { a?: Partial<Answer> };
		starts.push(() => a?.profile && personal() && emit("answer", { ms: 0, placements: [], rejected: [], ...a } as Answer));
	}
	on("answer", ({ profile, decisions, placements }) => {
		if (profile) {
			emit("profile", (last = profile));
			// A slot that was asked for and has no decision goes back to its default.
			placements.forEach((slot) => delete variants[slot]);
		}
		for (const slot in decisions) variants[slot] = decisions[slot]!.variant;
		keep();
	});
	on("reset", forget);
	on("consent", () => personal() || forget());

	expose("profile", () => last, true);
	expose("onProfile", (run: (p: Profile) => void) => {
		on("profile", run);
		if (last) run(last);
	}, true);
	expose("decide", (slot: string, fallback: string) =>
		new Promise<string>((resolve) => {
			/** Of an answer that names no variant another one may come; without one the time is over. */
			const settle = (answer?: Answer) => {
				if (answer && !variants[slot]) return;
				resolve(variants[slot] ?? fallback);
				off("answer", settle);
			};
			if (variants[slot] || !personal()) return settle();
			on("answer", settle);
			setTimeout(settle, WAIT_MS);
			ask(slot);
		}),
	);
};
