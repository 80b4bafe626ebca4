// Limits at the server: what is kept of a request, what no host could keep is refused, what comes later is a condition.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import { DIRECTIONS } from "../../../src/model/qos.ts";
import { type Lab, openLab, sorted } from "./lab.ts";

const SUBNETS = { subnets: [{ cidr: "10.7.0.0/16" }] };
const ROUTED = { subnets: [{ cidr: "10.8.0.0/16", hostPrefix: 24 }] };
const LIMIT = { average: "10mbit", burst: "64kB" };
const KEPT = { average: 10_000_000, burst: 64_000 };

/** Refused for this reason, at this field, and nothing has changed. */
async function refuses(lab: Lab, reason: Reason, where: string, attempt: () => Promise<unknown>): Promise<Fault> {
  const before = sorted(await lab.snapshot());
  const error = await attempt().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert(error instanceof Fault, `expected ${reason}, got ${String(error)}`);
  assert.equal(error.reason, reason, error.message);
  assert.equal(error.detail.where, where);
  assert.deepEqual(sorted(await lab.snapshot()), before);
  return error;
}

async function able(): Promise<Lab> {
  const lab = await openLab();
  await lab.join(1, { shaping: DIRECTIONS });
  return lab;
}

const patch = (lab: Lab, name: string, qos: object, ifRevision?: number) =>
  lab.control.write({
    verb: "patch-endpoint",
    name,
    patch: { qos },
    ...(ifRevision === undefined ? {} : { ifRevision }),
  });

test("limits are kept as numbers; a network has no word for none", async () => {
  const lab = await able();
  const blue = await lab.put("blue", { ...SUBNETS, qos: { inbound: LIMIT, outbound: "none" } });
  assert.deepEqual(blue.spec.qos, { inbound: KEPT });
  const none = await lab.put("blue", { ...blue.spec, qos: { inbound: "none", outbound: "inherit" } });
  assert.equal(none.spec.qos, undefined);
  const web = await lab.attach("blue", "h1", "web", { qos: { inbound: "none", outbound: LIMIT } });
  assert.deepEqual(web.spec.qos, { inbound: "none", outbound: KEPT });
  assert.equal((await lab.attach("blue", "h1", "db")).spec.qos, undefined);
});

test("an endpoint's limits change while it is attached, each direction by itself", async () => {
  const lab = await able();
  await lab.put("blue", SUBNETS);
  const web = await lab.attach("blue", "h1", "web", { qos: { inbound: LIMIT } });
  const { resource } = await patch(lab, "web.eth0", { outbound: { average: 64_000 } }, web.revision);
  assert(resource?.kind === "endpoint" && resource.revision > web.revision);
  assert.deepEqual(resource.spec, { ...web.spec, qos: { inbound: KEPT, outbound: { average: 64_000 } } });
  await patch(lab, "web.eth0", { inbound: "inherit", outbound: "inherit" });
  const { qos: _, ...bare } = web.spec;
  assert.deepEqual((await lab.snapshot()).endpoints[0]?.spec, bare);
  const same = await patch(lab, "web.eth0", {});
  assert.deepEqual(same.changes, []);
  await refuses(lab, "endpoint-unknown", "name", () => patch(lab, "nobody.eth0", {}));
  await assert.rejects(patch(lab, "web.eth0", {}, 1), { reason: "revision-stale" });
});

test("what is wrong in itself is refused with the field's path, wherever it is written", async () => {
  const lab = await able();
  await lab.put("blue", SUBNETS);
  await lab.attach("blue", "h1", "web");
  const bad = { outbound: { average: "10mbit", peak: "5mbit" } };
  const apply = {
    verb: "apply",
    items: [{ kind: "network", name: "red", spec: { ...SUBNETS, vrf: "red", qos: bad } }],
  } as const;
  await refuses(lab, "qos-invalid", "spec.qos.outbound.peak", () => lab.put("red", { ...SUBNETS, qos: bad }));
  await refuses(lab, "qos-invalid", "resources[0].spec.qos.outbound.peak", () => lab.control.write(apply));
  await refuses(lab, "qos-invalid", "qos.outbound.peak", () => lab.attach("blue", "h1", "db", { qos: bad }));
  await refuses(lab, "qos-invalid", "qos.outbound.peak", () => patch(lab, "web.eth0", bad));
});

