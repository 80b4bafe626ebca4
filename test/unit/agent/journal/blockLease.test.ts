// How long a host may assign addresses from its blocks when the server does not answer.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import { realFiles } from "../../../../src/files/real.ts";
import { openDisk } from "../../../../src/agent/server/stateDir.ts";
import { BlockLease, type BlockLeaseRecord } from "../../../../src/agent/journal/blockLease.ts";

const MINUTE = 60_000;
const clock = {
  now: 1_000 * MINUTE,
  offset: 0,
  nowMs: () => clock.now + clock.offset,
  monotonicMs: () => clock.now,
  sleep: () => Promise.resolve(),
};
const RECLAIMED = new Fault("host-reclaimed", { what: 'host "h1" was reclaimed', why: "it was lost", fix: "join" });
const refuses = (blockLease: BlockLease, reason: string, text: RegExp) =>
  assert.throws(
    () => blockLease.checkAllocate(),
    (e) => e instanceof Fault && e.reason === reason && text.test(e.message),
  );

/** A disk, and agents that come and go over it. */
function life() {
  let kept: BlockLeaseRecord | undefined;
  return { start: () => new BlockLease(clock, kept, (record) => (kept = record)) };
}

test("where the server gives nobody up, a host assigns however long it is alone", () => {
  const blockLease = life().start();
  blockLease.checkAllocate();
  blockLease.heard(blockLease.sending(), undefined);
  clock.now += 10_000 * MINUTE;
  blockLease.checkAllocate();
});

test("a host stops before the server may begin, also after a restart, until it is heard", () => {
  const disk = life();
  const blockLease = disk.start();
  blockLease.heard(blockLease.sending(), 10 * MINUTE);
  clock.now += 9 * MINUTE - 1;
  blockLease.checkAllocate();
  clock.now += 1;
  refuses(blockLease, "unavailable", /not reached its server for 9m: .*after 10m \(reclaim-after\)/);
  // How long it was not heard before it started, nobody knows.
  const restarted = disk.start();
  refuses(restarted, "unavailable", /not reached its server since its agent started/);
  restarted.heard(restarted.sending(), 10 * MINUTE);
  restarted.checkAllocate();
  restarted.heard(blockLease.sending(), undefined);
  disk.start().checkAllocate();
});

test("silence is what the longer of two clocks says: one may be set back, the other stands still in sleep", () => {
  const blockLease = life().start();
  blockLease.heard(blockLease.sending(), 10 * MINUTE);
  clock.offset = -60 * MINUTE;
  clock.now += 10 * MINUTE;
  refuses(blockLease, "unavailable", /not reached its server for 10m/);
  blockLease.heard(blockLease.sending(), 10 * MINUTE);
  blockLease.checkAllocate();
  clock.offset += 10 * MINUTE;
  refuses(blockLease, "unavailable", /not reached its server for 10m/);
  clock.offset = 0;
});

test("a host that is no longer assigns nothing, over any restart, until it has begun anew", () => {
  const disk = life();
  const blockLease = disk.start();
  blockLease.begin();
  assert.equal(blockLease.incarnation, 0);
  blockLease.end(RECLAIMED);
  assert.equal(blockLease.incarnation, 1);
  for (const one of [blockLease, disk.start()]) {
    refuses(one, "host-reclaimed", /^host "h1" was reclaimed: it was lost; join$/);
    assert.deepEqual(one.ended?.detail, RECLAIMED.detail);
  }
  blockLease.begin();
  blockLease.checkAllocate();
  disk.start().checkAllocate();
});

