// Message ids: UUID version 7 (RFC 9562), so that ids sort by time.

/** A UUIDv7 for the time given, in milliseconds since 1970. */
export const uuidv7 = (time: number): string => {
	// 48 bits of time, then the version and the variant (the digit y, 8 to b) among 74 bits of chance.
	const digits = time.toString(16).padStart(12, "0");
	return (digits.slice(0, 8) + "-" + digits.slice(8) + "-7xxx-yxxx-xxxxxxxxxxxx").replace(/[xy]/g, (d) => {
		const chance = crypto.getRandomValues(new Uint8Array(1))[0]! & 15;
		return (d == "x" ? chance : (chance & 3) | 8).toString(16);
	});
};
