// Delivery: what was said reaches the gateway, once, or its loss is known.
//
// Invariants:
//   - A message is in exactly one place: the open batch, a waiting request, or
//     a flying one; it leaves the last only when the gateway has answered it.
//   - A repeated request carries the same messageIds; only sentAt is new.
//   - Until this browser is known to hold the gateway's cookie, requests go one
//     at a time: two at once would each be given a visitor.
//   - /reset flies alone, so nothing said before it lands after it.
//   - After a failure nothing is sent until a timer, or the page's own life, says so.
//   - Bodies in flight with keepalive stay under the browsers' 64 KiB.

import type { Answer, Message } from "../types/reuna";
import { personal, verdict } from "./consent.ts";
import { context } from "./context.ts";
import { arrival, given } from "./linker.ts";
import { newRun, number, run, settle } from "./notes.ts";
import { discard, keep, keepFailed, Limit as Kept, newItem, recall, resetWaits } from "./outbox.ts";
import type { Item, Note } from "./outbox.ts";
import { emit, fail, guard, listen } from "./signals.ts";
import { load, remove, save } from "./store.ts";
import type { View } from "./types.ts";

/** Sizes and times; an enum, because esbuild writes its members in place. */
const enum Limit {
	KeepaliveBytes = 60_000,
	BatchEvents = 10,
	BatchBytes = 30_000,
	BatchMs = 1_000,
	TimeoutMs = 20_000,
	FirstRetryMs = 1_000,
	LastRetryMs = 60_000,
	RetryAfterMs = 3_600_000,
	ReportedRuns = 50,
}

/** Names the slots that want a decision; slots.ts and profile.ts add to it. */
export const slotSources: (() => string[])[] = [];

let base = "";

let open: Item | undefined;
let scheduled: unknown;

let waiting: Item[] = [];
let flying: Item[] = [];
/** Notes that no request reports yet. */
let found: Note[] = [];
/** Not 0 while a failure is waited off; -1 where the page, being left, gets no timers: `wake` ends that. */
let retryTimer = 0;
/** The last request that was answered, or the last reset: answers to elder ones say nothing new. */
let latest: string;
/** An earlier page's reset is being looked for. */
let held = false;
/** Gives the lock back. */
let unlock = () => {};

/** Milliseconds to wait before try number `tries` + 1; half of it is chance, so that tabs and visitors spread out. */
export const backoff = (tries: number): number => Math.min(Limit.LastRetryMs, Limit.FirstRetryMs * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);

/** A Retry-After header of seconds, as the gateway sends it, in milliseconds, at most an hour; 0 for none and for a date. */
export const retryAfter = (header?: string | null): number => Math.min(+header! * 1000, Limit.RetryAfterMs) || 0;

const undelivered = () => [...waiting, ...flying];
const isReset = (item: Item) => (SETTINGS.answers || SETTINGS.consent) && item.path_ == "/reset";
/** Begins a body that is nobody's: it goes without a cookie and is answered without one. */
const BARE = '"cookieless":true,';
const isBare = (item: Item) => item.rest_.startsWith(BARE);

/** Lets another tab bring back what is kept, when this one is done with it. */
const drained = () => undelivered().every((i) => i.id > run) && unlock();

/** The address of one of the API's paths. */
export const address = (path: string): string => base + path;

/** The members of a request's body that say something of a view. */
export const members = (view: View, texts: string[]): string => `${SETTINGS.cookieless && verdict() != "granted" ? BARE : ""}"context":${JSON.stringify(context(view))},"batch":[${texts}],`;

/** Lets a request go as soon as it may. */
const enqueue = (item: Item): void => {
	if (SETTINGS.answers && item.placements_[0]) item.rest_ += `"placements":${JSON.stringify(item.placements_)},`;
	item.rest_ += `"writeKey":"${SETTINGS.writeKey}"}`;
	waiting.push(item);
};

