// What a network gives, keeps and takes back, against a judge that knows no index: it looks at every lease of a small
// network, one by one, in the resources as they are listed. Random lives; after each step the answer is the judge's.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../../src/model/fault.ts";
import type { Network, Snapshot } from "../../../src/model/resource.ts";
import {
  NETWORKS,
  type Lease,
  action,
  askable,
  between,
  endsOf,
  fieldsOf,
  isMac,
  isSlaac,
  isV6,
  neverGiven,
  macFor,
  plus,
  splitText,
  textsOf,
} from "./anyLease.ts";
import { type Lab, openLab } from "./lab.ts";
import type { Outcome, Write } from "../../../src/control/write.ts";

const PARENT = "net";
const PIECES = "part";

// What stands in it.

type Step = { readonly all: Snapshot; readonly network: Network; readonly now: number };
const inNetwork = <T extends { readonly spec: { readonly network: string } }>({ network }: Step, list: readonly T[]) =>
  list.filter(({ spec }) => spec.network === network.name);
const freedTexts = ({ spec }: Snapshot["freed"][number]) =>
  spec.range === undefined ? spec.addresses : [...spec.addresses, spec.mac];
const reservedTexts = ({ all, network }: Step) =>
  all.networks
    .filter(({ spec }) => spec.reservedFrom === network.name)
    .flatMap((one) => fieldsOf(one).flat().flatMap(textsOf));
const heldTexts = (step: Step) =>
  inNetwork(step, step.all.holds).flatMap(({ spec }) => {
    const texts = between(spec.first, spec.last);
    assert.ok(texts.length > 0, "a hold of nothing");
    return texts;
  });

/** Why somebody may not have it; undefined if nothing is in the way. */
function obstacle(step: Step, text: string, by: string): string | undefined {
  const user = inNetwork(step, step.all.endpoints).find(
    ({ spec }) => spec.addresses.includes(text) || spec.mac === text,
  );
  if (user !== undefined) return user.name === by ? undefined : "address-taken";
  const freed = inNetwork(step, step.all.freed).find((each) => freedTexts(each).includes(text));
  if (freed !== undefined && (freed.spec.untilMs ?? 0) > step.now && freed.spec.endpoint !== by)
    return "address-quarantined";
  if (heldTexts(step).includes(text)) return "address-held";
  return reservedTexts(step).includes(text) ? "address-reserved" : undefined;
}
/** Whether a search passes it over: also what is only waiting to be swept. */
function isBlocked(step: Step, text: string): boolean {
  const isResting = inNetwork(step, step.all.freed).some(
    (each) => each.spec.untilMs !== undefined && freedTexts(each).includes(text),
  );
  return isResting || obstacle(step, text, "") !== undefined;
}

// Which lease an endpoint gets.

type Given = { readonly addresses: readonly string[]; readonly mac?: string; readonly range?: string | undefined };
type Wish = { readonly range?: string; readonly addresses?: readonly string[]; readonly mac?: string };

function judged(step: Step, name: string, wish: Wish): Given | string {
  return step.network.spec.ranges === undefined ? judgedInSubnets(step, name, wish) : judgedInRanges(step, name, wish);
}

