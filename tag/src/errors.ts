// Script errors and rejections that the page did not handle: at most MOST a page
// view, each once, so that neither a broken loop nor a page that fails over our
// own events floods anybody. What the tag itself throws never comes here: see
// signals.guard.

import { send } from "./core.ts";
import { scrub } from "./scrub.ts";
import { listen, on } from "./signals.ts";

const MOST = 5;

let seen: string[] = [];

export const errors = (): void => {
	listen("error unhandledrejection", ({ message, filename, lineno, colno, reason }: ErrorEvent & PromiseRejectionEvent) => {
		const said = message ?? reason?.message ?? reason;
		const text = scrub("" + said);
		// An image that did not load has nothing to say.
		if (said == null || MOST - 1 in seen || seen.includes(text)) return;
		seen.push(text);
		// A rejection tells its place only in the stack; there it stands behind the address. Queries are dropped.
		send({ type: "track", event: "Script Error", properties: { message: text, source: scrub(("" + (filename ?? /http[^)\s]+/.exec(reason?.stack) ?? "")).replace(/[?#].*?(?=(:\d+)*$)/, "")), line: lineno, column: colno } });
	});
	on("view", () => (seen = []));
};
