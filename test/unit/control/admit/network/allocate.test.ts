// What hosts get in a VRF, after any sequence of joins, departures and changes: who has tunnel addresses and blocks,
// which ones, and that nobody loses what is still right.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { NetworkInput } from "../../../../../src/model/input.ts";
import { cidrOf, contains, ipOf, lastOf, vtepMac } from "../../../../../src/model/address.ts";
import { Fault } from "../../../../../src/model/fault.ts";
import type { Snapshot } from "../../../../../src/model/resource.ts";
import { blocksOf, type Lab, openLab } from "../../lab.ts";

const V4 = { cidr: "9.0.0.0/24", hostPrefix: 26 };
const V6 = { cidr: "fd09::/62", hostPrefix: 64 };
const near = (subnets: NetworkInput["subnets"], more: object = {}): NetworkInput => ({
  vrf: "v",
  ...(subnets === undefined ? {} : { subnets }),
  ...more,
});
const putVrf = (lab: Lab, spec: object) => lab.control.write({ verb: "put", kind: "vrf", name: "v", spec });
const leave = (lab: Lab, host: string) => lab.control.write({ verb: "delete", kind: "host", name: host, force: true });
const vtepsOf = async (lab: Lab) =>
  Object.fromEntries(
    (await lab.snapshot()).vteps.map(({ spec: { host, ip, ip6 } }) => [host, [ip, ip6].filter((one) => one).join()]),
  );

describe("a family that a network gets later", () => {
  for (const [first, second] of [
    [V4, V6],
    [V6, V4],
  ] as const)
    test(`reaches the hosts that have the other: ${second.cidr}`, async () => {
      const lab = await openLab();
      for (const n of [1, 2]) await lab.join(n);
      await lab.put("dcos", near([first]));
      const before = await blocksOf(lab);
      assert.equal(Object.keys(before).length, 2);
      await lab.put("dcos", near([first, second]));
      assert.deepEqual(await blocksOf(lab), {
        "h1 4": "9.0.0.0/26",
        "h2 4": "9.0.0.64/26",
        "h1 6": "fd09::/64",
        "h2 6": "fd09:0:0:1::/64",
      });
      await lab.put("dcos", near([second]));
      const family = second === V4 ? "4" : "6";
      assert.deepEqual(Object.keys(await blocksOf(lab)).toSorted(), [`h1 ${family}`, `h2 ${family}`]);
    });

  test("is given whole: a host for which one family is left gets neither, until both are", async () => {
    for (const subnets of [
      [V4, { cidr: "fd09::/63", hostPrefix: 64 }],
      [{ cidr: "9.0.0.0/25", hostPrefix: 26 }, V6],
    ]) {
      const lab = await openLab();
      for (const n of [1, 2, 3]) await lab.join(n);
      await lab.put("dcos", near(subnets));
      assert.deepEqual(Object.keys(await blocksOf(lab)).toSorted(), ["h1 4", "h1 6", "h2 4", "h2 6"]);
      await leave(lab, "h1");
      assert.deepEqual(await blocksOf(lab), {
        "h2 4": "9.0.0.64/26",
        "h2 6": "fd09:0:0:1::/64",
        "h3 4": "9.0.0.0/26",
        "h3 6": "fd09::/64",
      });
    }
  });
});

