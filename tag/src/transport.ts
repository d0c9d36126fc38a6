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
import { consented, personal } from "./consent.ts";
import { context } from "./context.ts";
import { newRun, number, settle } from "./notes.ts";
import { discard, itemId, keep, KEEP, keepFailed, notes, recall, REQUEST, requests } from "./outbox.ts";
import type { Item, Kept, Note } from "./outbox.ts";
import { emit, fail, guard } from "./signals.ts";
import { keys, load, save } from "./store.ts";
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
}

/** Names the slots that want a decision; slots.ts and profile.ts add to it. */
export const slotSources: (() => string[])[] = [];

let base = "";

let open: string[] = [];
let openBytes = 0;
let openView: View;
let openToken: string | undefined;
let openNotes: Note[] = [];
let batchTimer = 0;
let scheduled = false;

let waiting: Item[] = [];
let flying: Item[] = [];
/** Notes that no request reports yet. */
let found: Note[] = [];
/** When the last request was made, in milliseconds since 1970: no two at once, because what is kept sorts by it. */
let made = 0;
/** Not 0 while a failure is waited off; -1 where the page, being left, gets no timers: `wake` ends that. */
let retryTimer = 0;
let launched = 0;
let lastAnswer = 0;
let epoch = 0;
/** This browser holds the gateway's cookie. */
let known = false;
/** An earlier page's reset is being looked for. */
let held = false;
/** Lets another tab bring back what is kept. */
let unlock = () => {};

/** Milliseconds to wait before try number `tries` + 1; half of it is chance, so that tabs and visitors spread out. */
export const backoff = (tries: number, chance = Math.random()): number => Math.min(Limit.LastRetryMs, Limit.FirstRetryMs * 2 ** (tries - 1)) * (0.5 + chance / 2);

/** A Retry-After header of seconds, as the gateway sends it, in milliseconds, at most an hour; 0 for none and for a date. */
export const retryAfter = (header: string | null): number => Math.min(+header! * 1000, Limit.RetryAfterMs) || 0;

const undelivered = () => [...waiting, ...flying];

/** The address of one of the API's paths. */
export const address = (path: string): string => base + path;

/** A request's body after its time. */
export const members = (view: View, messages: string[]): string => `"writeKey":"${SETTINGS.writeKey}","context":${JSON.stringify(context(view, consented()))},"batch":[${messages}]`;

/** Makes a request of what its body begins with. */
const enqueue = (path: string, rest: string, placements: string[], token?: string, count = 0, notes: Note[] = []): void => {
	if (SETTINGS.answers && placements[0]) rest += `,"placements":${JSON.stringify(placements)}`;
	waiting.push({ id: itemId((made = Math.max(Date.now(), made + 1))), path, rest: rest + "}", token, placements, tries: 0, epoch, count, notes, size: 0 });
	if (waiting.length > KEEP) {
		const lost = waiting.splice(SETTINGS.answers ? waiting.findIndex((i) => i.path != "/reset") : 0, 1);
		if (SETTINGS.outbox) lost.forEach(discard);
		fail("outbox full, batch dropped");
	}
};

const empty = () => {
	clearTimeout(batchTimer);
	batchTimer = openBytes = 0;
	open = [];
	openNotes = [];
	openToken = undefined;
};

/** Closes the open batch. */
const pack = (): void => {
	if (open[0]) enqueue("/interact", members(openView, open), [...new Set(slotSources.flatMap((s) => s()))], openToken, open.length, openNotes);
	empty();
};

const failed = (item: Item, wait?: number): void => {
	if (item.path == "/profile") return;
	// A reset stays in front; a batch goes behind the others, which may fare better.
	if (SETTINGS.answers && item.path == "/reset") waiting.unshift(item);
	else waiting.push(item);
	item.tries++;
	if (SETTINGS.outbox) keepFailed(item);
	clearTimeout(retryTimer);
	// Never 0: a page that is being left fails every fetch at once and gets 0 for its timers; trying again without a pause would hold the thread that the next page needs.
	retryTimer = setTimeout(again, wait || backoff(item.tries)) || -1;
};

const again = (): void => {
	clearTimeout(retryTimer);
	retryTimer = 0;
	pump();
};

const accept = (item: Item, sent: number, order: number, text: string): void => {
	known = true;
	save("known", "1");
	if (SETTINGS.outbox) settle(item);
	if (!SETTINGS.answers) return;
	const answer = (guard(() => JSON.parse(text)) ?? {}) as Partial<Answer>;
	const { rejected = [] } = answer;
	// Who refused personalisation gets a page that knows nothing.
	const { profile, decisions = {} } = personal() ? answer : ({} as Partial<Answer>);
	rejected.forEach((r) => fail(`event ${r.index} refused: ${r.code} ${r.message}`));
	// Answers may overtake each other: an elder one says nothing new, nor does one from before a reset.
	if (item.path == "/reset" || order < lastAnswer || item.epoch != epoch) return;
	lastAnswer = order;
	if (profile) emit("profile", profile);
	emit("answer", { ms: performance.now() - sent, profile, decisions, placements: item.placements, rejected });
};