function judgedInRanges(step: Step, name: string, wish: Wish): Given | string {
  const { network } = step;
  const kept = neverGiven(network);
  const fields = fieldsOf(network).filter(([lease]) => wish.range === undefined || lease?.range === wish.range);
  if (fields.length === 0) return "range-unknown";
  const leases = fields.flat();
  const isKept = (lease: Lease) => textsOf(lease).some((text) => kept.has(text));
  const wishes = [...(wish.addresses ?? []), ...(wish.mac === undefined ? [] : [wish.mac])];
  if (wishes.length > 0) {
    const found: Lease[] = [];
    for (const text of wishes) {
      const lease = leases.find((each) => textsOf(each).includes(text));
      if (lease === undefined) {
        const isSame = (other: string) => isMac(other) === isMac(text) && (isMac(text) || isV6(other) === isV6(text));
        return leases.some((each) => textsOf(each).some(isSame)) ? "address-outside" : "family-wrong";
      }
      if (found.some((other) => other !== lease)) return "request-invalid";
      found.push(lease);
    }
    const [lease = assert.fail()] = found;
    if (isKept(lease)) return "address-taken";
    return textsOf(lease).flatMap((text) => obstacle(step, text, name) ?? [])[0] ?? lease;
  }
  const find = (spec: { readonly addresses: readonly string[]; readonly mac: string; readonly range?: string }) =>
    leases.find((each) => each.range === spec.range && textsOf(each).includes(spec.addresses[0] ?? spec.mac));
  const former = formerOf(step, name);
  const again = former === undefined ? undefined : find(former.spec);
  if (again !== undefined && !isKept(again) && textsOf(again).every((t) => obstacle(step, t, name) === undefined))
    return again;
  const free = fields
    .flatMap((field) => turned(step, field, field[0]?.range ?? ""))
    .find((lease) => !isKept(lease) && !textsOf(lease).some((text) => isBlocked(step, text)));
  if (free !== undefined) return free;
  // Of those that are equally old the first range's.
  const place = ({ spec }: { readonly spec: { readonly range?: string } }) =>
    fields.findIndex(([lease]) => lease?.range === spec.range);
  const resting = restingOf(step)
    .filter((freed) => place(freed) >= 0)
    .toSorted((a, b) => a.spec.sinceMs - b.spec.sinceMs || place(a) - place(b));
  for (const freed of resting) {
    const lease = find(freed.spec);
    if (lease !== undefined && textsOf(lease).every((t) => obstacle(step, t, freed.spec.endpoint) === undefined))
      return lease;
  }
  return "exhausted";
}

function judgedInSubnets(step: Step, name: string, wish: Wish): Given | string {
  const { network } = step;
  if (wish.range !== undefined) return "range-unknown";
  const kept = neverGiven(network);
  const fields = fieldsOf(network).map((field) => field.flatMap(({ addresses }) => addresses));
  const former = formerOf(step, name)?.spec.addresses ?? [];
  const isThere = (t: string) => fields.flat().includes(t) && !kept.has(t) && obstacle(step, t, name) === undefined;
  const wanted = (wish.addresses ?? []).length > 0 ? (wish.addresses ?? []) : former.every(isThere) ? former : [];
  for (const [i, text] of wanted.entries()) {
    const field = fields.find(([first = ""]) => isV6(first) === isV6(text));
    if (field === undefined) return "family-wrong";
    if (!field.includes(text)) return "address-outside";
    if (wanted.slice(0, i).some((other) => isV6(other) === isV6(text))) return "request-invalid";
  }
  const addresses: string[] = [];
  for (const field of fields) {
    const text = wanted.find((each) => field.includes(each));
    const refused = text === undefined ? undefined : kept.has(text) ? "address-taken" : obstacle(step, text, name);
    if (refused !== undefined) return refused;
    const leases = field.map((address): Lease => ({ range: undefined, addresses: [address] }));
    const isFree = (address: string) => !kept.has(address) && !isBlocked(step, address);
    const [free] = turned(step, leases, "").flatMap((lease) => lease.addresses.filter(isFree));
    const [oldest] = restingOf(step).flatMap(({ spec }) => spec.addresses.filter((one) => field.includes(one)));
    const given = text ?? free ?? oldest;
    if (given === undefined) return "exhausted";
    addresses.push(given);
  }
  const mac = wish.mac ?? macMade(step, addresses[0] ?? "", kept);
  if (mac === undefined) return "address-taken";
  if (wish.mac !== undefined && (kept.has(mac) || inNetwork(step, step.all.endpoints).some((e) => e.spec.mac === mac)))
    return "address-taken";
  if (reservedTexts(step).includes(mac)) return "address-reserved";
  return { addresses, mac };
}

function macMade(step: Step, address: string, kept: ReadonlySet<string>): string | undefined {
  const isTaken = (mac: string) =>
    kept.has(mac) ||
    inNetwork(step, step.all.endpoints).some(({ spec }) => spec.mac === mac) ||
    reservedTexts(step).includes(mac);
  return ["02", "06", "0e", "12"].map((octet) => octet + macFor(address).slice(2)).find((mac) => !isTaken(mac));
}

/** What the endpoint had last, if it is to have it again. */
const formerOf = (step: Step, name: string) =>
  inNetwork(step, step.all.freed)
    .filter(({ spec }) => spec.endpoint === name)
    .filter(({ spec }) => step.network.spec.sticky === true || (spec.untilMs ?? 0) > step.now)
    .toSorted((a, b) => b.spec.sinceMs - a.spec.sinceMs || b.revision - a.revision)[0];
