// Consent. While it is pending everything stays in memory: no request, hence no
// cookie, and no storage. Granted releases it with its own times; denied drops
// it, and what was stored before, the gateway's cookie included.
//
// A cookieless site counts meanwhile: what says nothing of who somebody is goes
// without a cookie and without an id.
//
// Without the module (SETTINGS.consent is false) everything is granted.

import type { Consent, ConsentState, Message, Properties, Purpose } from "../types/reuna";
import { expose, release, take } from "./core.ts";
import { emit, guard } from "./signals.ts";
import { allow, forbid } from "./store.ts";
import { flush, restore, withdraw } from "./transport.ts";

type Purposes = Record<Purpose, boolean>;

/** What was said last; null: that it is pending, undefined: nothing yet. */
let purposes: Purposes | null | undefined;

const every = (yes: boolean): Purposes => ({ analytics: yes, personalisation: yes, advertising: yes });

/** What a choice makes of the purposes before it. Purposes that nobody was asked about are refused. */
export const choose = (before: Purposes | null | undefined, choice: Consent): Purposes | null => (choice == "pending" ? null : (choice as string).trim ? every(choice == "granted") : { ...every(false), ...before, ...(choice as Partial<Purposes>) });

/** What may become of a message: sent, kept in memory, or dropped. */
export const verdict = (): ConsentState => (!SETTINGS.consent || purposes?.analytics ? "granted" : purposes ? "denied" : purposes === null ? "pending" : SETTINGS.initial);

/** Makes a message nobody's; those that are about who somebody is cannot be. */
export const anonymised = (m: Message): boolean => /^[pt]/.test(m.type) && delete m.userId;

/** Whether the page may adapt to the visitor. */
export const personal = (): boolean => verdict() == "granted" && (!SETTINGS.consent || !purposes || purposes.personalisation);

/** Takes what a consent manager of the page tells, if anything, as the page's own call. */
export const told = (choice: Consent | false | undefined): unknown => choice && take(["consent", [choice]]);

const refusesAds = () => SETTINGS.gpc && !!(navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;

/** `context.consent`; undefined while nobody has said anything. */
export const consented = (): Properties | undefined => (SETTINGS.consent && (purposes || refusesAds()) ? { categoryPreferences: { ...purposes, ...(refusesAds() && { advertising: false }) } } : undefined);

export const consent = (): void => {
	// The choice must be remembered, a refusal too; that needs no consent, for it holds no id.
	const key = "reuna-consent." + SETTINGS.writeKey;
	try {
		purposes = JSON.parse(localStorage[key]);
	} catch {} // nothing was said, or storage is blocked
	expose("consent", (choice: Consent) => {
		const before = verdict();
		if (SETTINGS.cookieless && before != "granted") flush();
		purposes = choose(SETTINGS.initial == "granted" && purposes === undefined ? every(true) : purposes, choice);
		guard(() => (localStorage[key] = JSON.stringify(purposes)));
		if (verdict() != "granted") {
			if (before == "granted") withdraw();
			forbid();
		} else if (before != "granted") {
			allow();
			if (SETTINGS.outbox) restore();
		}
		release();
		emit("consent", verdict());
	});
};
