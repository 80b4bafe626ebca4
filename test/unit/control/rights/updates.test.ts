// Updates of a network that is in use, row by row as OpenNebula's documentation and server have them: which may be made
// at any time and by whom, which only by who administers hosts, which are refused instead of ignored; and that each one
// that is made shows how far endpoints are, until their hosts report.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import { parsePut } from "../../../../src/model/parse.ts";
import { progressText } from "../../../../src/model/progress.ts";
import type { HostReport } from "../../../../src/model/status.ts";
import { type Lab, reportOf } from "../lab.ts";
import { RANGES, ROOT, blueWith, callerOf, cluster, tried } from "./lab.ts";

const [first, second] = RANGES;
const third = { name: "c", type: "ip4", first: "10.7.0.90", size: 2 };
const LIMIT = { inbound: { average: "10mbit" } };
const inFirst = (more: object) => ({ ranges: [{ ...first, ...more }, second] });
/** The only endpoint, web.eth0 on h1, has the first lease of range a. */
const blue = () => cluster([], "um-------");

/**
 * What changes; what it gives to ann, who owns the network, and to an administrator; the field that a refusal names.
 * What nobody can change while it is in use is refused for that, whoever asks.
 */
const ROWS: readonly (readonly [string, object, ann: string, admin: string, field?: string])[] = [
  ["description", { description: "x" }, "done", "done"],
  ["labels", { labels: { tier: "web" } }, "done", "done"],
  ["DNS", { dns: ["10.7.0.2"] }, "done", "done"],
  ["guest MTU", { mtu: 1400 }, "done", "done"],
  ["gateway of a range", inFirst({ gateway: "10.7.0.9" }), "done", "done"],
  ["DNS and MTU of a range", inFirst({ dns: ["10.7.0.2"], mtu: 1300 }), "done", "done"],
  ["labels of a range", inFirst({ labels: { tier: "web" } }), "done", "done"],
  ["a larger range", inFirst({ size: 25 }), "done", "done"],
  ["a smaller range, without what is used", inFirst({ size: 5 }), "done", "done"],
  ["a security group of others", { securityGroups: ["web"] }, "group-unknown", "done"],
  ["masquerade", { masquerade: false }, "done", "done"],
  ["order and quarantine of leases", { strategy: "next", sticky: false, quarantine: 5 }, "done", "done"],
  ["limits", { qos: LIMIT }, "forbidden", "done", "qos"],
  ["limits of a range", inFirst({ qos: LIMIT }), "forbidden", "done", "ranges[a].qos"],
  ["another range", { ranges: [...RANGES, third] }, "forbidden", "done", "ranges[c]"],
  ["without an unused range", { ranges: [first] }, "forbidden", "done", "ranges[b]"],
  ["gateway of a subnet", { subnets: [{ cidr: "10.7.0.0/24", gateway: "10.7.0.254" }] }, "in-use", "in-use"],
  ["without a used range", { ranges: [second] }, "in-use", "in-use"],
  ["a range begins elsewhere", inFirst({ first: "10.7.0.15" }), "in-use", "in-use"],
  ["a range of another type", inFirst({ type: "ether", first: undefined }), "in-use", "in-use"],
  ["a range without its first address", inFirst({ first: "10.7.0.11" }), "in-use", "in-use"],
  ["first MAC of a used range", inFirst({ mac: "02:00:00:00:00:40" }), "in-use", "in-use"],
  ["first MAC of a range", { ranges: [first, { ...second, mac: "02:00:00:00:00:40" }] }, "forbidden", "done", "mac"],
  ["driver", { driver: "gre" }, "forbidden", "done", "driver"],
  ["VNI", { vni: 4242 }, "forbidden", "done", "vni"],
  ["peers", { peers: "multicast" }, "forbidden", "done", "peers"],
  ["spoofing filters", { spoofing: { mac: false } }, "forbidden", "done", "spoofing"],
  ["hosts that have it: ann sees none", { hosts: ["h1"] }, "host-unknown", "done"],
  ["hosts that have it", { hosts: ["*"] }, "forbidden", "done", "hosts"],
  ["another VRF", { vrf: "elsewhere" }, "in-use", "in-use"],
];

