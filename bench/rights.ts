// What do rights cost? How many decisions a second, against one that looks up its user and rules anew; how long a user
// waits for the list of those networks of 10,000 that it may see, in the server's process and over TLS, against a walk
// over all of them; what a write costs once the server knows such lists, and until a hundred users who watch have it.
import { strict as assert } from "node:assert";
import type { Control } from "../src/control/control.ts";
import { hasRight, isSubject, principalOf } from "../src/control/rights/rights.ts";
import { isSeenBy, sightOf } from "../src/control/rights/sight.ts";
import type { Principal } from "../src/control/state/principal.ts";
import { type View, get, listOf } from "../src/control/state/view.ts";
import { RIGHTS } from "../src/model/rights.ts";
import { type Quantiles, cellsOf, median, quantilesOf, show } from "./lab/report.ts";
import { type Tls, openTls } from "./rights/tls.ts";
import { CASES, type Case, NETWORKS, inputOf, networkName, openWorld, viewer } from "./rights/world.ts";

const ROUNDS = 200;
const DECISIONS = 1_000_000;
const DECISION_ROUNDS = 9;
/** Each is much dearer. */
const ANEW = 20_000;
const WRITES = 4000;
/** So many are one sample. */
const BLOCK = 100;
const WATCHERS = 100;
const TARGET = { decisionsPerSecond: 1_000_000, listMs: 20 };

type Timed = { readonly asked: Case; readonly walk: Quantiles; readonly inside: Quantiles; readonly tls: Quantiles };

async function main(): Promise<void> {
  const control = await openWorld();
  const tls = await openTls(control);
  const decisions = await control.read(decisionsIn);
  const floor: number[] = [];
  const lists: Timed[] = [];
  for (const asked of CASES) lists.push(await listsOf(control, tls, asked, floor));
  const watched = await watchTimes(control);
  await tls.close();
  const writes = await writeTimes();
  answerWith({ decisions, floor: quantilesOf(floor), lists, watched, writes });
}

async function timed(samples: number[], work: () => unknown): Promise<void> {
  const startedMs = performance.now();
  await work();
  samples.push(performance.now() - startedMs);
}

/** CPU time of the whole process, which others on the machine do not change. */
async function cpuMs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** The same questions to both: some user, network and right. */
function decisionsIn(view: View) {
  const networks = listOf(view, "network");
  const users = [...CASES.map(({ user }) => user), ...Array.from({ length: 20 }, (_, n) => `other${n}`)];
  const principals = users.map((user) => principalOf(view, { user }));
  const [kept, anew]: [number[], number[]] = [[], []];
  const ask = (count: number, who: (n: number) => Principal): number => {
    const startedMs = performance.now();
    let allowed = 0;
    for (let n = 0; n < count; n++) {
      const network = networks[(n * 7919) % networks.length];
      const right = RIGHTS[n % RIGHTS.length];
      if (network !== undefined && right !== undefined && hasRight(who(n), right, network)) allowed++;
    }
    assert.ok(allowed > 0 && allowed < count);
    return (count * 1000) / (performance.now() - startedMs);
  };
  for (let round = 0; round < DECISION_ROUNDS; round++) {
    kept.push(ask(DECISIONS, (n) => principals[n % principals.length] ?? assert.fail()));
    anew.push(ask(ANEW, (n) => principalAnew(view, users[n % users.length] ?? "")));
  }
  return { perSecond: median(kept), ratio: median(kept.map((value, i) => value / (anew[i] ?? Number.NaN))) };
}

function principalAnew(view: View, user: string): Principal {
  const { group = "", groups: others = [] } = get(view, "user", user)?.spec ?? {};
  const groups = new Set([group, ...others]);
  const rules = listOf(view, "aclrule").map(({ spec }) => spec);
  return {
    user,
    group,
    groups,
    rules: rules.filter(({ subject }) => isSubject(subject, user, groups)),
    hosts: new Map(),
  };
}

/** In turns; `floor` is what a request costs that lists nothing. */
async function listsOf(control: Control, tls: Tls, asked: Case, floor: number[]): Promise<Timed> {
  const { user, sees, limit } = asked;
  const [walk, inside, over]: [number[], number[], number[]] = [[], [], []];
  const path = `/v1/networks?limit=${limit}`;
  assert.equal(JSON.parse(await tls.get(path, user)).items.length, Math.min(sees, limit));
  for (let round = 0; round < ROUNDS; round++) {
    await timed(walk, () => control.read((view) => assert.equal(walkOver(view, user).length, sees)));
    await timed(inside, () => control.list("network", viewer(user), { limit }));
    await timed(over, () => tls.get(path, user));
    await timed(floor, () => tls.get("/v1/whoami", user));
  }
  return { asked, walk: quantilesOf(walk), inside: quantilesOf(inside), tls: quantilesOf(over) };
}

