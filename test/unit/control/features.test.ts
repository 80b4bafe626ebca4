// Hosts that lack what a driver needs: refused where they would come to carry a network, told where they have come to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAble, lackedBy } from "../../../src/model/lacking.ts";
import { noHostText } from "../../../src/model/noHost.ts";
import type { HostClaim } from "../../../src/model/input.ts";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import { type Lab, openLab, sorted } from "./lab.ts";

const SWITCHED = { subnets: [{ cidr: "10.7.0.0/16" }], driver: "gre" } as const;
const ROUTED = { subnets: [{ cidr: "10.8.0.0/16", hostPrefix: 24 }], driver: "gre" } as const;
const WHOLE = { features: ["vxlan", "gre", "gre6", "isolated"] } as const;
const POOR = { features: ["vxlan", "isolated"] } as const;

async function refuses(lab: Lab, where: string, attempt: () => Promise<unknown>): Promise<Fault> {
  const before = sorted(await lab.snapshot());
  const error = await attempt().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert(error instanceof Fault, String(error));
  assert.deepEqual([error.reason, error.detail.where] satisfies [Reason, unknown], ["feature-missing", where]);
  assert.deepEqual(sorted(await lab.snapshot()), before);
  return error;
}

async function twoHosts(): Promise<Lab> {
  const lab = await openLab();
  await lab.join(1, WHOLE);
  await lab.join(2, POOR);
  return lab;
}

test("a network of hosts that cannot carry it is refused, with hosts, feature, and what brings it", async () => {
  const lab = await twoHosts();
  const routed = await refuses(lab, "spec.driver", () => lab.put("blue", ROUTED));
  assert.deepEqual(routed.detail.blockers, ["h2"]);
  assert.match(routed.message, /host "h2" cannot carry network "blue".*needs GRE devices .*kernel module ip_gre/);
  const named = await refuses(lab, "spec.hosts", () => lab.put("blue", { ...SWITCHED, hosts: ["h1", "h2"] }));
  assert.deepEqual(named.detail.blockers, ["h2"]);
  await lab.put("blue", { ...SWITCHED, hosts: ["h1"] });
  await refuses(lab, "spec.hosts", () => lab.put("blue", { ...SWITCHED, hosts: ["h1", "h2"] }));
  await lab.put("red", { subnets: [{ cidr: "10.9.0.0/16", hostPrefix: 24 }] });
});

test("an endpoint on such a host is refused, on others it is not", async () => {
  const lab = await twoHosts();
  await lab.put("blue", SWITCHED);
  await lab.attach("blue", "h1", "web");
  await refuses(lab, "host/h2", () => lab.attach("blue", "h2", "db"));
  const [h1, h2] = (await lab.snapshot()).hosts;
  const [blue] = (await lab.snapshot()).networks;
  assert(h1 !== undefined && h2 !== undefined && blue !== undefined);
  checkAble(h1, blue);
  assert.throws(() => checkAble(h2, blue), { reason: "feature-missing" });
});

test("a host that comes later and cannot is a condition, and in no other change's way", async () => {
  const lab = await openLab();
  await lab.join(1, WHOLE);
  const blue = await lab.put("blue", ROUTED);
  const told = async () => (await lab.control.status()).conditions?.map(({ reason, host }) => `${reason} ${host}`);
  assert.deepEqual(await told(), []);
  await lab.join(2, POOR);
  assert.deepEqual(await told(), ["feature-missing h2"]);
  assert.match(
    (await lab.control.conditions())[0]?.message ?? "",
    /load or install it there and start the agent again$/,
  );
  await lab.put("blue", { ...blue.spec, description: "as before" });
  await refuses(lab, "spec.hosts", () => lab.put("green", { ...SWITCHED, hosts: ["h2"] }));
});

