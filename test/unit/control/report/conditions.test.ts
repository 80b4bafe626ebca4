// What a user should know although nothing was refused: who waits for what, what has come to stand in the way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Lab, openLab, reportOf, v4 } from "../lab.ts";

const told = async (lab: Lab) =>
  (await lab.control.conditions()).map(({ reason, object, host }) => [reason, object, host].join(" ")).toSorted();
const messages = async (lab: Lab) => (await lab.control.conditions()).map(({ message }) => message);

test("a host waits for a block of each family, unless the network is disabled or it has no tunnel", async () => {
  const lab = await openLab();
  const spec = { subnets: [{ cidr: "9.0.0.0/24", hostPrefix: 24 }], vrf: "v" };
  await lab.put("near", spec);
  for (const n of [1, 2]) await lab.join(n);
  assert.deepEqual(await told(lab), ["exhausted network/near h2"]);
  assert.match((await messages(lab)).join(), /no block left for host "h2": 9\.0\.0\.0\/24 in blocks of \/24/);
  // One family more, of which there is enough: the host that has a block gets the other as well.
  await lab.put("near", { ...spec, subnets: [...spec.subnets, { cidr: "fd09::/64", hostPrefix: 64 }] });
  assert.deepEqual(await told(lab), ["exhausted network/near h2"]);
  await lab.put("near", { ...spec, enabled: false });
  assert.deepEqual(await told(lab), []);
  await lab.put("near", spec);
  await lab.control.write({ verb: "put", kind: "vrf", name: "v", spec: { vtepSubnets: ["44.0.0.0/30"] } });
  await lab.join(3);
  // What it lacks first is a tunnel.
  assert.deepEqual(await told(lab), ["exhausted network/near h2", "exhausted vrf/v h3"]);
  assert.match((await messages(lab)).join("\n"), /VRF "v" has no tunnel address left for host "h3" in 44\.0\.0\.0\/30/);
  await lab.put("seg", { ...v4("10.9.0.0/24"), vrf: "v" });
  await lab.control.write({ verb: "delete", kind: "network", name: "near" });
  assert.deepEqual(await told(lab), [], "a switched network needs no tunnel addresses");
});

test("a host's own ranges: at most five are named, both ways round, of networks and of tunnels", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("blue", { subnets: [{ cidr: "10.7.0.0/16" }, { cidr: "fd07::/64" }] });
  const report = (host: string, hostPrefixes: string[]) => lab.control.report(reportOf(host, { hostPrefixes }));
  const own = Array.from({ length: 7 }, (_, n) => `10.7.${n}.0/24`);
  await report("h1", ["172.16.0.0/12", ...own]);
  await report("h2", ["fd07::/48", "198.18.0.0/15", "0.0.0.0/1"]);
  assert.deepEqual(await told(lab), ["overlap network/blue h1", "overlap network/blue h2"]);
  const [one, two] = await messages(lab);
  assert.match(one ?? "", new RegExp(`overlaps ${own.slice(0, 5).join(", ")}, which host "h1" has itself`));
  assert.match(two ?? "", /overlaps fd07::\/48, which host "h2"/);
  // Tunnel addresses are of interest once there are tunnels.
  await lab.put("near", { ...v4("9.0.0.0/16", 24), vrf: "blue" });
  assert.deepEqual(await told(lab), ["overlap network/blue h1", "overlap network/blue h2", "overlap vrf/blue h2"]);
});