describe("what hosts have", () => {
  test("stays when their VRF changes, also where less would be free", async () => {
    const lab = await openLab();
    await putVrf(lab, { vtepSubnets: ["44.0.0.0/24"] });
    for (const n of [1, 2, 3]) await lab.join(n);
    await lab.put("dcos", near([V4, V6]));
    await lab.put("more", near([{ cidr: "9.1.0.0/24", hostPrefix: 26 }]));
    await leave(lab, "h1");
    const before = [await blocksOf(lab), await blocksOf(lab, "more"), await vtepsOf(lab)];
    assert.deepEqual(before[1], { "h2 4": "9.1.0.64/26", "h3 4": "9.1.0.128/26" });
    await putVrf(lab, { vtepSubnets: ["44.0.0.0/24", "fd44::/64"], hostAccess: true });
    assert.deepEqual([await blocksOf(lab), await blocksOf(lab, "more")], before.slice(0, 2));
    const { h2, h3 } = await vtepsOf(lab);
    assert.deepEqual([h2?.split(",")[0], h3?.split(",")[0]], ["44.0.0.2", "44.0.0.3"]);
    assert.deepEqual(await vtepsOf(lab), { h2: "44.0.0.2,fd44::1", h3: "44.0.0.3,fd44::2" });
  });

  test("goes with the tunnel address that it is reached by, and comes back with it", async () => {
    const lab = await openLab();
    await putVrf(lab, { vtepSubnets: ["44.0.0.0/29"] });
    for (const n of [1, 2, 3]) await lab.join(n);
    await lab.put("dcos", near([V4]));
    await putVrf(lab, { vtepSubnets: ["44.1.0.0/30"] });
    assert.deepEqual(await vtepsOf(lab), { h1: "44.1.0.1", h2: "44.1.0.2" });
    assert.deepEqual(await blocksOf(lab), { "h1 4": "9.0.0.0/26", "h2 4": "9.0.0.64/26" });
    await leave(lab, "h1");
    assert.deepEqual(await vtepsOf(lab), { h2: "44.1.0.2", h3: "44.1.0.1" });
    assert.deepEqual(await blocksOf(lab), { "h2 4": "9.0.0.64/26", "h3 4": "9.0.0.0/26" });
  });

  test("of its tunnel address, the first and the last of a new subnet go, and what is between them stays", async () => {
    const lab = await openLab();
    await putVrf(lab, { vtepSubnets: ["44.0.0.0/28"] });
    for (const n of [1, 2, 3, 4, 5, 6, 7]) await lab.join(n);
    await lab.put("dcos", near([{ cidr: "9.0.0.0/16", hostPrefix: 24 }]));
    await putVrf(lab, { vtepSubnets: ["44.0.0.4/30"] });
    const { h5, h6, ...others } = await vtepsOf(lab);
    assert.deepEqual([h5, h6, others], ["44.0.0.5", "44.0.0.6", {}]);
  });

  test("stays in one family where the other has no room; a host that comes new waits for both", async () => {
    const lab = await openLab();
    await putVrf(lab, { vtepSubnets: ["44.0.0.0/29"] });
    for (const n of [1, 2, 3]) await lab.join(n);
    await lab.put("dcos", near([V4]));
    await putVrf(lab, { vtepSubnets: ["44.0.0.0/29", "fd44::/126"] });
    const both = { h1: "44.0.0.1,fd44::1", h2: "44.0.0.2,fd44::2" };
    assert.deepEqual(await vtepsOf(lab), { ...both, h3: "44.0.0.3" });
    await lab.join(4);
    assert.deepEqual(await vtepsOf(lab), { ...both, h3: "44.0.0.3" });
    assert.equal(Object.keys(await blocksOf(lab)).length, 3);
    await leave(lab, "h1");
    assert.deepEqual(await vtepsOf(lab), { h2: both.h2, h3: "44.0.0.3,fd44::1" });
    await leave(lab, "h2");
    assert.deepEqual(await vtepsOf(lab), { h3: "44.0.0.3,fd44::1", h4: "44.0.0.1,fd44::2" });
    assert.deepEqual(await blocksOf(lab), { "h3 4": "9.0.0.128/26", "h4 4": "9.0.0.0/26" });
  });

  test("a disabled network keeps blocks and tunnels, and gives none; without blocks it needs no tunnel", async () => {
    const lab = await openLab();
    await lab.join(1);
    await lab.put("dcos", near([V4], { enabled: false }));
    assert.deepEqual([await blocksOf(lab), await vtepsOf(lab)], [{}, {}]);
    await lab.put("dcos", near([V4], { enabled: true }));
    await lab.put("dcos", near([V4], { enabled: false }));
    await lab.join(2);
    assert.deepEqual(await blocksOf(lab), { "h1 4": "9.0.0.0/26" });
    assert.deepEqual(Object.keys(await vtepsOf(lab)), ["h1", "h2"]);
    await leave(lab, "h1");
    assert.deepEqual([await blocksOf(lab), await vtepsOf(lab)], [{}, {}]);
    await lab.put("dcos", near([V4], { enabled: true }));
    assert.deepEqual(await blocksOf(lab), { "h2 4": "9.0.0.0/26" });
  });

  test("ends with the last local network; a global one needs no tunnel address of a host", async () => {
    const lab = await openLab();
    await lab.join(1);
    await lab.put("wide", { vrf: "v", subnets: [{ cidr: "10.0.0.0/24" }] });
    assert.deepEqual(await vtepsOf(lab), {});
    await lab.put("dcos", near([V4]));
    assert.equal(Object.keys(await vtepsOf(lab)).length, 1);
    await lab.control.write({ verb: "delete", kind: "network", name: "dcos" });
    assert.deepEqual(await vtepsOf(lab), {});
    const vrfs = async () => (await lab.snapshot()).vrfs.map(({ name }) => name);
    assert.deepEqual(await vrfs(), ["v"]);
    await lab.control.write({ verb: "delete", kind: "network", name: "wide" });
    assert.deepEqual(await vrfs(), []);
  });
});

