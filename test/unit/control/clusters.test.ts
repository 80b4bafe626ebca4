// Clusters of hosts: which hosts may carry a network, who follows when labels or clusters change, and what stands in
// the way of a host that leaves.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compile } from "../../../src/datapath/compile.ts";
import { isOnHost } from "../../../src/model/carrying.ts";
import { Fault } from "../../../src/model/fault.ts";
import type { NetworkInput } from "../../../src/model/input.ts";
import type { Labels } from "../../../src/model/labels.ts";
import type { Snapshot } from "../../../src/model/resource.ts";
import type { Write } from "../../../src/control/write.ts";
import { ADMIN, type Lab, blocksOf, openLab, refuses, v4 } from "./lab.ts";

const cluster = (lab: Lab, name: string, spec: object, force = false) =>
  lab.control.write({ verb: "put", kind: "hostcluster", name, spec, force });
const label = (lab: Lab, n: number, labels: Labels, force = false) =>
  lab.control.write({ verb: "set-host", host: `h${n}`, settings: { labels }, force });
const networkIn = async (lab: Lab, name: string) => (await lab.control.find("network", name, ADMIN)) ?? assert.fail();
const hostsOf = async (lab: Lab, name: string) => (await networkIn(lab, name)).spec.clusterHosts;

async function labWith(hosts: number): Promise<Lab> {
  const lab = await openLab();
  for (let n = 1; n <= hosts; n++) await lab.join(n);
  return lab;
}

test("hosts are in a cluster by name or label, and networks follow", async () => {
  const lab = await labWith(3);
  await cluster(lab, "east", { hosts: ["h1"], selector: "rack in (r7,r8)" });
  await lab.put("blue", { ...v4("10.7.0.0/24"), clusters: ["east"], hosts: ["*"] });
  await lab.put("dcos", { ...v4("9.0.0.0/22", 24), clusters: ["east"] });
  assert.deepEqual([await hostsOf(lab, "blue"), Object.keys(await blocksOf(lab))], [["h1"], ["h1 4"]]);
  await label(lab, 2, { rack: "r7" });
  assert.deepEqual(await hostsOf(lab, "blue"), ["h1", "h2"]);
  assert.deepEqual(Object.keys(await blocksOf(lab)), ["h1 4", "h2 4"]);
  await cluster(lab, "west", { selector: "rack=r9" });
  await lab.put("blue", { ...v4("10.7.0.0/24"), clusters: ["west", "east"], hosts: ["*"] });
  await label(lab, 3, { rack: "r9" });
  const { networks, hosts } = await lab.snapshot();
  const blue = networks.find(({ name }) => name === "blue") ?? assert.fail();
  assert.deepEqual(blue.spec.clusters, ["east", "west"]);
  assert.ok(hosts.every((host) => isOnHost(blue.spec, host)));
  await label(lab, 2, {});
  assert.deepEqual(Object.keys(await blocksOf(lab)), ["h1 4"], "an empty block is given back");
  await lab.join(4);
  assert.deepEqual(Object.keys(await blocksOf(lab)), ["h1 4"], "a host that joins gets none outside");
  await lab.control.write({ verb: "delete", kind: "host", name: "h3" });
  assert.deepEqual(await hostsOf(lab, "blue"), ["h1"]);
});

