// Quotas of users and groups: every way that makes or grows something is counted, what is over is refused with what,
// how much and who can raise it, and the index is what a count of all resources gives.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { admit } from "../../../src/control/admit/admit.ts";
import { quotasFor } from "../../../src/control/admit/quotas.ts";
import { type View, applyChanges, get, listOf, viewOf } from "../../../src/control/state/view.ts";
import type { Identity, Write } from "../../../src/control/write.ts";
import { Fault } from "../../../src/model/fault.ts";
import { ALL_KINDS } from "../../../src/model/kinds.ts";
import type { OwnedQuota } from "../../../src/model/quota.ts";
import type { Resource } from "../../../src/model/resource.ts";
import { ADMIN, openLab } from "./lab.ts";
import { as, callerOf, people, tried } from "./rights/lab.ts";

let uids = 0;
const context = {
  uid: () => `uid-${++uids}`,
  nowMs: () => 0,
  quarantineTime: () => ({ nowMs: 0, openedMs: 0 }),
  prefixes: new Map(),
};
const ANN: Identity = { role: "user", user: "ann" };
const BOB: Identity = { role: "user", user: "bob" };

function run(view: View, write: Write, by: Identity = ADMIN): void {
  applyChanges(view, admit(view, write, context, by).changes);
  view.revision += 1;
}
function refused(view: View, write: Write, by: Identity, text: RegExp): void {
  const before = view.revision;
  assert.throws(
    () => run(view, write, by),
    (error) => error instanceof Fault && error.reason === "quota-exceeded" && text.test(error.message),
    String(text),
  );
  assert.equal(view.revision, before);
}
const user = (name: string, quota?: OwnedQuota): Write => ({
  verb: "put",
  kind: "user",
  name,
  spec: { group: "dev", ...(quota === undefined ? {} : { quota }) },
});
const group = (quota?: OwnedQuota): Write => ({
  verb: "put",
  kind: "usergroup",
  name: "dev",
  spec: quota === undefined ? {} : { quota },
});
const network = (name: string, n: number, hostPrefix?: number): Write => ({
  verb: "put",
  kind: "network",
  name,
  spec: { subnets: [{ cidr: `10.${n}.0.0/24`, ...(hostPrefix === undefined ? {} : { hostPrefix }) }] },
});
const reserve = (name: string, size: number): Write => ({ verb: "reserve", network: "lab", request: { name, size } });
const attach = (name: string, owner: string, more: object = {}, by: "admin" | "host" = "admin"): Write => ({
  verb: "attach",
  claim: { network: name, host: "h1", owner, ifname: "eth0", netns: "/n", ...more },
  by: by === "admin" ? ADMIN : { role: "host", host: "h1" },
});
const RATE = { average: "10mbit" };
const limited = { qos: { inbound: RATE, outbound: RATE } };

function begun(): View {
  const view = viewOf("c", 0, []);
  for (const write of [group(), user("ann"), user("bob"), network("lab", 9)]) run(view, write);
  const shaping = ["inbound", "outbound"] as const;
  const claim = { host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [], shaping };
  run(view, { verb: "join", claim, by: { role: "join", token: "t" } });
  return view;
}

test("networks: by put and apply, of the user and of the group; what is there stays", () => {
  const view = begun();
  run(view, user("ann", { networks: 2 }));
  run(view, network("a1", 1), ANN);
  run(view, network("a2", 2), ANN);
  refused(
    view,
    network("a3", 3),
    ANN,
    /user "ann" cannot own 1 network more: it owns 2 networks, and may own 2 networks.*quota set user ann --networks/,
  );
  const { verb: _, force: __, ...item } = network("a3", 3) as Extract<Write, { verb: "put" }>;
  refused(view, { verb: "apply", items: [item] as never }, ANN, /1 network more/);
  run(view, network("a3", 3), BOB);
  run(view, user("ann", { networks: 1 }));
  assert.deepEqual(get(view, "user", "ann")?.spec.quota, { networks: 1 });
  run(view, { ...network("a1", 1), spec: { subnets: [{ cidr: "10.1.0.0/24" }], description: "still" } } as never, ANN);
  run(view, group({ networks: 3 }));
  refused(view, network("b2", 4), BOB, /group "dev" cannot own 1 network more: it owns 3 networks, and may own 3/);
  run(view, { verb: "delete", kind: "network", name: "a1" }, ANN);
  run(view, network("b2", 4), BOB);
});