/** In quarantine, the oldest first. */
const restingOf = (step: Step) =>
  inNetwork(step, step.all.freed)
    .filter(({ spec }) => spec.untilMs !== undefined)
    .toSorted((a, b) => a.spec.sinceMs - b.spec.sinceMs || (a.name < b.name ? -1 : 1));
/** Next-fit begins behind the one that was given last. */
function turned(step: Step, leases: readonly Lease[], range: string): readonly Lease[] {
  const last = inNetwork(step, step.all.cursors).find(({ spec }) => spec.range === range)?.spec.last ?? [];
  const at = leases.findIndex((lease) => textsOf(lease).some((text) => last.includes(text)));
  return step.network.spec.strategy === "next" && at >= 0
    ? [...leases.slice(at + 1), ...leases.slice(0, at + 1)]
    : leases;
}

// Where a piece goes, what may be held.

function judgedPiece(step: Step, size: number, range: string | undefined): string {
  const kept = neverGiven(step.network);
  const fields = fieldsOf(step.network).filter(([lease]) => range === undefined || lease?.range === range);
  if (range !== undefined && (fields.length === 0 || step.network.spec.ranges === undefined)) return "range-unknown";
  const isFree = (lease: Lease) => !textsOf(lease).some((text) => kept.has(text) || isBlocked(step, text));
  const runs = fields.flatMap((field) => {
    const at = field.findIndex((_, i) => i + size <= field.length && field.slice(i, i + size).every(isFree));
    return at < 0 ? [] : [field[at] ?? assert.fail()];
  });
  if (step.network.spec.ranges !== undefined) return runs[0] === undefined ? "exhausted" : placeOf([runs[0]]);
  return runs.length < fields.length ? "exhausted" : placeOf(runs);
}
const placeOf = (runs: readonly Lease[]) =>
  runs.some(({ addresses }) => addresses.length > 0)
    ? runs.flatMap(({ addresses }) => addresses.filter((text) => !isSlaac(text))).join() || (runs[0]?.mac ?? "")
    : (runs[0]?.mac ?? "");

function judgedHold(step: Step, first: string, last: string): string | undefined {
  const kept = neverGiven(step.network);
  const isInRanges = step.network.spec.ranges !== undefined;
  const [a, b] = [splitText(first), splitText(last)];
  if (a.space !== b.space || a.front !== b.front || a.n > b.n) return "request-invalid";
  const span = between(first, last);
  const inField = (leases: readonly Lease[]) => {
    // What SLAAC makes is of the MAC, which can be held.
    const texts = leases.flatMap((lease) => (isInRanges ? textsOf(lease) : lease.addresses)).filter((t) => !isSlaac(t));
    return span.every((text) => texts.includes(text));
  };
  if (!fieldsOf(step.network).some(inField)) return "address-outside";
  if (first === last && !isMac(first) && kept.has(first)) return "address-taken";
  if (heldTexts(step).some((text) => span.includes(text))) return "address-held";
  if (reservedTexts(step).some((text) => span.includes(text))) return "address-reserved";
  const isUsed = inNetwork(step, step.all.endpoints).some(({ spec }) =>
    [...spec.addresses, spec.mac].some((text) => span.includes(text)),
  );
  return isUsed ? "address-taken" : undefined;
}

// Lives.

type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

async function asked(lab: Lab, write: Exclude<Write, { verb: "join" }>): Promise<Outcome | string> {
  return lab.control.write(write).catch((error: unknown) => {
    if (error instanceof Fault) return error.reason;
    throw error;
  });
}
const pick = (texts: readonly string[], n: number) => texts[n % texts.length] ?? assert.fail();
async function stepIn(lab: Lab, name: string): Promise<Step | undefined> {
  const all = await lab.snapshot();
  const network = all.networks.find((one) => one.name === name);
  return network === undefined ? undefined : { all, network, now: lab.time.now };
}
const isKept = (step: Step, { spec }: Snapshot["freed"][number]) => (spec.untilMs ?? 0) > step.now;
const resting = (step: Step) =>
  inNetwork(step, step.all.freed)
    .filter((freed) => isKept(step, freed))
    .flatMap(freedTexts)
    .toSorted();

