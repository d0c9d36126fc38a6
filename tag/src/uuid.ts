// Message ids: UUID version 7 (RFC 9562), so that ids sort by time.

/** A UUIDv7 for the time given, in milliseconds since 1970: 48 bits of time, 72 of chance, which only has to be no repeat. */
export const uuidv7 = (time: number): string => {
	const digits = time.toString(16).padStart(12, "0");
	let i = 0;
	return "xxxxxxxx-xxxx-7xxx-8xxx-xxxxxxxxxxxx".replace(/x/g, () => digits[i++] ?? ((Math.random() * 16) | 0).toString(16));
};