for (const [what, change, forAnn, forAdmin, field] of ROWS)
  test(`${what}: ${forAnn} for its owner, ${forAdmin} for an administrator`, async () => {
    for (const [caller, expected] of [
      [callerOf("ann"), forAnn],
      [ROOT, forAdmin],
    ] as const) {
      const lab = await blue();
      await says(lab);
      const before = (await lab.snapshot()).networks.find(({ name }) => name === "blue")?.spec;
      const write = await blueWith(lab, change);
      assert.equal(await tried(lab.control, caller, write), expected);
      const after = (await lab.snapshot()).networks.find(({ name }) => name === "blue")?.spec;
      if (expected !== "done") {
        assert.deepEqual(after, before, "nothing of it was taken");
        if (expected === "forbidden" && field !== undefined) await names(lab, write, field);
        continue;
      }
      assert.notDeepEqual(after, before);
      assert.equal(await far(lab), "1 updating");
      await says(lab);
      assert.equal(await far(lab), "1 up to date");
    }
  });

/** The host has everything that there is; `more` says otherwise. */
function says(lab: Lab, more: Partial<HostReport> = {}): Promise<void> {
  const { revision } = lab.control;
  return lab.control.report({ ...reportOf("h1"), revision, policyRevision: revision, networks: ["blue"], ...more });
}

async function far(lab: Lab): Promise<string> {
  return progressText((await lab.control.progress("blue")) ?? assert.fail());
}

/** The refusal to ann says which field it is about. */
async function names(lab: Lab, write: object, field: string): Promise<void> {
  await assert.rejects(lab.control.writeAs(callerOf("ann"), write as never), (error) => {
    assert.ok(error instanceof Fault);
    assert.ok(`${error.message} ${error.detail.where ?? ""}`.includes(field), error.message);
    return true;
  });
}

test("limits that an endpoint has of its own stay when those of its network change", async () => {
  const lab = await blue();
  const own = { inbound: { average: 5_000_000 } };
  await lab.control.write({ verb: "patch-endpoint", name: "web.eth0", patch: { qos: own } } as never);
  await lab.control.write((await blueWith(lab, { qos: { inbound: { average: "10mbit" } } })) as never);
  const endpoint = await lab.control.find("endpoint", "web.eth0", { role: "admin" });
  assert.deepEqual(endpoint?.spec.qos, own);
});

test("a range that is written without its gateway has none any more", async () => {
  const lab = await blue();
  await lab.control.write((await blueWith(lab, inFirst({ gateway: "10.7.0.9" }))) as never);
  await lab.control.write((await blueWith(lab, inFirst({}))) as never);
  const { spec } = (await lab.control.find("network", "blue", { role: "admin" })) ?? assert.fail();
  assert.equal(spec.ranges?.[0]?.gateway, undefined);
});

test("a range goes with its leases by force: the hosts are asked to detach", async () => {
  const lab = await blue();
  await lab.control.write({ verb: "delete", kind: "network", name: "piece" });
  const without = await blueWith(lab, { ranges: [second] });
  assert.equal(await tried(lab.control, ROOT, { ...without, force: true }), "done");
  assert.equal((await lab.control.find("endpoint", "web.eth0", { role: "admin" }))?.spec.detaching, true);
});

test("what is no field is refused by its name, and a spec without what a network needs as well", () => {
  for (const [spec, text] of [
    [{ subnets: [{ cidr: "10.7.0.0/24" }], name: "other" }, /name/],
    [{ subnets: [{ cidr: "10.7.0.0/24" }], X: "Y" }, /X/],
    [{ subnets: [{ cidr: "10.7.0.0/24" }], AR: [] }, /AR/],
    [{ X: "Y" }, /X|subnets/],
    [{ description: "only this" }, /subnets/],
  ] as const)
    assert.throws(
      () => parsePut("network", { spec }),
      (error) => error instanceof Fault && error.reason === "request-invalid" && text.test(error.message),
    );
});

test("failed and outdated endpoints show until hosts report, and who manages the network tries again", async () => {
  const lab = await blue();
  await says(lab);
  await lab.control.writeAs(callerOf("ann"), (await blueWith(lab, { dns: ["10.7.0.2"] })) as never);
  await says(lab, { revision: 1, networks: [], errors: ["ip link add: no"] });
  assert.equal(await far(lab), "1 failed");
  const retry = { verb: "retry-network", name: "blue" };
  assert.match(await tried(lab.control, callerOf("cat"), retry), /^(not-found|network-unknown)$/);
  assert.equal(await tried(lab.control, callerOf("ann"), retry), "done");
  await says(lab, { revision: 1, policyRevision: 1 });
  assert.equal(await far(lab), "1 updating");
  lab.time.now += 3_600_000;
  assert.equal(await far(lab), "1 outdated");
  await says(lab);
  assert.equal(await far(lab), "1 up to date");
});
