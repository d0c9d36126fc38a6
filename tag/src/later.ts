// One message of the page view that may still change, such as its summary.
//
// Where the browser has fetchLater it is handed over early and again with each
// change, and the browser sends the last of them when the page goes away, or
// crashes: one request a view. Elsewhere it is sent when the page is hidden.

import type { Message } from "../types/reuna";
import { verdict } from "./consent.ts";
import { compose, send, view } from "./core.ts";
import { number } from "./notes.ts";
import { emit, on } from "./signals.ts";
import { add, address, members } from "./transport.ts";
import type { Draft, View } from "./types.ts";

type FetchLater = (url: string, init: RequestInit) => { activated: boolean };

let message: Message | undefined;
let of: View;
let last: { activated: boolean } | undefined;
let cancel: AbortController | undefined;

const replace = (draft: Draft, end?: boolean): boolean => {
	if (last?.activated) {
		message = last = undefined;
		return true;
	}
	if (verdict() != "granted") {
		send(draft, true);
		return true;
	}
	cancel?.abort();
	if (message) Object.assign(message, draft);
	else {
		message = compose(draft);
		of = view;
		number(message);
		emit("event", message);
	}
	if (!end)
		try {
			cancel = new AbortController();
			// Without sentAt: it may leave much later, and then its own time counts.
			last = (window as unknown as { fetchLater: FetchLater }).fetchLater(address("/interact"), { method: "POST", body: `{${members(of, [JSON.stringify(message)])}"writeKey":"${SETTINGS.writeKey}"}`, credentials: "include", signal: cancel.signal });
			return false;
		} catch {} // there is none, or the browser's quota for such requests is used up
	add(message, of, true);
	message = last = undefined;
	return true;
};

/**
 * Takes the message as it is now, in the place of the one before; `end`: the
 * view ends. True says that the message has left: the next one is a new one and
 * must tell only what has happened since.
 */
export const later = SETTINGS.fetchLater
	? replace
	: (draft: Draft, _end?: boolean): boolean => {
			send(draft, true);
			return true;
		};

if (SETTINGS.fetchLater)
	on("consent", () => {
		if (verdict() == "granted") return;
		cancel?.abort();
		message = last = undefined;
	});
