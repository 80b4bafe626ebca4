// A plan says what is lost: of a conversion nothing, in none of its phases; of a device that is made anew for how long;
// of one that goes, without an end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { planOf, planText } from "../../../../src/cli/change/plan.ts";
import { type Change, type Kind, type Snapshot, resourcesIn } from "../../../../src/model/resource.ts";
import { ADMIN, type Lab, openLab, v4 } from "../../control/lab.ts";

/** A switched and a routed network of one VRF, with an endpoint of each on each of two hosts. */
async function lab(): Promise<Lab> {
  const one = await openLab();
  for (const n of [1, 2]) await one.join(n);
  await one.put("blue", { ...v4("10.7.0.0/16"), vrf: "v" });
  await one.put("near", { ...v4("10.8.0.0/16", 24), vrf: "v" });
  const blocks = (await one.control.snapshot(ADMIN)).blocks;
  for (const n of [1, 2]) {
    await one.attach("blue", `h${n}`, `w${n}`);
    const block = blocks.find(({ spec }) => spec.host === `h${n}`)?.spec.cidr ?? assert.fail();
    await one.attach("near", `h${n}`, `r${n}`, { addresses: [block.replace(/0\/24$/, "9")] });
  }
  return one;
}

/** As a dry run gives it. */
function between(before: Snapshot, after: Snapshot, ...kinds: readonly Kind[]): readonly Change[] {
  const old = new Map(resourcesIn(before).map((one) => [`${one.kind}/${one.name}`, one.revision]));
  const changed = resourcesIn(after).filter((one) => kinds.includes(one.kind));
  return changed.flatMap((put) => (old.get(`${put.kind}/${put.name}`) === put.revision ? [] : [{ put }]));
}

test("a conversion loses nothing, also when the former tunnels go; the plan says which phases there are", async () => {
  const edits = [
    [{ kind: "vrf", name: "v" }, { tunnelPort: 8472, vni: 9000 }, "receive, send"],
    [{ kind: "network", name: "blue" }, { driver: "gre", mtu: 1400 }, "narrow, receive, send"],
    [{ kind: "network", name: "near" }, { driver: "gre" }, "narrow, receive, send"],
    [{ kind: "network", name: "near" }, { mtu: 1400 }, "narrow, receive"],
  ] as const;
  for (const [{ kind, name }, fields, phases] of edits) {
    const { control } = await lab();
    const before = await control.snapshot(ADMIN);
    const { spec } = (await control.find(kind, name, ADMIN)) ?? assert.fail();
    await control.write({
      verb: "put",
      kind: kind as "network",
      name,
      spec: { ...spec, ...fields } as never,
    });
    const changes = between(before, await control.snapshot(ADMIN), "vrf", "network", "conversion");
    const plan = await planOf(before, changes, {});
    assert.deepEqual(
      plan.hosts.map(({ endpointsHit, ops }) => [endpointsHit, ops.length > 0]),
      [
        [[], true],
        [[], true],
      ],
      JSON.stringify(fields),
    );
    assert.equal(plan.conversions[0]?.phases.join(", "), phases);
    const text = planText({ color: false }, plan);
    assert.match(
      text,
      new RegExp(`^  conversion v: .*; hosts go through ${phases}; the operations are those of the first`, "m"),
    );
    assert.match(text, /^h1: \d+ operations?, no endpoint loses packets$/m);
  }
});

test("what is made anew is away for some milliseconds; what goes, for good", async () => {
  const { control } = await lab();
  const before = await control.snapshot(ADMIN);
  const vrf = before.vrfs.find(({ name }) => name === "v") ?? assert.fail();
  // As no admission allows it: the tunnels get another port at once, and one of them another name.
  const anew = { ...vrf, revision: vrf.revision + 1, spec: { ...vrf.spec, vtepName: "vtep1", tunnelPort: 8472 } };
  const short = await planOf(before, [{ put: anew }], { host: "h1" });
  assert.deepEqual([short.hosts[0]?.endpointsHit, short.hosts[0]?.lossMs], [["r1.eth0", "w1.eth0"], 10]);
  assert.match(
    planText({ color: false }, short),
    /^h1: .* 2 endpoints would lose packets for about 10 ms: r1.eth0, w1/m,
  );
  const gone = await planOf(before, [{ remove: "network/blue" }], { host: "h1" });
  assert.deepEqual([gone.hosts[0]?.endpointsHit, gone.hosts[0]?.lossMs], [["w1.eth0"], undefined]);
});

test("nft tables are a line each, and whole if that is asked for", async () => {
  const { control } = await lab();
  const after = await control.snapshot(ADMIN);
  const empty = { ...after, endpoints: [], networks: [], vrfs: [], blocks: [], vteps: [] };
  const changes = [...after.vrfs, ...after.networks, ...after.vteps, ...after.blocks, ...after.endpoints];
  const plan = await planOf(
    empty,
    changes.map((put) => ({ put })),
    { host: "h1" },
  );
  const [short, wide] = [false, true].map((isWide) => planText({ color: false }, plan, isWide));
  assert.match(short ?? "", /^ {2}ip netns exec weft-v nft … \(table inet weft, .*\d+ lines; -o wide shows them\)$/m);
  assert.doesNotMatch(short ?? "", /<<<|chain /);
  assert.match(wide ?? "", /nft -f - <<< '.*\n/);
  assert.ok((short ?? "").includes("ip -n weft-v link add wb-blue"), "all that is no table is there");
});
