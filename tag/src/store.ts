// What should outlive the page, without ever throwing: while storage is
// blocked, full or not yet allowed, small values live in memory.
//
// Two places, because each loses what the other keeps (measured): localStorage
// is written at once, also while the page is being closed, but a killed browser
// forgets its last seconds; IndexedDB survives that, but not the close.

const memory = new Map<string, string>();
let disk: Storage | undefined;

/** Everything of ours is under this name; a function, because tests import this file without settings. */
const home = () => "reuna." + SETTINGS.writeKey;
const named = (key: string) => home() + "." + key;

/** Runs fn on the browser's storage, unless that is forbidden, blocked or full. */
const attempt = <T>(fn: (s: Storage) => T): T | undefined => {
	try {
		return fn(disk!);
	} catch {
		return undefined;
	}
};

export const load = (key: string): string | undefined => attempt((s) => s[named(key)] as string | undefined) ?? memory.get(key);

export const save = (key: string, value: string): void => {
	memory.set(key, value);
	attempt((s) => {
		// Removed first: a value that no longer fits must not leave its elder behind to be read.
		delete s[named(key)];
		s[named(key)] = value;
		memory.delete(key);
	});
};

export const remove = (key: string): void => {
	memory.delete(key);
	attempt((s) => delete s[named(key)]);
};

/** Names of the values in the browser's storage that begin with prefix, sorted. */
export const keys = (prefix = ""): string[] => (attempt((s) => Object.keys(s).filter((k) => k.startsWith(named(prefix)))) ?? []).map((k) => k.slice(named("").length)).sort();

/** Allows the browser's storage and moves there what waited in memory. */
export const allow = (): void => {
	try {
		disk = localStorage; // naming it throws where cookies are blocked: memory it is
	} catch {}
	memory.forEach((value, key) => save(key, value));
};

/** Forgets everything and keeps nothing from here on but in memory. */
export const forbid = (): void => {
	allow();
	keys().forEach(remove);
	if (SETTINGS.outbox) attempt(() => indexedDB.deleteDatabase(home()));
	memory.clear();
	disk = undefined;
};

/** Whether values outlive this page. */
export const lasting = (): boolean => !!disk;

/**
 * Runs work on the database's only store, in a transaction of its own, unless
 * that is forbidden or fails. The connection is closed as soon as the work is
 * done: one that is open may cost the page its place in the back/forward cache.
 */
export const database = (work: (store: IDBObjectStore) => void): void => {
	attempt((s) => {
		const request = s && indexedDB.open(home());
		request.onupgradeneeded = () => request.result.createObjectStore("o");
		request.onsuccess = () => {
			attempt(() => work(request.result.transaction("o", "readwrite").objectStore("o")));
			request.result.close();
		};
	});
};
