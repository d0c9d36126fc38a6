// What the gateway answered: the profile, and the variants it chose.

import type { Profile } from "../types/reuna";
import { personal } from "./consent.ts";
import { expose } from "./core.ts";
import { on } from "./signals.ts";
import { ask, slotSources } from "./transport.ts";

/** How long anything on the page waits for an answer before the default stays, in milliseconds. */
export const WAIT_MS = 300;

/** Slot to variant, from the last answers of this session. */
export let variants: Record<string, string> = {};

let last: Profile | undefined;
const wanted = new Map<string, (() => void)[]>();

/** Runs fn on the session's cache, which may be blocked or full: then each page asks anew. */
function cache<T>(fn: (s: Storage, key: string) => T): T | undefined {
	try {
		return fn(sessionStorage, "reuna." + SETTINGS.writeKey);
	} catch {
		return undefined;
	}
}

/**
 * Keeps the variants for the next page, and for its inline stub the selector of
 * their templates; of none nothing is kept, because no selector is empty.
 */
function keep(): void {
	cache((s, key) => {
		s.removeItem(key);
		s.removeItem(key + ".d");
		const selectors = Object.keys(variants).map((slot) => `[data-reuna-slot="${CSS.escape(slot)}"]>[data-reuna-variant="${CSS.escape(variants[slot]!)}"]`);
		if (!selectors[0]) return;
		s[key + ".d"] = JSON.stringify(variants);
		s[key] = selectors.join();
	});
}

function forget(): void {
	last = undefined;
	variants = {};
	keep();
}

export function profile(): void {
	if (personal()) variants = cache((s, key) => JSON.parse(s[key + ".d"]) as typeof variants) ?? {};
	slotSources.push(() => [...wanted.keys()]);
	on("profile", (p) => (last = p));
	on("answer", ({ profile, decisions, placements }) => {
		// A slot that was asked for and has no decision goes back to its default.
		if (profile) for (const slot of placements) delete variants[slot];
		for (const slot in decisions) {
			const { variant, holdout } = decisions[slot]!;
			variants[slot] = holdout ? "default" : variant;
			wanted.get(slot)?.forEach((run) => run());
		}
		keep();
	});
	on("reset", forget);
	on("consent", () => personal() || forget());

	expose("profile", () => last, true);
	expose("onProfile", (run: (p: Profile) => void) => {
		on("profile", run);
		if (last) run(last);
	}, true);
	expose("decide", (slot: string, fallback: string) => {
		if (!variants[slot] && personal()) {
			wanted.set(slot, wanted.get(slot) ?? []);
			ask([slot]);
		}
		return new Promise<string>((resolve) => {
			const settle = () => {
				wanted.delete(slot);
				resolve(variants[slot] ?? fallback);
			};
			if (!wanted.get(slot)?.push(settle)) return settle();
			setTimeout(settle, WAIT_MS);
		});
	});
}

