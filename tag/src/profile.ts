// What the gateway answered: the profile, and the variants it chose.

import type { Answer, Profile } from "../types/reuna";
import { personal } from "./consent.ts";
import { expose, starts } from "./core.ts";
import { emit, off, on } from "./signals.ts";
import { ask, slotSources } from "./transport.ts";

/** How long anything on the page waits for an answer before the default stays, in milliseconds. */
export const WAIT_MS = 300;

/** Slot to variant, from the last answers of this session. */
export let variants: Record<string, string> = {};

let last: Profile | undefined;
const wanted = new Set<string>();

/** Runs fn on the session's cache, which may be blocked or full: then each page asks anew. */
const cache = <T>(fn: (s: Storage, key: string) => T): T | undefined => {
	try {
		return fn(sessionStorage, "reuna." + SETTINGS.writeKey);
	} catch {
		return undefined;
	}
};

/**
 * Keeps the variants for the next page: for its inline stub the selector of
 * their templates, and behind it in a comment, which selectors may hold, the
 * variants themselves. Of none nothing is kept, because no selector is empty.
 * The gateway's names hold letters, digits and _ . - alone.
 */
const keep = (): unknown =>
	cache((s, key) => {
		delete s[key];
		const selector = Object.entries(variants).map(([slot, variant]) => `[data-reuna-slot="${slot}"]>[data-reuna-variant="${variant}"]`);
		if (selector[0]) s[key] = selector + `/*${JSON.stringify(variants)}*/`;
	});

const forget = (): void => {
	last = undefined;
	variants = {};
	keep();
	emit("forget", undefined);
};

export const profile = (): void => {
	if (personal()) variants = cache((s, key) => JSON.parse(s[key].split("*")[1]) as typeof variants) ?? {};
	slotSources.push(() => [...wanted]);
	// The gateway's answer that came with the tag or the page, if it did, is the first one.
	const { a } = ((window as any)[SETTINGS.global] ?? {}) as { a?: Partial<Answer> };
	starts.push(() => {
		if (!a?.profile || !personal()) return;
		emit("profile", a.profile);
		emit("answer", { ms: 0, profile: a.profile, decisions: a.decisions!, placements: [], rejected: [] });
	});
	on("profile", (p) => (last = p));
	on("answer", ({ profile, decisions, placements }) => {
		// A slot that was asked for and has no decision goes back to its default.
		if (profile) placements.forEach((slot) => delete variants[slot]);
		for (const slot in decisions) variants[slot] = decisions[slot]!.holdout ? "default" : decisions[slot]!.variant;
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
			const settle = () => {
				wanted.delete(slot);
				off("answer", look);
				resolve(variants[slot] ?? fallback);
			};
			const look = () => variants[slot] && settle();
			if (variants[slot] || !personal()) return settle();
			on("answer", look);
			setTimeout(settle, WAIT_MS);
			wanted.add(slot);
			ask([slot]);
		}),
	);
};