test("a host outside is refused, and what says so names the clusters", async () => {
  const lab = await labWith(2);
  await cluster(lab, "east", { hosts: ["h1"] });
  await lab.put("blue", { ...v4("10.7.0.0/24"), clusters: ["east"] });
  await lab.attach("blue", "h1", "web");
  await refuses(lab, ["host-outside", "host"], /hosts of cluster "east"/, () => lab.attach("blue", "h2", "db"));
  const piece: NetworkInput = {
    reservedFrom: "blue",
    ranges: [{ name: "p", from: "", first: "10.7.0.8", size: 4 }],
  } as never;
  await lab.control.write({ verb: "reserve", network: "blue", request: { name: "part", size: 4 } });
  await refuses(lab, "host-outside", /"east"/, () => lab.attach("part", "h2", "db"));
  await refuses(lab, ["request-invalid", "spec.clusters"], /no clusters of its own/, () =>
    lab.put("part", { ...piece, clusters: ["east"] }),
  );
  await refuses(lab, ["host-outside", "spec.hosts"], /h2/, () =>
    lab.put("red", { ...v4("10.8.0.0/24"), clusters: ["east"], hosts: ["h2"] }),
  );
  await refuses(lab, ["cluster-unknown", "spec.clusters"], /no cluster "north"/, () =>
    lab.put("red", { ...v4("10.8.0.0/24"), clusters: ["north"] }),
  );
  await refuses(lab, ["host-unknown", "spec.hosts"], /h9/, () => cluster(lab, "west", { hosts: ["h9"] }));
  const remove: Write = { verb: "delete", kind: "hostcluster", name: "east", force: true };
  const fault = await refuses(lab, "in-use", /cluster "east" is in use/, () => lab.control.write(remove as never));
  assert.deepEqual(fault.detail.blockers, ["network blue"]);
  await lab.put("blue", v4("10.7.0.0/24"));
  assert.equal((await networkIn(lab, "blue")).spec.clusterHosts, undefined);
  await lab.control.write(remove as never);
});

test("who leaves a cluster with endpoints is refused with the list, or forced: they are to be detached", async () => {
  const lab = await labWith(2);
  const token = { role: "host", host: "h2" } as const;
  await label(lab, 1, { rack: "r7" });
  await label(lab, 2, { rack: "r7" });
  await cluster(lab, "east", { selector: "rack=r7" });
  await lab.put("dcos", { ...v4("9.0.0.0/22", 24), clusters: ["east"] });
  await lab.put("blue", { ...v4("10.7.0.0/24"), clusters: ["east"], hosts: ["h2"] });
  await lab.attach("dcos", "h2", "web", { addresses: ["9.0.1.2"] });
  await lab.attach("blue", "h2", "db");
  const named = await refuses(lab, "in-use", /cannot leave the clusters/, () => label(lab, 2, {}));
  assert.deepEqual(named.detail.blockers, ["network blue, which names host h2"]);
  await lab.put("blue", { ...v4("10.7.0.0/24"), clusters: ["east"] });
  const refused = await refuses(lab, "in-use", /cannot leave/, () => cluster(lab, "east", { hosts: ["h1"] }));
  assert.deepEqual(refused.detail.blockers, ["endpoint db.eth0 on h2 (10.7.0.2)"]);
  await cluster(lab, "west", { hosts: ["h1"] });
  await refuses(lab, "in-use", /db.eth0/, () => lab.put("blue", { ...v4("10.7.0.0/24"), clusters: ["west"] }));
  await lab.put("blue", { ...v4("10.7.0.0/24"), clusters: ["east"], hosts: ["h2"] });
  await label(lab, 2, {}, true);
  assert.equal((await networkIn(lab, "blue")).spec.hosts?.length ?? 0, 0);
  const { endpoints } = await lab.snapshot();
  assert.ok(endpoints.every(({ spec }) => spec.detaching === true));
  assert.ok("h2 4" in (await blocksOf(lab)), "its block stays until the endpoint is gone");
  for (const endpoint of ["web.eth0", "db.eth0"]) await lab.control.write({ verb: "detach", endpoint, by: token });
  assert.deepEqual(Object.keys(await blocksOf(lab)), ["h1 4"]);
});

test("labels change nothing that a host compiles", async () => {
  const lab = await labWith(2);
  await lab.put("blue", { ...v4("10.7.0.0/24"), hosts: ["*"] });
  const { name } = await lab.attach("blue", "h1", "web");
  const before = compile(await lab.snapshot(), "h1");
  await label(lab, 1, { rack: "r7" });
  await label(lab, 2, { rack: "r8" });
  await lab.control.write({ verb: "patch-endpoint", name, patch: { labels: { app: "shop" } } });
  await lab.put("blue", { ...v4("10.7.0.0/24"), hosts: ["*"], labels: { tier: "web" } });
  assert.deepEqual(compile(await lab.snapshot(), "h1"), before);
});

