// Requests that were not acknowledged, kept for the next page.
//
// A batch that failed goes to the database, what is under way when the page is
// hidden or closed to localStorage (store.ts says why); a /reset always to the
// latter, because the next page must know of it before it says anything.
//
// Invariants: one key a request, the same in both places, so that writing one
// never rewrites another; at most KEEP of them are read, none older than
// MAX_AGE; keys sort by time. An identity token is never written down.

import { database, keys, lasting, load, remove, save } from "./store.ts";

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
	/** How many of this page's messages it holds. */
	count: number;
	/** The notes that it reports. */
	notes: Note[];
	/** Bytes that it holds of the keepalive allowance. */
	size: number;
}

/** What another page made (notes.ts): its run, the highest sequence number, and its path. */
export type Note = [run: string, made: number, path: string];

/** A name and what is kept under it. */
export type Kept = [key: string, text: string];

export const KEEP = 50;
export const MAX_AGE = 7 * 86_400_000;
export const REQUEST = "o.";
export const RUN = "r.";

/** An id for a request or a page made now, in milliseconds since 1970 (nine base 36 digits until the year 5188). */
export const itemId = (now: number): string => now.toString(36).padStart(9, "0") + Math.random().toString(36).slice(2, 8);

/** Writes a request down for the next page. */
export const keep = ({ id, path, rest }: Item): void => {
	if (lasting() && path != "/profile") save(REQUEST + id, path + rest);
};

/** Writes down a request that failed. */
export const keepFailed = (item: Item): void => {
	if (item.path == "/reset") keep(item);
	else database((s) => s.put(item.path + item.rest, REQUEST + item.id));
};

const erase = (key: string) => {
	remove(key);
	database((s) => s.delete(key));
};

/** Forgets a request; the database knows only those that were tried before. */
export const discard = ({ id, tries }: Item): void => (tries ? erase : remove)(REQUEST + id);

/** Gives all that is kept: what localStorage holds now, what the database holds when it answers. */
export const recall = (give: (all: Kept[]) => void): void => {
	give(keys().map((key) => [key, load(key) ?? ""]));
	database((s) => {
		const names = s.getAllKeys();
		const texts = s.getAll();
		texts.onsuccess = () => give(names.result.map((key, i) => [key as string, texts.result[i] as string]));
	});
};

/** The part of it that begins with prefix, eldest first; what is too old, or too much, is removed. */
const worth = (all: Kept[], prefix: string, now: number): Kept[] =>
	all
		.filter(([key]) => key.startsWith(prefix))
		.filter(([key], i, { length }) => (i >= length - KEEP && now - parseInt(key.slice(2, 11), 36) < MAX_AGE) || erase(key));

export const requests = (all: Kept[], now: number): Item[] =>
	worth(all, REQUEST, now).flatMap(([key, text]) => {
		const [, path, rest] = /^(\/\w+)(".*)/s.exec(text) ?? [];
		return path ? { id: key.slice(2), path, rest: rest!, placements: [], tries: 1, epoch: -1, count: 0, notes: [], size: 0 } : [];
	});

export const notes = (all: Kept[], now: number): Note[] =>
	worth(all, RUN, now).map(([key, text]) => {
		const [made, path = ""] = text.split(" ");
		return [key.slice(2), +made!, path];
	});
