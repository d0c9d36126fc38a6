// Links to the site's other domains carry the visitor along: browsers keep a
// cookie for each domain.
//
// The gateway's answers bring a token for each linked domain. It stands in a link,
// or the address of a form that posts, only while that is followed, so that
// nobody copies it along with the link; the page behind takes it out of its
// address at once and shows it with its first batch. What it is good for, and for
// whom: gateway/collect/link.go.

import { verdict } from "./consent.ts";
import { listen } from "./signals.ts";
import { ask } from "./transport.ts";

const enum Limit {
	/** A token of this age is replaced when its link is approached; it is good for 120 s. */
	StaleMs = 90_000,
}

let tokens: Record<string, string> = {};
let since = 0;
let landed = "";

/** An address without its token, which is kept for arrival; of several the last, because a link's own may have been planted. */
export const strip = (address: string): string => address.replace(/([?&])(?:_reuna=([^&#]*)(&?))+/g, (_, before, token, after) => ((landed = token), after && before));

/** What a batch shows of how the page was reached, once. */
export const arrival = (): string => {
	const text = landed && `"link":${JSON.stringify(landed)},`;
	landed = "";
	return text;
};

/** Takes an answer's tokens, by the domain that they lead to. */
export const given = (fresh: Record<string, string>): void => {
	tokens = fresh;
	since = Date.now();
};

const decorate = (e: Event) => {
	const el = (e.composedPath()[0] as Element).closest?.<HTMLAnchorElement & HTMLFormElement>("a[href],form[action]");
	if (!el || verdict() != "granted") return;
	const name = el.action ? "action" : "href";
	const a = new URL(el[name]);
	const own = el.getAttribute(name)!;
	for (const domain in tokens)
		// Not where the address would go in clear.
		if (("." + a.hostname).endsWith("." + domain) && a.protocol >= location.protocol) {
			if (Date.now() - since > Limit.StaleMs) {
				since = Date.now();
				ask();
			}
			if (e.type.endsWith(el.action ? "submit" : "click")) {
				a.search += (a.search && "&") + "_reuna=" + tokens[domain];
				el.setAttribute(name, a.href);
				setTimeout(() => el.setAttribute(name, own));
			}
		}
};

export const linker = (): void => {
	listen("pointerover focusin click auxclick submit", decorate);
	const rest = strip(location.href);
	if (landed) history.replaceState(history.state, "", rest); // last, because a page may have used up its allowance of these
};
