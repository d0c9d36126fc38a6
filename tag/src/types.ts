// The words that the tag's modules share. Nothing here reaches the bundle.
//
// One bundle is one tag: modules keep their state in their own variables, which
// minify to a letter and are shaken out when nobody uses them.

import type { Message, Properties, Signals } from "../types/reuna";

/** The site's settings: constants that build.go puts in the place of SETTINGS.x, so what they switch off is not in the bundle. */
export interface Settings {
	writeKey: string;
	/** Path on the script's own origin, or an absolute URL, without a slash at its end. */
	apiBase: string;
	global: string;
	version: string;
	/** The tag writes its signals to the console. */
	debug: boolean;
	/** The site sends its page views itself. */
	manual: boolean;
	/** The hash is a part of the page's address. */
	hash: boolean;
	/** The page looks at answers: identity, profile and decisions are there. */
	answers: boolean;
	/** The gateway's answer may come with the tag, or be in the page. */
	given: boolean;
	/** The browser may be asked to send the summary when the page is gone. */
	fetchLater: boolean;
	/** Browsers whose fetch has no keepalive send a beacon when the page closes. */
	beacon: boolean;
	/** Undelivered requests are kept for the next page. */
	outbox: boolean;
	/** The consent module is there. */
	consent: boolean;
	/** How consent stands before the visitor has chosen. */
	initial: "granted" | "pending" | "denied";
	/** Until consent is granted, what may be counted goes without a cookie and without an id. */
	cookieless: boolean;
	/** Links to the site's other domains carry the visitor along. */
	link: boolean;
	/** Global Privacy Control refuses advertising. */
	gpc: boolean;
	/** Alternatives of a regular expression: file extensions that count as downloads. */
	downloads: string;
	/** The summary of a page view tells how it was read. */
	engagement: boolean;
	/** Full versions and the model are asked for. */
	hints: boolean;
	/** The first page view tells the campaign that its address had when it was opened. */
	campaign: boolean;
	/** Names of the parameters that may hold a search term, "q|s". */
	search: string;
}

declare global {
	const SETTINGS: Settings;
}

/** One view of one page: the id that its events share, and what `context.page` says. */
export interface View {
	id: string;
	page: Properties;
	/** Campaign tags and click ids of the address that it began with, as a query. */
	campaign?: Properties | undefined;
}

/** A message before it has its id, time and context. */
export type Draft = Omit<Message, "messageId" | "timestamp" | "context">;

/** Signals that the modules send each other, beside the public ones. */
export interface Inner extends Signals {
	/** The site said who the visitor is. */
	identity: void;
	/** A page view began. */
	view: void;
	/** The profile and the variants are gone: the page shows its own content again. */
	forget: void;
	/** The summary of a page view is about to be told. */
	summary: Properties;
	/** The page is hidden or closed, or its view ends (true): the last moment to say something of it. */
	leave: boolean;
}

/** Puts a feature into the page; run once, before the first page view. */
export type Module = () => void;
