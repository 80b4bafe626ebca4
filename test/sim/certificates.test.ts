// Certificates of hosts in time: they come due while the CA is rotated, servers and agents are killed, hosts are away
// for longer than their certificate lasts, clocks are wrong. No host is lost: each has a certificate of the CA that
// signs now, or says how it comes back; and none that was deleted is let in. A failure prints the seed; run it again
// with WEFT_SEED=n. WEFT_SEEDS=n runs that many lives.
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomFrom } from "./lab/clock.ts";
import { Fleet, type Member, refusalOf, toldBy, without } from "./lab/fleet.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
/** Renewed eleven minutes after it was taken. */
const LIFE = { hostMs: 15 * MINUTE };
const COMES_BACK = /join[- ]token/;

test("200 hosts renew their certificates while the CA is rotated and the server restarts: none is lost", async () => {
  const fleet = new Fleet(randomFrom(1), LIFE);
  const all = await joined(fleet, 200);
  const uids = await uidsOf(fleet);
  fleet.lossPercent = 3;
  const of = (n: number) => all.slice(n, n + 5);
  const [away, tokenless, ahead, behind, killed, deleted] = [of(0), of(5), of(10), of(15), of(20), of(25)];
  for (const member of [...away, ...tokenless]) member.isCut = true;
  for (const member of [...tokenless, ...all.slice(15)]) member.disk.joinToken = undefined;
  for (const member of ahead) fleet.setClock(member.wall, 40 * DAY);
  for (const member of behind) fleet.setClock(member.wall, -365 * DAY);
  for (const member of killed) fleet.killAgent(member);
  // They were taken within some seconds, so they come due within some seconds.
  await fleet.clock.advance(10 * MINUTE - 20 * SECOND);
  assert.equal(await fleet.rotate(), true);
  const missing = () => fleet.control?.authority?.show().missing ?? [];
  for (let waits = 0; missing().length > 100; waits++) {
    assert(waits < 300, "hosts renew within a minute");
    await fleet.clock.advance(200);
  }
  fleet.killServer();
  await fleet.clock.advance(20 * SECOND);
  await fleet.startServer();
  assert(missing().length > 50, "killed in the middle");
  for (const member of killed) fleet.startAgent(member);
  for (const member of deleted) assert.equal(await fleet.delete(member), true);
  await fleet.clock.advance(MINUTE);
  assert.deepEqual(namesOf([...away, ...tokenless, ...ahead]), [...missing()].sort());
  assert.equal(await fleet.drop(), false);
  for (const member of ahead) assert.match(toldBy(fleet, member), /set the clock that is wrong/);
  // Past the end of the certificates that were current when they went.
  await fleet.clock.advance(5 * MINUTE);
  for (const member of [...away, ...tokenless]) member.isCut = false;
  for (const member of ahead) fleet.setClock(member.wall, 0);
  await fleet.clock.advance(MINUTE);
  assert.deepEqual(namesOf(without(fleet).keys()), namesOf([...tokenless, ...deleted]));
  for (const member of tokenless) {
    assert.match(toldBy(fleet, member), /has expired at .*join-token-file/);
    fleet.giveToken(member);
  }
  await fleet.clock.advance(MINUTE);
  assert.deepEqual([namesOf(without(fleet).keys()), missing()], [namesOf(deleted), []]);
  assert.equal(await fleet.drop(), true);
  await fleet.clock.advance(MINUTE);
  assert.deepEqual(namesOf(without(fleet).keys()), namesOf(deleted));
  assertDeleted(fleet, "deleted while the CA was rotated");
  for (const member of deleted) assert.match(toldBy(fleet, member), /was deleted at/);
  for (const { name } of deleted) uids.delete(name);
  assert.deepEqual(await uidsOf(fleet), uids, "the same hosts");
  for (const { name, taken } of all) assert(taken <= 6, `${name} was given ${taken} certificates`);
  await fleet.end();
});

