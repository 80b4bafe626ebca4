// What the audit log keeps of large changes: a record has an end, and what is left out can still be told again.
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { type AuditEntry, auditText } from "../../../src/model/audit.ts";

const ENTRY: AuditEntry = { atMs: 1, who: "user/a", credential: "token t", from: "::1", verb: "put", result: "done" };
type Cut = { readonly beginning: string; readonly bytes: number; readonly sha256: string };

test("of a large state its beginning is kept, with size and hash of the rest", () => {
  const after = { spec: { description: "ü".repeat(1_000_000) } };
  const before = { spec: { description: "short" } };
  const text = auditText({ ...ENTRY, changes: [{ key: "network/a", before, after }] }, 7, 3);
  assert.ok(text.length < 20_000, String(text.length));
  assert.match(text, /^\{"seq":7,"revision":3,/);
  const [change] = (JSON.parse(text) as { changes: { before: unknown; after: { cut: Cut } }[] }).changes;
  assert.deepEqual(change?.before, before);
  const whole = JSON.stringify(after);
  const { beginning, bytes, sha256 } = change?.after.cut ?? { beginning: "", bytes: 0, sha256: "" };
  assert.ok(whole.startsWith(beginning));
  const rest = whole.slice(beginning.length);
  assert.deepEqual([bytes, sha256], [Buffer.byteLength(rest), hash("sha256", rest)]);
});

test("all states of a record together have an end, too; every key stays", () => {
  const changes = Array.from({ length: 2000 }, (_, i) => ({
    key: `securitygroup/${i}`,
    after: { spec: { description: "x".repeat(10_000) } },
  }));
  const text = auditText({ ...ENTRY, changes }, 1);
  assert.ok(text.length < 2_000_000, String(text.length));
  assert.equal((JSON.parse(text) as { changes: unknown[] }).changes.length, 2000);
});
