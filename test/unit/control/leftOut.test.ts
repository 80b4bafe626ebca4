// Hosts that `*` leaves out, because they could never have the network as they are; and hosts' own addresses, which may
// run out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compile } from "../../../src/datapath/compile.ts";
import { allHostAddresses, isOnHost } from "../../../src/model/carrying.ts";
import type { HostClaim, NetworkInput } from "../../../src/model/input.ts";
import { whyLeftOut } from "../../../src/model/leftOut.ts";
import { ADMIN, type Lab, openLab } from "./lab.ts";

const leads = (device: object = { name: "eth1", mtu: 1500 }): Partial<HostClaim> => ({
  physical: [{ name: "lan", device: "eth1" }],
  devices: [device as never],
});
const told = async (lab: Lab) => (await lab.control.conditions()).map(({ reason, host }) => `${reason} ${host}`).sort();
const addressesOf = async (lab: Lab, name: string) =>
  allHostAddresses((await lab.control.find("network", name, ADMIN))?.spec ?? {}).map(({ host }) => host);

async function labWith(...hosts: readonly Partial<HostClaim>[]): Promise<Lab> {
  const lab = await openLab();
  await lab.control.write({ verb: "put", kind: "physicalnetwork", name: "lan", spec: { vlans: ["100-199"] } });
  for (const [i, more] of hosts.entries()) await lab.join(i + 1, more);
  return lab;
}

/** Hosts that have the network, and why others do not. */
async function placesOf(lab: Lab, name: string): Promise<readonly string[]> {
  const { networks, hosts } = await lab.snapshot();
  const spec = networks.find((one) => one.name === name)?.spec ?? assert.fail();
  return hosts
    .toSorted((a, b) => a.spec.order - b.spec.order)
    .map((host) => (isOnHost(spec, host) ? host.name : `${host.name}: ${whyLeftOut(spec, host)}`));
}

test("of all hosts a network is on those that can have it, and others come in when they can", async () => {
  const features = { features: ["vxlan"] } as const;
  const lab = await labWith(
    leads(),
    {},
    { ...leads(), ...features },
    leads({ name: "eth1", mtu: 1500, master: "bond0" }),
    // Named, and not plugged in: it may come.
    { physical: [{ name: "lan", device: "eth1" }] },
  );
  await lab.control.write({
    verb: "set-host",
    host: "h4",
    settings: { physical: [{ name: "lan", device: "none" }] },
  });
  const all: NetworkInput = { driver: "vlan", parent: "lan", hosts: ["*"], subnets: [{ cidr: "10.7.0.0/24" }] };
  await lab.put("office", { ...all, hostAddresses: "auto" });
  assert.deepEqual(await placesOf(lab, "office"), [
    "h1",
    'h2: no device of it leads to physical network "lan"',
    "h3: it lacks VLAN devices (kernel module 8021q)",
    'h4: no device of it leads to physical network "lan"',
    "h5",
  ]);
  assert.deepEqual(await addressesOf(lab, "office"), ["h1", "h5"]);
  assert.deepEqual(await told(lab), ["device-missing h5"], "who is left out lacks nothing");
  const snapshot = await lab.snapshot();
  assert.equal([...compile(snapshot, "h2").values()].length, 0);
  assert.ok([...compile(snapshot, "h1").values()].some(({ kind }) => kind === "vlan"));
  // It comes in when it has the network, and keeps its address while it is left out again.
  const lead = async (device: string) =>
    lab.control.write({ verb: "set-host", host: "h2", settings: { physical: [{ name: "lan", device }] } });
  await lead("eth7");
  assert.deepEqual(await addressesOf(lab, "office"), ["h1", "h5", "h2"]);
  await lead("none");
  assert.deepEqual(await addressesOf(lab, "office"), ["h1", "h5", "h2"]);
  assert.equal((await placesOf(lab, "office"))[1]?.startsWith("h2: "), true);
  // Who is named is meant, and is told what is lacking.
  await lab.put("named", { ...all, hosts: ["h2"], subnets: [{ cidr: "10.8.0.0/24" }] });
  assert.deepEqual(await told(lab), ["device-missing h2", "device-missing h5"]);
});

test("of all hosts a bridge of others is on those that have it as the network needs it", async () => {
  const br0 = (bridge: object): Partial<HostClaim> => ({
    devices: [{ name: "br0", mtu: 1500, bridge: { forwardDelay: 15, ...bridge } }],
  });
  const lab = await labWith(br0({}), {}, br0({}));
  await lab.put("office", { driver: "bridge", bridge: "br0", hosts: ["*"], subnets: [{ cidr: "10.7.0.0/24" }] });
  assert.deepEqual(await placesOf(lab, "office"), ["h1", "h2: it has no bridge br0", "h3"]);
  await lab.join(4, br0({ vlanFiltering: true }));
  assert.match((await placesOf(lab, "office"))[3] ?? "", /h4: its bridge br0 has its ports in VLANs/);
  assert.deepEqual(await told(lab), []);
});

test("where hosts' own addresses run out, the hosts without one are told of, and get what becomes free", async () => {
  const lab = await labWith({}, {}, {});
  // Two addresses in one family, all hosts' in the other.
  const subnets = [{ cidr: "10.7.0.0/30" }, { cidr: "fd07::/64" }];
  await lab.put("mgmt", { placement: "host", hostAddresses: "auto", subnets });
  assert.deepEqual(await addressesOf(lab, "mgmt"), ["h1", "h1", "h2", "h2", "h3"]);
  const [condition] = await lab.control.conditions();
  assert.deepEqual([condition?.reason, condition?.host], ["exhausted", "h3"]);
  assert.equal(
    condition?.message,
    'network "mgmt" has no address left for host "h3" in 10.7.0.0/30; ' +
      "delete hosts that are gone, or name hosts (--hosts)",
  );
  await lab.control.write({ verb: "delete", kind: "host", name: "h1" });
  assert.deepEqual(await told(lab), []);
});
