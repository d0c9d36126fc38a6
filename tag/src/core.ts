// The tag's middle: the public object, the stub's replay, and the way of one
// message from a call to the transport.
//
// A call becomes a draft (what), gets its id and the time of the call (when),
// waits at the consent gate, and goes to the transport.

import type { Message, Properties, StubCall } from "../types/reuna";
import { anonymised, verdict } from "./consent.ts";
import { look } from "./context.ts";
import { emit, fail, guard, listen, off, on, once } from "./signals.ts";
import { allow, load } from "./store.ts";
import { add, connect, flush, restore } from "./transport.ts";
import type { Draft, Module, View } from "./types.ts";
import { uuidv7 } from "./uuid.ts";

const enum Limit {
	/** How long the first page view waits for a document that is still being parsed. */
	ParseMs = 200,
	/** Messages that may wait for consent; the memory is the page's, not ours. */
	KeptMessages = 500,
}

/** What add takes. */
type Made = [message: Message, view: View, now: boolean | undefined, token: string | undefined];

type Method = (...args: any[]) => unknown;

const api: Record<string, unknown> = {};
/** Calls made before the tag began, in order; but those that listen are not kept waiting, so that they hear the first events. */
export const early: StubCall[] = [];
/** Run once, before the early calls, when the page is seen and parsed. */
export const starts: (() => void)[] = [];
/** The page view that messages belong to. */
export let view: View;

let made: Made[] = [];
let lastUrl = "";
let callTime = 0;
let begun = false;

/** Begins a new page view: later messages carry its id and page. */
export const newView = (): void => {
	if (lastUrl) emit("leave", true);
	view = look(lastUrl);
	lastUrl = location.href;
	emit("view");
};

/** When the call that is being handled was made, in milliseconds since 1970. */
export const now = (): number => callTime || Date.now();

/** A draft with its id and time. */
export const compose = (draft: Draft, time = now()): Message => ({ userId: load("user"), ...draft, messageId: uuidv7(time), timestamp: new Date(time).toISOString(), context: {} });

export const send = (draft: Draft, urgent?: boolean, token?: string, time?: number): void => {
	made.push([compose(draft, time), view, urgent, token]);
	release();
};

/** Sends what consent allows, keeps what may still be allowed, and drops the rest. */
export const release = (): void => {
	const all = made;
	made = [];
	for (const m of all) {
		if (verdict() == "granted" || (SETTINGS.cookieless && anonymised(m[0]))) {
			add(...m);
			emit("event", m[0]);
		} else if (verdict() == "pending" && made.push(m) > Limit.KeptMessages) made.shift();
	}
};

/**
 * Makes a method of the public object; what it throws becomes an `error`
 * signal. Until the tag begins calls wait in `early`, but for those that
 * `atOnce` exempts.
 */
export const expose = (name: string, method: Method, atOnce?: boolean): void => {
	api[name] = (...args: unknown[]) => (begun || atOnce ? guard(() => method(...args)) : new Promise((done) => early.push([name, args, Date.now(), done])));
};

const replay = ([method, args = [], time = 0, done]: StubCall): void => {
	callTime = time;
	const result = api[method] ? (api[method] as Method)(...args) : fail("no " + method);
	callTime = 0;
	done?.(result);
};

/** Takes a call in the stub's form, now or when the tag begins. */
export const take = (call: StubCall): unknown => (begun || /^o[nf]/.test(call[0]) ? replay(call) : early.push(call));

const begin = (): void => {
	if (begun || (document as Document & { prerendering?: boolean }).prerendering) return;
	begun = true;
	if (verdict() == "granted") {
		allow();
		// Only here, not again with the grant: in Firefox a page whose lock was refused once is not restored from the back/forward cache.
		if (SETTINGS.outbox) restore();
	}
	newView();
	view.page.referrer = document.referrer;
	starts.forEach(guard);
	early.splice(0).forEach(replay);
};

/** Takes over from the stub, puts in the modules, and begins. `home` is the script's own address. Gives the public object. */
export const start = (home: string, ...modules: Module[]): unknown => {
	const w = window as unknown as Record<string, unknown>;
	const stub = w[SETTINGS.global] as (StubCall[] & { o: Partial<MutationObserver> }) | undefined;
	if (stub && !Array.isArray(stub)) return stub; // the tag stands twice in the page

	// Capturing, so it runs before the transport's: a page that closes early is still counted.
	listen("pagehide DOMContentLoaded prerenderingchange", begin);
	// A path belongs to the origin that the script came from.
	connect(new URL(SETTINGS.apiBase, home).href);

	api.version = SETTINGS.version;
	expose("track", (event: string, properties: Properties = {}) => send({ type: "track", event, properties }));
	expose("flush", flush);
	expose("ready", (run: () => void) => run());
	if (SETTINGS.answers) {
		expose("on", on, true);
		expose("off", off, true);
		expose("once", once, true);
	}
	expose("push", take, true);
	modules.forEach(guard);

	w[SETTINGS.global] = api;
	if (stub) {
		stub.forEach(take);
		stub.push = api.push as typeof stub.push; // whoever kept the stub still reaches the tag
		// While the parser is at it the stub goes on, or a slot that comes later showed its default; where storage is blocked `o` is a method of the stub's making.
		const end = () => stub.o.disconnect?.();
		listen("DOMContentLoaded", end);
		document.readyState == "loading" || end();
	}
	// In a task of its own, so that neither it nor the script's evaluation is long. Waits for title and
	// slots, but not for a slow document; a prerendered page begins when somebody looks at it.
	setTimeout(begin, document.readyState == "loading" ? Limit.ParseMs : 0);
	return api;
};
