// How many messages this page has made, so that the gateway can tell what was
// lost. Each page load is a run with an id; its messages are numbered from 1.
//
// Why not one counter a browser: two tabs would race for it, and a killed
// browser rolls localStorage back by seconds, so numbers would be used twice.
//
// While a message of the run is not acknowledged, a note of how many there are
// is kept under the run's key. Another page reports the notes that it finds
// (`context.runs`) and removes them when the report has arrived.

import type { Message } from "../types/reuna";
import { itemId, RUN } from "./outbox.ts";
import type { Item } from "./outbox.ts";
import { database, lasting, load, remove, save } from "./store.ts";

const enum Limit {
	/** A message that is acknowledged sooner costs the database nothing. */
	NoteMs = 200,
}

export let run: string;
let made = 0;
let arrived = 0;
let path = "";
let timer = 0;
let inDatabase = false;

export const newRun = (): void => {
	run = itemId(Date.now());
	made = arrived = 0;
};

const note = () => {
	if (!lasting()) return;
	const key = RUN + run;
	path ||= location.pathname;
	const text = made + " " + path;
	if (arrived < made) save(key, text);
	else remove(key);
	timer ||= setTimeout(() => {
		timer = 0;
		if (arrived < made || inDatabase) database((s) => ((inDatabase = arrived < made) ? s.put(made + " " + path, key) : s.delete(key)));
	}, Limit.NoteMs);
};

/** Gives a message its number, once. */
export const number = ({ context }: Message): void => {
	context.seq ||= ++made;
	if (SETTINGS.outbox) note();
};

/** A request has arrived, and with it what it reports. */
export const settle = (item: Item): void => {
	arrived += item.count;
	note();
	if (!item.notes[0]) return;
	const each = (unchanged: (key: string, text: string) => void) => item.notes.forEach(([run, made, path]) => unchanged(RUN + run, made + " " + path));
	// One that has changed since is of a page that lives.
	each((key, text) => load(key) == text && remove(key));
	database((s) =>
		each((key, text) => {
			const now = s.get(key);
			now.onsuccess = () => now.result == text && s.delete(key);
		}),
	);
};
