// The two modules of Node that the tests use. Node's own types would give
// setTimeout another result than a browser's.

declare module "node:test" {
	export default function test(name: string, run: () => void | Promise<void>): void;
}

declare module "node:assert/strict" {
	const assert: {
		equal(actual: unknown, expected: unknown, message?: string): void;
		deepEqual(actual: unknown, expected: unknown, message?: string): void;
		ok(value: unknown, message?: string): void;
	};
	export default assert;
}
