// Small values that should outlive the page, without ever throwing: while
// storage is blocked, full or not yet allowed, they live in memory.

const memory = new Map<string, string>();
let disk: Storage | undefined;

const named = (key: string) => `reuna.${SETTINGS.writeKey}.${key}`;

/** Runs fn on the browser's storage, unless that is forbidden, blocked or full. */
function attempt<T>(fn: (s: Storage) => T): T | undefined {
	try {
		return disk && fn(disk);
	} catch {
		return undefined;
	}
}

export function load(key: string): string | null | undefined {
	return attempt((s) => s.getItem(named(key))) ?? memory.get(key);
}

export function save(key: string, value: string): void {
	memory.set(key, value);
	attempt((s) => {
		// Removed first: a value that no longer fits must not leave its elder behind to be read.
		s.removeItem(named(key));
		s.setItem(named(key), value);
		memory.delete(key);
	});
}

export function remove(key: string): void {
	memory.delete(key);
	attempt((s) => s.removeItem(named(key)));
}

/** Names of the values in the browser's storage that begin with prefix, sorted. */
export function keys(prefix: string): string[] {
	return (attempt((s) => Object.keys(s).filter((k) => k.startsWith(named(prefix)))) ?? []).map((k) => k.slice(named("").length)).sort();
}

/** Allows the browser's storage and moves there what waited in memory; `area` is a function because naming localStorage throws where cookies are blocked. */
export function allow(area = () => localStorage): void {
	try {
		disk = area();
	} catch {
		return; // blocked: memory it is
	}
	memory.forEach((value, key) => save(key, value));
}

/** Forgets everything and keeps nothing from here on but in memory. */
export function forbid(): void {
	allow();
	keys("").forEach(remove);
	memory.clear();
	disk = undefined;
}

/** Whether values outlive this page. */
export function lasting(): boolean {
	return !!disk;
}
