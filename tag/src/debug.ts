// Writes what the tag does to the console. For sites under construction.

import { on } from "./signals.ts";

export function debug(): void {
	for (const signal of ["event", "answer", "consent", "reset", "error"] as const) {
		on(signal, (value: unknown) => console.debug("reuna", signal, value));
	}
}
