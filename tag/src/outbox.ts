// Requests that were not acknowledged, kept for the next page.
//
// Invariants: one key a request, so that writing one never rewrites another;
// at most KEEP of them, none older than MAX_AGE; keys sort by time. An identity
// token is never written down.

import { keys, lasting, load, remove, save } from "./store.ts";

/** A request that is on its way, or waits for it. */
export interface Item {
	/** Sorts by time: base 36 milliseconds, then chance. */
	id: string;
	path: string;
	/** The body's members after sentAt and token, without the opening brace. */
	rest: string;
	token?: string | undefined;
	/** The slots that it asks a decision for. */
	placements: string[];
	tries: number;
	/** Changes at each reset; an answer from another one says nothing about this visitor. An earlier page's is negative. */
	epoch: number;
}

export const KEEP = 50;
export const MAX_AGE = 7 * 86_400_000;
const PREFIX = "o.";

/** An id for a request made now, in milliseconds since 1970 (nine base 36 digits until the year 5188). */
export function itemId(now: number): string {
	return now.toString(36).padStart(9, "0") + Math.random().toString(36).slice(2, 8);
}

export function keep({ id, path, rest }: Item): void {
	if (lasting() && path != "/profile") save(PREFIX + id, path + rest);
}

export function discard({ id }: Item): void {
	remove(PREFIX + id);
}

/** What is kept, eldest first; what is too old, or too much, is removed. */
export function kept(now: number): Item[] {
	return keys(PREFIX).flatMap((key, i, all) => {
		const [, path, rest] = /^(\/\w+)(".*)/s.exec(load(key) ?? "") ?? [];
		const item = { id: key.slice(2), path: path!, rest: rest!, placements: [], tries: 1, epoch: -1 };
		if (rest && i >= all.length - KEEP && now - parseInt(item.id.slice(0, 9), 36) < MAX_AGE) return [item];
		remove(key);
		return [];
	});
}
