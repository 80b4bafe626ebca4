// When a host was last heard of, since when it is as it is, and what of that people are shown.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { VrfSpec } from "../../../../src/model/resource.ts";
import { ReplayLog } from "../../../../src/control/commit/replayLog.ts";
import { LIVENESS } from "../../../../src/control/hosts/liveness.ts";
import { reportOf } from "../lab.ts";
import { Reports } from "../../../../src/control/report/reports.ts";
import { viewOf } from "../../../../src/control/state/view.ts";

/** Two hosts; the wall clock is an hour ahead of the monotonic one. */
function lab() {
  const time = { now: 1_000_000 };
  const clock = { nowMs: () => time.now + 3_600_000, monotonicMs: () => time.now, sleep: async () => {} };
  const hosts = [1, 2].map((n) => {
    const spec = { underlay: `192.168.0.${n}`, underlayMtu: 1500, order: 3 - n };
    return { kind: "host", name: `h${n}`, uid: `u${n}`, revision: n, spec } as const;
  });
  const base = { index: 1, vni: 4096, tunnelPort: 4789, vtepSubnets: [], vtepMacOui: "70:b3:d5", hostAccess: false };
  const vrf = (name: string, masters: string[], agents: string[]) => {
    const spec: VrfSpec = { ...base, dcos: { vtepMacOui: "", masters, agents } };
    return { kind: "vrf", name, uid: name, revision: 3, spec } as const;
  };
  const view = viewOf("lab", 7, [
    ...hosts,
    vrf("a", ["192.168.0.1", "10.0.0.8"], ["10.0.0.9"]),
    vrf("b", ["10.0.0.8"], []),
  ]);
  const reports = new Reports(LIVENESS, clock);
  const say = (host: string, more = {}) => reports.receive(reportOf(host, more), view, new ReplayLog(0, 100));
  const rows = () =>
    reports.status(view, []).hosts.map(({ host, state, sinceMs }) => [host, state, sinceMs && sinceMs - 3_600_000]);
  return { time, reports, say, rows, view };
}

test("a ready host is so since it was first heard of, and anew after it was silent", () => {
  const { time, reports, say, rows } = lab();
  const start = time.now;
  const h1 = () => rows().find(([host]) => host === "h1");
  assert.deepEqual(h1(), ["h1", "suspect", start], "this server has not heard of it");
  time.now += 500;
  say("h1");
  for (const ms of [10_000, 20_000, 30_000]) {
    time.now = start + 500 + ms;
    say("h1");
    assert.deepEqual(h1(), ["h1", "ready", start + 500]);
  }
  time.now += 30_001;
  assert.deepEqual(h1(), ["h1", "suspect", time.now - 1]);
  say("h1");
  assert.deepEqual(h1(), ["h1", "ready", time.now]);
  time.now += 300_001;
  assert.deepEqual(h1(), ["h1", "lost", time.now - 1]);
  reports.forget("h1");
  assert.deepEqual(h1(), ["h1", "lost", start + 300_000]);
});

test("a host that joins, or is only seen, is heard of", () => {
  const { time, reports, say } = lab();
  time.now += 50_000;
  reports.joined("h1");
  assert.deepEqual(reports.heard("h1"), { host: "h1", heardAtMs: time.now, hasReported: false });
  assert.equal(reports.liveness("h1").state, "suspect");
  time.now += 1000;
  say("h1");
  time.now += 1000;
  reports.joined("h1");
  assert.deepEqual(reports.heard("h1"), { host: "h1", heardAtMs: time.now - 1000, hasReported: true });
  time.now += 200_000;
  reports.sighted("h1");
  reports.sighted("h2");
  for (const host of ["h1", "h2"]) {
    assert.deepEqual(reports.heard(host), { host, heardAtMs: time.now, hasReported: true });
    assert.equal(reports.liveness(host).state, "ready");
  }
  time.now += 5000;
  say("h1");
  assert.equal(reports.heard("h1").heardAtMs, time.now, "the later of the two");
});

test("rows: hosts as they registered, then reclaimed ones, then addresses that a configuration names", () => {
  const { time, reports, rows, say, view } = lab();
  say("h1", { objects: 12 });
  const gone = { underlay: "192.168.0.7", by: "person", blocks: [], endpoints: [] } as const;
  const departures = [
    { ...gone, host: "h7", atMs: 5, how: "reclaimed" },
    { ...gone, host: "h8", atMs: 6, how: "deleted" },
    { ...gone, host: "h1", atMs: 7, how: "reclaimed" },
  ] as const;
  const status = reports.status(view, departures);
  assert.deepEqual(
    status.hosts.map(({ host, underlay, state }) => `${host} ${underlay} ${state}`),
    [
      "h2 192.168.0.2 suspect",
      "h1 192.168.0.1 ready",
      "h7 192.168.0.7 reclaimed",
      "10.0.0.8 10.0.0.8 expected",
      "10.0.0.9 10.0.0.9 expected",
    ],
  );
  assert.deepEqual([status.cluster, status.revision, status.paths], ["lab", 7, undefined]);
  const [, h1, h7] = status.hosts;
  assert.deepEqual([h1?.status?.objects, h1?.status?.reportedAtMs, h7?.sinceMs], [12, time.now + 3_600_000, 5]);
  assert.equal(rows().length, 4);
});

test("lag is from the newest commit that concerns a host to its report, and stays known", () => {
  const { time, reports, view } = lab();
  const replayLog = new ReplayLog(0, 100);
  const before = (host: string) => new Map([[`host/${host}` as const, undefined]]);
  const commit = (host: string) => replayLog.record(before(host), time.now);
  const say = (revision: number) => reports.receive(reportOf("h1", { revision }), view, replayLog);
  commit("h1");
  time.now += 5;
  assert.equal(say(1), undefined, "nothing is known of where it was");
  commit("h1");
  time.now += 40;
  commit("h1");
  time.now += 60;
  assert.equal(say(2), 100);
  assert.equal(say(2), undefined);
  assert.equal(say(3), 60);
  assert.equal(reports.status(view, []).hosts[1]?.status?.lagMs, 60);
  assert.equal(say(3), undefined);
  assert.equal(reports.status(view, []).hosts[1]?.status?.lagMs, 60);
});
