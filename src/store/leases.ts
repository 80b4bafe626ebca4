// The lease log: who had which address from when to when. A beginning or an end is part of the commit that makes it,
// and as durable. The log is bounded: ended leases are removed by number and by age, the longest ended first; current
// leases stay.
import type { LeaseRecord } from "../model/lease.ts";

/** An endpoint begins to use an address, or ends it. A lease without addresses is recorded by its MAC. */
export type LeaseEvent = {
  readonly network: string;
  readonly address: string;
  readonly atMs: number;
  /** Absent: the current lease ends. */
  readonly begins?: Pick<LeaseRecord, "endpoint" | "owner" | "ifname" | "host" | "mac"> & Uids;
};

/** Of the network and the endpoint: others may have had their names. */
type Uids = { readonly networkUid: string; readonly endpointUid: string };

export type LeaseQuery = {
  readonly address: string;
  readonly network?: string;
  /** Only leases that lasted at some time from `sinceMs` on, and before `beforeMs`. */
  readonly sinceMs?: number;
  readonly beforeMs?: number;
  /** Only leases whose network or endpoint has one of these uids. */
  readonly uids?: readonly string[];
  /** At most this many, the newest first. */
  readonly limit: number;
};

/** How much of what has ended is kept. */
export type LeaseBounds = { readonly records: number; readonly ageMs: number };
export const LEASE_BOUNDS: LeaseBounds = { records: 1_000_000, ageMs: 400 * 24 * 3600 * 1000 };

type Kept = LeaseRecord & Uids;

/** The log in memory: the reference. */
export class LeaseLog {
  readonly #bounds: LeaseBounds;
  /** By address, in order of their beginnings. */
  readonly #byAddress = new Map<string, Kept[]>();
  /** In order of their ends. */
  #ended: Kept[] = [];

  constructor(bounds: LeaseBounds) {
    this.#bounds = bounds;
  }

  append(events: readonly LeaseEvent[]): void {
    for (const { network, address, atMs, begins } of events) {
      const all = this.#byAddress.get(address) ?? [];
      this.#byAddress.set(address, all);
      if (begins !== undefined) all.push({ ...begins, network, address, fromMs: atMs });
      else this.#end(all, network, atMs);
      this.#prune(atMs);
    }
  }

  #end(all: Kept[], network: string, atMs: number): void {
    const i = all.findLastIndex((record) => record.network === network);
    const last = all[i];
    if (last === undefined || last.untilMs !== undefined) return;
    const ended = { ...last, untilMs: atMs };
    all[i] = ended;
    this.#ended.push(ended);
  }

  #prune(nowMs: number): void {
    const { records, ageMs } = this.#bounds;
    let first = this.#ended[0];
    while (first !== undefined && (this.#ended.length > records || (first.untilMs ?? nowMs) < nowMs - ageMs)) {
      const gone = first;
      const left = this.#byAddress.get(gone.address)?.filter((record) => record !== gone) ?? [];
      if (left.length === 0) this.#byAddress.delete(gone.address);
      else this.#byAddress.set(gone.address, left);
      this.#ended.shift();
      [first] = this.#ended;
    }
  }

  find({ address, network, sinceMs = 0, beforeMs = Number.POSITIVE_INFINITY, uids, limit }: LeaseQuery): LeaseRecord[] {
    return (this.#byAddress.get(address) ?? [])
      .filter((record) => network === undefined || record.network === network)
      .filter(({ fromMs, untilMs = Number.POSITIVE_INFINITY }) => fromMs < beforeMs && untilMs > sinceMs)
      .filter(
        ({ networkUid, endpointUid }) =>
          uids === undefined || uids.some((uid) => uid === networkUid || uid === endpointUid),
      )
      .toReversed()
      .slice(0, limit)
      .map(({ networkUid: _, endpointUid: __, ...record }) => record);
  }
}
