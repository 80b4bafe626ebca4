// Routing domains: which tunnel addresses they have, what of them cannot change under traffic, whom they must not meet.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInput, VrfInput } from "../../../src/model/input.ts";
import { ADMIN, type Lab, blocksOf, openLab, refuses, v4 } from "./lab.ts";

const putVrf = (lab: Lab, name: string, spec: VrfInput) => () =>
  lab.control.write({ verb: "put", kind: "vrf", name, spec });
async function vtepSubnets(lab: Lab, name: string): Promise<readonly string[] | undefined> {
  return (await lab.control.find("vrf", name, ADMIN))?.spec.vtepSubnets;
}
/** A local network of these families, in VRF `v`. */
const local = (...families: readonly (4 | 6)[]): NetworkInput => ({
  vrf: "v",
  subnets: families.map((family) =>
    family === 4 ? { cidr: "9.0.0.0/16", hostPrefix: 24 } : { cidr: "fd09::/64", hostPrefix: 80 },
  ),
});
const FOUR = "44.0.0.0/24";
const SIX = "fd44::/64";
const DEFAULT4 = "198.18.0.0/16";
const DEFAULT6 = "fd00:7765:6674::/64";

test("a VRF has a VTEP subnet of each family that its local networks need, and those it was given", async () => {
  const cases: readonly (readonly [given: readonly string[] | undefined, NetworkInput, readonly string[]])[] = [
    [undefined, local(4), [DEFAULT4]],
    [undefined, local(6), [DEFAULT4, DEFAULT6]],
    [undefined, local(4, 6), [DEFAULT4, DEFAULT6]],
    [undefined, { ...v4("10.8.0.0/24"), vrf: "v" }, [DEFAULT4]],
    [[FOUR], { ...v4("fd08::/64"), vrf: "v" }, [FOUR]],
    [[FOUR], local(4), [FOUR]],
    [[FOUR], local(4, 6), [FOUR, DEFAULT6]],
    [[SIX], local(6), [SIX]],
    [[SIX], local(4), [SIX, DEFAULT4]],
    [[FOUR, SIX], local(4), [FOUR, SIX]],
    [[SIX], { ...v4("10.8.0.0/24"), vrf: "v" }, [SIX]],
  ];
  for (const [given, network, expected] of cases) {
    const lab = await openLab();
    if (given !== undefined) await putVrf(lab, "v", { vtepSubnets: given })();
    await lab.put("near", network);
    assert.deepEqual(await vtepSubnets(lab, "v"), expected, `${given?.join()} and ${JSON.stringify(network.subnets)}`);
    // What a later put leaves out stays.
    await putVrf(lab, "v", {})();
    assert.deepEqual(await vtepSubnets(lab, "v"), expected);
  }
});

test("a VTEP subnet that a put leaves out of its list stays while a network needs its family", async () => {
  const cases: readonly (readonly [NetworkInput, given: readonly string[], readonly string[] | RegExp])[] = [
    [local(4, 6), [FOUR], [FOUR, SIX]],
    [local(4, 6), [SIX], [SIX, FOUR]],
    [local(4), [FOUR], [FOUR]],
    [local(6), [FOUR, SIX], [FOUR, SIX]],
    // The tunnels' MACs are made of IPv4 addresses, where there are some.
    [local(6), [SIX], /`vtepSubnets` of VRF "v" cannot change/],
    [local(4, 6), ["45.0.0.0/24"], /`vtepSubnets` of VRF "v" cannot change/],
    [local(4, 6), [FOUR, "fd45::/64"], /`vtepSubnets` of VRF "v" cannot change/],
    [local(4), [FOUR, "fd45::/64"], [FOUR, "fd45::/64"]],
  ];
  for (const [network, given, expected] of cases) {
    const lab = await openLab();
    await lab.join(1);
    await putVrf(lab, "v", { vtepSubnets: [FOUR, SIX] })();
    await lab.put("near", network);
    const [block = ""] = Object.values(await blocksOf(lab, "near"));
    await lab.attach("near", "h1", "web", { addresses: [block.includes(":") ? "fd09::2" : "9.0.0.2"] });
    if (Array.isArray(expected)) {
      await putVrf(lab, "v", { vtepSubnets: given })();
      assert.deepEqual(await vtepSubnets(lab, "v"), expected, given.join());
    } else {
      const why = expected as RegExp;
      const { detail } = await refuses(lab, "in-use", why, putVrf(lab, "v", { vtepSubnets: given }));
      assert.deepEqual(detail.blockers, ["web.eth0"]);
      await lab.detach("web.eth0");
      await putVrf(lab, "v", { vtepSubnets: given })();
    }
  }
});