async function attaches(lab: Lab, step: Step, { owner: who, asks, range: only }: Extract<Action, { do: "attach" }>) {
  const name = `${who}.eth0`;
  const texts = asks.map((n) => pick(askable(step.network), n));
  if (step.all.endpoints.some((each) => each.name === name)) return;
  const addresses = texts.filter((one) => !isMac(one));
  const mac = texts.find(isMac);
  const wish: Wish = {
    ...(addresses.length === 0 ? {} : { addresses }),
    ...(mac === undefined ? {} : { mac }),
    ...(only === undefined ? {} : { range: only }),
  };
  const base = { network: step.network.name, host: "h1", owner: who, ifname: "eth0", netns: "/run/netns/x" };
  const said = await asked(lab, { verb: "attach", claim: { ...base, ...wish }, by: { role: "admin" } });
  const expected = judged(step, name, wish);
  if (typeof said === "string" || typeof expected === "string") {
    assert.equal(typeof said === "string" ? said : "given", expected, JSON.stringify(wish));
    return;
  }
  assert.ok(said.resource?.kind === "endpoint");
  const { spec } = said.resource;
  assert.deepEqual(
    { addresses: spec.addresses, mac: spec.mac, range: spec.range },
    { addresses: expected.addresses, mac: expected.mac, range: expected.range },
  );
  // What it got was in quarantine no longer; what else was there stays.
  const after = (await stepIn(lab, step.network.name)) ?? assert.fail();
  const given = [...spec.addresses, spec.mac];
  const left = inNetwork(step, step.all.freed)
    .filter((freed) => isKept(step, freed))
    .flatMap((freed) => {
      const places = freedTexts(freed);
      if (!places.some((one) => given.includes(one) && (!isMac(one) || spec.range !== undefined))) return places;
      return freed.spec.range === undefined ? places.filter((one) => !given.includes(one)) : [];
    });
  assert.deepEqual(resting(after), left.toSorted());
}

async function detaches(lab: Lab, all: Snapshot, who: string) {
  const endpoint = all.endpoints.find(({ name }) => name === `${who}.eth0`);
  if (endpoint === undefined) return;
  const { network, addresses, mac, range: of } = endpoint.spec;
  await lab.detach(endpoint.name);
  const after = (await stepIn(lab, network)) ?? assert.fail();
  const freed = after.all.freed.find(({ name }) => name === `${network}:${endpoint.uid}`);
  const { quarantine = 60, sticky } = after.network.spec;
  const untilMs = quarantine === 0 ? {} : { untilMs: after.now + quarantine * 1000 };
  const base = { network, endpoint: endpoint.name, addresses, mac, sinceMs: after.now };
  const expected = { ...base, ...(of === undefined ? {} : { range: of }), ...untilMs };
  assert.deepEqual(freed?.spec, quarantine === 0 && sticky !== true ? undefined : expected);
}

async function holdsOrReleases(lab: Lab, step: Step, { do: verb, first: n, more }: Extract<Action, { more: number }>) {
  const first = pick(askable(step.network), n);
  const last = plus(first, more).join();
  const span = { network: PARENT, first, last };
  const texts = between(first, last);
  const before = heldTexts(step);
  if (verb === "hold") {
    const said = await asked(lab, { verb, request: { ...span, reason: "r", owner: "o" } });
    assert.equal(typeof said === "string" ? said : undefined, judgedHold(step, first, last), JSON.stringify(span));
  } else {
    const said = await asked(lab, { verb, span });
    assert.equal(
      typeof said === "string" ? said : undefined,
      texts.length === 0 ? "request-invalid" : texts.every((t) => before.includes(t)) ? undefined : "hold-unknown",
    );
  }
  const after = (await stepIn(lab, PARENT)) ?? assert.fail();
  if (after.all.revision === step.all.revision) return;
  const held = verb === "hold" ? [...before, ...texts] : before.filter((t) => !texts.includes(t));
  assert.deepEqual(heldTexts(after).toSorted(), held.toSorted());
  if (verb === "hold") assert.ok(!resting(after).some((one) => texts.includes(one)), "what is held rests no longer");
}

async function reserves(lab: Lab, step: Step, { size, range: only }: Extract<Action, { size: number }>) {
  const had = step.all.networks.find(({ name }) => name === PIECES)?.spec.ranges?.length ?? 0;
  const request = { name: PIECES, size, ...(only === undefined ? {} : { range: only }) };
  const said = await asked(lab, { verb: "reserve", network: PARENT, request });
  const expected = judgedPiece(step, size, only);
  if (typeof said === "string") return assert.equal(said, expected);
  assert.ok(said.resource?.kind === "network");
  const piece = said.resource.spec.ranges?.[had];
  assert.equal(piece?.size, size);
  assert.equal([piece.first, piece.first6].filter((one) => one !== undefined).join() || piece.mac, expected);
}

