// What every store promises about the audit log, as tests beside contract.ts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { verifyAudit } from "../../../src/control/audit/verify.ts";
import { type AuditEntry, type AuditVerdict, auditHash, firstAuditHash } from "../../../src/model/audit.ts";
import type { Store } from "../../../src/store/store.ts";
import { type OpenStore, entry, host, putting, refusal } from "./contract.ts";

/** What verification says of the store as it is. */
export function verdictOn(store: Store): Promise<AuditVerdict> {
  return verifyAudit(store, async () => {});
}

type Read = { readonly seq: number; readonly revision?: number; readonly verb: string; readonly trimmed?: object };
export function recordsIn(store: Store): Read[] {
  return store.audit.rows({ after: 0, limit: 100_000 }).map(({ text }) => JSON.parse(text) as Read);
}

function brief(store: Store): string[] {
  return recordsIn(store).map(
    ({ seq, revision, verb }) => `${seq} ${verb}${revision === undefined ? "" : ` ${revision}`}`,
  );
}

/** What every store promises about the audit log. */
export function auditContract(name: string, open: OpenStore): void {
  describe(`${name}: audit log`, { timeout: 60_000 }, () => {
    recordContract(open);
    trimContract(open);
    pageContract(open);
  });
}

function recordContract(open: OpenStore): void {
  test("has a record of each commit, in order, and others after those of their call", async () => {
    const store = open({ cluster: "c" });
    assert.deepEqual(store.audit.ends().head, { seq: 0, hash: firstAuditHash("c"), revision: 0 });
    await store.commit([putting(host("h1")), { ...putting(host("h2")), audit: entry("attach") }], [], [entry("login")]);
    await store.commit([], [], [entry("refused")]);
    await store.commit([putting(host("h3"))]);
    assert.deepEqual(brief(store), ["1 put 1", "2 attach 2", "3 login", "4 refused", "5 put 3"]);
    assert.equal(store.revision, 3);
    const [first, second] = store.audit.rows({ after: 0, limit: 2 });
    assert.equal(first?.hash, auditHash(firstAuditHash("c"), first?.text ?? ""));
    assert.equal(second?.hash, auditHash(first?.hash ?? "", second?.text ?? ""));
    const { isWhole, records, head } = await verdictOn(store);
    assert.deepEqual([isWhole, records, head.seq, head.revision], [true, 5, 5, 3]);
    await store.close();
  });

  test("is read from a place on, or back from one", async () => {
    const store = open();
    for (let n = 1; n <= 9; n++) await store.commit([putting(host("h"))]);
    const seqs = (span: Parameters<Store["audit"]["rows"]>[0]) => store.audit.rows(span).map(({ seq }) => seq);
    assert.deepEqual(seqs({ after: 0, limit: 3 }), [1, 2, 3]);
    assert.deepEqual(seqs({ after: 7, limit: 3 }), [8, 9]);
    assert.deepEqual(seqs({ after: 9, limit: 3 }), []);
    assert.deepEqual(seqs({ before: 100, limit: 3 }), [9, 8, 7]);
    assert.deepEqual(seqs({ before: 3, limit: 3 }), [2, 1]);
    assert.deepEqual(seqs({ before: 1, limit: 3 }), []);
    await store.close();
  });

  test("says nothing of what failed", async () => {
    const store = open();
    await store.commit([putting(host("h1"))]);
    const stale = { ...putting(host("h1")), preconditions: [{ key: "host/h1" as const, revision: 9 }] };
    await assert.rejects(store.commit([putting(host("h2")), stale], [], [entry("x")]), refusal("revision-stale"));
    await store.commit([putting(host("h3"))]);
    assert.deepEqual(brief(store), ["1 put 1", "2 put 2"]);
    assert.equal((await verdictOn(store)).isWhole, true);
    await store.close();
  });
}

function pageContract(open: OpenStore): void {
  test("a page has an end in size; going on after it gives every record, and the chain holds", async () => {
    const store = open();
    const audit = (n: number): AuditEntry => {
      const after = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`k${i}`, "x".repeat(1000)]));
      const changes = Array.from({ length: 70 }, (_, i) => ({ key: `network/n${i}`, after }));
      return { ...entry("put", n), changes };
    };
    for (let n = 1; n <= 24; n++) await store.commit([{ ...putting(host("h")), audit: audit(n) }]);
    const sizes: number[] = [];
    const seen: number[] = [];
    for (let rows = store.audit.rows({ after: 0, limit: 1000 }); rows.length > 0; ) {
      sizes.push(rows.reduce((sum, { text }) => sum + text.length, 0));
      seen.push(...rows.map(({ seq }) => seq));
      rows = store.audit.rows({ after: seen.at(-1) ?? 0, limit: 1000 });
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 24 }, (_, i) => i + 1),
    );
    assert.ok(sizes.length > 1 && Math.max(...sizes) < 10 * 1024 * 1024, String(sizes));
    assert.equal((await verdictOn(store)).isWhole, true);
    await store.close();
  });
}

function trimContract(open: OpenStore): void {
  test("what is too much goes from the beginning, a record says so, and the rest is proven", async () => {
    const store = open({ audit: { ageMs: 1e12, bytes: 20_000 } });
    for (let n = 1; n <= 200; n++) await store.commit([putting(host("h"))]);
    assert.equal(store.audit.trim(500), false);
    const kept = recordsIn(store);
    assert.ok(kept.length > 50 && kept.length < 100, `${kept.length} are kept`);
    assert.equal(kept.at(-1)?.verb, "trim");
    const { anchor } = store.audit.ends();
    assert.deepEqual(kept.at(-1)?.trimmed, anchor);
    assert.deepEqual([anchor.seq + 1, anchor.revision + 1], [kept[0]?.seq, kept[0]?.revision]);
    assert.equal(store.audit.trim(500), false);
    assert.equal(recordsIn(store).length, kept.length);
    await store.commit([putting(host("h"))]);
    const verdict = await verdictOn(store);
    assert.deepEqual([verdict.isWhole, verdict.head.revision, verdict.records], [true, 201, kept.length + 1]);
    await store.close();
  });

  test("what is too old goes, also with no commit since", async () => {
    const store = open({ audit: { ageMs: 100, bytes: 1e9 } });
    for (let n = 1; n <= 9; n++) await store.commit([{ ...putting(host("h")), audit: entry("put", n * 100) }]);
    assert.equal(store.audit.trim(200), false);
    assert.equal(recordsIn(store).length, 9);
    store.audit.trim(701);
    assert.deepEqual(brief(store), ["7 put 7", "8 put 8", "9 put 9", "10 trim"]);
    store.audit.trim(1e6);
    assert.deepEqual(brief(store), ["11 trim"]);
    assert.equal((await verdictOn(store)).isWhole, true);
    assert.equal(store.revision, 9);
    await store.commit([putting(host("h"))]);
    assert.equal((await verdictOn(store)).isWhole, true);
    await store.close();
  });
}
