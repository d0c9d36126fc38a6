// The side panel: what the gateway answered, shown as it stands. It only reads:
// that the hero is decided on every page is the doing of an empty slot in it.

const root = document.documentElement;
const panel = document.getElementById("panel");
const field = (name) => panel.querySelector(`[data-f="${name}"]`);
const put = (name, text) => {
	const place = field(name);
	place.textContent = text || "–";
	if (place.tagName === "DD") place.title = text; // it may be cut
};
const item = (text, className) => {
	const li = document.createElement("li");
	li.textContent = text;
	if (className) li.className = className;
	return li;
};
const NEEDED = Number(panel.dataset.needed); // the interest at which the hero turns
const NAMES = new Map([...document.querySelectorAll(".shelves a")].map((a) => [a.getAttribute("href").split("/").pop(), a.textContent]));

// ---- Open and closed ----
const toggle = panel.querySelector("[data-panel-toggle]");
const wide = matchMedia("(min-width: 1080px)");
const open = () => root.dataset.panel === "open";
const show = () => toggle.setAttribute("aria-expanded", String(open()));
const set = (state) => {
	root.dataset.panel = state;
	show();
	try {
		localStorage.setItem("kirjava.panel." + (wide.matches ? "wide" : "narrow"), state);
	} catch {
		// It will open the usual way on the next page.
	}
};
toggle.addEventListener("click", () => set(open() ? "closed" : "open"));
addEventListener("keydown", (event) => {
	if (event.key === "Escape" && open() && !wide.matches) {
		set("closed");
		toggle.focus();
	}
});
show();

// ---- What it shows ----
const words = (...parts) => parts.filter(Boolean).join(", ");
const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;
const date = (text) => {
	const time = new Date(text);
	return Number.isNaN(time.getTime()) ? "" : time.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
};
const place = (code) => {
	try {
		return new Intl.DisplayNames(["en"], { type: "region" }).of(code);
	} catch {
		return code; // not a country's code, so it is its own name
	}
};

function profile(p) {
	put("id", p.id);
	const known = field("known");
	known.textContent = p.known ? "known" : "anonymous";
	known.dataset.state = p.known ? "known" : "anonymous";
	const v = p.visit ?? {};
	put("visits", words(count(v.sessions ?? 0, "visit", "visits"), count(v.pageviews ?? 0, "page", "pages"), v.firstSeen && "since " + date(v.firstSeen)));
	const d = p.device ?? {};
	put("device", words(d.type, d.os, d.browser));
	const g = p.geo ?? {};
	put("place", words(g.city, g.region, g.country && place(g.country)) || "not known for this address");
	const source = (t = {}) => words(t.channel, t.source !== "(direct)" && t.source, t.campaign);
	put("traffic", source(p.traffic));
	put("first", source(p.firstTouch));
	put("traits", Object.entries(p.traits ?? {}).map(([key, value]) => key + ": " + (typeof value === "object" ? JSON.stringify(value) : value)).join(", ") || "none that a page may see");
	interests(p.affinity ?? []);
	const list = p.segments ?? [];
	field("segments").replaceChildren(...(list.length ? list.map((s) => item(s, s === FAN ? "timed" : "")) : [item("none yet", "none")]));
	const [favourite] = p.affinity?.[0] ?? [];
	put("brief", words(p.known ? "known" : "anonymous", NAMES.get(favourite) ?? favourite));
}

// ---- Who enters and leaves ----
const FAN = panel.dataset.fan;
let was; // {id, segments, moves} of the last answer, on whichever page
try {
	was = JSON.parse(sessionStorage.getItem("kirjava.segments")) ?? undefined;
} catch {
	// A new tab, or no storage: it begins with the next answer.
}

function moves(p, read) {
	const segments = p.segments ?? [];
	const before = was?.id === p.id ? was : { segments: [], moves: [] };
	const cause = read ? " by itself" : "";
	const at = new Date().toLocaleTimeString("en-GB");
	const move = (way) => (name) => ({ way, name, at, cause });
	was = {
		id: p.id,
		segments,
		moves: [
			...before.moves,
			...segments.filter((s) => !before.segments.includes(s)).map(move("in")),
			...before.segments.filter((s) => !segments.includes(s)).map(move("out")),
		].slice(-3),
	};
	try {
		sessionStorage.setItem("kirjava.segments", JSON.stringify(was));
	} catch {
		// The list will begin again on the next page.
	}
	showMoves();
	watch(segments.includes(FAN));
}

