// Submitted forms: which one, and the names of its fields. Never a value.

import { FIELDS, IGNORED, passed, report } from "./elements.ts";
import { leadsTo } from "./links.ts";
import { listen } from "./signals.ts";

export const forms = (): void =>
	listen("submit", (e) => {
		const path = passed(e);
		const form = path[0]!;
		const names = [...form.querySelectorAll(FIELDS)].flatMap((f) => (!f.closest(IGNORED) && f.getAttribute("name")) || []);
		// A field named "action" would stand in the property's way.
		report(path, "Form Submitted", { action: leadsTo(new URL(form.getAttribute("action") || "", location.href)), fields: [...new Set(names)].slice(0, 50) }, true);
	});