/** Closes the open batch. */
const pack = (): void => {
	if (!open) return;
	open.rest_ = members(open.view_!, open.texts_);
	if (SETTINGS.link && !(SETTINGS.cookieless && isBare(open))) open.rest_ += arrival();
	open.placements_ = [...new Set([...open.placements_, ...slotSources.flatMap((s) => s())])];
	enqueue(open);
	open = undefined;
};

const failed = (item: Item, wait?: number): void => {
	if (item.path_ == "/profile") return;
	// A reset stays in front; a batch goes behind the others, which may fare better.
	if (isReset(item)) waiting.unshift(item);
	else waiting.push(item);
	item.tries_++;
	if (SETTINGS.outbox) keepFailed(item);
	clearTimeout(retryTimer);
	// Never 0: a page that is being left fails every fetch at once and gets 0 for its timers; trying again without a pause would hold the thread that the next page needs.
	retryTimer = setTimeout(again, wait || backoff(item.tries_)) || -1;
};

const again = (): void => {
	clearTimeout(retryTimer);
	retryTimer = 0;
	pump();
};

const accept = (item: Item, answer: Partial<Answer & { link: Record<string, string> }>, ms: number): void => {
	if (!SETTINGS.consent || (item.path_ == "/interact" && !(SETTINGS.cookieless && isBare(item)))) save("known", "1");
	if (SETTINGS.outbox) settle(item);
	if (!SETTINGS.answers) return;
	const { rejected = [] } = answer;
	// Who refused personalisation gets a page that knows nothing.
	const { profile, decisions = {} } = personal() ? answer : ({} as Partial<Answer>);
	if (rejected[0]) fail(JSON.stringify(rejected));
	if (SETTINGS.link && answer.link) given(answer.link);
	// Answers may overtake each other, and earlier pages' requests ask nothing for this one.
	if (item.id >= latest) {
		latest = item.id;
		emit("answer", { ms, profile, decisions, placements: item.placements_, rejected });
	}
};

const launch = async (item: Item, body: string): Promise<void> => {
	const sent = performance.now();
	let r: Response | undefined;
	let answer: Partial<Answer> | undefined;
	flying.push(item);
	try {
		// A gateway that never answers must not stop the rest; old browsers wait as long as they like.
		r = await fetch(address(item.path_), { method: "POST", body, keepalive: !!item.size_, credentials: SETTINGS.cookieless && isBare(item) ? "omit" : "include", signal: AbortSignal.timeout?.(Limit.TimeoutMs) as AbortSignal });
		answer = await r.json();
	} catch {} // no connection, or an answer that is none
	flying = flying.filter((i) => i != item);
	if (!r || /408|429|5../.test(r.status as never)) failed(item, retryAfter(r?.headers.get("Retry-After")));
	else {
		if (r.ok) accept(item, { ...answer }, performance.now() - sent);
		else fail("refused: " + r.status);
		if (SETTINGS.outbox) {
			discard(item);
			drained();
		}
	}
	pump();
};

/** Sends all that may be sent. `leaving`: the page may be gone after this. */
const pump = (leaving?: boolean): void => {
	let barred = held || !!retryTimer;
	// No more is kept than may be; a reset is not given up.
	while (waiting[Kept.Requests]) {
		const lost = waiting.splice(+isReset(waiting[0]!), 1);
		if (SETTINGS.outbox) lost.forEach(discard);
		fail("outbox full");
	}
	waiting = waiting.filter((item) => {
		if (SETTINGS.answers || SETTINGS.consent) barred ||= isReset(item) ? !!flying[0] : flying.some(isReset);
		const body = `{"sentAt":${JSON.stringify(new Date())},${SETTINGS.answers && item.token_ ? `"token":${JSON.stringify(item.token_)},` : ""}${item.rest_}`;
		const { size } = new Blob([body]);
		const fits = flying.reduce((sum, i) => sum + i.size_, size) <= Limit.KeepaliveBytes;
		item.size_ = fits ? size : 0;
		return (
			barred ||
			(!load("known") && flying[0]) ||
			(leaving && !fits) ||
			// Without keepalive a beacon is the only way out; its answer cannot be heard, so the item is kept for the next page.
			(SETTINGS.beacon && leaving && !("keepalive" in Request.prototype) && navigator.sendBeacon(address(item.path_), body)) ||
			void launch(item, body)
		);
	});
};

