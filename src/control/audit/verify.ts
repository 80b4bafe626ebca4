// Whether the audit log is what the server wrote: nothing changed, nothing cut out, a record for every commit. It also
// finds what was removed at the beginning without the record that the server's own removals add. Who can write the
// store's file could write a whole new chain: a place that was noted elsewhere (`known`) shows that, too.
import { type AuditPoint, type AuditVerdict, auditHash, firstAuditHash } from "../../model/audit.ts";
import type { AuditRow } from "../../store/audit.ts";
import type { Store } from "../../store/store.ts";

type Known = Pick<AuditPoint, "seq" | "hash">;
type Parsed = { readonly seq?: number; readonly revision?: number; readonly trimmed?: Known };
/** What was read so far. */
type Walk = { place: AuditPoint; records: number; trimmed: Known | undefined; isKnown: boolean };

const PAGE = 500;

/** `pause` lets others have a turn between two pages. */
export async function verifyAudit(
  store: Pick<Store, "audit" | "cluster">,
  pause: () => Promise<void>,
  known?: Known,
): Promise<AuditVerdict> {
  const { anchor, head } = store.audit.ends();
  const walk: Walk = { place: anchor, records: 0, trimmed: undefined, isKnown: known === undefined };
  const verdict = (seq?: number, why?: string): AuditVerdict => {
    const ends = { anchor: store.audit.ends().anchor, head, records: walk.records };
    return why === undefined || seq === undefined
      ? { ...ends, isWhole: true }
      : { ...ends, isWhole: false, brokenAt: seq, why };
  };
  if (anchor.seq === 0 && anchor.hash !== firstAuditHash(store.cluster))
    return verdict(0, "its beginning is that of another cluster's log");
  while (walk.place.seq < head.seq) {
    const rows = store.audit.rows({ after: walk.place.seq, limit: PAGE });
    if (rows.length === 0) return verdict(walk.place.seq + 1, `records ${walk.place.seq + 1} to ${head.seq} are gone`);
    for (const row of rows) {
      const why = takeRow(walk, row, store.audit.ends().anchor);
      if (why !== undefined) return verdict(row.seq, why);
      if (row.seq === known?.seq) {
        if (row.hash !== known.hash) return verdict(row.seq, "it was another record when its hash was noted");
        walk.isKnown = true;
      }
    }
    await pause();
  }
  const why = endOf(walk, head, store.audit.ends().anchor);
  if (why !== undefined) return verdict(head.seq, why);
  if (known !== undefined && !walk.isKnown)
    return verdict(
      known.seq,
      "it is not in the log: it was removed by its age or the log's size, or there is another log",
    );
  return verdict();
}

/** Goes on to the next record; returns what is wrong with it. */
function takeRow(walk: Walk, row: AuditRow, anchor: AuditPoint): string | undefined {
  // The server removed records while they were read.
  if (anchor.seq > walk.place.seq) walk.place = anchor;
  if (row.seq <= walk.place.seq) return undefined;
  const { seq, hash, revision } = walk.place;
  if (row.seq !== seq + 1) return `records ${seq + 1} to ${row.seq - 1} are gone`;
  if (auditHash(hash, row.text) !== row.hash) return "it, or its hash, or the hash before it was changed";
  const parsed = JSON.parse(row.text) as Parsed;
  if (parsed.seq !== row.seq) return `it says that it is record ${parsed.seq}`;
  if (parsed.revision !== undefined && parsed.revision !== revision + 1)
    return `revision ${revision + 1} has no record: this one is of revision ${parsed.revision}`;
  walk.trimmed = parsed.trimmed ?? walk.trimmed;
  walk.records++;
  walk.place = { seq: row.seq, hash: row.hash, revision: parsed.revision ?? revision };
  return undefined;
}

function endOf({ place, trimmed }: Walk, head: AuditPoint, anchor: AuditPoint): string | undefined {
  // Since the verification began, more was written.
  if (place.seq > head.seq) return undefined;
  if (place.hash !== head.hash) return "the log's last hash is not that of its last record";
  if (place.revision !== head.revision)
    return `the store is at revision ${head.revision}, the log at ${place.revision}`;
  if (anchor.seq > 0 && (trimmed?.seq !== anchor.seq || trimmed.hash !== anchor.hash))
    return `records 1 to ${anchor.seq} are gone, and no record says that the server removed them`;
  return undefined;
}