test("what a host cannot do is refused, and names the host", async () => {
  const lab = await able();
  await lab.join(2, { shaping: ["inbound"] });
  await lab.join(3);
  await lab.put("routed", ROUTED);
  const qos = { outbound: LIMIT };
  const fault = await refuses(lab, "qos-unsupported", "spec.qos.outbound", () => lab.put("routed", { ...ROUTED, qos }));
  assert.deepEqual(fault.detail.blockers, ["h2", "h3"]);
  // Nobody is in it yet: whoever comes is looked at then.
  await lab.put("blue", { ...SUBNETS, qos });
  await lab.attach("blue", "h1", "web");
  await refuses(lab, "qos-unsupported", "qos.outbound", () => lab.attach("blue", "h2", "other"));
  await lab.attach("blue", "h2", "free", { qos: { outbound: "none", inbound: LIMIT } });
  await refuses(lab, "qos-unsupported", "qos.inbound", () =>
    lab.attach("blue", "h3", "other", { qos: { outbound: "none", inbound: LIMIT } }),
  );
  await refuses(lab, "qos-unsupported", "qos.outbound", () => patch(lab, "free.eth0", { outbound: "inherit" }));
  await lab.put("plain", { subnets: [{ cidr: "10.9.0.0/24" }] });
  await lab.attach("plain", "h3", "db");
  const asked = { subnets: [{ cidr: "10.9.0.0/24" }], qos };
  await refuses(lab, "qos-unsupported", "spec.qos.outbound", () => lab.put("plain", asked));
});

test("a host that comes later and cannot is a condition, and stands in no other change's way", async () => {
  const lab = await able();
  const blue = await lab.put("routed", { ...ROUTED, qos: { outbound: LIMIT } });
  assert.deepEqual((await lab.control.status()).conditions, []);
  await lab.join(2, { shaping: ["inbound"] });
  const { conditions } = await lab.control.status();
  assert.deepEqual(
    conditions?.map(({ object, message }) => [object, message]),
    [["network/routed", 'network "routed" limits outbound traffic, which host "h2" cannot']],
  );
  await lab.put("routed", { ...blue.spec, description: "as before" });
});

test("a range's limits are kept as numbers, count for its leases, and ask only the hosts that have some", async () => {
  const lab = await able();
  await lab.join(2);
  const range = { name: "slow", type: "ip4" as const, first: "10.7.1.0", size: 8 };
  const spec = { ...SUBNETS, ranges: [{ ...range, qos: { inbound: LIMIT, outbound: "none" as const } }] };
  const blue = await lab.put("blue", spec);
  assert.deepEqual(blue.spec.ranges?.[0]?.qos, { inbound: KEPT, outbound: "none" });
  await refuses(lab, "qos-unsupported", "qos.inbound", () => lab.attach("blue", "h2", "web"));
  await lab.attach("blue", "h2", "free", { qos: { inbound: "none" } });
  const wrong = { ...SUBNETS, ranges: [{ ...range, qos: { inbound: { average: "fast" } } }] };
  await refuses(lab, "qos-invalid", "spec.ranges[0].qos.inbound.average", () => lab.put("blue", wrong));
  const plain = await lab.put("blue", { ...SUBNETS, ranges: [range] });
  await lab.attach("blue", "h2", "web");
  const asked = { ...plain.spec, ranges: spec.ranges };
  const fault = await refuses(lab, "qos-unsupported", "spec.ranges", () => lab.put("blue", asked));
  assert.deepEqual(fault.detail.blockers, ["h2"]);
});
