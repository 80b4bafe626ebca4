// How this host stands with its server: whether it may give addresses of the blocks it knows. Its blocks are its own
// only as long as the server has not given it up, and it must know that of itself when it cannot be told: where hosts
// are reclaimed by the server, a host that has not been heard for nearly that long assigns nothing until it is. Kept on
// disk, so that a restart with the server away changes nothing about it.
import { attempt } from "../../files/files.ts";
import type { Clock } from "../../model/clock.ts";
import { formatDuration } from "../../model/duration.ts";
import { Fault, type FaultDetail, type Reason } from "../../model/fault.ts";

/** What is kept on disk. */
export type BlockLeaseRecord = {
  /** After how much silence the server gives hosts up; absent: never. */
  readonly reclaimAfterMs?: number;
  /** What the server said when it said that this host is no longer. */
  readonly ended?: { readonly reason: Reason; readonly detail: FaultDetail };
  /** What was kept is lost: neither is known before the server has been heard. */
  readonly isUnsure?: true;
};

type Sent = { readonly wallMs: number; readonly monotonicMs: number };

/** The host stops before the server may begin, also when the two clocks do not go alike. */
const STOP_AT = 0.9;

export class BlockLease {
  readonly #clock: Clock;
  readonly #save: (record: BlockLeaseRecord) => void;
  #record: BlockLeaseRecord;
  /** When the last request was sent that the server answered; undefined: none in this process's life. */
  #heardAt: Sent | undefined;
  /** Whether the disk has what is known here. */
  #isSaved = true;
  /** Grows when the host is removed: what was begun before is void. */
  incarnation = 0;

  /** `save` throws if the disk refuses it. */
  constructor(clock: Clock, record: BlockLeaseRecord | undefined, save: (record: BlockLeaseRecord) => void) {
    this.#clock = clock;
    this.#record = record ?? {};
    this.#save = save;
  }

  /** Set from the moment the server says that the host is no longer until it has joined anew and knows its blocks. */
  get ended(): Fault | undefined {
    const { ended } = this.#record;
    return ended === undefined ? undefined : new Fault(ended.reason, ended.detail);
  }

  /** At once, whatever the disk says: it is told again with the next answer of the server. */
  end({ reason, detail }: Fault): void {
    this.incarnation++;
    this.#put({ ...this.#record, ended: { reason, detail } });
  }

  /** A new life has begun; throws while the disk refuses that, because a restart would go on with the old one. */
  begin(): void {
    if (this.#record.ended === undefined) return;
    const { ended: _, ...rest } = this.#record;
    this.#save(rest);
    this.#record = rest;
    this.#isSaved = true;
  }

  /** To be taken before a request is sent, and given to `heard`. */
  sending(): Sent {
    return { wallMs: this.#clock.nowMs(), monotonicMs: this.#clock.monotonicMs() };
  }

  /** The server has answered what was sent then. */
  heard(sent: Sent, reclaimAfterMs: number | undefined): void {
    this.#heardAt = sent;
    const { reclaimAfterMs: known, isUnsure, ...rest } = this.#record;
    if (known === reclaimAfterMs && isUnsure === undefined && this.#isSaved) return;
    this.#put(reclaimAfterMs === undefined ? rest : { ...rest, reclaimAfterMs });
  }

  /** Throws why no address of this host's blocks may be given now. */
  checkAllocate(): void {
    const { ended } = this;
    if (ended !== undefined) throw ended;
    const { reclaimAfterMs, isUnsure } = this.#record;
    if (isUnsure === true) throw unsure();
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

  /**
   * The longer of what the clocks say: the monotonic one stands still while the machine sleeps, the wall clock may have
   * been set back. Too long a silence only refuses what the next report allows.
   */
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

function unsure(): Fault {
  return new Fault("unavailable", {
    what: "this host does not know whether its blocks are still its own",
    why: "standing.json in its state directory was damaged, and the server has not been heard since",
    fix: "restore the way to the server, then attach again; what is attached stays",
  });
}