function showMoves() {
	if (!was?.moves.length) return;
	field("moves").replaceChildren(...was.moves.map(({ way, name, at, cause }) => {
		const li = item("", way);
		const time = document.createElement("time");
		const text = document.createElement("span");
		const verb = document.createElement("b");
		time.textContent = at;
		verb.textContent = way === "in" ? "entered " : "left ";
		text.append(verb, name, way === "out" ? cause : "");
		li.append(time, text);
		return li;
	}));
}

// A fan stops being one when the window ends, which no event tells. So while
// there is one, the page asks now and then: a read, which counts as nothing.
const ASK_MS = 1000;
const NONE = "none"; // a slot that no page has: what is asked for it alone is such a read
let timer = 0;
function watch(fan) {
	clearTimeout(timer);
	if (fan) timer = setTimeout(() => (document.hidden ? watch(true) : reuna.push(["decide", [NONE, ""], Date.now()])), ASK_MS);
}

function interests(list) {
	if (!list.length) return;
	const most = Math.max(NEEDED * 1.6, ...list.map(([, score]) => score));
	field("interests").replaceChildren(...list.slice(0, 3).map(([name, score]) => {
		const li = item("", score >= NEEDED ? "enough" : "");
		const label = document.createElement("span");
		const value = document.createElement("span");
		const bar = document.createElement("span");
		const fill = document.createElement("i");
		label.textContent = NAMES.get(name) ?? name;
		value.textContent = score.toFixed(1);
		value.className = "value";
		bar.className = "bar";
		fill.style.width = (100 * score) / most + "%";
		bar.style.setProperty("--needed", (100 * NEEDED) / most + "%");
		bar.append(fill);
		li.append(label, value, bar);
		return li;
	}));
}

// ---- Round trips ----
let trips = [];
try {
	trips = JSON.parse(sessionStorage.getItem("kirjava.trips")) ?? [];
} catch {
	// A new tab, or no storage: the line begins here.
}
function trip(ms, read) {
	trips = [...trips, Math.round(ms * 10) / 10].slice(-24);
	try {
		sessionStorage.setItem("kirjava.trips", JSON.stringify(trips));
	} catch {
		// The line will begin again on the next page.
	}
	const text = (ms < 100 ? ms.toFixed(1) : ms.toFixed(0)) + " ms";
	put("ms", text);
	put("brief-ms", text);
	put("trip", read ? "only asked: nothing was sent" : "sent, stored on disk, joined and answered");
	const most = Math.max(...trips);
	field("line").setAttribute("points", trips.map((t, i) => `${(120 * i) / Math.max(1, trips.length - 1)},${26 - (24 * t) / most}`).join(" "));
}

function hero(decision) {
	const variant = decision.variant && decision.variant !== "default" ? decision.variant : "";
	put("hero", decision.holdout ? "held out: the page keeps its own" : variant === "fans" ? "For thriller fans" : variant ? NAMES.get(variant) ?? variant : "the page’s own");
	field("hero").dataset.variant = variant;
}

const sent = [];
function event(message) {
	const name = message.event ?? message.name ?? message.userId ?? "";
	sent.push([message.type, name, message.properties?.category ?? message.properties?.text ?? ""]);
	field("events").replaceChildren(...sent.slice(-8).map(([type, what, more]) => {
		const li = item("");
		const kind = document.createElement("b");
		const text = document.createElement("span");
		kind.textContent = type;
		text.textContent = words(what || (type === "page" ? location.pathname : ""), more);
		li.append(kind, text);
		return li;
	}));
}

// ---- Where it comes from ----
const signals = {
	event,
	answer(answer) {
		const read = String(answer.placements) === NONE;
		trip(answer.ms, read);
		if (!answer.profile) return;
		profile(answer.profile);
		moves(answer.profile, read);
		// Without a rule that fits there is no decision, and the page keeps its own.
		if (answer.placements.includes("hero")) hero(answer.decisions.hero ?? {});
	},
	error(error) {
		put("trip", error.message);
		watch(was?.segments.includes(FAN));
	},
};
const { kirjava, reuna } = window;
showMoves();
kirjava.hear = (signal, value) => signals[signal](value);
for (const [signal, value] of kirjava.heard.splice(0)) kirjava.hear(signal, value);
if (!reuna) put("trip", "The tag’s snippet did not run on this page.");
else {
	// The page's own answer may have come before anybody listened.
	reuna.push(["onProfile", [profile], Date.now()]);
}