/** What a reservation had and what rested there is the parent's; whoever was in it has gone. */
async function returns(lab: Lab, step: Step) {
  const part = await stepIn(lab, PIECES);
  if (part === undefined) return;
  await lab.control.write({ verb: "delete", kind: "network", name: PIECES, force: true });
  const after = (await stepIn(lab, PARENT)) ?? assert.fail();
  const { quarantine = 60 } = part.network.spec;
  const gone = inNetwork(part, part.all.endpoints).flatMap(({ spec }) => [...spec.addresses, spec.mac]);
  const isOfRange = step.network.spec.ranges !== undefined;
  const moved = [...resting(part), ...(quarantine === 0 ? [] : gone)].filter((one) => isOfRange || !isMac(one));
  assert.deepEqual(resting(after), [...resting(step), ...moved].toSorted());
  assert.deepEqual(inNetwork(part, after.all.endpoints), []);
  for (const { name } of after.all.freed) assert.match(name, /^net:[^:]+$/);
}

/** What the map shows of each address, in one state after the other. */
async function isDrawn(lab: Lab, name: string) {
  const step = await stepIn(lab, name);
  if (step === undefined) return;
  const kept = neverGiven(step.network);
  const given = fieldsOf(step.network).flat().flatMap(textsOf);
  const { spec } = step.network;
  const ends = new Set(spec.subnets.flatMap(({ cidr }) => endsOf(cidr)));
  const stateOf = (text: string) => {
    if (obstacle(step, text, "") === "address-taken") return "used";
    const isFreed = inNetwork(step, step.all.freed).some(
      (f) => f.spec.untilMs !== undefined && freedTexts(f).includes(text),
    );
    if (isFreed) return "quarantined";
    if (reservedTexts(step).includes(text)) return "reserved";
    if (heldTexts(step).includes(text)) return "held";
    if (ends.has(text)) return "excluded";
    return kept.has(text) ? "gateway" : given.includes(text) ? "free" : "excluded";
  };
  const map = (await lab.control.spaceMap(name)) ?? assert.fail();
  assert.deepEqual([map.network, map.ipam, map.revision], [name, "global", step.all.revision]);
  for (const { intervals, blocks } of map.subnets) {
    assert.deepEqual(blocks, []);
    for (const { first, last, state } of intervals)
      for (const text of between(first, last)) assert.equal(state, stateOf(text), `${text} of ${name}`);
  }
}

async function act(lab: Lab, one: Action): Promise<void> {
  lab.time.now += 1000;
  const step = (await stepIn(lab, PARENT)) ?? assert.fail();
  if (one.do === "attach") {
    const there = await stepIn(lab, one.network);
    if (there !== undefined) await attaches(lab, there, one);
  } else if (one.do === "wait") lab.time.now += one.seconds * 1000;
  else if (one.do === "expire") await lab.control.write({ verb: "expire" });
  else if (one.do === "detach") await detaches(lab, step.all, one.owner);
  else if (one.do === "hold" || one.do === "release") await holdsOrReleases(lab, step, one);
  else if (one.do === "reserve") await reserves(lab, step, one);
  else await returns(lab, step);
}

test("over any life of a network: what is given, held and reserved is what looking at every lease says", async () => {
  const life = fc.record({
    network: fc.constantFrom(...NETWORKS),
    strategy: fc.constantFrom("lowest", "next" as const),
    sticky: fc.boolean(),
    quarantine: fc.constantFrom(undefined, undefined, 0),
    actions: fc.array(action, { minLength: 30, maxLength: 60 }),
  });
  const property = fc.asyncProperty(life, async ({ network, strategy, sticky, quarantine, actions }) => {
    const lab = await openLab();
    await lab.join(1);
    await lab.put(PARENT, {
      ...network,
      ...(strategy === "next" ? { strategy } : {}),
      sticky,
      ...(quarantine === undefined ? {} : { quarantine }),
    });
    for (const one of actions) await act(lab, one);
    for (const name of [PARENT, PIECES]) await isDrawn(lab, name);
  });
  await fc.assert(property, { numRuns: 100 });
});
