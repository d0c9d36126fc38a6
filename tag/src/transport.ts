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
import { discard, itemId, keep, KEEP, kept } from "./outbox.ts";
import type { Item } from "./outbox.ts";
import { emit, fail, guard } from "./signals.ts";
import { lasting, load, save } from "./store.ts";
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
let batchTimer = 0;
let scheduled = false;

let waiting: Item[] = [];
/** When the last request was made, in milliseconds since 1970: no two at once, because what is kept sorts by it. */
let made = 0;
/** Requests under way, with the bytes they hold of the keepalive allowance. */
const flying = new Map<Item, number>();
/** Not 0 while a failure is waited off; -1 where the page, being left, gets no timers: `wake` ends that. */
let retryTimer = 0;
let launched = 0;
let lastAnswer = 0;
let epoch = 0;
/** This browser holds the gateway's cookie. */
let known = false;
/** An earlier page's reset is being looked for. */
let held = false;
let drained: (() => void) | undefined;

/** Milliseconds to wait before try number `tries` + 1; half of it is chance, so that tabs and visitors spread out. */
export function backoff(tries: number, chance = Math.random()): number {
	return Math.min(Limit.LastRetryMs, Limit.FirstRetryMs * 2 ** (tries - 1)) * (0.5 + chance / 2);
}

/** A Retry-After header of seconds, as the gateway sends it, in milliseconds, at most an hour; 0 for none and for a date. */
export function retryAfter(header: string | null): number {
	return Math.min(+header! * 1000, Limit.RetryAfterMs) || 0;
}

const bytes = (text: string) => new Blob([text]).size;
const undelivered = () => [...waiting, ...flying.keys()];

/** Makes a request of its body's members, each with a comma before it. */
function enqueue(path: string, members: string, placements: string[], token?: string): void {
	if (SETTINGS.answers && placements[0]) members += `,"placements":${JSON.stringify(placements)}`;
	waiting.push({ id: itemId((made = Math.max(Date.now(), made + 1))), path, rest: `"writeKey":"${SETTINGS.writeKey}"${members}}`, token, placements, tries: 0, epoch });
	if (waiting.length > KEEP) {
		const lost = waiting.splice(SETTINGS.answers ? waiting.findIndex((i) => i.path != "/reset") : 0, 1);
		if (SETTINGS.outbox) lost.forEach(discard);
		fail("too much waits: a batch was dropped");
	}
}

/** Closes the open batch. */
function pack(): void {
	clearTimeout(batchTimer);
	batchTimer = openBytes = 0;
	if (open[0]) enqueue("/interact", `,"context":${JSON.stringify(context(openView, consented()))},"batch":[${open}]`, [...new Set(slotSources.flatMap((s) => s()))], openToken);
	open = [];
	openToken = undefined;
}

function failed(item: Item, wait: number): void {
	if (item.path == "/profile") return;
	// A reset stays in front; a batch goes behind the others, which may fare better.
	if (SETTINGS.answers && item.path == "/reset") waiting.unshift(item);
	else waiting.push(item);
	item.tries++;
	if (SETTINGS.outbox) keep(item);
	clearTimeout(retryTimer);
	// Never 0: a page that is being left fails every fetch at once and gets 0 for its timers; trying again without a pause would hold the thread that the next page needs.
	retryTimer = setTimeout(again, wait || backoff(item.tries)) || -1;
}

function again(): void {
	clearTimeout(retryTimer);
	retryTimer = 0;
	pump();
}

function accept(item: Item, sent: number, order: number, text: string): void {
	known = true;
	save("known", "1");
	if (!SETTINGS.answers) return;
	const answer = (guard(() => JSON.parse(text)) ?? {}) as Partial<Answer>;
	const { rejected = [] } = answer;
	// Who refused personalisation gets a page that knows nothing.
	const { profile, decisions = {} } = personal() ? answer : ({} as Partial<Answer>);
	rejected.forEach((r) => fail(`event ${r.index} was refused with ${r.code}: ${r.message}`));
	// Answers may overtake each other: an elder one says nothing new, nor does one from before a reset.
	if (item.path == "/reset" || order < lastAnswer || item.epoch != epoch) return;
	lastAnswer = order;
	if (profile) emit("profile", profile);
	emit("answer", { ms: performance.now() - sent, profile, decisions, placements: item.placements, rejected });
}

