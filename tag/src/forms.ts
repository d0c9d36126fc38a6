// Submitted forms: which one, and the names of its fields. Never a value.

import { send } from "./core.ts";
import { chain, IGNORED, ownProperties } from "./elements.ts";
import { describeLink } from "./links.ts";
import { guard } from "./signals.ts";

const FIELDS = 50;

function submitted(e: Event): void {
	const form = e.target;
	if (!(form instanceof HTMLFormElement) || form.closest(IGNORED)) return;
	// A field named "action" or "elements" would stand in the property's way: read attributes.
	const action = describeLink(new URL(form.getAttribute("action") || "", location.href).href, location.hostname, false, "");
	const fields = [...form.querySelectorAll("[name]")].flatMap((f) => (f.matches("input,select,textarea") && !f.closest(IGNORED) ? f.getAttribute("name")! : []));
	const event = form.getAttribute("data-reuna-track") || "Form Submitted";
	send({ type: "track", event, properties: { element: chain(form), action: action?.href, fields: [...new Set(fields)].slice(0, FIELDS), ...ownProperties(form) } }, true);
}

export function forms(): void {
	document.addEventListener("submit", (e) => guard(() => submitted(e)), true);
}