test("a host joins anew with a credential that nobody refused, the same until it is answered", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-blockLease-"));
  try {
    let made = 0;
    const make = () => `credential-${++made}`;
    const disk = openDisk(folder, realFiles);
    const none = new Set<string>();
    const first = disk.proposal(make);
    disk.saveIdentity({ host: "h1", cluster: "c", key: first });
    const second = disk.nextProposal(make, none);
    assert.notEqual(second, first, "the first is what was ended");
    assert.equal(openDisk(folder, realFiles).nextProposal(make, none), second, "the answer may have been lost");
    assert.equal(disk.proposal(make), second);
    const third = disk.nextProposal(make, new Set([second]));
    assert(third !== second && third !== first);
    disk.saveIdentity({ host: "h1", cluster: "c", key: third });
    assert.notEqual(disk.nextProposal(make, none), third);
    disk.saveBlockLease({ reclaimAfterMs: 5, ended: RECLAIMED });
    assert.deepEqual(openDisk(folder, realFiles).blockLease()?.ended?.reason, "host-reclaimed");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** A disk that counts, and refuses when it is told to. */
function countedDisk(record?: BlockLeaseRecord) {
  const disk = { kept: record, writes: 0, isFull: false };
  const blockLease = new BlockLease(clock, record, (next) => {
    if (disk.isFull) throw new Error("ENOSPC");
    disk.writes++;
    disk.kept = next;
  });
  return { disk, blockLease };
}

test("the disk is written when there is news, and again until it has it", () => {
  const { disk, blockLease } = countedDisk();
  const heard = (reclaimAfterMs?: number) => blockLease.heard(blockLease.sending(), reclaimAfterMs);
  heard();
  assert.deepEqual([disk.writes, disk.kept], [0, undefined], "there is nothing to keep");
  heard(5 * MINUTE);
  heard(5 * MINUTE);
  assert.deepEqual([disk.writes, disk.kept], [1, { reclaimAfterMs: 5 * MINUTE }]);
  heard(6 * MINUTE);
  assert.deepEqual([disk.writes, disk.kept], [2, { reclaimAfterMs: 6 * MINUTE }]);
  disk.isFull = true;
  heard();
  blockLease.checkAllocate();
  assert.deepEqual(disk.kept, { reclaimAfterMs: 6 * MINUTE });
  disk.isFull = false;
  heard();
  assert.deepEqual([disk.writes, disk.kept], [3, {}]);
  heard();
  assert.equal(disk.writes, 3);
});

test("what is known beside it is kept when a host ends, and when it begins anew", () => {
  const { disk, blockLease } = countedDisk({ reclaimAfterMs: 5 * MINUTE });
  blockLease.begin();
  assert.equal(disk.writes, 0, "it has not ended");
  blockLease.end(RECLAIMED);
  const ended = { reason: RECLAIMED.reason, detail: RECLAIMED.detail };
  assert.deepEqual(disk.kept, { reclaimAfterMs: 5 * MINUTE, ended });
  blockLease.heard(blockLease.sending(), 7 * MINUTE);
  assert.deepEqual(disk.kept, { reclaimAfterMs: 7 * MINUTE, ended });
  assert.equal(blockLease.ended?.reason, "host-reclaimed");
  disk.isFull = true;
  assert.throws(() => blockLease.begin(), /ENOSPC/);
  assert.equal(blockLease.ended?.reason, "host-reclaimed", "a restart would still be the old one");
  disk.isFull = false;
  blockLease.begin();
  assert.deepEqual([disk.kept, blockLease.ended], [{ reclaimAfterMs: 7 * MINUTE }, undefined]);
  blockLease.end(RECLAIMED);
  assert.equal(blockLease.incarnation, 2);
});

test("what was refused by the disk at the end is kept with the next answer, though nothing else is news", () => {
  const { disk, blockLease } = countedDisk({});
  disk.isFull = true;
  blockLease.end(RECLAIMED);
  assert.deepEqual(disk.kept, {});
  disk.isFull = false;
  blockLease.heard(blockLease.sending(), undefined);
  assert.equal(disk.kept?.ended?.reason, "host-reclaimed");
  const { writes } = disk;
  blockLease.heard(blockLease.sending(), undefined);
  assert.equal(disk.writes, writes);
});

test("a host whose record was lost assigns nothing until it is heard, whatever the server says then", () => {
  for (const reclaimAfterMs of [undefined, 5 * MINUTE]) {
    const { disk, blockLease } = countedDisk({ isUnsure: true });
    refuses(blockLease, "unavailable", /does not know whether its blocks are still its own/);
    blockLease.heard(blockLease.sending(), reclaimAfterMs);
    blockLease.checkAllocate();
    assert.deepEqual(disk.kept, reclaimAfterMs === undefined ? {} : { reclaimAfterMs });
  }
});

test("what the disk has is not written again: neither after an answer, nor after the host has begun anew", () => {
  const { disk, blockLease } = countedDisk({ reclaimAfterMs: 5 * MINUTE });
  blockLease.heard(blockLease.sending(), 5 * MINUTE);
  assert.equal(disk.writes, 0);
  blockLease.end(RECLAIMED);
  blockLease.heard(blockLease.sending(), 5 * MINUTE);
  assert.equal(disk.writes, 1);
  blockLease.begin();
  blockLease.heard(blockLease.sending(), 5 * MINUTE);
  blockLease.begin();
  assert.deepEqual([disk.writes, disk.kept], [2, { reclaimAfterMs: 5 * MINUTE }]);
  // A record that the disk refused is written with the next answer, and then no more.
  disk.isFull = true;
  blockLease.end(RECLAIMED);
  blockLease.heard(blockLease.sending(), 5 * MINUTE);
  assert.equal(disk.writes, 2);
  disk.isFull = false;
  for (let n = 0; n < 2; n++) blockLease.heard(blockLease.sending(), 5 * MINUTE);
  assert.deepEqual([disk.writes, disk.kept?.ended?.reason], [3, "host-reclaimed"]);
  disk.isFull = true;
  blockLease.heard(blockLease.sending(), 6 * MINUTE);
  disk.isFull = false;
  blockLease.begin();
  blockLease.heard(blockLease.sending(), 6 * MINUTE);
  assert.deepEqual([disk.writes, disk.kept], [4, { reclaimAfterMs: 6 * MINUTE }]);
});