test("what a host has on a bridge that the network takes over is no overlap, and other ranges of it are", async () => {
  const lab = await openLab();
  await lab.join(1, { hostPrefixes: ["172.29.236.0/22"] });
  await lab.join(2);
  const mgmt = {
    ...v4("172.29.236.0/22"),
    placement: "host",
    bridge: "br-mgmt",
    hostAddresses: [{ host: "h1", address: "172.29.236.11/22" }],
  } as const;
  await lab.put("mgmt", { ...mgmt, takeOver: true });
  assert.deepEqual(await told(lab), []);
  const report = (host: string, hostPrefixes: string[]) => lab.control.report(reportOf(host, { hostPrefixes }));
  await report("h2", ["172.29.236.0/22"]);
  assert.deepEqual(await told(lab), ["overlap network/mgmt h2"], "it has no address of the network to take over");
  await report("h2", []);
  await report("h1", ["172.29.236.0/22", "172.29.237.0/24"]);
  assert.match((await messages(lab)).join(), /overlaps 172\.29\.237\.0\/24, which host "h1"/);
  await report("h1", ["172.29.236.0/22"]);
  assert.deepEqual(await told(lab), []);
  await lab.put("mgmt", mgmt);
  assert.deepEqual(await told(lab), ["overlap network/mgmt h1"], "nothing is taken over");
});

test("an MTU is told of when a host's tunnels carry less, by the family of its underlay", async () => {
  const lab = await openLab();
  await lab.put("blue", { ...v4("10.7.0.0/16"), mtu: 1440 });
  for (const [n, underlay, underlayMtu] of [
    [1, "192.168.0.1", 1490],
    [2, "192.168.0.2", 1489],
    [3, "fd01::3", 1510],
    [4, "fd01::4", 1509],
  ] as const)
    await lab.join(n, { underlay, underlayMtu });
  assert.deepEqual(await told(lab), ["mtu-invalid network/blue h2", "mtu-invalid network/blue h4"]);
  assert.match((await messages(lab)).join("\n"), /has MTU 1440, but tunnels of host "h4" carry 1439/);
  const { mtu: _, ...rest } = { ...v4("10.7.0.0/16"), mtu: 1 };
  await lab.put("blue", rest);
  assert.deepEqual(await told(lab), []);
});

test("lost hosts: what they keep and for how long; many at once are named, the first ten", async () => {
  const lab = await openLab();
  await lab.put("near", {
    subnets: [
      { cidr: "9.0.0.0/16", hostPrefix: 24 },
      { cidr: "fd09::/64", hostPrefix: 80 },
    ],
  });
  const all = Array.from({ length: 12 }, (_, n) => `h${10 + n}`);
  for (const host of all) await lab.join(Number(host.slice(1)));
  await lab.attach("near", "h10", "web", { addresses: ["9.0.0.2"] });
  const heard = async (hosts: readonly string[]) => {
    for (const host of hosts) await lab.control.report(reportOf(host));
    await lab.control.reclaimLost();
  };
  await heard(all);
  lab.time.now += 420_000;
  await heard(all.slice(1));
  assert.deepEqual(await told(lab), ["host-lost host/h10 h10"]);
  const text = /"h10" has been lost for 2m and keeps its 2 blocks and 1 endpoints; .* weft host reclaim h10 --dry-run/;
  assert.match((await messages(lab)).join(), text);
  lab.time.now += 420_000;
  await heard(all.slice(11));
  const mass = (await messages(lab)).find((one) => one.includes("silent at once"));
  assert.match(mass ?? "", /^11 of 12 hosts are silent at once \(h10, .*, h19 and 1 more\): none is reclaimed/);
  assert.equal((await told(lab)).filter((one) => one.startsWith("host-lost")).length, 11);
  await heard(all.slice(1, 12));
  await heard(all);
  assert.deepEqual(await told(lab), []);
});

test("GRE has a device for each peer: above a hundred hosts the network says how many", async () => {
  const lab = await openLab();
  await lab.put("far", { ...v4("10.9.0.0/16"), driver: "gre" });
  await lab.put("near", { subnets: [{ cidr: "9.0.0.0/8", hostPrefix: 24 }], driver: "gre" });
  await lab.put("tunnel", { subnets: [{ cidr: "10.10.0.0/16", hostPrefix: 24 }] });
  for (let n = 1; n <= 101; n++) await lab.join(n);
  assert.deepEqual(await told(lab), ["many-peers network/near "]);
  assert.match(
    (await messages(lab)).join(),
    /"near" has 101 hosts, and with GRE .* above 100 hosts use driver "vxlan"/,
  );
  await lab.control.write({ verb: "delete", kind: "host", name: "h101" });
  assert.deepEqual(await told(lab), []);
});
