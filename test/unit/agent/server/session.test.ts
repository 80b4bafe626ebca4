// The line to the server: when it joins, what it reports and how often, and what it does when the server says no. Time
// is virtual, the server a script.
import assert from "node:assert/strict";
import { test } from "node:test";
import { settle, VirtualClock, WallClock } from "../../../sim/lab/clock.ts";
import type { Mirror } from "../../../../src/client/mirror.ts";
import type { Joined, Transport } from "../../../../src/client/transport.ts";
import type { HostClaim } from "../../../../src/model/input.ts";
import { Fault, type Reason } from "../../../../src/model/fault.ts";
import type { HostReport } from "../../../../src/model/status.ts";
import { Session, type SessionOptions } from "../../../../src/agent/server/session.ts";
import { BlockLease } from "../../../../src/agent/journal/blockLease.ts";

const fault = (reason: Reason) => new Fault(reason, { what: `it is ${reason}`, fix: "wait" });
const REPORT: HostReport = {
  host: "h1",
  bootId: "boot",
  version: "1",
  revision: 0,
  driftRepaired: 0,
  errors: [],
  networks: [],
  conditions: [],
  hostPrefixes: ["10.0.0.0/8"],
  objects: 0,
};

/** A line whose server answers as `says` says; everything that arrives there is noted with its time. */
function lineWith(options: Partial<SessionOptions> = {}) {
  const clock = new VirtualClock();
  const startMs = clock.nowMs();
  const says = {
    join: undefined as Fault | undefined,
    report: undefined as Fault | undefined,
    claim: { host: "h1", underlay: "192.0.2.1", underlayMtu: 1500, hostPrefixes: ["192.0.2.0/24"] } as
      | HostClaim
      | Fault,
    reclaimAfterMs: undefined as number | undefined,
    suspectAfterMs: undefined as number | undefined,
    save: undefined as Error | undefined,
    /** A certificate is due. */
    isDue: false,
    /** How long the server takes to answer. */
    answerMs: 0,
  };
  const joins: { readonly atMs: number; readonly underlay: string }[] = [];
  const reports: { readonly atMs: number; readonly report: HostReport }[] = [];
  const kept: Joined[] = [];
  const heard = () => ({
    ...(says.suspectAfterMs === undefined ? {} : { suspectAfterMs: says.suspectAfterMs }),
    ...(says.reclaimAfterMs === undefined ? {} : { reclaimAfterMs: says.reclaimAfterMs }),
  });
  let reconnects = 0;
  const transport = {
    join: async (claim: HostClaim) => {
      joins.push({ atMs: clock.nowMs() - startMs, underlay: claim.underlay });
      if (says.answerMs > 0) await clock.sleep(says.answerMs);
      if (says.join !== undefined) throw says.join;
      return { cluster: "c", host: undefined as never, ...heard() };
    },
    report: async (report: HostReport) => {
      reports.push({ atMs: clock.nowMs() - startMs, report });
      if (says.answerMs > 0) await clock.sleep(says.answerMs);
      if (says.report !== undefined) throw says.report;
      return heard();
    },
    isDue: () => says.isDue,
    reconnect: () => void reconnects++,
  } as unknown as Transport;
  const followed = { isSynced: false, problem: undefined as Fault | undefined, runs: 0, end: () => undefined as void };
  const mirror = Object.assign(followed, {
    snapshot: () => undefined,
    run: (signal: AbortSignal) => {
      if (signal.aborted) return Promise.resolve();
      followed.runs++;
      followed.isSynced = true;
      followed.problem = undefined;
      return new Promise<void>((resolve) => {
        followed.end = () => {
          followed.isSynced = false;
          resolve();
        };
        signal.addEventListener("abort", () => resolve());
      });
    },
  });
  const blockLease = new BlockLease(clock, undefined, () => undefined);
  const line = new Session(
    {
      transport,
      mirror: mirror as unknown as Mirror,
      clock,
      random: () => 0.5,
      claim: async () => {
        if (says.claim instanceof Fault) throw says.claim;
        return says.claim;
      },
      cluster: undefined,
      saveIdentity: (joined) => {
        if (says.save !== undefined) throw says.save;
        kept.push(joined);
      },
      blockLease,
      renew: () => false,
      saveSnapshot: async () => undefined,
      log: () => undefined,
      ...options,
    },
    REPORT,
  );
  const stop = new AbortController();
  const ceased: Reason[] = [];
  let ceases: Promise<unknown> = Promise.resolve();
  const outcome: { state: "running" | "ended" | Reason } = { state: "running" };
  const run = () =>
    void line
      .run(stop.signal, async ({ reason }) => {
        ceased.push(reason);
        await ceases;
      })
      .then(
        () => (outcome.state = "ended"),
        (error: unknown) => (outcome.state = error instanceof Fault ? error.reason : "internal"),
      );
  const end = async () => {
    stop.abort();
    await clock.advance(20_000);
    assert.notEqual(outcome.state, "running");
  };
  const count = () => reconnects;
  const letGo = (promise: Promise<unknown>) => void (ceases = promise);
  return {
    letGo,
    stop,
    clock,
    says,
    joins,
    reports,
    kept,
    mirror,
    blockLease,
    line,
    ceased,
    outcome,
    run,
    end,
    reconnects: count,
  };
}

