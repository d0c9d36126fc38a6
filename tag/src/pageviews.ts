// Page views: the one of the load, the one of a page that comes back from the
// back/forward cache, and those that the site asks for.

import type { Properties } from "../types/reuna";
import { early, expose, newView, send, starts, view } from "./core.ts";
import { listen } from "./signals.ts";
import type { Draft } from "./types.ts";

/** Reads `page([category], [name], [props])`: one text is the name. */
export const pageArguments = (args: unknown[]): Pick<Draft, "category" | "name" | "properties"> => {
	const words = args.filter((a): a is string => typeof a == "string");
	const name = words.pop();
	const category = words[0];
	return { name, category, properties: { ...(args.find((a) => a && typeof a == "object") as Properties), name, category } };
};

let views = 0;

export const page = (...args: unknown[]): void => {
	if (views++) newView();
	const draft = pageArguments(args);
	send({ type: "page", ...draft, properties: { ...view.page, ...draft.properties } }, true);
};

export const pageviews = (): void => {
	expose("page", page);
	if (SETTINGS.manual) return;
	listen<PageTransitionEvent>("pageshow", (e) => e.persisted && page());
	// A page that names its own view gets that one, not two.
	starts.push(() => early.some((call) => call[0] == "page") || page());
};
