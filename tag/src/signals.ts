// Signals, inside the tag and out to the page; and the rule that nothing is
// ever thrown into the page.

import type { Inner } from "./types.ts";

type Listener = (value: never) => void;

const listeners: Record<string, Set<Listener>> = {};

export function on<S extends keyof Inner>(signal: S, run: (value: Inner[S]) => void): void {
	(listeners[signal] ??= new Set()).add(run as Listener);
}

export function off(signal: keyof Inner, run: Listener): void {
	listeners[signal]?.delete(run);
}

export function once<S extends keyof Inner>(signal: S, run: (value: Inner[S]) => void): void {
	const first = (value: Inner[S]) => {
		off(signal, first);
		run(value);
	};
	on(signal, first);
}

export function emit<S extends keyof Inner>(signal: S, value: Inner[S]): void {
	listeners[signal]?.forEach((run) => {
		try {
			(run as (v: Inner[S]) => void)(value);
		} catch (e) {
			console.error(e); // the page's own listener: for its author to see, not for us to stop at
		}
	});
}

export function fail(text: string): void {
	emit("error", Error("reuna: " + text));
}

/** Runs fn and turns what it throws into an `error` signal. */
export function guard<T>(fn: () => T): T | undefined {
	try {
		return fn();
	} catch (e) {
		emit("error", e as Error);
		return undefined;
	}
}