test("while the server is away the line goes on trying, later each time, and at most every ten seconds", async () => {
  for (const reason of ["unavailable", "timeout", "host-cloned"] as const) {
    const { clock, says, joins, mirror, outcome, run, end } = lineWith();
    says.join = fault(reason);
    run();
    await clock.advance(40_000);
    assert.deepEqual(
      joins.map(({ atMs }) => atMs),
      [0, 200, 600, 1_400, 3_000, 6_200, 12_600, 22_600, 32_600],
      reason,
    );
    assert.deepEqual([mirror.runs, outcome.state], [0, "running"]);
    says.join = undefined;
    await clock.advance(10_000);
    assert.deepEqual([mirror.runs, joins.length], [1, 10]);
    await end();
    assert.equal(outcome.state, "ended");
  }
});

test("what the host is, is asked with the heartbeat, and not with every piece of news", async () => {
  let asked = 0;
  const claim = { host: "h1", underlay: "192.0.2.1", underlayMtu: 1500, hostPrefixes: [] };
  const { clock, line, run, end } = lineWith({ claim: () => Promise.resolve({ ...claim, n: asked++ }) });
  run();
  for (let revision = 1; revision <= 95; revision++) {
    line.say({ revision });
    await clock.advance(100);
  }
  assert.equal(asked, 1);
  await clock.advance(25_000);
  assert.equal(asked, 3);
  await end();
});

test("a server that says no to joining ends the run; one of another cluster is not followed, nor kept", async () => {
  const refused = lineWith();
  refused.says.join = fault("token-wrong");
  refused.run();
  await settle();
  assert.deepEqual([refused.outcome.state, refused.mirror.runs, refused.ceased], ["token-wrong", 0, []]);
  const other = lineWith({ cluster: "another" });
  other.run();
  await settle();
  assert.deepEqual([other.outcome.state, other.mirror.runs, other.kept], ["host-claimed", 0, []]);
  const same = lineWith({ cluster: "c" });
  same.run();
  await settle();
  assert.deepEqual([same.outcome.state, same.mirror.runs, same.kept.length], ["running", 1, 1]);
  await same.end();
});

test("a host that was let in before goes on whatever it is refused by, and says so in a condition", async () => {
  for (const reason of ["token-wrong", "certificate-refused", "ca-untrusted"] as const) {
    const { clock, says, joins, mirror, line, outcome, run, end } = lineWith({ cluster: "c" });
    says.join = fault(reason);
    run();
    await clock.advance(40_000);
    assert.deepEqual([outcome.state, mirror.runs, joins.length], ["running", 0, 9], reason);
    says.join = undefined;
    await clock.advance(10_000);
    assert.deepEqual([mirror.runs, line.report.conditions], [1, []]);
    says.join = fault(reason);
    says.isDue = true;
    const before = joins.length;
    await clock.advance(60_000);
    assert.match(line.report.conditions[0] ?? "", /^the server does not let this host in: it is /);
    assert.ok(joins.length - before <= 6, `${joins.length - before} joins in a minute`);
    says.join = undefined;
    says.isDue = false;
    await clock.advance(1_000);
    assert.equal(outcome.state, "running");
    await end();
  }
});

test("a host that joined in this life, and was reclaimed, waits for another join token", async () => {
  const { clock, says, joins, mirror, outcome, run, end } = lineWith({ renew: () => true });
  run();
  await clock.advance(1_000);
  assert.equal(joins.length, 1);
  says.join = fault("token-wrong");
  mirror.problem = fault("host-reclaimed");
  mirror.end();
  await clock.advance(30_000);
  assert.equal(outcome.state, "running");
  assert.ok(joins.length > 5, `${joins.length} joins`);
  says.join = undefined;
  await clock.advance(10_000);
  assert.equal(mirror.runs, 2);
  await end();
});

