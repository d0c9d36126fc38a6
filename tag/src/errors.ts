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
		if (said == null || seen.length >= MOST || seen.includes(text)) return;
		seen.push(text);
		// A rejection tells its place only in the stack.
		const [, source = "", line = 0, column = 0] = /(http.*?):(\d+):(\d+)/.exec(filename ? [filename, lineno, colno].join(":") : reason?.stack) ?? [];
		send({ type: "track", event: "Script Error", properties: { message: text, source: scrub(source.replace(/[?#].*/, "")), line: +line, column: +column } });
	});
	on("view", () => (seen = []));
};
