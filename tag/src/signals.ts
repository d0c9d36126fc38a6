// Signals, inside the tag and out to the page; and the rule that nothing is
// ever thrown into the page.

import type { Inner } from "./types.ts";

type Listener = (value: never) => void;

/** Who listens to what; replaced, never changed in place, so that a signal under way is not disturbed. */
let listeners: [signal: string, run: Listener][] = [];

export const on = <S extends keyof Inner>(signal: S, run: (value: Inner[S]) => void): void => {
	listeners = [...listeners, [signal, run as Listener]];
};

export const off = (signal: keyof Inner, run: Listener): void => {
	listeners = listeners.filter((l) => l[0] != signal || l[1] != run);
};

export const once = <S extends keyof Inner>(signal: S, run: (value: Inner[S]) => void): void => {
	const first = (value: Inner[S]) => {
		off(signal, first);
		run(value);
	};
	on(signal, first);
};

export const emit = <S extends keyof Inner>(signal: S, value?: Inner[S]): void => {
	if (SETTINGS.debug) console.debug("reuna", signal, value);
	listeners.forEach((l) => {
		try {
			if (l[0] == signal) (l[1] as (v?: Inner[S]) => void)(value);
		} catch (e) {
			console.error(e); // the page's own listener: for its author to see, not for us to stop at
		}
	});
};

export const fail = (text: string): void => emit("error", Error("reuna: " + text));

/** Runs fn and turns what it throws into an `error` signal. */
export const guard = <T>(fn: () => T) => {
	try {
		return fn();
	} catch (e) {
		emit("error", e as Error);
	}
};

/** Hears the page's events of these types, "click auxclick", before its own handlers do. */
export const listen = <E extends Event>(types: string, run: (e: E) => void): void => types.split(" ").forEach((type) => addEventListener(type, (e) => guard(() => run(e as E)), true));
