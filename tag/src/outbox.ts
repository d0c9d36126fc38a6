// Requests that were not acknowledged, kept for the next page: those that
// failed, at once and in both places, those under way when the page is hidden or
// closed in localStorage (store.ts says why).
//
// Invariants: one key a request, so that writing one never rewrites another;
// none is read that is older than Limit.AgeMs; keys sort by time. An identity token
// is never written down.

import { guard } from "./signals.ts";
import { database, kept, load, remove, save } from "./store.ts";
import type { Kept } from "./store.ts";
import type { View } from "./types.ts";

/** What another page made (notes.ts): its run, the highest sequence number, and its path. */
export type Note = [run: string, made: number, path: string];

/** A request that is being filled, waits, or is on its way. */
export interface Item {
	/** Sorts by time: base 36 milliseconds, then chance. */
	id: string;
	path_: string;
	/** The body's members after sentAt and token, without the opening brace. */
	rest_: string;
	/** How often it failed, here or on an earlier page. */
	tries_: number;
	/** This page's messages, as JSON. */
	texts_: string[];
	/** The slots that it asks a decision for. */
	placements_: string[];
	/** The notes that it reports. */
	notes_: Note[];
	/** Bytes: of the texts while it is being filled, then of the keepalive allowance. */
	size_: number;
	view_?: View;
	token_?: string | undefined;
}

export const enum Limit {
	/** Requests that wait in a page. */
	Requests = 50,
	/** A week. */
	AgeMs = 604_800_000,
}

const REQUEST = "o.";
export const RUN = "r.";

/** When the last id was made: no two at once, because what is kept sorts by it. */
let made = 0;

/** An id for a request or a page made now, in milliseconds since 1970 (nine base 36 digits until the year 5188). */
export const itemId = (now: number): string => now.toString(36).padStart(9, "0") + Math.random().toString(36).slice(2, 8);

/** An id after all others of this page: of a run, whose requests sort behind it, too. */
export const nextId = (): string => itemId((made = Math.max(Date.now(), made + 1)));

/** A new request, or one that was kept. */
export const newItem = (path_: string, id = nextId(), rest_ = "", tries_ = 0): Item => ({ id, path_, rest_, tries_, texts_: [], placements_: [], notes_: [], size_: 0 });

/** Lets the database say of key what localStorage says. */
export const copy = (key: string): void =>
	database((s) => {
		const text = load(key);
		text ? s.put([key, text], key) : s.delete(key);
	});

/** Writes a request down for the next page. */
export const keep = ({ id, path_, rest_ }: Item): void => {
	if (path_ != "/profile") save(REQUEST + id, path_ + rest_);
};

/** Writes down a request that failed. */
export const keepFailed = (item: Item): void => {
	keep(item);
	copy(REQUEST + item.id);
};

export const erase = (key: string): void => {
	remove(key);
	copy(key);
};

/** Forgets a request; the database knows only those that failed. */
export const discard = ({ id, tries_ }: Item): void => (tries_ ? erase : remove)(REQUEST + id);

/** Whether an earlier page's reset waits, which comes before anything new is said: of what is kept only that one's path begins so. */
export const resetWaits = (): boolean => kept().some(([, text]) => text[1] == "r");

/** Gives what pages before `run` left, the newest first: what localStorage holds now, what the database holds beside it when that answers. */
export const recall = (run: string, item: (item: Item) => void, note: (note: Note) => void, end: () => void): void => {
	const each = ([key, text]: Kept) =>
		guard(() => {
			const id = key.slice(2);
			const at = text.indexOf('"');
			if (key[1] != "." || id >= run) return;
			if (id < itemId(Date.now() - Limit.AgeMs)) erase(key);
			else if (key < RUN) item(newItem(text.slice(0, at), id, text.slice(at), 1));
			else note(JSON.parse(text));
		});
	database((s) => {
		const all: IDBRequest<Kept[]> = s.getAll();
		all.onsuccess = () => {
			// After a kill localStorage may hold an elder note.
			for (const kept of all.result.reverse()) if (load(kept[0]) != kept[1]) each(kept);
			end();
		};
	});
	kept().forEach(each);
	end();
};
