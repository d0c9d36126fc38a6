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
import { copy, erase, nextId, RUN } from "./outbox.ts";
import type { Item } from "./outbox.ts";
import { load, remove, save } from "./store.ts";

const enum Limit {
	/** A message that is acknowledged sooner costs the database nothing. */
	NoteMs = 200,
}

export let run: string;
let made = 0;
let arrived = 0;
let path: string;
let timer = 0;
let inDatabase = false;

export const newRun = (): void => {
	run = nextId();
	path = location.pathname;
	made = arrived = 0;
};

const note = () => {
	const key = RUN + run;
	if (arrived < made) save(key, JSON.stringify([run, made, path]));
	else remove(key);
	timer ||= setTimeout(() => {
		timer = 0;
		if (arrived < made || inDatabase) copy(key);
		inDatabase = arrived < made;
	}, Limit.NoteMs);
};

/** Gives a message its number, once. */
export const number = ({ context }: Message): void => {
	context.seq ||= ++made;
	if (SETTINGS.outbox) note();
};

/** A request has arrived, and with it what it reports. */
export const settle = ({ texts_, notes_ }: Item): void => {
	arrived += texts_.length;
	note();
	for (const note of notes_) {
		const key = RUN + note[0];
		const text = JSON.stringify(note);
		// One that has changed since is of a page that lives. It writes localStorage first.
		if ((load(key) ?? text) == text) erase(key);
	}
};
