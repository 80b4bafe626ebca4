// What somebody who can write the store's file does to the audit log is found, and where.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, test } from "node:test";
import { verifyAudit } from "../../../src/control/audit/verify.ts";
import { auditHash } from "../../../src/model/audit.ts";
import { openSqliteStore } from "../../../src/store/sqlite.ts";
import { verdictOn } from "../../contract/store/auditContract.ts";
import { entry, host, putting } from "../../contract/store/contract.ts";

const directory = mkdtempSync(join(tmpdir(), "weft-audit-"));
after(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(directory, `store-${++files}.db`);

describe("an audit log that somebody has changed", () => {
  const ways: readonly (readonly [string, string, RegExp, number])[] = [
    ["a letter", "UPDATE audit SET text = replace(text, 'admin', 'nobody') WHERE seq = 7", /changed/, 7],
    [
      "a record and its hash",
      "UPDATE audit SET text = replace(text, 'put', 'out'), hash = $ WHERE seq = 7",
      /changed/,
      8,
    ],
    ["a record cut out", "DELETE FROM audit WHERE seq = 7", /records 7 to 7 are gone/, 8],
    ["the last one", "DELETE FROM audit WHERE seq = 20", /records 20 to 20 are gone/, 20],
    [
      "the last one, and the head set back",
      `DELETE FROM audit WHERE seq = 20;
       UPDATE meta SET audit_seq = 19, audit_hash = (SELECT hash FROM audit WHERE seq = 19)`,
      /at revision 20, the log at 19/,
      19,
    ],
    [
      "the first ones, and the anchor moved",
      "DELETE FROM audit WHERE seq <= 5; UPDATE audit_anchor SET seq = 5, revision = 5, hash = $5",
      /records 1 to 5 are gone, and no record says/,
      20,
    ],
    ["another cluster's", "UPDATE audit_anchor SET hash = 'x'", /another cluster/, 0],
  ];
  for (const [way, sql, why, at] of ways)
    test(`${way}: is found, and where`, async () => {
      const path = newPath();
      const store = openSqliteStore(path);
      for (let n = 1; n <= 20; n++) await store.commit([putting(host(`h${n}`))]);
      const [seventh] = store.audit.rows({ after: 6, limit: 1 });
      const [sixth] = store.audit.rows({ after: 5, limit: 1 });
      const [fifth] = store.audit.rows({ after: 4, limit: 1 });
      await store.close();
      const forged = auditHash(sixth?.hash ?? "", (seventh?.text ?? "").replace("put", "out"));
      const db = new DatabaseSync(path);
      db.exec(sql.replace("$5", `'${fifth?.hash}'`).replace("$", `'${forged}'`));
      db.close();
      const again = openSqliteStore(path);
      const { isWhole, brokenAt, why: said } = await verdictOn(again);
      assert.deepEqual([isWhole, brokenAt], [false, at]);
      assert.match(said ?? "", why);
      await again.close();
    });

  test("written anew as a whole, it differs from a hash that was noted", async () => {
    const path = newPath();
    const [ours, other] = [openSqliteStore(path, { cluster: "c" }), openSqliteStore(newPath(), { cluster: "c" })];
    for (const store of [ours, other])
      for (const name of ["h1", "h2"])
        await store.commit([{ ...putting(host(name)), audit: entry("put", store === ours ? 1 : 2) }]);
    const { seq, hash } = ours.audit.ends().head;
    const say = (store: typeof ours) => verifyAudit(store, async () => {}, { seq, hash });
    assert.equal((await say(ours)).isWhole, true);
    assert.match((await say(other)).why ?? "", /another record when its hash was noted/);
    const later = await verifyAudit(ours, async () => {}, { seq: 9, hash });
    assert.match(later.why ?? "", /not in the log/);
    await Promise.all([ours.close(), other.close()]);
  });
});
