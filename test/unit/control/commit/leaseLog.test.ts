// Which addresses begin and end to be somebody's with a commit.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "../../../../src/model/resource.ts";
import { leaseEventsOf } from "../../../../src/control/commit/leaseLog.ts";
import { viewOf } from "../../../../src/control/state/view.ts";

const endpoint = (
  name: string,
  addresses: readonly string[],
  more: Partial<Endpoint["spec"]> = {},
  uid = name,
): Endpoint => {
  const spec = { network: "blue", host: "h1", owner: name, ifname: "eth0", netns: "/n", mac: "02:00:00:00:00:01" };
  return { kind: "endpoint", name: `${name}.eth0`, uid, revision: 1, spec: { ...spec, addresses, ...more } };
};
const told = (before: readonly Endpoint[], ...changes: readonly (Endpoint | `endpoint/${string}`)[]) =>
  leaseEventsOf(
    viewOf("lab", 1, before),
    changes.map((change) => (typeof change === "string" ? { remove: change } : { put: change })),
    7,
  ).map(({ network, address, atMs, begins }) => {
    assert.equal(atMs, 7);
    if (begins === undefined) return `- ${network} ${address}`;
    const { endpoint: of, owner, ifname, host, mac, endpointUid } = begins;
    return ["+", network, address, of, owner, ifname, host, mac, endpointUid].join(" ");
  });

test("a lease begins and ends with its addresses; ends come first, so that an address may go to another", () => {
  const web = endpoint("web", ["10.0.0.2", "fd00::2"]);
  const whose = "web.eth0 web eth0 h1 02:00:00:00:00:01";
  const beginsOf = (uid: string) => [`+ blue 10.0.0.2 ${whose} ${uid}`, `+ blue fd00::2 ${whose} ${uid}`];
  const ends = ["- blue 10.0.0.2", "- blue fd00::2"];
  assert.deepEqual(told([], web), beginsOf("web"));
  assert.deepEqual(told([web], "endpoint/web.eth0"), ends);
  assert.deepEqual(told([], "endpoint/web.eth0"), []);
  assert.deepEqual(told([web], endpoint("web", web.spec.addresses, { netns: "/other" })), []);
  assert.deepEqual(told([web], endpoint("web", ["10.0.0.3", "fd00::2"])), [
    "- blue 10.0.0.2",
    `+ blue 10.0.0.3 ${whose} web`,
  ]);
  // Removed and made again in one commit: another life of the name.
  assert.deepEqual(told([web], endpoint("web", web.spec.addresses, {}, "again")), [...ends, ...beginsOf("again")]);
  const db = endpoint("db", ["10.0.0.2"], { network: "green", host: "h2" });
  assert.deepEqual(told([web], db, "endpoint/web.eth0"), [
    ...ends,
    "+ green 10.0.0.2 db.eth0 db eth0 h2 02:00:00:00:00:01 db",
  ]);
});

test("a lease without addresses is its MAC; nothing but endpoints has leases", () => {
  const frames = endpoint("f", []);
  assert.deepEqual(told([], frames), ["+ blue 02:00:00:00:00:01 f.eth0 f eth0 h1 02:00:00:00:00:01 f"]);
  assert.deepEqual(told([frames], "endpoint/f.eth0"), ["- blue 02:00:00:00:00:01"]);
  const host = { kind: "host", name: "h1", uid: "u", revision: 1, spec: { underlay: "", underlayMtu: 1500, order: 1 } };
  assert.deepEqual(leaseEventsOf(viewOf("lab", 1, []), [{ put: host as never }, { remove: "network/blue" }], 7), []);
});