const first = Number(process.env["WEFT_SEED"] ?? 1);
const count = process.env["WEFT_SEED"] === undefined ? Number(process.env["WEFT_SEEDS"] ?? 8) : 1;
for (let seed = first; seed < first + count; seed++)
  test(`seed ${seed}: no host is lost, and none that was deleted is let in`, async () => {
    const fleet = new Fleet(randomFrom(seed), LIFE);
    const all = await joined(fleet, 8);
    const uids = await uidsOf(fleet);
    const gone = new Set<Member>();
    fleet.lossPercent = fleet.random(2) * 4;
    for (let n = 0; n < 30; n++) {
      await step(fleet, all, gone);
      assertDeleted(fleet, `seed ${seed}, step ${n}`);
    }
    await heal(fleet);
    for (const [member, why] of without(fleet))
      assert.match(toldBy(fleet, member), COMES_BACK, `seed ${seed}: ${member.name}, because ${why}`);
    // A person does what it says.
    for (const member of all) {
      fleet.giveToken(member);
      if (!gone.has(member) && member.ended === undefined) continue;
      fleet.killAgent(member);
      fleet.startAgent(member);
    }
    await fleet.clock.advance(3 * MINUTE);
    const label = `seed ${seed}: everybody is back`;
    assert.deepEqual(
      [...without(fleet)].map(([{ name }, why]) => `${name}: ${why}`),
      [],
      label,
    );
    const isRotating = fleet.control?.authority?.show().previous !== undefined;
    assert.equal(await fleet.drop(), isRotating, `seed ${seed}`);
    await fleet.clock.advance(MINUTE);
    assert.deepEqual(namesOf(without(fleet).keys()), [], label);
    assertDeleted(fleet, `seed ${seed}`);
    const now = await uidsOf(fleet);
    for (const member of all)
      assert.equal(now.get(member.name) === uids.get(member.name), !gone.has(member), `seed ${seed}: ${member.name}`);
    await fleet.end();
  });

/** Something happens, and time goes on. */
async function step(fleet: Fleet, all: readonly Member[], gone: Set<Member>): Promise<void> {
  const { random } = fleet;
  const member = all[random(all.length)] ?? assert.fail();
  const offset = () => [0, 0, random(60) - 30, random(120) - 60, random(7300) - 3650][random(5)] ?? 0;
  const actions = [
    () => fleet.rotate(),
    () => fleet.rotate(),
    () => fleet.drop(random(3) === 0),
    () => (fleet.control === undefined ? fleet.startServer() : fleet.killServer()),
    () => fleet.startServer(),
    () => (member.running === undefined ? fleet.startAgent(member) : fleet.killAgent(member)),
    () => void (member.isCut = !member.isCut),
    () => fleet.setClock(member.wall, offset() * DAY),
    () => fleet.setClock(fleet.wall, random(4) === 0 ? offset() * DAY : 0),
    () => (random(2) === 0 ? fleet.giveToken(member) : void (member.disk.joinToken = undefined)),
    async () => {
      if (random(2) === 0 && (await fleet.delete(member))) gone.add(member);
    },
  ];
  await actions[random(actions.length)]?.();
  await fleet.clock.advance([0, 5, SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 16 * MINUTE][random(7)] ?? 0);
}

async function heal(fleet: Fleet): Promise<void> {
  fleet.lossPercent = 0;
  fleet.setClock(fleet.wall, 0);
  await fleet.startServer();
  for (const member of fleet.members.values()) {
    fleet.setClock(member.wall, 0);
    member.isCut = false;
    fleet.startAgent(member);
  }
  await fleet.clock.advance(3 * MINUTE);
}

async function joined(fleet: Fleet, hosts: number): Promise<readonly Member[]> {
  await fleet.startServer();
  const all = Array.from({ length: hosts }, () => fleet.addHost());
  // Heartbeats are spread.
  for (const member of all) {
    fleet.startAgent(member);
    await fleet.clock.advance(10_000 / hosts);
  }
  await fleet.clock.advance(MINUTE);
  assert.deepEqual([...without(fleet).values()], []);
  return all;
}

function assertDeleted(fleet: Fleet, label: string): void {
  if (fleet.control === undefined) return;
  for (const certificate of fleet.deleted) assert(refusalOf(fleet, certificate) !== undefined, label);
}

async function uidsOf({ store }: Fleet): Promise<Map<string, string>> {
  const { resources } = await store.read();
  return new Map(resources.flatMap((one) => (one.kind === "host" ? [[one.name, one.uid] as const] : [])));
}

function namesOf(members: Iterable<Member>): readonly string[] {
  return [...members].map(({ name }) => name).sort();
}
