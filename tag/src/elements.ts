// How a page element is described: enough to find it again, nothing that a
// visitor typed.

export const IGNORED = "[data-reuna-ignore],.ph-no-capture";
/** Elements whose text belongs to the visitor, or to nobody. */
const SILENT = "input,textarea,select,script,style,[contenteditable],[data-reuna-mask],[data-hj-suppress]," + IGNORED;

const STABLE = ["type", "role", "name", "data-testid"];

const enum Most {
	/** Characters of an element's text. */
	Text = 255,
	/** Characters of its description. */
	Word = 120,
	/** Ancestors, itself included. */
	Levels = 6,
}

/** Luhn's check (ISO/IEC 7812-1) over digits. */
function luhn(digits: string): boolean {
	let sum = 0;
	[...digits].reverse().forEach((d, i) => (sum += +(i % 2 ? "0246813579"[+d]! : d)));
	return sum % 10 == 0;
}

/** Takes e-mail addresses and card-like numbers out of a text. */
export function scrub(text: string): string {
	return text
		.replace(/[^\s@<>()"',;:]+@[^\s@]+\.[a-z]{2,}/gi, "[email]")
		.replace(/\d(?:[ -]?\d){12,18}/g, (n) => (luhn(n.replace(/\D/g, "")) ? "[number]" : n));
}

/** An element as one CSS-like word: `a#buy.primary[role=button]`. */
export function describe(el: Element): string {
	let word = el.localName + (el.id && "#" + el.id);
	el.classList.forEach((c) => (word += "." + c));
	for (const a of STABLE) if (el.hasAttribute(a)) word += `[${a}=${el.getAttribute(a)}]`;
	return word.slice(0, Most.Word);
}

/** The element and its ancestors, nearest first, at most six. */
export function chain(el: Element): string[] {
	const words: string[] = [];
	for (let e: Element | null = el; e && e != document.body && words.length < Most.Levels; e = e.parentElement) words.push(describe(e));
	return words;
}

/** What the element reads as, at most 255 characters; never what a visitor typed. */
export function textOf(el: Element): string {
	if (el.closest(SILENT)) return "";
	let text = "";
	const walk = (node: Node) => {
		if (node instanceof Text) text += node.data;
		else if (text.length < Most.Text * 2 && node instanceof Element && !node.matches(SILENT)) {
			text += " ";
			node.childNodes.forEach(walk);
			text += " ";
		}
	};
	walk(el);
	return scrub(text.replace(/\s+/g, " ").trim() || el.getAttribute("aria-label") || "").slice(0, Most.Text);
}

/** `data-reuna-prop-*` of the element and its ancestors; the nearest wins. */
export function ownProperties(el: Element): Record<string, string> {
	const props: Record<string, string> = {};
	for (let e: Element | null = el; e; e = e.parentElement) {
		for (const { name, value } of e.attributes) {
			const key = name.startsWith("data-reuna-prop-") ? name.slice(16) : "";
			if (key) props[key] ??= value;
		}
	}
	return props;
}