/** What must be so of VRF `v` whatever was written before. */
function check({ vrfs, networks, blocks, vteps }: Snapshot): void {
  const vrf = vrfs.find(({ name }) => name === "v")?.spec;
  const locals = networks.filter(({ spec }) => spec.ipam === "local");
  const enabled = locals.filter(({ spec }) => spec.enabled);
  if (enabled.length === 0 && blocks.length === 0) assert.deepEqual(vteps, []);
  const addresses = vteps.flatMap(({ spec }) => [spec.ip ?? [], spec.ip6 ?? []].flat());
  assert.equal(new Set(addresses).size, addresses.length);
  for (const { spec } of vteps) {
    for (const text of [spec.ip, spec.ip6]) {
      if (text === undefined) continue;
      const ip = ipOf(text) ?? assert.fail();
      const subnet = vrf?.vtepSubnets.map((one) => cidrOf(one) ?? assert.fail()).find((one) => contains(one, ip));
      assert(subnet !== undefined && ip.value !== subnet.base && ip.value !== lastOf(subnet).value, text);
    }
    const low = ipOf(spec.ip ?? spec.ip6 ?? "") ?? assert.fail();
    assert.equal(spec.mac, vtepMac(vrf?.vtepMacOui ?? "", low));
  }
  const spans = blocks.map(({ spec }) => cidrOf(spec.cidr) ?? assert.fail());
  for (const [i, { spec, name }] of blocks.entries()) {
    const network = locals.find((one) => one.name === spec.network) ?? assert.fail(name);
    const cidr = spans[i] ?? assert.fail();
    const subnet = network.spec.subnets.find((one) => cidrOf(one.cidr)?.family === cidr.family) ?? assert.fail(name);
    assert.equal(cidr.length, subnet.hostPrefix);
    assert(contains(cidrOf(subnet.cidr) ?? assert.fail(), { family: cidr.family, value: cidr.base }), name);
    assert(
      vteps.some((one) => one.spec.host === spec.host),
      `${name} cannot be reached`,
    );
    for (const other of spans.slice(i + 1))
      assert(other.family !== cidr.family || !contains(other, { family: cidr.family, value: cidr.base }), name);
  }
}

test("after any writes all is inside, apart and reachable, and to repeat the last changes nothing", async () => {
  const subnets = fc.constantFrom([V4], [V6], [V4, V6], [{ cidr: "9.0.0.0/25", hostPrefix: 26 }, V6]);
  const other = fc.constantFrom([{ cidr: "9.1.0.0/25", hostPrefix: 26 }], [{ cidr: "9.1.0.0/25" }]);
  const step = fc.oneof(
    fc.record({ put: fc.constant("one"), subnets, enabled: fc.boolean() }),
    fc.record({ put: fc.constant("two"), subnets: other, enabled: fc.boolean() }),
    fc.record({ drop: fc.constantFrom("one", "two") }),
    fc.record({ join: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ leave: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ vteps: fc.constantFrom(["44.0.0.0/30"], ["44.0.0.0/29", "fd44::/126"], ["44.1.0.0/29"]) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      const lab = await openLab();
      const tokens = new Map<number, string>();
      for (const one of steps) {
        const act = async () => {
          if ("put" in one) await lab.put(one.put, near(one.subnets, { enabled: one.enabled }));
          else if ("drop" in one) await lab.control.write({ verb: "delete", kind: "network", name: one.drop });
          else if ("leave" in one) await leave(lab, `h${one.leave}`);
          else if ("vteps" in one) await putVrf(lab, { vtepSubnets: one.vteps });
          else {
            const claim = {
              host: `h${one.join}`,
              underlay: `192.168.0.${one.join}`,
              underlayMtu: 1500,
              hostPrefixes: [],
            };
            const token = tokens.get(one.join);
            if (token === undefined) tokens.set(one.join, await lab.join(one.join));
            else await lab.control.join(claim, token);
          }
        };
        try {
          await act();
        } catch (error) {
          assert(error instanceof Fault, String(error));
          continue;
        }
        if ("leave" in one) tokens.delete(one.leave);
        const now = await lab.snapshot();
        check(now);
        if ("drop" in one || "leave" in one) continue;
        await act();
        assert.deepEqual(await lab.snapshot(), now);
      }
    }),
    { numRuns: 60 },
  );
});