const RACKS = ["r7", "r8"];
const anyHost = fc.integer({ min: 1, max: 3 });
const anySpec = fc.record(
  {
    hosts: fc.subarray(["h1", "h2", "h3"]),
    selector: fc.constantFrom("rack=r7", "rack!=r7", "!rack", "rack in (r7,r8)"),
  },
  { requiredKeys: [] },
);
const force = fc.boolean();
const clusters = fc.subarray(["east", "west"], { minLength: 1 });
type Step = (lab: Lab) => Promise<unknown>;
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constantFrom("east", "west"), anySpec, force).map(
    ([name, spec, forced]): Step =>
      (lab) =>
        cluster(lab, name, spec, forced),
  ),
  fc.tuple(anyHost, fc.option(fc.constantFrom(...RACKS)), force).map(
    ([n, rack, forced]): Step =>
      (lab) =>
        label(lab, n, rack === null ? {} : { rack }, forced),
  ),
  fc.tuple(fc.boolean(), clusters, fc.subarray(["h1", "*"]), force).map(
    ([isLocal, its, hosts, forced]): Step =>
      (lab) => {
        const spec = { ...(isLocal ? v4("9.0.0.0/22", 24) : v4("10.7.0.0/24")), clusters: its, hosts };
        const name = isLocal ? "dcos" : "blue";
        return lab.control.write({ verb: "put", kind: "network", name, spec, force: forced });
      },
  ),
  fc.tuple(fc.constantFrom("a", "b", "c"), anyHost).map(
    ([owner, n]): Step =>
      (lab) =>
        lab.attach("blue", `h${n}`, owner),
  ),
  anyHost.map(
    (n): Step =>
      async (lab) => {
        const block = (await blocksOf(lab))[`h${n} 4`];
        if (block !== undefined)
          await lab.attach("dcos", `h${n}`, `l${n}`, { addresses: [block.replace("0/24", "9")] });
      },
  ),
  fc.tuple(fc.constantFrom("a", "b", "c", "l1", "l2", "l3")).map(
    ([owner]): Step =>
      (lab) =>
        lab.detach(`${owner}.eth0`),
  ),
  fc.tuple(anyHost, force).map(
    ([n, forced]): Step =>
      async (lab) => {
        await lab.control.write({ verb: "delete", kind: "host", name: `h${n}`, force: forced });
        await lab.join(n);
      },
  ),
);

/** What must be so of every network, told from the resources alone. */
function check({ networks, hosts, blocks, endpoints, hostClusters }: Snapshot): void {
  const isIn = (host: Snapshot["hosts"][number], name: string) => {
    const { hosts: named = [], selector = "none" } = hostClusters.find((one) => one.name === name)?.spec ?? {};
    const rack = host.spec.labels?.["rack"];
    const said = { "rack=r7": rack === "r7", "rack!=r7": rack !== "r7", "!rack": rack === undefined, none: false };
    return (
      named.includes(host.name) ||
      (Object.hasOwn(said, selector) ? said[selector as keyof typeof said] : rack !== undefined)
    );
  };
  for (const { name, spec } of networks) {
    if (spec.clusters === undefined) continue;
    const expected = hosts.filter((host) => spec.clusters?.some((one) => isIn(host, one))).map((host) => host.name);
    assert.deepEqual(spec.clusterHosts, expected.sort());
    const here = endpoints.filter((one) => one.spec.network === name);
    for (const one of here) assert.ok(expected.includes(one.spec.host) || one.spec.detaching === true, one.name);
    const had = blocks.filter((one) => one.spec.network === name).map((one) => one.spec.host);
    const due = spec.ipam === "local" ? hosts.map((host) => host.name) : [];
    for (const host of due)
      assert.equal(had.includes(host), expected.includes(host) || here.some((one) => one.spec.host === host), host);
  }
}

test("over any changes: a network has the hosts of its clusters, blocks on these, and endpoints there", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25, size: "max" }), async (steps) => {
      const lab = await labWith(3);
      for (const name of ["east", "west"]) await cluster(lab, name, { hosts: ["h1"] });
      for (const one of steps) {
        await one(lab).catch((error: unknown) => assert.ok(error instanceof Fault, String(error)));
        check(await lab.snapshot());
      }
      await lab.control.close();
    }),
    { numRuns: 60 },
  );
});
