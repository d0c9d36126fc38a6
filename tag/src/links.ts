// What an address says without telling too much: no query, no fragment, no
// e-mail address or telephone number.

import { scrub } from "./scrub.ts";

type Address = Pick<URL, "protocol" | "origin" | "pathname">;

/** Where a link leads; of other schemes than http only which. */
export const leadsTo = ({ protocol, origin, pathname }: Address): string => (/^http/.test(protocol) ? scrub(origin + pathname) : protocol);

/** The file extension of a link when it is one of the site's `downloads`, "csv|pdf". */
export const fileOf = ({ pathname }: Address): string | undefined => RegExp("\\.(" + SETTINGS.downloads + ")$", "i").exec(pathname)?.[1]?.toLowerCase();