function launch(item: Item, body: string, size: number, keepalive: boolean): void {
	flying.set(item, keepalive ? size : 0);
	const order = ++launched;
	const sent = performance.now();
	// A gateway that never answers must not stop the rest; old browsers wait as long as they like.
	fetch(base + item.path, { method: "POST", body, credentials: "include", keepalive, signal: AbortSignal.timeout?.(Limit.TimeoutMs) ?? null })
		.then(async (r) => {
			const text = await r.text();
			const { status } = r;
			flying.delete(item);
			if (status == 408 || status == 429 || status >= 500) return failed(item, retryAfter(r.headers.get("Retry-After")));
			if (r.ok) accept(item, sent, order, text);
			else fail(`${item.path} was refused with ${status}: ${text}`);
			if (SETTINGS.outbox) {
				discard(item);
				if (undelivered().every((i) => i.epoch >= 0)) drained?.();
			}
		})
		.catch(() => {
			flying.delete(item);
			failed(item, 0);
		})
		.then(() => pump());
}

/** Sends all that may be sent. `leaving`: the page may be gone after this. */
function pump(leaving?: boolean): void {
	const all = waiting;
	waiting = [];
	let barred = held || !!retryTimer;
	for (const item of all) {
		if (SETTINGS.answers) barred ||= item.path == "/reset" ? flying.size > 0 : [...flying.keys()].some((i) => i.path == "/reset");
		const body = `{"sentAt":"${new Date().toISOString()}",${SETTINGS.answers && item.token ? `"token":${JSON.stringify(item.token)},` : ""}${item.rest}`;
		const size = bytes(body);
		let allowance = Limit.KeepaliveBytes - size;
		flying.forEach((n) => (allowance -= n));
		if (barred || (!known && flying.size) || (leaving && allowance < 0)) waiting.push(item);
		// Without keepalive a beacon is the only way out; its answer cannot be heard, so the item is kept for the next page.
		else if (SETTINGS.outbox && leaving && !("keepalive" in Request.prototype) && navigator.sendBeacon(base + item.path, body)) waiting.push(item);
		else launch(item, body, size, allowance >= 0);
	}
}

function leave(): void {
	pack();
	pump(true);
	if (SETTINGS.outbox) undelivered().forEach(keep);
}

/** Sends what is waiting. */
export function flush(): void {
	pack();
	pump();
}

/** Flushes once the calls of this turn are all in. */
function soon(): void {
	if (scheduled) return;
	scheduled = true;
	Promise.resolve().then(() => {
		scheduled = false;
		guard(flush);
	});
}

/** Takes a message. `now`: it must not wait for the batch. */
export function add(message: Message, view: View, now?: boolean, token?: string): void {
	if (lasting()) {
		const seq = +(load("seq") ?? 0) + 1;
		save("seq", "" + seq);
		message.context.seq = seq;
	}
	const text = JSON.stringify(message);
	if (view != openView || openBytes + text.length > Limit.BatchBytes) pack();
	openView = view;
	openBytes += text.length;
	openToken = token ?? openToken;
	if (open.push(text) >= Limit.BatchEvents || now || waiting[0]) soon();
	else batchTimer ||= setTimeout(flush, Limit.BatchMs);
}

/** Ends the session on the gateway, after all that was said before. */
export function endSession(): void {
	pack();
	epoch++;
	enqueue("/reset", "", []);
	soon();
}

/** Asks for the profile and for decisions without sending an event. */
export function ask(names: string[]): void {
	if (scheduled && open[0]) return; // the batch that is about to leave asks for them
	enqueue("/profile", "", names);
	soon();
}

/** Forgets all that has not been delivered. */
export function drop(): void {
	clearTimeout(batchTimer);
	batchTimer = openBytes = 0;
	waiting = open = [];
	epoch++;
}

/** Brings back what earlier pages could not deliver. To be called once, when storage may be read. */
export function restore(): void {
	known ||= !!load("known");
	if (SETTINGS.outbox) resume(kept(Date.now()));
}

/** Puts earlier pages' requests before and behind this page's, unless another tab does it. */
function resume(old: Item[]): void {
	if (!old[0]) return;
	// A reset that was not delivered comes before anything new is said.
	held = SETTINGS.answers && old.some((i) => i.path == "/reset");
	const take = (lock?: unknown) =>
		new Promise<void>((resolve) => {
			held = false;
			soon();
			if (lock === null) return resolve(); // another tab is at it
			drained = resolve;
			waiting = [...old.splice(0, old.map((i) => i.path).lastIndexOf("/reset") + 1), ...waiting, ...old];
		});
	const { locks } = navigator as { locks?: LockManager };
	if (locks) locks.request("reuna." + SETTINGS.writeKey, { ifAvailable: true }, take).catch(() => take());
	else take();
}

/** Goes on where the page may have come back from the back/forward cache; a timer that runs still counts. */
function wake(): void {
	if (retryTimer < 1) again();
}

/** Begins: `address` is the API's absolute base. */
export function connect(address: string): void {
	base = address;
	addEventListener("online", again);
	addEventListener("pagehide", leave);
	addEventListener("pageshow", wake);
	document.addEventListener("visibilitychange", () => (document.hidden ? leave() : wake()));
}
