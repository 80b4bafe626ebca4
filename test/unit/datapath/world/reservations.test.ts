// What becomes of reservations: ranges of their root under names of their own, with what is said nearest to them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Resource, type ResourceOf, snapshotOf } from "../../../../src/model/resource.ts";
import { ofSegmentOwner, withoutReservations, segmentOwnersOf } from "../../../../src/datapath/world/reservations.ts";

function make<K extends "network" | "endpoint">(kind: K, name: string, spec: object): ResourceOf<K> {
  return { kind, name, uid: name, revision: 1, spec } as unknown as ResourceOf<K>;
}

const snapshot = (...resources: readonly Resource[]) => snapshotOf("c", 1, resources);

/** Ranges of the network `blue` when reservations are gone, by name. */
function ranges(...networks: readonly ResourceOf<"network">[]) {
  const plain = withoutReservations(snapshot(...networks));
  assert.deepEqual(
    plain.networks.map(({ name }) => name),
    networks.filter(({ spec }) => spec.reservedFrom === undefined).map(({ name }) => name),
  );
  const all = plain.networks.find(({ name }) => name === "blue")?.spec.ranges ?? [];
  return new Map(all.map(({ name, ...more }) => [name, more as object]));
}

const OWN = { gateway: "10.7.0.9", gateway6: "fd07::9", dns: ["10.7.0.53"], mtu: 1300, securityGroups: ["main"] };
const MAIN = { name: "main", type: "ip4", first: "10.7.0.0", size: 99, ...OWN };
const LIMITS = { inbound: { average: 8_000_000 }, outbound: { average: 8_000_000 } };
const blue = make("network", "blue", { ranges: [{ ...MAIN, qos: LIMITS }, { name: "plain" }] });
const reservation = (name: string, reservedFrom: string, pieces: readonly object[], more: object = {}) =>
  make("network", name, { reservedFrom, ranges: pieces, ...more });

test("a piece has what the range has that it is from, unless it says otherwise, field by field", () => {
  const said = { gateway: "none", gateway6: "none", dns: [], mtu: 1200, securityGroups: [] };
  const found = ranges(
    blue,
    reservation("acme", "blue", [
      { name: "all", from: "main" },
      ...Object.entries(said).map(([key, value]) => ({ name: key, from: "main", [key]: value })),
      { name: "other", from: "plain" },
      { name: "nowhere", from: "gone" },
    ]),
  );
  assert.deepEqual([...found.keys()].slice(0, 3), ["main", "plain", "acme/all"]);
  assert.deepEqual(found.get("acme/all"), { from: "main", ...OWN, qos: LIMITS });
  for (const [key, value] of Object.entries(said))
    assert.deepEqual(found.get(`acme/${key}`), { from: "main", ...OWN, qos: LIMITS, [key]: value }, key);
  assert.deepEqual(found.get("acme/other"), { from: "plain" });
  assert.deepEqual(found.get("acme/nowhere"), { from: "gone" });
});

test("a limit is the piece's, or else its reservation's, or that of the range it is from, by direction", () => {
  const [inbound, outbound] = [{ average: 1_000_000 }, { average: 2_000_000 }];
  const found = ranges(
    blue,
    reservation(
      "acme",
      "blue",
      [
        { name: "a", from: "main" },
        { name: "b", from: "main", qos: { outbound } },
      ],
      {
        qos: { inbound },
      },
    ),
    reservation("team", "acme", [{ name: "c", from: "b" }]),
  );
  const qosOf = (name: string) => (found.get(name) as { qos?: object } | undefined)?.qos;
  assert.deepEqual(qosOf("acme/a"), { ...LIMITS, inbound });
  assert.deepEqual(qosOf("acme/b"), { inbound, outbound });
  assert.deepEqual(qosOf("team/c"), { inbound, outbound }, "of a reservation's reservation, all the way up");
});

test("groups of a reservation are those of all its pieces, beside the piece's or its range's", () => {
  const found = ranges(
    blue,
    reservation(
      "acme",
      "blue",
      [
        { name: "a", from: "main" },
        { name: "b", from: "main", securityGroups: ["own"] },
      ],
      {
        securityGroups: ["acme"],
      },
    ),
    reservation("team", "blue", [{ name: "c", from: "plain" }], { securityGroups: ["team", "more"] }),
    reservation("solo", "blue", [{ name: "d", from: "plain", securityGroups: ["one"] }]),
  );
  const groupsOf = (name: string) => (found.get(name) as { securityGroups?: object } | undefined)?.securityGroups;
  assert.deepEqual(groupsOf("acme/a"), ["main", "acme"]);
  assert.deepEqual(groupsOf("acme/b"), ["own", "acme"]);
  assert.deepEqual(groupsOf("team/c"), ["team", "more"]);
  assert.deepEqual(groupsOf("solo/d"), ["one"]);
});

test("a snapshot without reservations is what it was, and each reservation has its root, however far", () => {
  const plain = snapshot(blue);
  assert.equal(withoutReservations(plain), plain);
  const networks = [
    reservation("team", "acme", []),
    reservation("acme", "blue", []),
    blue,
    reservation("lost", "gone", []),
  ];
  assert.deepEqual(
    [...segmentOwnersOf(networks)],
    [
      ["team", "blue"],
      ["acme", "blue"],
    ],
  );
});

test("an endpoint of a reservation is its root's, in the range that the piece became", () => {
  const roots = new Map([["acme", "blue"]]);
  const place = { host: "h1", owner: "a" };
  const own = make("endpoint", "a", { network: "blue", range: "main", ...place });
  assert.equal(ofSegmentOwner(own, roots), own);
  const of = (range?: string) => {
    const spec = { network: "acme", ...(range === undefined ? {} : { range }), ...place };
    return ofSegmentOwner(make("endpoint", "a", spec), roots).spec;
  };
  assert.deepEqual(of("p"), { network: "blue", range: "acme/p", ...place });
  assert.deepEqual(of(), { network: "blue", ...place });
});
