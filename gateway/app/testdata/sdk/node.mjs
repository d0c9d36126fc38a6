// Calls every method of @segment/analytics-node against a gateway and prints, as
// one line of JSON, what the SDK sent and what it says became of it.
//
//   node node.mjs URL WRITE_KEY USER_ID
import { createRequire } from "node:module";

const { Analytics } = createRequire(import.meta.url)("@segment/analytics-node");
const [host, writeKey, userId] = process.argv.slice(2);

const report = { requests: [], statuses: [], events: [], errors: [] };
const analytics = new Analytics({ writeKey, host, flushAt: 4, flushInterval: 50 });
analytics.on("error", (e) => report.errors.push(`${e.code}: ${e.reason}`));
analytics.on("http_request", ({ url, method, headers, body }) => report.requests.push({ url, method, headers, body }));
analytics.on("http_response", ({ status }) => report.statuses.push(status));

const told = (err, ctx) => {
  report.events.push({ type: ctx.event.type, messageId: ctx.event.messageId });
  const failed = err ?? ctx.failedDelivery()?.reason;
  if (failed) report.errors.push(`${ctx.event.type}: ${failed}`);
};
const anonymousId = `${userId}-device`;
const old = `${userId}-before`;
const properties = { order_id: "o-1", revenue: 12.5, items: [{ sku: "b1", n: 2 }], note: "žluťoučký 📚", nothing: null };

analytics.track({ anonymousId: old, event: "Came Before" }, told);
analytics.identify({ userId, anonymousId, traits: { plan: "pro", address: { city: "Oulu" } } }, told);
analytics.track({ userId, event: "Order Completed", properties }, told);
analytics.page({ userId, category: "Docs", name: "Start", properties: { url: "https://shop.example/docs" } }, told);
analytics.screen({ userId, name: "Home", properties: { tab: 1 } }, told);
analytics.group({ userId, groupId: "g1", traits: { name: "Book Club" } }, told);
analytics.alias({ previousId: old, userId }, told);
await analytics.closeAndFlush({ timeout: 30_000 });

console.log(JSON.stringify(report));