test("a VRF whose tunnels have IPv6 alone loses it only with its endpoints", async () => {
  const lab = await openLab();
  await lab.join(1);
  await putVrf(lab, "v", { vtepSubnets: [SIX] })();
  await lab.put("seg", { ...v4("10.8.0.0/24"), vrf: "v" });
  await lab.attach("seg", "h1", "web");
  await refuses(lab, "in-use", /`vtepSubnets` of/, putVrf(lab, "v", { vtepSubnets: [FOUR] }));
  await putVrf(lab, "v", { vtepSubnets: [FOUR, SIX] })();
});

test("one file may change a VRF's subnets and its networks: judged by the families there are afterwards", async () => {
  const apply = (lab: Lab, vtep: readonly string[], network: NetworkInput) =>
    lab.control.write({
      verb: "apply",
      items: [
        { kind: "network", name: "near", spec: network },
        { kind: "vrf", name: "v", spec: { vtepSubnets: vtep } },
      ],
    });
  const { subnets: _, ...unsaid } = local(4, 6);
  for (const [before, after, expected] of [
    [local(4, 6), local(4, 6), [FOUR, SIX]],
    [local(4), local(4, 6), [FOUR, SIX]],
    [local(4, 6), local(4), [FOUR]],
    [local(4, 6), { ...v4("fd09::/64"), vrf: "v" }, [FOUR]],
    [local(4, 6), { ...local(4, 6), vrf: "other" }, [FOUR]],
  ] as const) {
    const lab = await openLab();
    await putVrf(lab, "v", { vtepSubnets: [FOUR, SIX] })();
    await lab.put("near", before);
    await apply(lab, [FOUR], after);
    assert.deepEqual(await vtepSubnets(lab, "v"), expected, JSON.stringify(after));
  }
  const lab = await openLab();
  await putVrf(lab, "v", { vtepSubnets: [FOUR, SIX] })();
  const localSubnets = [
    { cidr: "9.<id>.0.0/16", hostPrefix: 24 },
    { cidr: "fd09:<id>::/64", hostPrefix: 80 },
  ];
  await lab.control.write({ verb: "put", kind: "pool", name: "p", spec: { localSubnets } });
  await lab.put("near", { ...unsaid, pool: { name: "p" } });
  // It does not say its subnets, and has them from before.
  await apply(lab, [FOUR], { ...unsaid, pool: { name: "p" } });
  assert.deepEqual(await vtepSubnets(lab, "v"), [FOUR, SIX]);
});

