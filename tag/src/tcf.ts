// Consent from the IAB's Transparency and Consent Framework v2: the visitor's
// choice as the consent manager of the page tells it to `__tcfapi`
// (https://github.com/InteractiveAdvertisingBureau/GDPR-Transparency-and-Consent-Framework,
// "Consent Management Platform API", version 2). Purposes by their numbers in
// the framework's policies, appendix A; what stands on legitimate interest alone
// does not count.

import type { Consent } from "../types/reuna";
import { told } from "./consent.ts";

interface Told {
	gdprApplies?: boolean;
	eventStatus?: "tcloaded" | "cmpuishown" | "useractioncomplete";
	purpose: { consents: Record<number, boolean> };
}

type Api = (command: string, version: number, hear: (data: Told, success: boolean) => void) => void;

/** What was chosen; undefined while the visitor is being asked. */
export const chosen = ({ gdprApplies, eventStatus, purpose }: Told): Consent | undefined => {
	if (gdprApplies === false) return "granted";
	if (eventStatus == "cmpuishown") return;
	// 1: store on the device; 8: measure content; 5, 6: make and use profiles for content; 3, 4: for advertising.
	const all = (...purposes: number[]) => [1, ...purposes].every((n) => purpose.consents[n]);
	return { analytics: all(8), personalisation: all(5, 6), advertising: all(3, 4) };
};

export const tcf = (): void => {
	// The manager, or its stub, may come late: it is looked for at times that grow by a fifth.
	const look = (ms: number): void => {
		const api = (window as { __tcfapi?: Api }).__tcfapi;
		if (api) api("addEventListener", 2, (data, success) => told(success && chosen(data)));
		else setTimeout(look, ms, ms * 1.2);
	};
	look(100);
};
