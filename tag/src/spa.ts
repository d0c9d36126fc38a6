// Page views of single-page sites: a changed address without a load.

import { page } from "./pageviews.ts";
import { listen } from "./signals.ts";

/** Routers replace and push in bursts, and set the title after; only where they come to rest is a view. */
const enum Limit {
	SettleMs = 50,
}

/** The part of an address that makes it another page. */
export const pageKey = (url: { pathname: string; search: string; hash: string }): string => url.pathname + url.search + (SETTINGS.hash ? url.hash : "");

export const spa = (): void => {
	const key = () => pageKey(location);
	let last = key();
	let timer = 0;
	const changed = () => {
		clearTimeout(timer);
		timer = setTimeout(() => {
			if (key() == last) return;
			last = key();
			page();
		}, Limit.SettleMs);
	};
	const { navigation } = window as unknown as { navigation?: EventTarget };
	if (navigation) navigation.addEventListener("currententrychange", changed);
	else {
		for (const name of ["pushState", "replaceState"] as const) {
			const original = history[name];
			history[name] = (...args) => {
				original.apply(history, args);
				changed();
			};
		}
		listen("popstate hashchange", changed);
	}
};