test("what tunnels are made of does not change at once under endpoints, and does without them", async () => {
  const lab = await openLab();
  await lab.join(1);
  const spec = { vni: 1024, tunnelPort: 4000, vtepMacOui: "02:b3:d5", vtepName: "vtep1024", vtepSubnets: [FOUR] };
  await putVrf(lab, "v", spec)();
  await lab.put("near", local(4));
  await lab.put("seg", { ...v4("10.8.0.0/24"), vrf: "v" });
  await lab.attach("near", "h1", "web", { addresses: ["9.0.0.2"] });
  await lab.attach("seg", "h1", "db");
  const others = { vni: 1025, tunnelPort: 4001, vtepMacOui: "02:b3:d6", vtepName: "vtep1025" } as const;
  const { vtepMacOui: oui } = others;
  const text = /`vtepMacOui` of VRF "v" cannot change/;
  const { detail } = await refuses(lab, "in-use", text, putVrf(lab, "v", { ...spec, vtepMacOui: oui }));
  assert.deepEqual(detail.blockers, ["db.eth0", "web.eth0"]);
  await putVrf(lab, "v", { ...spec, hostAccess: true, kept: false, index: 1 })();
  await refuses(lab, ["immutable", "spec.index"], /VRF "v" has index 1/, putVrf(lab, "v", { ...spec, index: 2 }));
  // What a put leaves out: number and port stay, the rest has its default.
  await refuses(lab, "in-use", /`vtepMacOui` of/, putVrf(lab, "v", {}));
  for (const name of ["web.eth0", "db.eth0"]) await lab.detach(name);
  await putVrf(lab, "v", {})();
  const { vni, tunnelPort, vtepMacOui, vtepName, hostAccess } = (await lab.snapshot()).vrfs[0]?.spec ?? assert.fail();
  assert.deepEqual([vni, tunnelPort, vtepMacOui, vtepName, hostAccess], [1024, 4000, "70:b3:d5", undefined, false]);
  await putVrf(lab, "v", others)();
  assert.equal((await lab.snapshot()).vteps[0]?.spec.mac, "02:b3:d6:00:00:01");
});

test("VTEP subnets that change without endpoints: every host has new tunnel addresses in the same commit", async () => {
  const lab = await openLab();
  for (const n of [2, 1]) await lab.join(n);
  await putVrf(lab, "v", { vtepSubnets: [FOUR] })();
  await lab.put("near", local(4));
  await putVrf(lab, "v", { vtepSubnets: ["45.0.0.0/30", "fd45::/126"] })();
  const vteps = (await lab.snapshot()).vteps.map(({ spec }) => [spec.host, spec.ip, spec.ip6, spec.mac].join(" "));
  assert.deepEqual(vteps.toSorted(), [
    "h1 45.0.0.2 fd45::2 70:b3:d5:00:00:02",
    "h2 45.0.0.1 fd45::1 70:b3:d5:00:00:01",
  ]);
  // Of a smaller one the last host has none, and with its tunnel its block goes.
  await putVrf(lab, "v", { vtepSubnets: ["46.0.0.0/30"] })();
  await lab.join(3);
  assert.deepEqual(Object.keys(await blocksOf(lab, "near")), ["h2 4", "h1 4"]);
  await putVrf(lab, "v", { vtepSubnets: ["46.0.0.0/29"] })();
  assert.deepEqual(Object.keys(await blocksOf(lab, "near")).toSorted(), ["h1 4", "h2 4", "h3 4"]);
  await putVrf(lab, "v", { vtepSubnets: ["46.0.0.0/30"] })();
  assert.deepEqual(Object.keys(await blocksOf(lab, "near")).toSorted(), ["h1 4", "h2 4"]);
});

test("of a second family hosts get what there is; a host that has none of the first waits", async () => {
  const lab = await openLab();
  for (const n of [1, 2, 3]) await lab.join(n);
  await putVrf(lab, "v", { vtepSubnets: [FOUR] })();
  await lab.put("near", local(4));
  await putVrf(lab, "v", { vtepSubnets: [FOUR, "fd45::/126"] })();
  const seen = async () =>
    (await lab.snapshot()).vteps.map(({ spec }) => [spec.host, spec.ip, spec.ip6].join(" ")).toSorted();
  assert.deepEqual(await seen(), ["h1 44.0.0.1 fd45::1", "h2 44.0.0.2 fd45::2", "h3 44.0.0.3 "]);
  await lab.join(4);
  assert.deepEqual((await seen()).length, 3, "a host that comes is reached in all families or none");
  const waits = (await lab.control.conditions()).map(({ reason, object, host }) => `${reason} ${object} ${host}`);
  assert.deepEqual(waits, ["exhausted vrf/v h3", "exhausted vrf/v h4"]);
  await lab.control.write({ verb: "delete", kind: "host", name: "h1" });
  assert.deepEqual(await seen(), ["h2 44.0.0.2 fd45::2", "h3 44.0.0.3 fd45::1"]);
});

