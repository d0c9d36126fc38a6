// The public face of the tag: what a page sees as `window.reuna`.
//
// Give your own events their shapes by declaring the map once:
//
//     declare global { interface Window { reuna: import("reuna").Reuna<{ "Product Viewed": { product_id: string; price: number } }> } }

/** A value that JSON can carry. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json | undefined };

export type Properties = { [key: string]: Json | undefined };

/** Event name to the shape of its properties. */
export type EventMap = { [event: string]: Properties };

/** A source of visits; `channel` is one of GA4's default channel groups. */
export interface Traffic {
	channel: string;
	source: string;
	medium: string;
	campaign: string;
}

/** What the gateway tells the page about its visitor (`POST /v1/interact`). Times are RFC 3339, UTC. */
export interface Profile {
	id: string;
	known: boolean;
	visit: { new: boolean; sessions: number; pageviews: number; firstSeen: string; lastSeen: string };
	device: { type: string; os: string; browser: string };
	geo: { country: string; region: string; city: string };
	/** Where the latest visit came from. */
	traffic: Traffic;
	/** Where the first one came from, and the latest that was more than an address typed. */
	firstTouch: Traffic;
	lastTouch: Traffic;
	/** Only the traits that the site's `page_traits` allows. */
	traits: Properties;
	segments: string[];
	/** Interests, the strongest first, with scores. */
	affinity: [string, number][];
}

export interface Decision {
	variant: string;
	experience?: string;
	/** True when the visitor is held out: the page keeps its default for comparison. */
	holdout?: boolean;
	/** The variant that they would have seen. */
	heldOutOf?: string;
}

export type Decisions = { [slot: string]: Decision };

/** One answer of the gateway. `ms` is the round trip in milliseconds, from the call of fetch to the parsed body. */
export interface Answer {
	ms: number;
	profile: Profile | undefined;
	decisions: Decisions;
	/** The slots that the request asked for; those without a decision keep the page's own content. */
	placements: string[];
	rejected: Rejection[];
}

/** An event of a batch that the gateway refused; `index` is its place in the batch. */
export interface Rejection {
	index: number;
	code: string;
	message?: string;
	field?: string;
}

/** A message as it goes to the gateway, in Segment's words. */
export interface Message {
	type: "page" | "track" | "identify" | "group" | "alias";
	messageId: string;
	timestamp: string;
	event?: string;
	name?: string;
	category?: string;
	userId?: string;
	previousId?: string;
	groupId?: string;
	properties?: Properties;
	traits?: Properties;
	context: Properties;
}

export type Purpose = "analytics" | "personalisation" | "advertising";
export type ConsentState = "granted" | "pending" | "denied";
export type Consent = ConsentState | Partial<Record<Purpose, boolean>>;

/** What `on`, `once` and `off` can listen to. */
export interface Signals {
	/** A message was made and passed the consent gate. */
	event: Message;
	/** The gateway answered. */
	answer: Answer;
	/** The profile changed hands; not called for answers without one. */
	profile: Profile;
	consent: ConsentState;
	/** The visitor was reset on this page. */
	reset: undefined;
	/** Something went wrong inside the tag or the gateway refused something. Nothing is ever thrown into the page. */
	error: Error;
}

export interface Reuna<E extends EventMap = EventMap> {
	readonly version: string;

	page(props?: Properties): void;
	page(name: string, props?: Properties): void;
	page(category: string, name: string, props?: Properties): void;

	track<N extends keyof E & string>(event: N, props?: E[N]): void;

	/** Says who the visitor is. `token` is the site's signed identity token; without it the claim stays unproven. */
	identify(userId: string, traits?: Properties, options?: { token?: string }): void;
	identify(traits: Properties): void;
	group(groupId: string, traits?: Properties): void;
	/** Without `previousId` the current user, or else the visitor, is meant. */
	alias(userId: string, previousId?: string): void;
	/** Ends the visitor's session on the gateway and forgets it here. For logging out. */
	reset(): void;
	/** `anonymousId` is known once the gateway has answered. */
	user(): { userId: string | null; anonymousId: string | null };

	consent(choice: Consent): void;
	/** Sends what is waiting, now. */
	flush(): void;

	/** Runs `run` when the tag is there; at once when it is already. */
	ready(run: () => void): void;
	on<S extends keyof Signals>(signal: S, run: (value: Signals[S]) => void): void;
	once<S extends keyof Signals>(signal: S, run: (value: Signals[S]) => void): void;
	off<S extends keyof Signals>(signal: S, run: (value: Signals[S]) => void): void;

	/** The last profile that the gateway answered on this page, or undefined before the first. */
	profile(): Profile | undefined;
	/** Calls `run` with the profile, now if there is one, and again at each answer. */
	onProfile(run: (profile: Profile) => void): void;
	/** The variant for a slot: from this page's answer, from the last page's, or `fallback` when none came within 300 ms. */
	decide(slot: string, fallback: string): Promise<string>;

	/** The stub's door, for tag managers: `reuna.push(["track", ["Signed Up", {}]])`. */
	push(call: StubCall): void;
}

/** The module's exports, for sites that bundle the tag (`/tag/{writeKey}.mjs`). On a server, where there is no window, every call does nothing. */
export declare const reuna: Reuna;
export default reuna;

/** Method, arguments, when it was called (milliseconds since 1970), and who waits for its result. */
export type StubCall = [method: string, args?: unknown[], time?: number, done?: (result: unknown) => void];
