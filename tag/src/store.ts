// What should outlive the page, without ever throwing: while storage is
// blocked, full or not yet allowed, small values live in memory.
//
// Two places, because each loses what the other keeps (measured): localStorage
// is written at once, also while the page is being closed, but a killed browser
// forgets its last seconds; IndexedDB survives that, but not the close.

/** A name and what is kept under it. */
export type Kept = [key: string, text: string];

/** The browser's storage, or what stands for it. */
let disk: Record<string, string> = {};
let allowed = false;

/** All of ours is under this name. */
export const named = (key = "") => "reuna." + SETTINGS.writeKey + key;

/** Runs what is forbidden in some browsers and settings. */
export const attempt = (fn: () => unknown): void => {
	try {
		fn();
	} catch {}
};

export const load = (key: string): string | undefined => disk[named("." + key)];

export const remove = (key: string): void => {
	delete disk[named("." + key)];
};

export const save = (key: string, value: string): void => {
	remove(key); // a value that no longer fits must not leave its elder behind to be read
	attempt(() => (disk[named("." + key)] = value));
	if (!load(key)) disk = { ...disk, [named("." + key)]: value }; // full: the page goes on in memory
};

/** All that is in localStorage, the newest first. */
export const kept = (): Kept[] =>
	Object.keys(disk)
		.sort()
		.reverse()
		.flatMap((k) => {
			const key = k.split(named("."))[1];
			return key ? [[key, disk[k]!] as Kept] : [];
		});

/** Allows the browser's storage and moves there what waited in memory. */
export const allow = (): void => {
	allowed = true;
	attempt(() => (disk = Object.assign(localStorage, disk))); // naming it throws where cookies are blocked
};

/** Forgets everything and keeps nothing from here on but in memory. */
export const forbid = (): void => {
	allow();
	kept().forEach(([key]) => remove(key));
	if (SETTINGS.outbox) attempt(() => indexedDB.deleteDatabase(named()));
	disk = {};
	allowed = false;
};

/**
 * Runs work on the database's only store, in a transaction of its own, unless
 * that is forbidden or fails. The connection is closed as soon as the work is
 * done: one that is open may cost the page its place in the back/forward cache.
 */
export const database = (work: (store: IDBObjectStore) => void): void => {
	if (allowed)
		attempt(() => {
			const request = indexedDB.open(named());
			request.onupgradeneeded = () => request.result.createObjectStore("o");
			request.onsuccess = () => {
				attempt(() => work(request.result.transaction("o", "readwrite").objectStore("o")));
				request.result.close();
			};
		});
};
