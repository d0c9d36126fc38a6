// Consent. While it is pending everything stays in memory: no request, hence no
// cookie, and no storage. Granted releases it with its own times; denied drops
// it, and what was stored before.
//
// Without the module (SETTINGS.consent is false) everything is granted.

import type { Consent, ConsentState, Properties, Purpose } from "../types/reuna";
import { expose, release } from "./core.ts";
import { emit, guard } from "./signals.ts";
import { allow, forbid } from "./store.ts";
import { drop, restore } from "./transport.ts";

type Purposes = Record<Purpose, boolean>;

let purposes: Purposes | undefined;
/** Somebody has said something: events carry it. */
let asked = false;

const every = (yes: boolean): Purposes => ({ analytics: yes, personalisation: yes, advertising: yes });

/** What a choice makes of the purposes before it; undefined is pending. Purposes that nobody was asked about are refused. */
export function choose(before: Purposes | undefined, choice: Consent): Purposes | undefined {
	if (choice == "pending") return undefined;
	return choice == "granted" || choice == "denied" ? every(choice == "granted") : { ...(before ?? every(false)), ...choice };
}

/** What may become of a message: sent, kept in memory, or dropped. */
export function verdict(): ConsentState {
	return !SETTINGS.consent || purposes?.analytics ? "granted" : purposes ? "denied" : "pending";
}

/** Whether the page may adapt to the visitor. */
export function personal(): boolean {
	return !SETTINGS.consent || !!(purposes?.analytics && purposes.personalisation);
}

const refusesAds = () => SETTINGS.gpc && !!(navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;

/** `context.consent`; undefined while nobody has said anything. */
export function consented(): Properties | undefined {
	return SETTINGS.consent && (asked || refusesAds()) ? { categoryPreferences: { ...purposes, ...(refusesAds() && { advertising: false }) } } : undefined;
}

export function consent(): void {
	// The choice must be remembered, a refusal too; that needs no consent, for it holds no id.
	const key = "reuna-consent." + SETTINGS.writeKey;
	purposes = choose(undefined, SETTINGS.initial);
	guard(() => {
		const known = localStorage[key] as string | undefined;
		if (!known) return;
		purposes = JSON.parse(known);
		asked = true;
	});
	expose("consent", (choice: Consent) => {
		const before = verdict();
		purposes = choose(purposes, choice);
		asked = true;
		guard(() => (localStorage[key] = JSON.stringify(purposes ?? null)));
		if (verdict() == "granted") {
			if (before != "granted") {
				allow();
				restore();
			}
		} else {
			drop();
			forbid();
		}
		release();
		emit("consent", verdict());
	});
}
