// What should outlive the page, without ever throwing: while storage is
// blocked, full or not yet allowed, small values live in memory.
//
// Two places, because each loses what the other keeps (measured): localStorage
// is written at once, also while the page is being closed, but a killed browser
// forgets its last seconds; IndexedDB survives that, but not the close.

/** A name and what is kept under it. */
export type Kept = [key: string, text: string];

let memory: Record<string, string> = {};
let disk: Storage | undefined;

/** All of ours is under this name. */
const named = (key = "") => "reuna." + SETTINGS.writeKey + key;

/** Runs fn on the browser's storage, unless that is forbidden, blocked or full. */
const attempt = <T>(fn: (s: Storage) => T) => {
	try {
		return fn(disk!);
	} catch {}
};

export const load = (key: string): string | undefined => attempt((s) => s[named("." + key)] as string | undefined) ?? memory[key];

export const remove = (key: string): void => {
	delete memory[key];
	attempt((s) => delete s[named("." + key)]);
};

export const save = (key: string, value: string): void => {
	remove(key); // a value that no longer fits must not leave its elder behind to be read
	memory[key] = value;
	attempt((s) => {
		s[named("." + key)] = value;
		delete memory[key];
	});
};

/** All that is in localStorage, sorted by name. */
export const kept = (): Kept[] =>
	attempt((s) =>
		Object.keys(s)
			.sort()
			.flatMap((k) => {
				const key = k.split(named("."))[1];
				return key ? [[key, s[k] as string] as Kept] : [];
			}),
	) ?? [];

/** Allows the browser's storage and moves there what waited in memory. */
export const allow = (): void => {
	attempt(() => (disk = localStorage)); // naming it throws where cookies are blocked: memory it is
	for (const key in memory) save(key, memory[key]!);
};

/** Forgets everything and keeps nothing from here on but in memory. */
export const forbid = (): void => {
	allow();
	kept().forEach(([key]) => remove(key));
	if (SETTINGS.outbox) attempt(() => indexedDB.deleteDatabase(named()));
	memory = {};
	disk = undefined;
};

/**
 * Runs work on the database's only store, in a transaction of its own, unless
 * that is forbidden or fails. The connection is closed as soon as the work is
 * done: one that is open may cost the page its place in the back/forward cache.
 */
export const database = (work: (store: IDBObjectStore) => void): void => {
	attempt((s) => {
		const request = s && indexedDB.open(named());
		request.onupgradeneeded = () => request.result.createObjectStore("o");
		request.onsuccess = () => {
			attempt(() => work(request.result.transaction("o", "readwrite").objectStore("o")));
			request.result.close();
		};
	});
};