test("without nftables for bridges a host carries no network; earlier agents did not look for it", async () => {
  const lab = await openLab();
  await lab.join(1, { ...WHOLE, lacks: ["nftbridge"] });
  await lab.join(2, WHOLE);
  await lab.join(3, { ...WHOLE, features: [...WHOLE.features, "nftinet", "nftbridge"], lacks: ["vlan"] });
  await lab.put("red", { subnets: [{ cidr: "10.9.0.0/16" }] });
  for (const driver of ["vxlan", "gre"] as const) {
    const spec = { ...SWITCHED, driver, hosts: ["h1", "h2", "h3"] };
    const { detail } = await refuses(lab, "spec.hosts", () => lab.put("blue", spec));
    assert.deepEqual(detail.blockers, ["h1"]);
    assert.match(detail.why ?? "", /needs nftables of family bridge \(a kernel with option NF_TABLES_BRIDGE\)/);
  }
  await refuses(lab, "host/h1", () => lab.attach("red", "h1", "web"));
  for (const host of ["h2", "h3"]) await lab.attach("red", host, `at-${host}`);
});

test("a host without Open vSwitch is refused, with package and start, and taken as soon as it has it", async () => {
  const lab = await openLab();
  const token = await lab.join(1, WHOLE);
  const says = (features: NonNullable<HostClaim["features"]>) =>
    lab.control.join({ host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [], features }, token);
  const byOvs = { subnets: [{ cidr: "10.7.0.0/16" }], driver: "ovs", placement: "own" } as const;
  const named = await refuses(lab, "spec.hosts", () => lab.put("blue", { ...byOvs, hosts: ["h1"] }));
  assert.match(named.message, /needs Open vSwitch \(package openvswitch-switch; systemctl start openvswitch-switch\)/);
  assert.match(named.message, /install and start it there: the agent notices/);
  await lab.put("blue", byOvs);
  await refuses(lab, "host/h1", () => lab.attach("blue", "h1", "web"));
  await says([...WHOLE.features, "ovsdb"]);
  await lab.attach("blue", "h1", "web");
  await says([...WHOLE.features]);
  const { conditions } = await lab.control.status();
  assert.match(
    conditions.map(({ message }) => message).join(),
    /host "h1" cannot carry network "blue": it lacks Open vS/,
  );
});

test("which features count depends on the underlay, and a host that has said nothing lacks nothing", () => {
  const host = (underlay: string, features?: readonly ["gre", "isolated"]) =>
    ({ spec: { underlay, underlayMtu: 1500, order: 1, ...(features && { features: [...features] }) } }) as const;
  assert.deepEqual(lackedBy(host("192.0.2.1", ["gre", "isolated"]), "gre"), []);
  assert.deepEqual(lackedBy(host("2001:db8::1", ["gre", "isolated"]), "gre"), ["gre6"]);
  assert.deepEqual(lackedBy(host("192.0.2.1", ["gre", "isolated"]), "vxlan"), ["vxlan"]);
  assert.deepEqual(lackedBy(host("192.0.2.1"), "gre"), []);
});

test("a network of all hosts that none can carry says so, until one can", async () => {
  const lab = await openLab();
  await lab.join(1, POOR);
  await lab.join(2, POOR);
  const { spec } = await lab.put("blue", { ...SWITCHED, hosts: ["*"] });
  const [condition, ...others] = await lab.control.conditions();
  assert.deepEqual(others, []);
  assert.deepEqual([condition?.reason, condition?.object], ["feature-missing", "network/blue"]);
  assert.match(
    condition?.message ?? "",
    /network "blue" is nowhere: no host can carry it yet: h1, h2, each: it lacks GRE/,
  );
  assert.equal(noHostText(spec, []), undefined, "without hosts it waits for the first one");
  assert.equal(noHostText({ ...spec, hosts: ["h1"] }, (await lab.snapshot()).hosts), undefined);
  await lab.join(3, WHOLE);
  assert.deepEqual(await lab.control.conditions(), []);
});
