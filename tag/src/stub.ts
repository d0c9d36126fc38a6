// The inline stub. Until the tag arrives it takes every call with its time, as
// [method, arguments, time, resolve]. And it shows the variants that the last
// page's answer chose, as the parser brings their slots, before they are
// painted: profile.ts leaves in sessionStorage the selector of their templates.
// The slot's own children are kept in its property `reuna`, for slots.ts.
//
// It stands in every page, hence its style; the budget is 260 bytes of brotli.
// A second one, where the page and a gateway in front of it each brought one,
// does nothing: q stays undefined.

declare const GLOBAL: string;
declare const KEY: string;

((w: any, d: Document, q?: any, c?: any, t?: any, e?: any) => {
	w[GLOBAL] = w[GLOBAL] || new Proxy((q = []), { get: (_, m) => q[m] || ((...a: any[]) => new Promise((r) => q.push([m, a, Date.now(), r]))) });
	try {
		c = sessionStorage[KEY];
		(q.o = new MutationObserver(() => {
			// A slot that is followed by something has been parsed to its end.
			for (t of d.querySelectorAll(c)) (e = t.parentNode).nextSibling && ((e.reuna = [...e.childNodes]), e.replaceChildren(t.content.cloneNode(true)));
		})).observe(d, { childList: true, subtree: true });
	} catch {}
})(window, document);