test("reports go out with the heartbeat, and soon when there is news: gathered, not too close together", async () => {
  const { clock, line, reports, mirror, run, end } = lineWith();
  run();
  await clock.advance(35_000);
  assert.deepEqual(
    reports.map(({ atMs }) => atMs),
    [0, 10_020, 20_040, 30_060],
  );
  // What the host has is told by its claim; a report that still said otherwise would undo that.
  assert.deepEqual(reports[0]?.report.hostPrefixes, ["192.0.2.0/24"]);
  const after = async (ms: number) => {
    const from = reports.length;
    await clock.advance(ms);
    return reports.slice(from).map(({ report }) => report.revision);
  };
  line.say({ revision: 0, errors: [] });
  assert.deepEqual(await after(1_000), [], "no news");
  line.say({ revision: 1 });
  await clock.advance(10);
  line.say({ revision: 2 });
  assert.deepEqual(await after(50), [2]);
  for (let revision = 3; revision < 13; revision++) {
    line.say({ revision });
    await clock.advance(20);
  }
  assert(reports.length <= 4 + 1 + 3, `${reports.length} reports`);
  assert.deepEqual((await after(1_000)).at(-1), 12);
  line.resend();
  assert.deepEqual(await after(200), [12], "as another process must hear it");
  mirror.isSynced = false;
  line.say({ revision: 13 });
  assert.deepEqual(await after(30_000), [], "nobody follows");
  mirror.isSynced = true;
  assert.deepEqual((await after(10_100)).at(0), 13);
  await end();
});

test("a host reports three times in the time after which it would be suspect", async () => {
  for (const [suspectAfterMs, everyMs] of [
    [undefined, 10_000],
    [300_000, 10_000],
    [12_000, 4_000],
    [3_000, 1_000],
    [1_000, 1_000],
  ] as const) {
    const { clock, says, reports, run, end } = lineWith();
    says.suspectAfterMs = suspectAfterMs;
    run();
    await clock.advance(60_000);
    const gaps = reports.slice(1).map(({ atMs }, i) => atMs - (reports[i]?.atMs ?? 0));
    assert(
      gaps.length > 4 && gaps.every((ms) => ms >= everyMs && ms <= everyMs + 100),
      `${suspectAfterMs}: ${gaps.join()}`,
    );
    await end();
  }
});

test("a report that is refused is sent again, and joins and reports are what the host is heard by", async () => {
  const { clock, says, reports, blockLease, run, end } = lineWith();
  says.reclaimAfterMs = 60_000;
  run();
  await clock.advance(30_000);
  blockLease.checkAllocate();
  says.report = fault("unavailable");
  await clock.advance(40_000);
  blockLease.checkAllocate();
  const before = reports.length;
  await clock.advance(20_000);
  assert(reports.length > before);
  assert.throws(() => blockLease.checkAllocate(), /has not reached its server/);
  says.report = undefined;
  await clock.advance(11_000);
  blockLease.checkAllocate();
  says.reclaimAfterMs = undefined;
  await clock.advance(11_000);
  says.report = fault("unavailable");
  await clock.advance(1_000_000);
  blockLease.checkAllocate();
  await end();
});

test("a host whose address changes says so and lets go of its connections; without one it looks on", async () => {
  const { clock, says, joins, line, reports, reconnects, run, end } = lineWith();
  run();
  await clock.advance(15_000);
  assert.deepEqual([joins.length, reconnects()], [1, 0], "what is no news is not said again");
  const claim = says.claim as HostClaim;
  says.claim = { ...claim, underlay: "192.0.2.2", hostPrefixes: ["198.51.100.0/24"] };
  await line.addressesChanged();
  await clock.advance(500);
  assert.deepEqual([joins.map(({ underlay }) => underlay), reconnects()], [["192.0.2.1", "192.0.2.2"], 1]);
  assert.deepEqual(reports.at(-1)?.report.hostPrefixes, ["198.51.100.0/24"]);
  says.claim = new Fault("address-invalid", { what: "there is no address", fix: "give it one" });
  await line.addressesChanged();
  await clock.advance(500);
  assert.equal(reconnects(), 2);
  assert.match(reports.at(-1)?.report.conditions[0] ?? "", /there is no address/);
  const before = reports.length;
  await clock.advance(5_000);
  assert(reports.length - before >= 4, "reports go on");
  // Nobody says so this time: it is found within a second or so.
  says.claim = { ...claim, underlay: "192.0.2.3" };
  await clock.advance(2_500);
  assert.equal(joins.at(-1)?.underlay, "192.0.2.3");
  assert.deepEqual(reports.at(-1)?.report.conditions, []);
  assert.equal(reconnects(), 2, "there was nothing to let go of");
  await end();
});

