// The shop's own script: basket, orders, login, and what it tells the tag.
// Everything goes through window.reuna, exactly as on any site.

const body = document.body;
const prefix = body.dataset.prefix;
const currency = body.dataset.currency;
const find = (selector) => document.querySelector(selector);

/** Calls the tag; push is its stub's door too, so this works before it is there. */
const tell = (method, ...args) => window.reuna?.push([method, args, Date.now()]);

/** Sends an event now rather than with the next batch, so that the panel shows at once what came of it. */
function send(event, properties) {
	tell("track", event, properties);
	tell("flush");
}

/** Runs then once, when an answer fits or when ms have gone by: a demo never waits for ever. */
function whenAnswered(fits, ms, then) {
	let over = false;
	const end = () => {
		if (over) return;
		over = true;
		then();
	};
	tell("on", "answer", (answer) => fits(answer) && end());
	setTimeout(end, ms);
}

// What the browser keeps. Storage may be blocked; then a page only knows itself.
const kept = {
	get(area, key, fallback) {
		try {
			return JSON.parse(window[area].getItem("kirjava." + key)) ?? fallback;
		} catch {
			return fallback;
		}
	},
	set(area, key, value) {
		try {
			if (value === null) window[area].removeItem("kirjava." + key);
			else window[area].setItem("kirjava." + key, JSON.stringify(value));
		} catch {
			// Nothing to do about it, and nothing that the visitor must know.
		}
	},
};

/** Builds an element: el("a", {href}, "text", child, …). */
function el(name, attributes, ...children) {
	const node = document.createElement(name);
	for (const [key, value] of Object.entries(attributes ?? {})) node.setAttribute(key, value);
	node.append(...children);
	return node;
}

const money = (amount) => "€" + amount.toFixed(2);
const round = (amount) => Math.round(amount * 100) / 100;

// ---- Basket -----------------------------------------------------------------

const basket = () => kept.get("localStorage", "basket", []);
const total = (lines) => round(lines.reduce((sum, line) => sum + line.price * line.quantity, 0));

function keepBasket(lines) {
	kept.set("localStorage", "basket", lines);
	showCount();
}

function showCount() {
	const count = basket().reduce((sum, line) => sum + line.quantity, 0);
	const badge = find("[data-count]");
	badge.hidden = count === 0;
	badge.textContent = String(count);
}

function add(product) {
	const lines = basket();
	const line = lines.find((l) => l.product_id === product.product_id);
	if (line) line.quantity++;
	else lines.push({ ...product, quantity: 1 });
	keepBasket(lines);
	send("Product Added", { ...product, quantity: 1 });
}

function remove(id) {
	const lines = basket();
	const line = lines.find((l) => l.product_id === id);
	if (!line) return;
	keepBasket(lines.filter((l) => l !== line));
	send("Product Removed", line);
	showBasket();
}

function showBasket() {
	const lines = basket();
	const ordering = body.dataset.page === "checkout";
	find("[data-lines]").replaceChildren(...lines.map((line) => {
		const book = prefix + "book/" + encodeURIComponent(line.product_id);
		const row = el("li", {},
			el("img", { src: prefix + "covers/" + encodeURIComponent(line.product_id) + ".svg", width: "56", height: "84", alt: "" }),
			el("div", { class: "line-words" }, el("a", { href: book }, line.name), el("span", {}, line.brand)),
			el("span", { class: "line-price" }, (line.quantity > 1 ? line.quantity + " × " : "") + money(line.price)));
		if (!ordering) {
			const drop = el("button", { type: "button", class: "quiet", "aria-label": "Remove " + line.name }, "Remove");
			drop.addEventListener("click", () => remove(line.product_id));
			row.append(drop);
		}
		return row;
	}));
	find("[data-empty]").hidden = lines.length > 0;
	find("[data-sum]").hidden = lines.length === 0;
	find("[data-total]").textContent = money(total(lines));
}