test("sizes of VTEP subnets, from end to end", async () => {
  for (const [cidr, isGood] of [
    ["44.0.0.0/8", true],
    ["44.0.0.0/7", false],
    ["44.0.0.0/30", true],
    ["44.0.0.0/31", false],
    ["2000::/8", true],
    ["2000::/7", false],
    ["fd44::/126", true],
    ["fd44::/127", false],
  ] as const) {
    const lab = await openLab();
    const put = putVrf(lab, "v", { vtepSubnets: [cidr] });
    if (isGood) await put();
    else await refuses(lab, ["prefix-invalid", "spec.vtepSubnets[0]"], /has a prefix of/, put);
  }
  const lab = await openLab();
  await refuses(lab, "request-invalid", /expected at least one/, putVrf(lab, "v", { vtepSubnets: [] }));
  await refuses(lab, "cidr-invalid", /not ordinary unicast/, putVrf(lab, "v", { vtepSubnets: ["224.0.0.0/8"] }));
  await refuses(lab, "overlap", /uplinks/, putVrf(lab, "v", { vtepSubnets: [FOUR, "fd00:7765:6675::/64"] }));
  await refuses(lab, "request-invalid", /second IPv6/, putVrf(lab, "v", { vtepSubnets: [SIX, "fd45::/64"] }));
  for (const oui of ["70:b3", "70:b3:d5:01", "7:b3:d5", "71:b3:d5", "xx:b3:d5"])
    await refuses(lab, "address-invalid", /beginning of a unicast MAC/, putVrf(lab, "v", { vtepMacOui: oui }));
  for (const name of ["", "-a", "a b", "a".repeat(16)])
    await refuses(lab, "name-invalid", /name of a device/, putVrf(lab, "v", { vtepName: name }));
  await putVrf(lab, "v", { vtepName: "a".repeat(15), vtepMacOui: "FE:B3:D5" })();
});

test("a default VTEP subnet is the first that meets nothing; without one the VRF is refused", async () => {
  const taken4 = ["198.18.5.0/24", "198.19.0.0/16", "100.64.0.0/15"];
  const lab = await openLab();
  await lab.join(1, { hostPrefixes: [...taken4, "fd00:7765:6674:0:5::/80"] });
  await lab.put("near", {
    ...local(4, 6),
    subnets: [...(local(6).subnets ?? []), { cidr: "100.66.0.0/16", hostPrefix: 24 }],
  });
  assert.deepEqual(await vtepSubnets(lab, "v"), ["100.67.0.0/16", "fd00:7765:6674:1::/64"]);
  for (const [hostPrefixes, family] of [
    [["198.18.0.0/15", "100.64.0.0/10"], 4],
    [["fd00:7765:6674::/48"], 6],
  ] as const) {
    const full = await openLab();
    await full.join(1, { hostPrefixes });
    const text = new RegExp(`no default IPv${family} VTEP subnet is free for VRF "v"`);
    await refuses(full, ["overlap", "spec.vtepSubnets"], text, () => full.put("near", local(4, 6)));
  }
});

test("VRFs that hosts have access to do not overlap, whichever comes last; others may", async () => {
  const lab = await openLab();
  for (const [name, hostAccess] of [
    ["a", true],
    ["b", false],
  ] as const)
    await putVrf(lab, name, { hostAccess })();
  await lab.put("in-a", { ...v4("10.1.0.0/16"), vrf: "a" });
  await lab.put("in-b", { ...v4("10.1.5.0/24"), vrf: "b" });
  const open = putVrf(lab, "b", { hostAccess: true });
  await refuses(
    lab,
    ["overlap", "spec.hostAccess"],
    /10\.1\.5\.0\/24 overlaps network "in-a" .*VRF "b" and VRF "a"/,
    open,
  );
  await refuses(lab, "overlap", /both VRF "a" and VRF "c"/, async () => {
    await lab.control.write({
      verb: "apply",
      items: [
        { kind: "vrf", name: "c", spec: { hostAccess: true } },
        { kind: "network", name: "in-c", spec: { ...v4("10.0.0.0/14"), vrf: "c" } },
        { kind: "network", name: "in-a", spec: { ...v4("10.2.0.0/16"), vrf: "a" } },
      ],
    });
  });
  // One file moves the network out of the way, and opens the VRF.
  await lab.control.write({
    verb: "apply",
    items: [
      { kind: "vrf", name: "b", spec: { hostAccess: true } },
      { kind: "network", name: "in-b", spec: { ...v4("10.2.5.0/24"), vrf: "b" } },
    ],
  });
  await putVrf(lab, "a", { hostAccess: true })();
});

