// Message ids: UUID version 7 (RFC 9562), so that ids sort by time.

/** A UUIDv7 for the time given, in milliseconds since 1970. */
export function uuidv7(time: number): string {
	// 48 bits of time, then the version and the variant among 74 bits of chance.
	const chance = crypto.getRandomValues(new Uint8Array(10));
	const hex = (n: number, digits: number) => n.toString(16).padStart(digits, "0");
	let s = "";
	chance.forEach((b) => (s += hex(b, 2)));
	const variant = hex((chance[2]! & 63) | 128, 2);
	return (hex(time, 12) + "7" + s.slice(1, 4) + variant + s.slice(6)).replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