test("reservations and leases, in all and in one network", () => {
  const view = begun();
  run(view, user("ann", { reservations: 1, leases: 10, leasesIn: [{ network: "lab", leases: 8 }] }));
  run(view, reserve("part", 6), ANN);
  refused(view, reserve("more", 1), ANN, /1 reservation more: it owns 1 reservation, and may own 1 reservation/);
  refused(
    view,
    reserve("part", 3),
    ANN,
    /3 leases in network "lab" more: it owns 6 leases in network "lab", and may own 8/,
  );
  run(view, attach("part", "a"), ANN);
  run(view, attach("lab", "b"), ANN);
  run(view, attach("lab", "c"), ANN);
  refused(view, attach("lab", "d"), ANN, /1 lease in network "lab" more/);
  run(view, attach("part", "e"), ANN);
  refused(view, attach("part", "f"), ANN, /1 lease more: it owns 10 leases, and may own 10 leases/);
  const claims = [attach("lab", "x"), attach("lab", "y")].flatMap((one) => (one.verb === "attach" ? [one.claim] : []));
  run(view, attach("lab", "z"), BOB);
  refused(view, { verb: "attach-all", claims, by: ADMIN }, ANN, /leases? /);
});

test("endpoints and bandwidth; a fact of a host is counted and not refused", () => {
  const view = begun();
  run(view, user("ann", { endpoints: 2, bandwidth: 15_000_000 }));
  refused(view, attach("lab", "a"), ANN, /without limits of its own.*--inbound/);
  run(view, attach("lab", "a", limited), ANN);
  refused(view, attach("lab", "b", limited), ANN, /10mbit (inbound|outbound) more: it owns 10mbit .* may own 15mbit/i);
  const half = { inbound: { average: "5mbit" }, outbound: { average: "5mbit" } };
  run(view, attach("lab", "b", { qos: half }), ANN);
  refused(view, { verb: "patch-endpoint", name: "b.eth0", patch: limited }, ADMIN, /user "ann" cannot own 5mbit/i);
  refused(
    view,
    { verb: "patch-endpoint", name: "b.eth0", patch: { qos: { inbound: "inherit" } } },
    ADMIN,
    /without limits/,
  );
  run(view, user("ann", { endpoints: 2 }));
  refused(view, attach("lab", "c"), ANN, /1 endpoint more/);
  run(view, attach("lab", "a", limited), ANN);
  run(view, network("near", 7, 25), ANN);
  const address = listOf(view, "block")[0]?.spec.cidr.replace("0/25", "2") ?? assert.fail();
  run(view, attach("near", "l", { addresses: [address] }, "host"), ANN);
  const [ann] = quotasFor(view, ADMIN).filter(({ name }) => name === "ann");
  assert.equal(ann?.used.endpoints, 3);
  assert.deepEqual(ann?.used.leasesIn, [
    { network: "lab", leases: 2 },
    { network: "near", leases: 1 },
  ]);
});