function walkOver(view: View, user: string) {
  const sight = sightOf(view, principalOf(view, { user }));
  const seen = listOf(view, "network").filter((each) => isSeenBy(sight, each));
  return seen.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Milliseconds from a write until each of the users who watch has heard of it, and of the same without them. */
async function watchTimes(control: Control): Promise<{ readonly alone: Quantiles; readonly heard: Quantiles }> {
  const [alone, heard]: [number[], number[]] = [[], []];
  for (let n = 0; n < ROUNDS; n++) await timed(alone, () => describe(control, n, "alone"));
  const done = new AbortController();
  const reached = Array.from({ length: WATCHERS }, () => control.revision);
  const readers = reached.map(async (from, i) => {
    const { user } = CASES[i % CASES.length] ?? assert.fail();
    for await (const { revision } of control.watch(from, viewer(user), done.signal)) reached[i] = revision;
  });
  for (let n = 0; n < ROUNDS; n++)
    await timed(heard, async () => {
      await describe(control, n, "watched");
      while (reached.some((revision) => revision < control.revision)) await new Promise(setImmediate);
    });
  done.abort();
  await Promise.all(readers);
  return { alone: quantilesOf(alone), heard: quantilesOf(heard) };
}

type Writes = Readonly<Record<"network" | "endpoint", { readonly cpuUs: number; readonly ratio: number }>>;

/** Two servers in turns: one whose users have listed networks and endpoints, and one whose have not. */
async function writeTimes(): Promise<Writes> {
  const [known, plain] = [await openWorld(), await openWorld()];
  for (const { user } of CASES)
    for (const kind of ["network", "endpoint"] as const) await known.list(kind, viewer(user));
  const work = { network: (of: Control, n: number) => describe(of, n, "written"), endpoint: attach };
  const samples = { network: [[], []] as [number[], number[]], endpoint: [[], []] as [number[], number[]] };
  for (let block = 0; block < WRITES / BLOCK; block++)
    for (const i of block % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const))
      for (const kind of ["network", "endpoint"] as const)
        samples[kind][i].push(
          await cpuMs(async () => {
            for (let n = block * BLOCK; n < (block + 1) * BLOCK; n++) await work[kind]([known, plain][i] ?? known, n);
          }),
        );
  const rowOf = ([ours, theirs]: [number[], number[]]) => ({
    cpuUs: (median(ours) / BLOCK) * 1000,
    ratio: median(ours.map((value, i) => value / (theirs[i] ?? Number.NaN))),
  });
  return { network: rowOf(samples.network), endpoint: rowOf(samples.endpoint) };
}

function describe(control: Control, n: number, description: string): Promise<unknown> {
  const spec = { ...inputOf(n), description };
  return control.write({ verb: "put", kind: "network", name: networkName(n), spec });
}

function attach(control: Control, n: number): Promise<unknown> {
  const owner = `c${n}`;
  const claim = { network: networkName(n), host: "h1", owner, ifname: "eth0", netns: `/run/netns/${owner}` };
  return control.write({ verb: "attach", claim, by: { role: "host", host: "h1" } });
}

type Measured = {
  readonly decisions: { readonly perSecond: number; readonly ratio: number };
  readonly floor: Quantiles;
  readonly lists: readonly Timed[];
  readonly watched: Awaited<ReturnType<typeof watchTimes>>;
  readonly writes: Writes;
};

function answerWith({ decisions, floor, lists, watched, writes }: Measured): void {
  const ofLists = lists.map(({ asked, walk, inside, tls }) => ({ user: asked.user, walk, inside, tls }));
  show(
    {
      bench: "rights",
      values: {
        decisionsPerSecond: decisions.perSecond,
        decisionsRatio: decisions.ratio,
        floor,
        ...Object.fromEntries(ofLists.map(({ user, tls }) => [`${user}Tls`, tls])),
        ...Object.fromEntries(ofLists.map(({ user, walk, inside }) => [`${user}Ratio`, inside.p50 / walk.p50])),
        networkWriteRatio: writes.network.ratio,
        endpointWriteRatio: writes.endpoint.ratio,
        watched: watched.heard,
      },
      columns: [`networks, of ${NETWORKS}; ms`, "p50", "p90", "p99"],
      rows: [
        ...lists.flatMap(({ asked: { what }, walk, inside, tls }) => [
          [`${what}: over TLS`, ...cellsOf(tls)],
          ["    in the server's process", ...cellsOf(inside)],
          ["    by a walk over all", ...cellsOf(walk)],
        ]),
        ["a request that lists nothing, over TLS", ...cellsOf(floor)],
        ["a write of a network", ...cellsOf(watched.alone)],
        [`    until ${WATCHERS} users who watch have it`, ...cellsOf(watched.heard)],
      ],
      notes: [
        `${Math.round(decisions.perSecond / 1000) / 1000} million decisions a second, ` +
          `${decisions.ratio.toFixed(0)} times as many as with users and rules looked up anew. ` +
          `Targets: ${TARGET.decisionsPerSecond / 1e6} million; ` +
          `a list of 10 of ${NETWORKS} within ${TARGET.listMs} ms.`,
        `With the indexes for such lists a write of a network takes ${writes.network.ratio.toFixed(3)} times ` +
          `as much CPU as without (${writes.network.cpuUs.toFixed(0)} µs), ` +
          `an attach ${writes.endpoint.ratio.toFixed(3)} times ` +
          `(${writes.endpoint.cpuUs.toFixed(0)} µs): medians of ${BLOCK} at a time, in turns. ` +
          "Those who watch are told 5 ms after a write, so that the writer is served first.",
      ],
    },
    process.argv,
  );
}

await main();
