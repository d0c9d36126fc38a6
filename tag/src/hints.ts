// High-entropy client hints: the system's and the browser's full versions and
// the model, which the user agent's frozen text no longer tells. They are asked
// for after the first event, so that they hold up nothing, and not for one that is
// counted without consent.

import type { Properties } from "../types/reuna";
import { verdict } from "./consent.ts";
import { once } from "./signals.ts";

/** What context.userAgentData says once it is known. */
export let agent: Properties | undefined;

type Agent = { getHighEntropyValues(names: string[]): Promise<Properties> };

export const hints = () =>
	once("event", () => {
		if (verdict() != "granted") return;
		(navigator as { userAgentData?: Agent }).userAgentData?.getHighEntropyValues(["platformVersion", "fullVersionList", "model"]).then((values) => (agent = values), String); // refused where a permissions policy says no
	});