test("a claim that the server does not take is a condition, and reports go on; one that is away is none", async () => {
  const { clock, says, joins, line, reports, run, end } = lineWith();
  run();
  await clock.advance(1_000);
  const claim = says.claim as HostClaim;
  says.claim = { ...claim, underlayMtu: 9000 };
  for (const [n, reason] of (["unavailable", "timeout"] as const).entries()) {
    says.join = fault(reason);
    await clock.advance(10_500);
    assert.deepEqual([joins.length, line.report.conditions], [2 + n, []]);
  }
  says.join = fault("overlap");
  await clock.advance(11_000);
  assert.match(line.report.conditions[0] ?? "", /^the server does not take what this host says .*: it is overlap/);
  assert.deepEqual(reports.at(-1)?.report.conditions, line.report.conditions);
  says.join = undefined;
  await clock.advance(3_000);
  assert.deepEqual([line.report.conditions, reports.at(-1)?.report.conditions], [[], []]);
  const joined = joins.length;
  await clock.advance(30_000);
  assert.equal(joins.length, joined);
  // Another machine was taken for this one: it claims to be it again, although nothing of it is new.
  says.report = fault("host-cloned");
  await clock.advance(11_000);
  says.report = undefined;
  const cloned = joins.length;
  line.resend();
  await clock.advance(500);
  assert.equal(joins.length, cloned + 1, "as soon as it says something");
  await end();
});

test("an identity that the disk refuses is kept with a later heartbeat, without joining again", async () => {
  const { clock, says, joins, kept, reports, run, end } = lineWith();
  says.save = new Error("ENOSPC");
  run();
  await clock.advance(25_000);
  assert.deepEqual([kept.length, joins.length, reports.length], [0, 1, 3]);
  says.save = undefined;
  await clock.advance(11_000);
  assert.deepEqual([kept.map(({ cluster }) => cluster), joins.length], [["c"], 1]);
  await clock.advance(30_000);
  assert.equal(kept.length, 1, "once");
  await end();
});

test("a host that was given up lets go of all, then joins anew if it may; one that was deleted waits", async () => {
  const renewed: string[] = [];
  const back = lineWith({ renew: () => renewed.push("back") > 0 });
  back.run();
  await back.clock.advance(1_000);
  const endLife = async ({ mirror, clock }: typeof back, reason: Reason) => {
    mirror.problem = fault(reason);
    mirror.end();
    await clock.advance(1_000);
  };
  await endLife(back, "host-reclaimed");
  assert.deepEqual([back.ceased, back.joins.length, back.mirror.runs], [["host-reclaimed"], 2, 2]);
  await endLife(back, "host-deleted");
  assert.deepEqual([back.ceased, back.joins.length], [["host-reclaimed", "host-deleted"], 2]);
  await back.clock.advance(100_000);
  assert.deepEqual([back.joins.length, back.outcome.state, renewed.length], [2, "running", 1]);
  const reported = back.reports.length;
  await back.clock.advance(60_000);
  assert.equal(back.reports.length, reported, "who is none reports nothing");
  await back.end();
  // Without a join token.
  const none = lineWith();
  none.run();
  await none.clock.advance(1_000);
  await endLife(none, "host-reclaimed");
  assert.deepEqual([none.ceased, none.joins.length, none.outcome.state], [["host-reclaimed"], 1, "running"]);
  await none.end();
});

test("a host joins anew only when it has let go of all; one that is being stopped lets go of nothing", async () => {
  const { clock, letGo, mirror, ceased, joins, run, end } = lineWith({ renew: () => true });
  const slow = Promise.withResolvers<void>();
  letGo(slow.promise);
  run();
  await clock.advance(1_000);
  mirror.problem = fault("host-reclaimed");
  mirror.end();
  await clock.advance(60_000);
  assert.deepEqual([ceased, joins.length], [["host-reclaimed"], 1]);
  slow.resolve();
  await clock.advance(1_000);
  assert.equal(joins.length, 2);
  await end();
  const stopped = lineWith({ renew: () => true });
  stopped.run();
  await stopped.clock.advance(1_000);
  stopped.mirror.problem = fault("host-reclaimed");
  stopped.stop.abort();
  await stopped.clock.advance(1_000);
  assert.deepEqual([stopped.outcome.state, stopped.ceased, stopped.joins.length], ["ended", [], 1]);
});