const launch = async (item: Item, body: string): Promise<void> => {
	const order = ++launched;
	const sent = performance.now();
	const land = () => (flying = flying.filter((i) => i != item));
	flying.push(item);
	try {
		// A gateway that never answers must not stop the rest; old browsers wait as long as they like.
		const r = await fetch(address(item.path), { method: "POST", body, credentials: "include", keepalive: !!item.size, signal: AbortSignal.timeout?.(Limit.TimeoutMs) ?? null });
		const text = await r.text();
		const { status } = r;
		land();
		if (status == 408 || status == 429 || status >= 500) failed(item, retryAfter(r.headers.get("Retry-After")));
		else {
			if (r.ok) accept(item, sent, order, text);
			else fail(`${item.path} ${status}: ${text}`);
			if (SETTINGS.outbox) {
				discard(item);
				if (undelivered().every((i) => i.epoch >= 0)) unlock();
			}
		}
	} catch {
		land();
		failed(item);
	}
	pump();
};

/** Sends all that may be sent. `leaving`: the page may be gone after this. */
const pump = (leaving?: boolean): void => {
	const all = waiting;
	waiting = [];
	let barred = held || !!retryTimer;
	for (const item of all) {
		if (SETTINGS.answers) barred ||= item.path == "/reset" ? !!flying[0] : flying.some((i) => i.path == "/reset");
		const body = `{"sentAt":"${new Date().toISOString()}",${SETTINGS.answers && item.token ? `"token":${JSON.stringify(item.token)},` : ""}${item.rest}`;
		const { size } = new Blob([body]);
		const kept = flying.reduce((sum, i) => sum + i.size, size) <= Limit.KeepaliveBytes;
		item.size = kept ? size : 0;
		if (barred || (!known && flying[0]) || (leaving && !kept)) waiting.push(item);
		// Without keepalive a beacon is the only way out; its answer cannot be heard, so the item is kept for the next page.
		else if (SETTINGS.outbox && leaving && !("keepalive" in Request.prototype) && navigator.sendBeacon(address(item.path), body)) waiting.push(item);
		else launch(item, body);
	}
};

const leave = (): void => {
	emit("leave", false);
	pack();
	pump(true);
	if (SETTINGS.outbox) {
		undelivered().forEach(keep);
		unlock();
	}
};

/** Sends what is waiting. */
export const flush = (): void => {
	pack();
	pump();
};

/** Flushes once the calls of this turn are all in. */
const soon = (): void => {
	if (scheduled) return;
	scheduled = true;
	Promise.resolve().then(() => {
		scheduled = false;
		guard(flush);
	});
};

/** Takes a message. `now`: it must not wait for the batch. */
export const add = (message: Message, view: View, now?: boolean, token?: string): void => {
	number(message);
	const report = found.splice(0);
	if (report[0]) message.context.runs = report;
	const text = JSON.stringify(message);
	if (view != openView || openBytes + text.length > Limit.BatchBytes) pack();
	openView = view;
	openBytes += text.length;
	openToken = token ?? openToken;
	openNotes.push(...report);
	if (open.push(text) >= Limit.BatchEvents || now || waiting[0]) soon();
	else batchTimer ||= setTimeout(flush, Limit.BatchMs);
};

/** Ends the session on the gateway, after all that was said before. */
export const endSession = (): void => {
	pack();
	epoch++;
	enqueue("/reset", `"writeKey":"${SETTINGS.writeKey}"`, []);
	soon();
};

/** Asks for the profile and for decisions without sending an event. */
export const ask = (names: string[]): void => {
	if (scheduled && open[0]) return; // the batch that is about to leave asks for them
	enqueue("/profile", `"writeKey":"${SETTINGS.writeKey}"`, names);
	soon();
};

/** Forgets all that has not been delivered. */
export const drop = (): void => {
	empty();
	waiting = [];
	flying.forEach((i) => (i.count = 0));
	epoch++;
	newRun();
};

/** Puts earlier pages' requests before and behind this page's, unless another tab does it. */
const resume = (): void => {
	// A reset that was not delivered comes before anything new is said.
	held = SETTINGS.answers && keys(REQUEST).some((key) => load(key)!.startsWith("/reset"));
	const give = (all: Kept[]) => {
		const old = requests(all, Date.now()).filter((i) => undelivered().every((own) => own.id != i.id));
		waiting = [...old.splice(0, old.map((i) => i.path).lastIndexOf("/reset") + 1), ...waiting, ...old];
		found = [...found, ...notes(all, Date.now())];
		soon();
	};
	const take = (lock?: unknown) =>
		new Promise<void>((resolve) => {
			held = false;
			if (lock === null) return resolve(soon()); // another tab is at it
			unlock = resolve;
			recall(give);
		});
	const { locks } = navigator as { locks?: LockManager };
	if (locks) locks.request("reuna." + SETTINGS.writeKey, { ifAvailable: true }, take).catch(() => take());
	else take();
};

/** Brings back what earlier pages could not deliver. To be called once, when storage may be read. */
export const restore = (): void => {
	known ||= !!load("known");
	if (SETTINGS.outbox) resume();
};

/** Goes on where the page may have come back from the back/forward cache; a timer that runs still counts. */
const wake = (): void => {
	if (retryTimer < 1) again();
};

/** Begins: `api` is the API's absolute base. */
export const connect = (api: string): void => {
	base = api;
	newRun();
	addEventListener("online", again);
	addEventListener("pagehide", leave);
	addEventListener("pageshow", wake);
	document.addEventListener("visibilitychange", () => (document.hidden ? leave() : wake()));
};
