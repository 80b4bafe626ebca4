// The lease log in the SQLite file. A row is a lease, and its end is written into it, so "who had it then" is one
// lookup however many have had the address since.
import type { DatabaseSync } from "node:sqlite";
import type { LeaseRecord } from "../model/lease.ts";
import type { LeaseBounds, LeaseEvent, LeaseQuery } from "./leases.ts";

export const LEASE_TABLE = `
CREATE TABLE lease (id INTEGER PRIMARY KEY, network TEXT NOT NULL, address TEXT NOT NULL, endpoint TEXT NOT NULL,
  owner TEXT NOT NULL, ifname TEXT NOT NULL, host TEXT NOT NULL, mac TEXT NOT NULL, from_ms INTEGER NOT NULL,
  until_ms INTEGER) STRICT;
CREATE INDEX lease_by_address ON lease (address, network);
CREATE INDEX lease_ended ON lease (until_ms) WHERE until_ms IS NOT NULL;
`;

/** Who may be told of a lease: names may have been others' before. */
export const LEASE_UIDS = `
ALTER TABLE lease ADD COLUMN network_uid TEXT NOT NULL DEFAULT '';
ALTER TABLE lease ADD COLUMN endpoint_uid TEXT NOT NULL DEFAULT '';
`;

/** Ended leases are deleted this many at a time: one by one, each commit would write more pages. */
const PRUNE_EVERY = 256;

export class LeaseTable {
  readonly #bounds: LeaseBounds;
  readonly #run: ReturnType<typeof statementsOf>;
  #ended: number;
  #sincePruned = 0;

  constructor(db: DatabaseSync, bounds: LeaseBounds) {
    this.#bounds = bounds;
    this.#run = statementsOf(db);
    this.#ended = this.#countEnded();
  }

  /** Call within the transaction of the commit. */
  append(events: readonly LeaseEvent[]): void {
    for (const { network, address, atMs, begins } of events) {
      if (begins === undefined) this.#sincePruned += Number(this.#run.end.run(atMs, address, network).changes);
      else {
        const { endpoint, owner, ifname, host, mac, networkUid, endpointUid } = begins;
        this.#run.begin.run(network, address, endpoint, owner, ifname, host, mac, atMs, networkUid, endpointUid);
      }
    }
    const last = events.at(-1);
    if (last !== undefined && this.#sincePruned >= PRUNE_EVERY) this.#prune(last.atMs);
  }

  /** Call when the transaction was rolled back, so that its counts are undone. */
  recount(): void {
    this.#ended = this.#countEnded();
    this.#sincePruned = 0;
  }

  #prune(nowMs: number): void {
    this.#ended += this.#sincePruned;
    this.#sincePruned = 0;
    this.#ended -= Number(this.#run.age.run(nowMs - this.#bounds.ageMs).changes);
    const surplus = this.#ended - this.#bounds.records;
    if (surplus > 0) this.#ended -= Number(this.#run.surplus.run(surplus).changes);
  }

  #countEnded(): number {
    return Number(this.#run.ended.get()?.["n"] ?? 0);
  }

  find({ address, network, sinceMs, beforeMs, uids, limit }: LeaseQuery): LeaseRecord[] {
    const rows = this.#run.find.all({
      address,
      network: network ?? null,
      since: sinceMs ?? 0,
      before: beforeMs ?? Number.MAX_SAFE_INTEGER,
      uids: uids === undefined ? null : JSON.stringify(uids),
      limit,
    });
    return rows.map(recordOf);
  }
}

function statementsOf(db: DatabaseSync) {
  return {
    begin: db.prepare(`INSERT INTO lease (network, address, endpoint, owner, ifname, host, mac, from_ms, network_uid,
      endpoint_uid) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    // Only the last one: an address may have had thousands. By number, because a clock may have been set back.
    end: db.prepare(`UPDATE lease SET until_ms = ? WHERE until_ms IS NULL AND id =
      (SELECT id FROM lease WHERE address = ? AND network = ? ORDER BY id DESC LIMIT 1)`),
    ended: db.prepare("SELECT count(*) AS n FROM lease WHERE until_ms IS NOT NULL"),
    age: db.prepare("DELETE FROM lease WHERE until_ms IS NOT NULL AND until_ms < ?"),
    surplus: db.prepare(`DELETE FROM lease WHERE id IN
      (SELECT id FROM lease WHERE until_ms IS NOT NULL ORDER BY until_ms, id LIMIT ?)`),
    find: db.prepare(`SELECT network, address, endpoint, owner, ifname, host, mac, from_ms AS fromMs,
      until_ms AS untilMs FROM lease WHERE address = $address AND ($network IS NULL OR network = $network)
      AND from_ms < $before AND (until_ms IS NULL OR until_ms > $since)
      AND ($uids IS NULL OR network_uid IN (SELECT value FROM json_each($uids))
        OR endpoint_uid IN (SELECT value FROM json_each($uids)))
      ORDER BY id DESC LIMIT $limit`),
  };
}

/** Only `append` writes rows, so their shape is known; `find` calls the columns what a record does. */
function recordOf({ untilMs, ...row }: Readonly<Record<string, unknown>>): LeaseRecord {
  return { ...row, ...(untilMs === null ? {} : { untilMs }) } as LeaseRecord;
}
