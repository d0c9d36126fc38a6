// What leaves the page as text holds no e-mail address and no card number, and
// is short.

const enum Most {
	Characters = 255,
	/** Groups in which a card number is written, of three digits at least. */
	Groups = 6,
}

/** Luhn's check over what is as long as a card number (ISO/IEC 7812-1). */
const card = (digits: string) => digits[12] && [...digits].reverse().reduce((sum, d, i) => sum + +d * (1 + (i % 2)) - (i % 2 && +d > 4 ? 9 : 0), 0) % 10 == 0;

/** Takes e-mail addresses and card-like numbers out of a text, of which the first 255 characters are left. Other numbers may stand before and behind a card's. */
export const scrub = (text: string): string =>
	text
		.replace(/[^\s@<>()"',;:/]{1,64}(@|%40)[^\s@<>()"',;:/]+\.[^\s@<>()"',;:/\d]{2,}/g, "[email]")
		.replace(/\d{3,}([ -]\d{3,})*/g, (run) => {
			const groups = run.split(/\D/);
			return groups.some((_, i) => {
				let digits = "";
				return groups.slice(i, i + Most.Groups).some((g) => card((digits += g)));
			})
				? "[number]"
				: run;
		})
		.slice(0, Most.Characters);
