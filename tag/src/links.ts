// What an address says without telling too much: no query, no fragment, no
// e-mail address or telephone number.

const FILES = "7z|csv|dmg|docx?|epub|exe|gz|iso|mov|mp[34]|pdf|pkg|pptx?|rar|txt|xlsx?|zip";

export interface Link {
	href: string;
	outbound?: boolean;
	/** File extension when the link is a download; "?" when it shows none. */
	file?: string | undefined;
}

/** Describes the absolute link `href` on a page of `host`. `more` is further file extensions, "apk|ipa". */
export function describeLink(href: string, host: string, download: boolean, more: string): Link {
	const { protocol, origin, pathname, hostname } = new URL(href);
	if (!/^http/.test(protocol)) return { href: protocol };
	const [, ending = "?"] = /\.(\w{1,8})$/.exec(pathname.toLowerCase()) ?? [];
	return { href: origin + pathname, outbound: hostname != host, file: download || RegExp(`^(${FILES}|${more})$`).test(ending) ? ending : undefined };
}
