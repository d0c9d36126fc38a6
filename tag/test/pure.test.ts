// Unit tests of what needs no browser. The rest is tested in a real one, by
// browser_test.go.

import assert from "node:assert/strict";
import test from "node:test";

import { choose } from "../src/consent.ts";
import { entry } from "../src/consentmode.ts";
import { arrival, strip } from "../src/linker.ts";
import { fileOf, leadsTo } from "../src/links.ts";
import { itemId } from "../src/outbox.ts";
import { pageArguments } from "../src/pageviews.ts";
import { scrub } from "../src/scrub.ts";
import { textAt } from "../src/slots.ts";
import { pageKey } from "../src/spa.ts";
import { chosen } from "../src/tcf.ts";
import { backoff, retryAfter } from "../src/transport.ts";
import { uuidv7 } from "../src/uuid.ts";
import type { Settings } from "../src/types.ts";
import type { Profile } from "../types/reuna";

/** Gives the settings that what is tested asks for; a build writes them into the script. */
const set = (SETTINGS: Partial<Settings>) => Object.assign(globalThis, { SETTINGS });

test("a message id is a UUIDv7 that holds its time and sorts by it", () => {
	const times = [0, 1, 1_700_000_000_000, 1_700_000_000_001, 2 ** 48 - 1];
	const ids = times.map(uuidv7);
	ids.forEach((id, i) => {
		assert.ok(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id), id);
		assert.equal(parseInt(id.slice(0, 8) + id.slice(9, 13), 16), times[i]);
	});
	assert.deepEqual([...ids].sort(), ids);
	assert.equal(new Set(Array.from({ length: 10_000 }, () => uuidv7(5))).size, 10_000);
});

test("a request's id sorts by its time", () => {
	const ids = [0, 35, 36, 1_700_000_000_000, 1_700_000_000_001].map(itemId);
	assert.deepEqual([...ids].sort(), ids);
	assert.equal(parseInt(itemId(1_700_000_000_000).slice(0, 9), 36), 1_700_000_000_000);
});

test("page(): one text is the name, two are category and name", () => {
	const cases: [unknown[], unknown, unknown, object][] = [
		[[], undefined, undefined, {}],
		[["Home"], undefined, "Home", {}],
		[["Docs", "Start"], "Docs", "Start", {}],
		[[{ a: 1 }], undefined, undefined, { a: 1 }],
		[["Home", { a: 1 }], undefined, "Home", { a: 1 }],
		[["Docs", "Start", { a: 1 }], "Docs", "Start", { a: 1 }],
		[[null, "Start", null], undefined, "Start", {}],
	];
	for (const [args, category, name, props] of cases) {
		const got = pageArguments(args);
		assert.equal(got.category, category);
		assert.equal(got.name, name);
		assert.deepEqual(JSON.parse(JSON.stringify(got.properties)), JSON.parse(JSON.stringify({ ...props, category, name })));
	}
});

test("what a visitor may have typed is taken out of texts", () => {
	const cases: [string, string][] = [
		["Write to anna.virtanen+x@shop.example now", "Write to [email] now"],
		["card 4111 1111 1111 1111 ok", "card [number] ok"],
		["4111-1111-1111-1111", "[number]"],
		["4111 1111 1111 1112", "4111 1111 1111 1112"],
		["Order 20240131", "Order 20240131"],
		["@home and a@b", "@home and a@b"],
		["anna@x.example,bob@y.example;c", "[email],[email];c"],
		["почта: анна@пример.рф", "почта: [email]"],
		// A card's expiry, its code, or a year stand beside it.
		["paid with 4111 1111 1111 1111 12/27", "paid with [number] 12/27"],
		["4111 1111 1111 1111 123", "[number]"],
		["2027 4111-1111-1111-1111", "[number]"],
		["3782 822463 10005", "[number]"],
		["4111111111111111x", "[number]x"],
		["call 0400 123 456 or 0400 123 457", "call 0400 123 456 or 0400 123 457"],
		["x".repeat(300), "x".repeat(255)],
	];
	for (const [text, want] of cases) assert.equal(scrub(text), want);
});

test("a link tells its path, never its query", () => {
	const paths: [string, string][] = [
		["https://shop.example/a/b?token=1#x", "https://shop.example/a/b"],
		["https://shop.example/anna@shop.example/card/4111111111111111", "https://shop.example/[email]/card/[number]"],
		["https://shop.example/reset/anna%40shop.example", "https://shop.example/reset/[email]"],
		["mailto:anna@shop.example", "mailto:"],
		["tel:+358401234567", "tel:"],
	];
	for (const [href, want] of paths) assert.equal(leadsTo(new URL(href)), want, href);
	const files: [string, string | undefined][] = [
		["https://shop.example/list.PDF?x=1", "pdf"],
		["https://shop.example/app.apk", "apk"],
		["https://shop.example/page.html", undefined],
		["https://shop.example/pdf", undefined],
	];
	set({ downloads: "pdf|apk" });
	for (const [href, want] of files) assert.equal(fileOf(new URL(href)), want, href);
});

test("a page's key leaves out the hash unless it routes by it", () => {
	const url = new URL("https://shop.example/a?b=1#c");
	set({ hash: false });
	assert.equal(pageKey(url), "/a?b=1");
	set({ hash: true });
	assert.equal(pageKey(url), "/a?b=1#c");
});