test("VNIs: the lowest that is free from 4096 up; what is asked for is its owner's again", async () => {
  const lab = await openLab();
  const vnis = async () => {
    const { networks, vrfs } = await lab.snapshot();
    const all = [...networks, ...vrfs].map(({ kind, name, spec }) => [`${kind}/${name}`, spec.vni]);
    return Object.fromEntries(all.filter(([, vni]) => vni !== undefined)) as Record<string, number>;
  };
  await lab.put("a", { ...v4("10.1.0.0/16"), vni: 4097 });
  assert.deepEqual(await vnis(), { "network/a": 4097, "vrf/a": 4096 });
  await lab.put("b", { ...v4("10.1.0.0/16"), vrf: "b" });
  assert.deepEqual(await vnis(), { "network/a": 4097, "vrf/a": 4096, "network/b": 4098, "vrf/b": 4099 });
  await lab.put("c", { ...v4("10.1.0.0/16", 24), vni: 1 });
  assert.equal((await vnis())["vrf/c"], 1);
  for (const vni of [4097, 16_777_214]) await lab.put("a", { ...v4("10.1.0.0/16"), vni });
  await lab.put("a", v4("10.1.0.0/16"));
  assert.equal((await vnis())["network/a"], 16_777_214, "a network keeps its own");
  // A network that becomes local has its VRF's, and one that becomes global again another of its own.
  await lab.put("a", v4("10.1.0.0/16", 24));
  assert.equal((await vnis())["network/a"], undefined);
  await lab.put("a", v4("10.1.0.0/16"));
  assert.equal((await vnis())["network/a"], 4097);
  await refuses(lab, "vni-invalid", /VNI 1\.5 is not/, () => lab.put("d", { ...v4("10.1.0.0/16"), vni: 1.5 }));
  await refuses(lab, "vni-invalid", /VRF "b" has 4099/, () => lab.put("d", { ...local(4), vrf: "b", vni: 4100 }));
  await refuses(lab, "vni-taken", /vrf\/b/, putVrf(lab, "a", { vni: 4099 }));
  await putVrf(lab, "b", { vni: 4099 })();
  await lab.put("d", { ...local(4), vrf: "b", vni: 4099 });
});

test("a VRF goes with its networks by force, and without them when it was not put", async () => {
  const lab = await openLab();
  await lab.join(1);
  await putVrf(lab, "v", {})();
  await lab.put("near", local(4));
  await lab.put("seg", { ...v4("10.8.0.0/24"), vrf: "v" });
  await lab.attach("seg", "h1", "web");
  const { detail } = await refuses(lab, "in-use", /VRF "v" has networks/, () =>
    lab.control.write({ verb: "delete", kind: "vrf", name: "v" }),
  );
  assert.deepEqual(detail.blockers, ["near", "seg"]);
  await lab.control.write({ verb: "delete", kind: "vrf", name: "v", force: true });
  const { networks, vrfs, vteps, blocks, endpoints } = await lab.snapshot();
  assert.deepEqual([networks, vrfs, vteps, blocks, endpoints], [[], [], [], [], []]);
  // A local network that leaves takes its tunnels along, the others' VRF stays.
  await lab.put("near", local(4));
  await lab.put("seg", { ...v4("10.8.0.0/24"), vrf: "v" });
  await lab.put("near", { ...local(4), vrf: "w" });
  const after = await lab.snapshot();
  assert.deepEqual(
    after.vteps.map(({ name }) => name),
    ["w.h1"],
  );
  assert.deepEqual(after.vrfs.map(({ name, spec }) => `${name} ${spec.index}`).toSorted(), ["v 1", "w 2"]);
  assert.deepEqual(await blocksOf(lab, "near"), { "h1 4": "9.0.0.0/24" });
});
