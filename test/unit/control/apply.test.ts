// Many resources in one commit, and writes that hold only for the revision they were made for.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInput } from "../../../src/model/input.ts";
import { blocksOf, openLab, refuses, v4, vrfNames } from "./lab.ts";

test("apply: all in one commit or nothing, and says which item is wrong", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("old", { ...v4("9.0.0.0/8", 24), vrf: "dcos" });
  const net = (name: string, spec: NetworkInput) =>
    ({ kind: "network", name, spec: { ...spec, vrf: "dcos" } }) as const;
  const vrf = { kind: "vrf", name: "dcos", spec: { vni: 1024 } } as const;
  const apply = (items: Parameters<typeof wrap>[0], pruneVrf?: string) => () =>
    lab.control.write({ verb: "apply", items, ...(pruneVrf === undefined ? {} : { pruneVrf }) });
  const wrap = (items: readonly (ReturnType<typeof net> | typeof vrf)[]) => items;
  await refuses(
    lab,
    ["overlap", "resources[1].spec.subnets[0].cidr"],
    /overlaps network "old"/,
    apply([net("a", v4("10.0.0.0/8", 24)), net("b", v4("9.1.0.0/16", 24))]),
  );
  await refuses(
    lab,
    ["request-invalid", "resources[1].name"],
    /network\/a is listed twice/,
    apply([net("a", v4("10.0.0.0/8")), net("a", v4("11.0.0.0/8"))]),
  );
  // The new network takes the place of the one that goes.
  const { revision, changes, created, resource } = await apply([vrf, net("new", v4("9.0.0.0/8", 24))], "dcos")();
  assert.deepEqual([created, resource], [false, undefined], "it is about no single resource");
  assert.deepEqual(await blocksOf(lab, "new"), { "h1 4": "9.0.0.0/24" });
  assert.deepEqual(
    (await lab.snapshot()).networks.map((network) => [network.name, network.revision]),
    [["new", revision]],
  );
  assert.equal((await lab.snapshot()).vrfs[0]?.spec.vni, 1024);
  assert.ok(changes.length >= 4);
  assert.deepEqual(
    (await apply([vrf, net("new", v4("9.0.0.0/8", 24))], "dcos")()).changes,
    [],
    "applying the same again changes nothing",
  );
  await lab.attach("new", "h1", "web", { addresses: ["9.0.0.2"] });
  await refuses(
    lab,
    "in-use",
    /"new" of VRF "dcos" cannot go: they are not listed, but have endpoints \[web.eth0\]/,
    apply([vrf], "dcos"),
  );
  const dry = await lab.control.write({ verb: "apply", items: [net("more", v4("11.0.0.0/8", 24))] }, { dryRun: true });
  assert.ok(dry.changes.length > 0);
  assert.equal((await lab.snapshot()).revision, dry.revision);
});

test("apply keeps a VRF made on demand when all its networks are replaced", async () => {
  const lab = await openLab();
  await lab.put("a", { ...v4("10.1.0.0/16", 24), vrf: "shared" });
  const [before] = (await lab.snapshot()).vrfs;
  await lab.control.write({
    verb: "apply",
    items: [{ kind: "network", name: "b", spec: { ...v4("10.1.0.0/16", 24), vrf: "shared" } }],
    pruneVrf: "shared",
  });
  assert.deepEqual((await lab.snapshot()).vrfs, [before]);
  await lab.control.write({ verb: "apply", items: [], pruneVrf: "shared" });
  assert.deepEqual(await vrfNames(lab), []);
});

test("a write for another revision than there is now is refused", async () => {
  const lab = await openLab();
  const put = (ifRevision: number | "any") => () =>
    lab.control.write({ verb: "put", kind: "network", name: "blue", spec: v4("10.7.0.0/16"), ifRevision });
  await refuses(lab, "revision-stale", /does not exist/, put("any"));
  await put(0)();
  await refuses(lab, "revision-stale", /is at revision 1: the write was to make it/, put(0));
  await refuses(lab, "revision-stale", /made for revision 7/, put(7));
  await put(1)();
  await refuses(lab, "revision-stale", /made for revision 9/, () =>
    lab.control.write({ verb: "delete", kind: "network", name: "blue", ifRevision: 9 }),
  );
});

test("apply is judged by what it comes to: networks may change places, with the range of one that goes", async () => {
  const lab = await openLab();
  await lab.join(1);
  const net = (name: string, cidr: string, hostPrefix?: number) =>
    ({ kind: "network", name, spec: { ...v4(cidr, hostPrefix), vrf: "dcos" } }) as const;
  const apply = (items: readonly ReturnType<typeof net>[], pruneVrf?: string) =>
    lab.control.write({ verb: "apply", items, ...(pruneVrf === undefined ? {} : { pruneVrf }) });
  await apply([net("a", "10.1.0.0/16", 24), net("b", "10.2.0.0/16", 24), net("c", "10.3.0.0/16")]);
  // b takes what a had, a what c had, c what b had; half of it in another size.
  await apply([net("b", "10.1.0.0/16", 24), net("a", "10.3.0.0/16", 25), net("c", "10.2.0.0/17")]);
  const cidrs = (await lab.snapshot()).networks.map(({ name, spec }) => `${name} ${spec.subnets[0]?.cidr}`).sort();
  assert.deepEqual(cidrs, ["a 10.3.0.0/16", "b 10.1.0.0/16", "c 10.2.0.0/17"]);
  assert.deepEqual(await blocksOf(lab, "a"), { "h1 4": "10.3.0.0/25" });
  assert.deepEqual(await blocksOf(lab, "b"), { "h1 4": "10.1.0.0/24" });
  // In whatever order the items come, an end in which two meet is refused, and names the one that is in the way.
  await refuses(lab, ["overlap", "resources[1].spec.subnets[0].cidr"], /overlaps network "a"/, () =>
    apply([net("a", "10.1.0.0/16", 24), net("b", "10.1.128.0/17", 24)]),
  );
  await refuses(lab, "overlap", /overlaps network "b"/, () => apply([net("a", "10.1.0.0/16", 24)]));
  // With endpoints a network stays where it is, and so nobody can take its place.
  await lab.attach("b", "h1", "web", { addresses: ["10.1.0.2"] });
  await refuses(lab, "in-use", /`subnets` of network "b" cannot change/, () =>
    apply([net("a", "10.1.0.0/16", 24), net("b", "10.3.0.0/16", 24)]),
  );
  await refuses(lab, "in-use", /`hostPrefix` of network "b" cannot change/, () => apply([net("b", "10.1.0.0/16", 25)]));
});

test("apply forces nothing: what a network's leases stand on stays, or all of it is refused", async () => {
  const lab = await openLab();
  await lab.join(1);
  const spec = (size: number) => ({
    subnets: [{ cidr: "10.7.0.0/24" }],
    ranges: [{ name: "a", type: "ip4" as const, first: "10.7.0.8", size }],
  });
  await lab.put("blue", spec(8));
  await lab.attach("blue", "h1", "web", { addresses: ["10.7.0.12"] });
  const apply = (size: number) =>
    lab.control.write({
      verb: "apply",
      items: [
        { kind: "network", name: "green", spec: v4("10.8.0.0/24") },
        { kind: "network", name: "blue", spec: spec(size) },
      ],
    });
  await refuses(lab, "in-use", /web\.eth0 on h1/, () => apply(4));
  await apply(5);
  assert.deepEqual((await lab.snapshot()).networks.map(({ name }) => name).toSorted(), ["blue", "green"]);
});