/** Sends what may be sent and writes down the rest: the page may be gone after this. */
const part = (): void => {
	pack();
	if (SETTINGS.outbox) undelivered().forEach(keep); // first, because what follows takes longer than some pages have
	pump(true);
	if (SETTINGS.outbox) unlock();
};

const leave = (): void => {
	emit("leave", false);
	part();
};

/** Sends what is waiting. */
export const flush = (): void => {
	pack();
	pump();
};

/** Flushes once the calls of this turn are all in. */
const soon = (): void => {
	scheduled ||= Promise.resolve().then(() => {
		scheduled = 0;
		guard(document.hidden ? part : flush);
	});
};

/** Takes a message. `now`: it must not wait for the batch. */
export const add = (message: Message, view: View, now?: boolean, token?: string): void => {
	number(message);
	const report = found.slice(0, Limit.ReportedRuns);
	found = [];
	if (report[0]) message.context.runs = report;
	const text = JSON.stringify(message);
	if (view != open?.view_ || open.size_ + text.length > Limit.BatchBytes) pack();
	if (!open) setTimeout(flush, Limit.BatchMs);
	open ||= newItem("/interact");
	open.view_ = view;
	open.size_ += text.length;
	open.token_ = token ?? open.token_;
	open.notes_.push(...report);
	if (open.texts_.push(text) >= Limit.BatchEvents || now || waiting[0] || document.hidden) soon(); // a hidden page may end without another sign
};

/** Ends the session on the gateway, after all that was said before; `rest`: members of the request. */
export const endSession = (rest = ""): void => {
	pack();
	const item = newItem("/reset");
	item.rest_ = rest;
	latest = item.id + "~"; // its own answer says nothing, either
	enqueue(item);
	soon();
};

/** Asks for the profile and slots' decisions: with the batch that is about to leave, or without sending an event. */
export const ask = (...slots: string[]): void => {
	if (scheduled && open) open.placements_.push(...slots);
	else {
		const item = newItem("/profile");
		item.placements_.push(...slots);
		enqueue(item);
		soon();
	}
};

/** Forgets all that has not been delivered, and begins a new run. */
export const drop = (): void => {
	open = undefined;
	waiting = [];
	flying.forEach((i) => {
		i.texts_ = [];
		if (SETTINGS.consent) i.path_ = "/profile"; // which is not tried again
	});
	newRun();
	latest = run;
};

/** Forgets all, and has the gateway take its cookie back. */
export const withdraw = (): void => {
	drop();
	remove("known");
	endSession('"forget":true,');
};

/** Brings back what earlier pages could not deliver, before this page's, unless another tab does it. To be called once, when storage may be read. */
export const restore = (): void => {
	held = (SETTINGS.answers || SETTINGS.consent) && resetWaits();
	const take = (lock?: unknown) => {
		held = false;
		soon();
		if (lock === null) return; // another tab is at it
		recall(
			run,
			(item) => waiting.unshift(item),
			(note) => found.push(note),
			() => {
				drained();
				soon();
			},
		);
		return new Promise<void>((resolve) => (unlock = resolve));
	};
	const { locks } = navigator as { locks?: LockManager };
	if (locks) locks.request("reuna." + SETTINGS.writeKey, { ifAvailable: true }, take).catch(take);
	else take();
};

/** Goes on where the page may have come back from the back/forward cache; a timer that runs still counts. */
const wake = (): unknown => retryTimer < 1 && again();

/** Begins: `api` is the API's absolute base. */
export const connect = (api: string): void => {
	base = api;
	drop();
	listen("online", again);
	listen("pagehide pageshow visibilitychange", (e) => (document.hidden || e.type == "pagehide" ? leave() : wake()));
};
