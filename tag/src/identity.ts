// Who the visitor says to be. The visitor's own id is the gateway's HttpOnly
// cookie, which no script can read; the tag remembers only the site's user id,
// which core.ts puts on every message.

import type { Properties } from "../types/reuna";
import { verdict } from "./consent.ts";
import { expose, send } from "./core.ts";
import { emit, on } from "./signals.ts";
import { load, remove, save } from "./store.ts";
import { endSession } from "./transport.ts";

let anonymousId: string | undefined;

const text = (id: unknown) => (/^[snb]/.test(typeof id) ? "" + id : "");

export const identity = (): void => {
	on("profile", (p) => (anonymousId = p.id));
	expose("identify", (id: unknown, traits?: Properties, options?: { token?: string }) => {
		if (text(id)) save("user", text(id));
		else traits ??= id as Properties;
		send({ type: "identify", traits: traits ?? {} }, true, options?.token);
		emit("identity", undefined);
	});
	expose("group", (id: unknown, traits: Properties = {}) => send({ type: "group", groupId: text(id), traits }));
	expose("alias", (id: unknown, previous?: unknown) => send({ type: "alias", userId: text(id), previousId: text(previous) || load("user") || anonymousId! }, true));
	expose("user", () => ({ userId: load("user") ?? null, anonymousId: anonymousId ?? null }), true);
	expose("reset", () => {
		if (verdict() == "granted") endSession(); // without consent there is none
		remove("user");
		anonymousId = undefined;
		emit("reset", undefined);
	});
};