test("an agent that starts as a host that is none begins anew with a join token, and ends without one", async () => {
  for (const reason of ["host-deleted", "host-reclaimed"] as const) {
    const ended = lineWith();
    ended.says.join = fault(reason);
    ended.run();
    await ended.clock.advance(1_000);
    assert.deepEqual([ended.ceased, ended.outcome.state], [[reason], reason]);
    const begun = lineWith({
      renew: () => {
        begun.says.join = undefined;
        return true;
      },
    });
    begun.says.join = fault(reason);
    begun.run();
    await begun.clock.advance(1_000);
    assert.deepEqual([begun.ceased, begun.joins.length, begun.mirror.runs], [[reason], 2, 1]);
    await begun.end();
  }
});

test("how long it waits between two joins is by chance: half of it to one and a half", async () => {
  for (const [random, times] of [
    [0, [0, 100, 300, 700, 1_500, 3_100, 6_300, 11_300, 16_300]],
    [0.5, [0, 200, 600, 1_400, 3_000, 6_200, 12_600, 22_600]],
    [0.75, [0, 250, 750, 1_750, 3_750, 7_750, 15_750]],
  ] as const) {
    const { clock, says, joins, run, end } = lineWith({ random: () => random });
    says.join = fault("unavailable");
    run();
    await clock.advance(times.at(-1) ?? 0);
    assert.deepEqual(
      joins.map(({ atMs }) => atMs),
      times,
    );
    await end();
  }
});

test("a line that is stopped while it joins or lets go does nothing more", async () => {
  const joining = lineWith();
  joining.says.join = fault("unavailable");
  joining.run();
  await joining.clock.advance(1_000);
  const { length } = joining.joins;
  joining.stop.abort();
  joining.says.join = undefined;
  await joining.clock.advance(60_000);
  assert.deepEqual([joining.joins.length, joining.mirror.runs, joining.outcome.state], [length, 0, "ended"]);
  let renewed = 0;
  const ending = lineWith({ renew: () => ++renewed > 0 });
  const slow = Promise.withResolvers<void>();
  ending.letGo(slow.promise);
  ending.run();
  await ending.clock.advance(1_000);
  ending.mirror.problem = fault("host-reclaimed");
  ending.mirror.end();
  await ending.clock.advance(1_000);
  assert.deepEqual(ending.ceased, ["host-reclaimed"]);
  ending.stop.abort();
  slow.resolve();
  await ending.clock.advance(1_000);
  assert.deepEqual([renewed, ending.joins.length, ending.outcome.state], [0, 1, "ended"]);
});

test("a host that was deleted asks for no credential, and a mirror that ends is no end of the host", async () => {
  const renewed: string[] = [];
  const deleted = lineWith({ renew: () => renewed.push("deleted") > 0 });
  deleted.run();
  await deleted.clock.advance(1_000);
  deleted.mirror.problem = fault("host-deleted");
  deleted.mirror.end();
  await deleted.clock.advance(60_000);
  assert.deepEqual([renewed, deleted.joins.length, deleted.outcome.state], [[], 1, "running"]);
  await deleted.end();
  assert.equal(deleted.outcome.state, "ended");
  // A mirror that ends for another reason, or for none, is no end of the host.
  for (const reason of ["another-history", undefined] as const) {
    const other = lineWith({ renew: () => renewed.push("other") > 0 });
    other.run();
    await other.clock.advance(1_000);
    other.mirror.problem = reason === undefined ? undefined : fault(reason);
    other.mirror.end();
    await other.clock.advance(60_000);
    assert.deepEqual([other.ceased, other.outcome.state, renewed], [[], "ended", []]);
  }
});

