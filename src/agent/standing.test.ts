import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Fault } from "../model/fault.ts";
import { realFiles } from "../files/real.ts";
import { openDisk } from "./disk.ts";
import { Standing, type StandingRecord } from "./standing.ts";

const MINUTE = 60_000;
const clock = {
  now: 1_000 * MINUTE,
  offset: 0,
  nowMs: () => clock.now + clock.offset,
  monotonicMs: () => clock.now,
  sleep: () => Promise.resolve(),
};
const RECLAIMED = new Fault("host-reclaimed", { what: 'host "h1" was reclaimed', why: "it was lost", fix: "join" });
const refuses = (standing: Standing, reason: string, text: RegExp) =>
  assert.throws(
    () => standing.checkAssign(),
    (e) => e instanceof Fault && e.reason === reason && text.test(e.message),
  );

/** A disk, and agents that come and go over it. */
function life() {
  let kept: StandingRecord | undefined;
  return { start: () => new Standing(clock, kept, (record) => (kept = record)) };
}

test("where the server gives nobody up, a host assigns however long it is alone", () => {
  const standing = life().start();
  standing.checkAssign();
  standing.heard(standing.sending(), undefined);
  clock.now += 10_000 * MINUTE;
  standing.checkAssign();
});

test("a host stops before the server may begin, also after a restart, until it is heard", () => {
  const disk = life();
  const standing = disk.start();
  standing.heard(standing.sending(), 10 * MINUTE);
  clock.now += 9 * MINUTE - 1;
  standing.checkAssign();
  clock.now += 1;
  refuses(standing, "unavailable", /not reached its server for 9m: .*after 10m \(reclaim-after\)/);
  // How long it was not heard before it started, nobody knows.
  const restarted = disk.start();
  refuses(restarted, "unavailable", /not reached its server since its agent started/);
  restarted.heard(restarted.sending(), 10 * MINUTE);
  restarted.checkAssign();
  restarted.heard(standing.sending(), undefined);
  disk.start().checkAssign();
});

test("silence is what the longer of two clocks says: one may be set back, the other stands still in sleep", () => {
  const standing = life().start();
  standing.heard(standing.sending(), 10 * MINUTE);
  clock.offset = -60 * MINUTE;
  clock.now += 10 * MINUTE;
  refuses(standing, "unavailable", /not reached its server for 10m/);
  standing.heard(standing.sending(), 10 * MINUTE);
  standing.checkAssign();
  clock.offset += 10 * MINUTE;
  refuses(standing, "unavailable", /not reached its server for 10m/);
  clock.offset = 0;
});

test("a host that is no longer assigns nothing, over any restart, until it has begun anew", () => {
  const disk = life();
  const standing = disk.start();
  standing.begin();
  assert.equal(standing.life, 0);
  standing.end(RECLAIMED);
  assert.equal(standing.life, 1);
  for (const one of [standing, disk.start()]) {
    refuses(one, "host-reclaimed", /^host "h1" was reclaimed: it was lost; join$/);
    assert.deepEqual(one.ended?.detail, RECLAIMED.detail);
  }
  standing.begin();
  standing.checkAssign();
  disk.start().checkAssign();
});

test("a host joins anew with a credential that nobody refused, the same until it is answered", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-standing-"));
  try {
    let made = 0;
    const make = () => `credential-${++made}`;
    const disk = openDisk(folder, realFiles);
    const none = new Set<string>();
    const first = disk.proposal(make);
    disk.saveIdentity({ host: "h1", cluster: "c", token: first });
    const second = disk.nextProposal(make, none);
    assert.notEqual(second, first, "the first is what was ended");
    assert.equal(openDisk(folder, realFiles).nextProposal(make, none), second, "the answer may have been lost");
    assert.equal(disk.proposal(make), second);
    const third = disk.nextProposal(make, new Set([second]));
    assert(third !== second && third !== first);
    disk.saveIdentity({ host: "h1", cluster: "c", token: third });
    assert.notEqual(disk.nextProposal(make, none), third);
    disk.saveStanding({ reclaimAfterMs: 5, ended: RECLAIMED });
    assert.deepEqual(openDisk(folder, realFiles).standing()?.ended?.reason, "host-reclaimed");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