test("waiting grows, is bounded, and half of it is chance", () => {
	let chance = 0;
	const { random } = Math;
	Math.random = () => chance;
	for (let tries = 1; tries < 30; tries++) {
		const most = Math.min(60_000, 1000 * 2 ** (tries - 1));
		chance = 0;
		assert.equal(backoff(tries), most / 2);
		chance = 1;
		assert.equal(backoff(tries), most);
	}
	Math.random = random;
});

test("Retry-After is seconds, at most an hour", () => {
	const cases: [string | null, number][] = [[null, 0], ["", 0], ["0", 0], ["7", 7000], ["999999", 3_600_000], ["soon", 0], ["Wed, 21 Oct 2026 07:28:00 GMT", 0]];
	for (const [header, want] of cases) assert.equal(retryAfter(header), want, `${header}`);
});

test("a purpose that nobody was asked about is refused", () => {
	assert.equal(choose(undefined, "pending"), null);
	assert.equal(choose(choose(undefined, "granted"), "pending"), null);
	assert.deepEqual(choose(null, { advertising: true }), { analytics: false, personalisation: false, advertising: true });
	assert.deepEqual(choose(undefined, "granted"), { analytics: true, personalisation: true, advertising: true });
	assert.deepEqual(choose(undefined, { analytics: true }), { analytics: true, personalisation: false, advertising: false });
	assert.deepEqual(choose(choose(undefined, "granted"), { advertising: false }), { analytics: true, personalisation: true, advertising: false });
});

test("a token is taken out of an address, and nothing else", () => {
	for (const [address, rest, token] of [
		["https://pay.example/?_reuna=a-B_9", "https://pay.example/", "a-B_9"],
		["https://pay.example/?_reuna=a#top", "https://pay.example/#top", "a"],
		["https://pay.example/?_reuna=a&b=%20+&c", "https://pay.example/?b=%20+&c", "a"],
		["https://pay.example/?b=1&_reuna=a", "https://pay.example/?b=1", "a"],
		["https://pay.example/?b=1&_reuna=a&c=2#x?y", "https://pay.example/?b=1&c=2#x?y", "a"],
		["https://pay.example/?a&_reuna=planted&_reuna=own#x", "https://pay.example/?a#x", "own"],
		["https://pay.example/?_reuna=%20\\&_reuna=own&a", "https://pay.example/?a", "own"],
		["https://pay.example/?_reuna=planted&b&_reuna=own", "https://pay.example/?b", "own"],
		["https://pay.example/?x_reuna=a&reuna=b#_reuna", "https://pay.example/?x_reuna=a&reuna=b#_reuna", ""],
		["https://pay.example/?_reuna=", "https://pay.example/", ""],
	]) {
		assert.equal(strip(address!), rest);
		assert.equal(arrival(), token && `"link":${JSON.stringify(token)},`);
	}
});

test("what the consent framework tells", () => {
	const told = (...granted: number[]) => ({ purpose: { consents: Object.fromEntries(granted.map((n) => [n, true])) } });
	const none = { analytics: false, personalisation: false, advertising: false };
	assert.equal(chosen({ ...told(), gdprApplies: false }), "granted");
	assert.equal(chosen({ ...told(1, 8), gdprApplies: true, eventStatus: "cmpuishown" }), undefined);
	assert.deepEqual(chosen({ ...told(), gdprApplies: true, eventStatus: "useractioncomplete" }), none);
	assert.deepEqual(chosen({ ...told(3, 4, 5, 6, 8), eventStatus: "tcloaded" }), none); // nothing may be stored
	assert.deepEqual(chosen({ ...told(1, 8), eventStatus: "tcloaded" }), { ...none, analytics: true });
	assert.deepEqual(chosen({ ...told(1, 3, 5, 8), eventStatus: "tcloaded" }), { ...none, analytics: true });
	assert.deepEqual(chosen({ ...told(1, 3, 4, 5, 6, 8), eventStatus: "tcloaded" }), { analytics: true, personalisation: true, advertising: true });
});

test("what Consent Mode tells", () => {
	const denied = { analytics: false, personalisation: false, advertising: false };
	// The state goes on from entry to entry, as it does in a page.
	for (const [e, want] of [
		[undefined, undefined],
		[{ event: "gtm.js" }, undefined],
		[["config", "G-1"], undefined],
		[["consent", "update", { ad_storage: "granted" }], undefined], // nobody was asked about analytics yet
		[["consent", "default", { ad_storage: "denied", analytics_storage: "denied", region: ["ES"], wait_for_update: 500 }], undefined],
		[["consent", "default", { analytics_storage: "granted" }], undefined], // elsewhere than in Spain, perhaps
		[["consent", "update", { analytics_storage: "granted" }], { ...denied, analytics: true }],
		[["consent", "update", { ad_storage: "granted", ad_user_data: "granted" }], { ...denied, analytics: true }],
		[["consent", "update", { ad_personalization: "granted", personalization_storage: "granted" }], { analytics: true, personalisation: true, advertising: true }],
		[["consent", "update", { analytics_storage: "denied" }], { analytics: false, personalisation: true, advertising: true }],
	]) assert.deepEqual(entry(e), want);
});

test("a text of the profile is a plain value at a path", () => {
	const profile = { id: "v_1", traits: { firstName: "Anna", n: 3, list: ["a"], no: null } } as unknown as Profile;
	const cases: [string, string][] = [["traits.firstName", "Anna"], ["traits.n", "3"], ["traits.list", ""], ["traits.no", ""], ["traits.no.more", ""], ["nothing.here", ""], ["id", "v_1"]];
	for (const [path, want] of cases) assert.equal(textAt(profile, path), want, path);
	assert.equal(textAt(undefined, "traits.firstName"), "");
});