test("conditions of the line's own come first, and are gone when their cause is", async () => {
  const { clock, line, mirror, reports, says, run, end } = lineWith();
  run();
  await clock.advance(1_000);
  line.say({ conditions: ["the agent's"] });
  mirror.problem = fault("another-history");
  assert.deepEqual(line.report.conditions, [fault("another-history").message, "the agent's"]);
  mirror.problem = fault("unavailable");
  assert.deepEqual(line.report.conditions, ["the agent's"]);
  mirror.problem = undefined;
  says.claim = new Fault("address-invalid", { what: "there is no address", fix: "give it one" });
  await line.addressesChanged();
  await clock.advance(200);
  mirror.problem = fault("another-history");
  const [first, second, third] = line.report.conditions;
  assert.equal(first, fault("another-history").message);
  assert.match(second ?? "", /there is no address/);
  assert.equal(third, "the agent's");
  assert.equal(reports.at(-1)?.report.conditions.length, 2);
  await end();
});

test("a clock that was set is told, with the heartbeat that sees it", async () => {
  const time = new VirtualClock();
  const wall = new WallClock(time);
  const logged: string[] = [];
  const { line, run, stop, reports } = lineWith({ clock: wall.started(), log: (message) => void logged.push(message) });
  run();
  await time.advance(25_000);
  assert.deepEqual([line.report.conditions, logged], [[], []]);
  wall.step(3_600_000);
  await time.advance(11_000);
  assert.match(line.report.conditions.join(), /^clock-stepped: .*"h1"/);
  assert.match(reports.at(-1)?.report.conditions.join() ?? "", /^clock-stepped: /);
  assert.deepEqual(logged, ["clock stepped"]);
  stop.abort();
  await time.advance(20_000);
});

test("what is said is news if any of it differs; the rest of the report stays", async () => {
  const { clock, line, reports, run, end } = lineWith();
  run();
  await clock.advance(1_000);
  const before = reports.length;
  line.say({ revision: 0, errors: [], networks: [], objects: 0 });
  await clock.advance(1_000);
  assert.equal(reports.length, before);
  line.say({ errors: [], networks: ["blue"], objects: 0 });
  await clock.advance(1_000);
  assert.equal(reports.length, before + 1);
  assert.deepEqual(reports.at(-1)?.report, { ...REPORT, networks: ["blue"], hostPrefixes: ["192.0.2.0/24"] });
  await end();
});

test("an agent that starts without an address says so, and joins when it has one", async () => {
  const { clock, says, joins, line, run, end, reconnects, mirror } = lineWith();
  const { claim } = says;
  says.claim = new Fault("address-invalid", { what: "there is no address", fix: "give it one" });
  run();
  await clock.advance(5_000);
  assert.deepEqual([joins.length, mirror.runs], [0, 0]);
  assert.match(line.report.conditions.join(), /there is no address/);
  says.claim = claim;
  await clock.advance(20_000);
  assert.deepEqual([joins.length, mirror.runs, line.report.conditions, reconnects()], [1, 1, [], 0]);
  await end();
});

test("a host is heard as of when it asked, not of when it was answered", async () => {
  const { clock, says, blockLease, run, end } = lineWith();
  says.reclaimAfterMs = 60_000;
  says.answerMs = 40_000;
  run();
  // Asked at once, answered after forty seconds; it may assign until fifty-four after it asked.
  await clock.advance(40_000);
  blockLease.checkAllocate();
  await clock.advance(13_999);
  blockLease.checkAllocate();
  await clock.advance(1);
  assert.throws(() => blockLease.checkAllocate(), /has not reached its server/);
  says.answerMs = 0;
  await clock.advance(40_000);
  await end();
});

test("between two reports there are a tenth of a second and a gathering, however much there is to say", async () => {
  const { clock, line, reports, run, end } = lineWith();
  run();
  await clock.advance(1_000);
  const from = reports.length;
  for (let revision = 1; revision <= 200; revision++) {
    line.say({ revision });
    await clock.advance(5);
  }
  const gaps = reports.slice(from + 1).map(({ atMs }, i) => atMs - (reports[from + i]?.atMs ?? 0));
  assert(gaps.length >= 8, gaps.join());
  assert(
    gaps.every((gap) => gap >= 100 && gap <= 110),
    gaps.join(),
  );
  // One that comes after a pause waits for what comes with it, and no longer.
  await clock.advance(5_000);
  const sinceMs = clock.nowMs();
  line.say({ revision: 300 });
  await clock.advance(1_000);
  const last = reports.at(-1) ?? assert.fail();
  assert.equal(last.report.revision, 300);
  assert.equal(last.atMs - (reports[0]?.atMs ?? 0), sinceMs + 20 - 1_700_000_000_000);
  await end();
});
