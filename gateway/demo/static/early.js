// Runs in the head, before the first paint and before the page's own scripts.
(function () {
	"use strict";
	// Whether the panel stands open decides the width of all else, so it is
	// known before anything is laid out.
	var root = document.documentElement;
	var wide = matchMedia("(min-width: 1080px)").matches;
	var kept = null;
	try {
		kept = localStorage.getItem("kirjava.panel." + (wide ? "wide" : "narrow"));
	} catch (e) {
		// Storage is blocked: the panel starts as it does for newcomers.
	}
	root.classList.add("js");
	root.dataset.panel = kept || (wide ? "open" : "closed");

	// The tag may well be done before the panel's script begins, so its first
	// signals are kept here until the panel takes over by replacing `hear`.
	var shop = (window.kirjava = {
		heard: [],
		hear: function (signal, value) {
			shop.heard.push([signal, value]);
		},
	});
	if (!window.reuna) return;
	["event", "answer", "error"].forEach(function (signal) {
		window.reuna.push(["on", [signal, function (value) { shop.hear(signal, value); }], Date.now()]);
	});
})();