const some = fc.constantFrom(ANN, BOB, ADMIN);
const names = fc.constantFrom("a", "b", "c");
const anyQuota = fc.record(
  { networks: fc.nat(3), reservations: fc.nat(2), endpoints: fc.nat(4), leases: fc.nat(12) },
  { requiredKeys: [] },
);
const step: fc.Arbitrary<readonly [Write, Identity]> = fc.oneof(
  fc.tuple(names, fc.integer({ min: 20, max: 24 }), some).map(([name, n, by]) => [network(`n${name}`, n), by] as const),
  fc
    .tuple(names, fc.integer({ min: 1, max: 6 }), some)
    .map(([name, size, by]) => [reserve(`r${name}`, size), by] as const),
  fc.tuple(fc.constantFrom("lab", "ra", "na"), names, some).map(([of, name, by]) => [attach(of, name), by] as const),
  names.map((name) => [{ verb: "detach", endpoint: `${name}.eth0`, by: ADMIN, force: true }, ADMIN] as const),
  fc.constantFrom("na", "nb", "ra", "rb").map((name) => {
    return [{ verb: "delete", kind: "network", name, force: true }, ADMIN] as const;
  }),
  anyQuota.map((quota) => [user("ann", quota), ADMIN] as const),
  anyQuota.map((quota) => [group(quota), ADMIN] as const),
);

/** How much of it, counted from all resources. */
function counted(view: View, of: (resource: Resource) => boolean) {
  const networks = listOf(view, "network").filter(of);
  const pieces = networks.filter(({ spec }) => spec.reservedFrom !== undefined);
  const endpoints = listOf(view, "endpoint").filter(of);
  const reserved = pieces.flatMap(({ spec }) => spec.ranges ?? []).reduce((sum, { size = 0 }) => sum + size, 0);
  return {
    networks: networks.length - pieces.length,
    reservations: pieces.length,
    endpoints: endpoints.length,
    leases: endpoints.length + reserved,
  };
}

test("over any writes: the index is what is there, and nobody grows beyond a quota", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30, size: "max" }), (steps) => {
      const view = begun();
      for (const [write, by] of steps) {
        const used = () => counted(view, ({ access }) => access?.owner === "ann");
        const before = used();
        try {
          run(view, write, by);
        } catch (error) {
          if (!(error instanceof Fault)) throw error;
          continue;
        }
        const now = used();
        const quota = get(view, "user", "ann")?.spec.quota ?? {};
        for (const field of ["networks", "reservations", "endpoints", "leases"] as const)
          assert.ok(now[field] <= Math.max(before[field], quota[field] ?? Number.POSITIVE_INFINITY), field);
        const shown = quotasFor(view, ADMIN).find(({ name }) => name === "ann")?.used;
        for (const field of ["networks", "reservations", "endpoints", "leases"] as const)
          assert.equal(shown?.[field] ?? 0, now[field], field);
      }
      const all = ALL_KINDS.flatMap((kind): readonly Resource[] => listOf(view, kind));
      const again = viewOf("c", view.revision, all);
      assert.deepEqual([again.owned, again.quotas], [view.owned, view.quotas]);
    }),
    { numRuns: 150 },
  );
});

test("a user who may make networks makes as many as its quota says, and cannot raise it", async () => {
  const lab = await openLab();
  const { control } = lab;
  await people(control);
  const rule = { subject: { user: "ann" }, resource: { kinds: ["network", "vrf"], all: true }, rights: ["create"] };
  await control.write({ verb: "put", kind: "aclrule", name: "makes", spec: rule } as never);
  await control.write({ verb: "put", kind: "user", name: "ann", spec: { group: "red", quota: { networks: 1 } } });
  const ann = callerOf("ann");
  assert.equal(await tried(control, ann, network("a1", 1)), "done");
  assert.equal(await tried(control, ann, network("a2", 2)), "quota-exceeded");
  const raise = { verb: "put", kind: "user", name: "ann", spec: { group: "red", quota: { networks: 9 } } };
  assert.equal(await tried(control, ann, raise), "forbidden");
  const own = await control.read((view) => quotasFor(view, as("ann")));
  assert.deepEqual(
    own.map(({ name, used }) => [name, used.networks]),
    [
      ["ann", 1],
      ["red", 1],
    ],
  );
});
