// The audit log's records, as the store keeps them and the API answers them: who asked for what, from where, by which
// credential, and what became of it. The records are a chain: each has a hash over its text and the hash before it, so
// that none can be changed or cut out without a trace. No record has a secret in it.
import { hash } from "node:crypto";
import Type from "typebox";
import { defined } from "./defined.ts";
import { type Value, AnyText, Flag, optional, strictObject } from "./schema.ts";

const State = Type.Record(Type.String(), Type.Unknown(), {
  description:
    "Of one that is too long for the log only `cut`: the beginning of its JSON, and bytes and SHA-256 of the rest.",
});

/** What a write did to one resource: of a resource that stays, only what became different. */
export const AuditChange = strictObject({
  key: AnyText("Kind and name: `network/blue`."),
  before: optional(State),
  after: optional(State),
});
export type AuditChange = Value<typeof AuditChange>;

/** What is recorded; the store adds where the record is in the chain. */
const ENTRY = {
  atMs: Type.Number({ description: "ms since 1970." }),
  who: AnyText("admin, user/NAME, host/NAME, join (a join token), server, or nobody (no valid credential)."),
  uid: optional(AnyText("Of the user: others may have had its name.")),
  credential: AnyText("By what the caller proved who it is; never the secret itself."),
  from: AnyText("The address it asked from, or unix."),
  verb: AnyText("What was asked for; of a request that was refused before it was understood, its method and path."),
  result: AnyText("done, or the reason of the refusal."),
  object: optional(AnyText("What it was asked for.")),
  message: optional(AnyText("Of a refusal.")),
  count: optional(Type.Number({ description: "Of refusals that are alike: how many. Absent: one." })),
  untilMs: optional(Type.Number({ description: "Of refusals that are alike: when the last one was." })),
  trimmed: optional(
    strictObject(
      { seq: Type.Number(), hash: Type.String(), revision: Type.Number() },
      "The server removed the records up to this one, because of their age or the size of the log.",
    ),
  ),
  changes: optional(Type.Array(AuditChange)),
};
const Entry = strictObject(ENTRY);
export type AuditEntry = Value<typeof Entry>;

export const AuditRecord = strictObject({
  seq: Type.Number({ description: "Its place in the log." }),
  revision: optional(Type.Number({ description: "Of the commit that it is part of." })),
  ...ENTRY,
  hash: AnyText("SHA-256 of the hash before it and the record's JSON without this field."),
});
export type AuditRecord = Value<typeof AuditRecord>;

/** A place in the chain. */
export const AuditPoint = strictObject({
  seq: Type.Number(),
  hash: Type.String(),
  revision: Type.Number({ description: "Of the last commit up to there." }),
});
export type AuditPoint = Value<typeof AuditPoint>;

/** The JSON of a record without its hash, which is what the hash is over. */
export function auditText(entry: AuditEntry, seq: number, revision?: number): string {
  const place = revision === undefined ? { seq } : { seq, revision };
  const text = JSON.stringify({ ...place, ...entry });
  if (text.length <= STATE_CHARS || entry.changes === undefined) return text;
  return JSON.stringify({ ...place, ...entry, changes: cutChanges(entry.changes) });
}

/** Of the JSON of one state of a resource, and of all states of one record, so much is kept. */
const STATE_CHARS = 16 * 1024;
const STATES_CHARS = 1024 * 1024;

/** A longer state is the beginning of its JSON, and how much the rest is: with the hash it can be told again. */
function cutChanges(changes: readonly AuditChange[]): AuditChange[] {
  let left = STATES_CHARS;
  const cut = (state: AuditChange["before"]): AuditChange["before"] => {
    if (state === undefined) return undefined;
    const text = JSON.stringify(state);
    const kept = text.slice(0, Math.min(STATE_CHARS, left));
    left -= kept.length;
    if (kept.length === text.length) return state;
    const rest = text.slice(kept.length);
    return { cut: { beginning: kept, bytes: Buffer.byteLength(rest), sha256: hash("sha256", rest) } };
  };
  return changes.map(({ key, before, after }) => ({ key, ...defined({ before: cut(before), after: cut(after) }) }));
}

export function auditHash(previous: string, text: string): string {
  return hash("sha256", `${previous}${text}`);
}

/** The hash that the first record of a cluster's log follows. */
export function firstAuditHash(cluster: string): string {
  return auditHash("", `weft audit log of ${cluster}`);
}

export const AuditVerdict = strictObject({
  isWhole: Flag("Nothing is missing or changed."),
  anchor: AuditPoint,
  head: AuditPoint,
  records: Type.Number(),
  brokenAt: optional(Type.Number({ description: "The record at which the chain breaks." })),
  why: optional(Type.String()),
});
export type AuditVerdict = Value<typeof AuditVerdict>;