function order(button) {
	const lines = basket();
	if (!lines.length) return;
	button.disabled = true;
	const id = "K-" + [...crypto.getRandomValues(new Uint8Array(5))].map((b) => b.toString(36).padStart(2, "0")).join("").toUpperCase();
	send("Order Completed", { order_id: id, total: total(lines), revenue: total(lines), currency, products: lines });
	keepBasket([]);
	kept.set("sessionStorage", "order", { id, total: total(lines) });
	whenAnswered(() => true, 1500, () => location.assign(prefix + "thanks"));
}

// ---- Login --------------------------------------------------------------------

const account = () => kept.get("localStorage", "account", null);

function showAccount() {
	const who = account();
	const link = find("[data-account]");
	link.textContent = who ? who.name : "Log in";
	link.setAttribute("href", prefix + (who ? "account" : "login"));
}

/** The visitor's profile id, as soon as the gateway has answered. */
function visitor() {
	return new Promise((resolve, reject) => {
		tell("onProfile", (profile) => resolve(profile.id));
		setTimeout(() => reject(new Error("The gateway has not answered yet, so the shop does not know which browser this is. Try again.")), 4000);
	});
}

async function logIn(name) {
	const response = await fetch(prefix + "login", {
		method: "POST",
		headers: { "Content-Type": "application/json" },
		body: JSON.stringify({ name, visitor: await visitor() }),
	});
	const answer = await response.json();
	if (!response.ok) throw new Error(answer.error.message);
	kept.set("localStorage", "account", { name, userId: answer.userId });
	whenAnswered(({ profile }) => profile?.known, 3000, () => location.assign(prefix));
	tell("identify", answer.userId, answer.traits, { token: answer.token });
}

function logOut() {
	tell("reset");
	kept.set("localStorage", "account", null);
	kept.set("localStorage", "basket", null);
	location.assign(prefix);
}

// ---- Pages --------------------------------------------------------------------

const pages = {
	book() {
		const product = JSON.parse(body.dataset.product);
		send("Product Viewed", product);
		find("[data-add]").addEventListener("click", () => {
			add(product);
			find("[data-said]").replaceChildren("It is in ", el("a", { href: prefix + "cart" }, "your basket"), ".");
		});
	},
	category() {
		send("Product List Viewed", { list_id: body.dataset.shelf, category: body.dataset.shelf });
	},
	search() {
		const query = new URLSearchParams(location.search).get("q")?.trim();
		if (query) send("Products Searched", { query, results: Number(find("[data-found]").dataset.found) });
	},
	cart() {
		showBasket();
		send("Cart Viewed", { products: basket() });
	},
	checkout() {
		showBasket();
		if (basket().length) send("Checkout Started", { value: total(basket()), currency, products: basket() });
		find("[data-order]").addEventListener("click", (event) => order(event.currentTarget));
	},
	thanks() {
		const last = kept.get("sessionStorage", "order", null);
		if (last) find("[data-thanks]").textContent = `Order ${last.id} over ${money(last.total)} would be on its way by now, if there were anything to send.`;
	},
	login() {
		find("[data-login]").addEventListener("submit", async (event) => {
			event.preventDefault();
			const form = event.currentTarget;
			const said = find("[data-said]");
			const button = form.querySelector("button");
			said.textContent = "";
			button.disabled = true;
			try {
				await logIn(form.elements.name.value.trim());
			} catch (error) {
				said.textContent = error.message;
				button.disabled = false;
			}
		});
	},
	account() {
		const who = account();
		if (!who) return;
		find("[data-hello]").textContent = ", " + who.name;
		find("[data-user]").textContent = who.userId;
		find("[data-out]").hidden = true;
		for (const part of document.querySelectorAll("[data-in]")) part.hidden = false;
		find("[data-logout]").addEventListener("click", logOut);
	},
};

showCount();
showAccount();
// On a phone the shelves are wider than the window: bring this one into it.
const here = find(".shelves [aria-current]");
if (here) here.closest("ul").scrollLeft = here.offsetLeft - 60;
pages[body.dataset.page]?.();
// A page that comes back from the browser's own memory may be behind the basket.
addEventListener("pageshow", (event) => {
	if (!event.persisted) return;
	showCount();
	showAccount();
});
