// Clicks on what can be clicked: buttons, links, outbound links, downloads. No
// layout is read, preventDefault is never called.

import { clickable, find, passed, report, textOf } from "./elements.ts";
import { fileOf, leadsTo } from "./links.ts";
import { listen } from "./signals.ts";

export const clicks = (): void =>
	listen("click auxclick", (e: MouseEvent) => {
		const path = clickable(passed(e));
		if (!path[0] || e.button > 1) return;
		const a = find(path, "[href]") as HTMLAnchorElement | undefined;
		const file = a && fileOf(a);
		const event = file || a?.hasAttribute("download") ? "File Downloaded" : a?.hostname && a.hostname != location.hostname ? "Outbound Link Clicked" : "Element Clicked";
		report(path, event, { text: textOf(path), href: a && leadsTo(a), file }, !!a);
	});
