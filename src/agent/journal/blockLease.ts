// The block lease: whether this host may allocate from its blocks. It may only until the server reclaims it, and when
// the server cannot be reached the host has to know that by itself: it stops shortly before the time after which the
// server reclaims silent hosts, and goes on when the server has answered. The record is on disk (standing.json), so a
// restart without the server does not change it.
import { attempt } from "../../files/files.ts";
import type { Clock } from "../../model/clock.ts";
import { formatDuration } from "../../model/duration.ts";
import { Fault, type FaultDetail, type Reason } from "../../model/fault.ts";

/** The record on disk. */
export type BlockLeaseRecord = {
  /** The server reclaims hosts that are silent for so long; absent: never. */
  readonly reclaimAfterMs?: number;
  /** Set when the server has removed this host: what it said. */
  readonly ended?: { readonly reason: Reason; readonly detail: FaultDetail };
  /** The record was damaged: neither is known before the server has answered. */
  readonly isUnsure?: true;
};

type Sent = { readonly wallMs: number; readonly monotonicMs: number };

/** The host stops before the server may reclaim it, also if the two clocks differ in speed. */
const STOP_AT = 0.9;

export class BlockLease {
  readonly #clock: Clock;
  readonly #save: (record: BlockLeaseRecord) => void;
  #record: BlockLeaseRecord;
  /** When the last answered request was sent; undefined: none since this process started. */
  #heardAt: Sent | undefined;
  /** Whether the disk has the record. */
  #isSaved = true;
  /** Grows when the server removes the host: an attach that began before must not go on. */
  incarnation = 0;

  /** `save` throws if the disk refuses it. */
  constructor(clock: Clock, record: BlockLeaseRecord | undefined, save: (record: BlockLeaseRecord) => void) {
    this.#clock = clock;
    this.#record = record ?? {};
    this.#save = save;
  }

  /** Set from the moment the server says that it removed the host until the host has joined again. */
  get ended(): Fault | undefined {
    const { ended } = this.#record;
    return ended === undefined ? undefined : new Fault(ended.reason, ended.detail);
  }

  /** The server has removed the host. Holds at once, also if the disk refuses it: the server will say it again. */
  end({ reason, detail }: Fault): void {
    this.incarnation++;
    this.#put({ ...this.#record, ended: { reason, detail } });
  }

  /** The host has joined again. Throws while the disk refuses that, because a restart would forget it. */
  begin(): void {
    if (this.#record.ended === undefined) return;
    const { ended: _, ...rest } = this.#record;
    this.#save(rest);
    this.#record = rest;
    this.#isSaved = true;
  }

  /** Call before a request is sent, and pass the result to `heard`. */
  sending(): Sent {
    return { wallMs: this.#clock.nowMs(), monotonicMs: this.#clock.monotonicMs() };
  }

  /** The server has answered the request that was sent then. */
  heard(sent: Sent, reclaimAfterMs: number | undefined): void {
    this.#heardAt = sent;
    const { reclaimAfterMs: known, isUnsure, ...rest } = this.#record;
    if (known === reclaimAfterMs && isUnsure === undefined && this.#isSaved) return;
    this.#put(reclaimAfterMs === undefined ? rest : { ...rest, reclaimAfterMs });
  }

  /** Throws a Fault if the host must not allocate from its blocks now. */
  checkAllocate(): void {
    const { ended } = this;
    if (ended !== undefined) throw ended;
    const { reclaimAfterMs, isUnsure } = this.#record;
    if (isUnsure === true)
      throw new Fault("unavailable", {
        what: "this host does not know whether its blocks are still its own",
        why: "standing.json in its state directory was damaged, and the server has not been heard since",
        fix: "restore the way to the server, then attach again; what is attached stays",
      });
    if (reclaimAfterMs === undefined) return;
    const silentMs = this.#silentMs;
    if (silentMs !== undefined && silentMs < reclaimAfterMs * STOP_AT) return;
    const since = silentMs === undefined ? "since its agent started" : `for ${formatDuration(silentMs)}`;
    throw new Fault("unavailable", {
      what: `this host has not reached its server ${since}`,
      why: `the server gives the blocks of a host to others after ${formatDuration(reclaimAfterMs)} (reclaim-after)`,
      fix: "restore the way to the server, then attach again; what is attached stays",
    });
  }

  /** By the clock that says longer: the monotonic one stops while the machine sleeps, the other may be set back. */
  get #silentMs(): number | undefined {
    if (this.#heardAt === undefined) return undefined;
    const { wallMs, monotonicMs } = this.sending();
    return Math.max(wallMs - this.#heardAt.wallMs, monotonicMs - this.#heardAt.monotonicMs);
  }

  #put(record: BlockLeaseRecord): void {
    this.#record = record;
    this.#isSaved = attempt(() => this.#save(record));
  }
}
