// Takes devices over from the host and gives them back: a port of a bridge whose device has the host's addresses is no
// operation of a round, because a round cannot wait, and the host must not be cut off by one. What the host has is
// written to disk first. Then it moves, and if the server is not reached by it in time, it moves back. A take-over that
// was not confirmed when the agent died is undone when the agent starts (undoUnconfirmed).
//
// Rounds make everything else: the bridge, and the rules about it.
import type { KernelState } from "../../datapath/state/state.ts";
import type { Kernel, Refusal } from "../../kernel/kernel.ts";
import { whyImmovable } from "../../kernel/takeOver/plan.ts";
import type { HostUse } from "../../kernel/takeOver/types.ts";
import type { Clock } from "../../model/clock.ts";
import { type Problem, problemOf } from "../../model/fault.ts";
import type { Snapshot } from "../../model/resource.ts";
import {
  type TakeOver,
  bridgeKey,
  isPortIn,
  mustStay,
  portKey,
  portsIn,
  strayUseText,
  unchanged,
  withTakeOvers,
} from "./takeOver.ts";

/** What keeps other programs of the host away from a device; undefined where nobody was told to. */
export type Services = {
  /** Before a device is taken over: why it must not be, a line each. */
  readonly prepare: () => readonly string[];
  /** After devices have changed hands: what could not be told to whom. */
  readonly reload: () => Promise<readonly string[]>;
};

export type TakeOverOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "hostUse" | "takeOver" | "giveBack" | "facts">;
  readonly clock: Clock;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly takeOvers?: {
    readonly saved: readonly TakeOver[];
    /** Throws a Fault `unavailable` if the disk refuses it. */
    readonly save: (all: readonly TakeOver[]) => void;
    readonly services: Services;
    /** For how long the server may be out of reach afterwards. */
    readonly timeoutMs: number;
  };
};

/** How rounds and the server are seen from here. */
export type Surroundings = {
  /** Whether the server has answered a question that was asked now. */
  readonly reached: () => Promise<boolean>;
  /** Whether there is a server that can be out of reach afterwards. */
  readonly isSynced: () => boolean;
  readonly poke: () => void;
};

type Due = {
  readonly device: string;
  readonly bridge: string;
  readonly parent: string;
  /** Whether the bridge listens for seconds before a port carries. */
  readonly hasStp: boolean;
  readonly setting: string;
};

const PERIOD_MS = 10_000;
/** Between two questions to a server that does not answer, and for how long one waits. */
const ASK_MS = 200;
const ANSWER_MS = 3_000;

export class TakeOvers {
  readonly #options: TakeOverOptions;
  readonly #around: Surroundings;
  #all: readonly TakeOver[];
  /** On its way: no round may touch its port. */
  #moving: string | undefined;
  /** What the running round leaves to be taken over, and what the last one did: their bridges are there. */
  #planned: readonly Due[] = [];
  #due: readonly Due[] = [];
  /** To be given back; `isSure`: what is on the bridge is all that goes back. */
  readonly #ending = new Map<string, { readonly isSure: boolean }>();
  /** Devices that are not taken over, or not given back, and why; `isFinal`: not tried again with that setting. */
  readonly #refused = new Map<string, { readonly setting: string; readonly line: string; readonly isFinal: boolean }>();
  #untold: readonly string[] = [];
  #wake = new AbortController();

  constructor(options: TakeOverOptions, around: Surroundings) {
    this.#options = options;
    this.#around = around;
    this.#all = options.takeOvers?.saved ?? [];
    for (const { use, isConfirmed } of this.#all) if (!isConfirmed) this.#ending.set(use.device, { isSure: false });
  }

  get conditions(): readonly string[] {
    const { kernel, host } = this.#options;
    const isPort = (one: TakeOver) => one.use.device !== this.#moving && !this.#ending.has(one.use.device);
    const strays = this.#all.filter(isPort).flatMap((one) => strayUseText(one, kernel.hostUse(one.use.device), host));
    return [...[...this.#refused.values()].map(({ line }) => line), ...strays, ...this.#untold];
  }

  /** The snapshot as this host is now: see withTakeOvers(). */
  inForce(snapshot: Snapshot): Snapshot {
    return withTakeOvers(snapshot, this.#options.host, this.#all);
  }

  /**
   * The desired state that a round can make: without ports of devices that are yet to be taken over, with those that
   * are to be given back. `seen` is what the server wants.
   */
  adjust(desired: KernelState, actual: KernelState, seen: Snapshot, isComplete: boolean): KernelState {
    const self = seen.hosts.find(({ name }) => name === this.#options.host);
    const due: Due[] = [];
    const keys: string[] = [];
    for (const [port, parent] of portsIn(desired, self)) {
      const { dev: device, master: bridge } = port;
      if (this.#of(device) !== undefined) continue;
      const there = desired.get(bridgeKey(bridge));
      const hasStp = there?.kind === "bridge" && there.stp === true;
      const one = { device, bridge, parent: parent ?? "", hasStp, setting: `${parent} ${bridge} ${hasStp}` };
      const isThere = actual.has(portKey(device));
      if (isThere ? parent === undefined || this.#adopted(one, actual) : !isInUse(this.#options, device)) continue;
      // What the server knows of the device may be older than what the host has on it.
      if (parent !== undefined) due.push(one);
      keys.push(portKey(device));
    }
    this.#planned = due;
    const settings = new Map(due.map(({ device, setting }) => [device, setting]));
    for (const [device, { setting }] of this.#refused)
      if (this.#of(device) === undefined && settings.get(device) !== setting) this.#refused.delete(device);
    for (const one of this.#all) {
      const { device } = one.use;
      if (device === this.#moving) keys.push(portKey(device), bridgeKey(one.bridge));
      // Whatever takes the port away: what the host has on the bridge goes back before.
      else if (isComplete && !(mustStay(seen, this.#options.host, one) && isPortIn(desired, one)))
        this.#ending.set(device, { isSure: true });
      else if (!actual.has(bridgeKey(one.bridge))) this.#ending.set(device, { isSure: false });
      // Somebody took it out, and no round makes a port of a device that is in use.
      else if (!actual.has(portKey(device)) && isInUse(this.#options, device))
        this.#ending.set(device, { isSure: true });
      if (this.#ending.has(device)) keys.push(portKey(device), bridgeKey(one.bridge));
    }
    return keys.length === 0 ? desired : unchanged(desired, actual, keys);
  }

  /** After a round: the bridges are there. */
  poke(): void {
    this.#due = this.#planned;
    const isNew = this.#due.some(({ device, setting }) => this.#refused.get(device)?.setting !== setting);
    if (isNew || this.#ending.size > 0) this.#wake.abort("woken");
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      for (const [device, { isSure }] of this.#ending) await this.#giveBack(device, isSure);
      for (const due of this.#due) await this.#take(due, signal);
      await clock.sleep(PERIOD_MS, AbortSignal.any([signal, this.#wake.signal]));
    }
  }

  #of(device: string): TakeOver | undefined {
    return this.#all.find(({ use }) => use.device === device);
  }

  /** A take-over that the disk has lost. */
  #adopted({ device, bridge, parent }: Due, actual: KernelState): boolean {
    const there = actual.get(portKey(device));
    if (there?.kind !== "port" || there.master !== bridge) return false;
    const { kernel } = this.#options;
    const [use, own] = [kernel.hostUse(bridge), kernel.hostUse(device)];
    if (use === undefined || own === undefined || use.addresses.length === 0) return false;
    this.#save([...this.#all, recordOf(this.#options, { bridge, parent }, { ...use, device, index: own.index }, true)]);
    return true;
  }

  async #take(due: Due, signal: AbortSignal): Promise<void> {
    const { kernel, log, takeOvers } = this.#options;
    const { device, bridge, setting } = due;
    const refused = this.#refused.get(device);
    if (takeOvers === undefined || (refused?.setting === setting && refused.isFinal)) return;
    const use = kernel.hostUse(device);
    if (use === undefined || this.#of(device) !== undefined) return;
    // Without a server there is no telling whether it can be reached afterwards.
    if (!this.#around.isSynced() || !(await isReached(this.#around, this.#options.clock, 0, signal)) || signal.aborted)
      return;
    const stp = due.hasStp ? ["with a spanning tree the bridge would carry nothing for seconds: set stp to false"] : [];
    const why = [...stp, ...whyImmovable(use), ...takeOvers.services.prepare()];
    if (why.length > 0)
      return this.#refuse(due, `device ${device} is not taken over by ${bridge}: ${why.join("; ")}`, false);
    const before = this.#all;
    if (!this.#save([...before, recordOf(this.#options, due, use, false)])) return;
    const startMs = this.#options.clock.monotonicMs();
    const refusal = await this.#move(device, () => kernel.takeOver(use, bridge));
    log("device taken over", { device, bridge, ms: this.#options.clock.monotonicMs() - startMs, refusal });
    if (refusal === undefined && (await isReached(this.#around, this.#options.clock, takeOvers.timeoutMs, signal))) {
      this.#save([...before, recordOf(this.#options, due, use, true)]);
      this.#refused.delete(device);
      await this.#tell();
    } else {
      await this.#undo(due, use, refusal, signal.aborted);
    }
    this.#around.poke();
  }

  async #move(device: string, move: () => Promise<Refusal | undefined>): Promise<Refusal | undefined> {
    this.#moving = device;
    try {
      return await move();
    } finally {
      this.#moving = undefined;
    }
  }

  async #undo(due: Due, use: HostUse, refusal: Refusal | undefined, isStop: boolean): Promise<void> {
    const { kernel, log, takeOvers } = this.#options;
    const { device, bridge } = due;
    const left = await this.#move(device, () => kernel.giveBack({ use, bridge, isSure: false }));
    log("take-over undone", { device, bridge, left });
    if (left === undefined) this.#save(this.#all.filter((one) => one.use.device !== device));
    if (isStop) return;
    this.#refuse(due, undoneText(due, refusal, takeOvers?.timeoutMs ?? 0), true);
  }

  async #giveBack(device: string, isSure: boolean): Promise<void> {
    const { kernel, log } = this.#options;
    const one = this.#of(device);
    this.#ending.delete(device);
    if (one === undefined) return;
    const { bridge, use } = one;
    const refusal = await this.#move(device, () => kernel.giveBack({ use, bridge, isSure }));
    log("device given back", { device, bridge, refusal });
    if (refusal !== undefined && refusal.class !== "missing") {
      const line = `device ${device} cannot be given back to the host, which has ${bridge} instead: ${refusal.message}`;
      this.#refused.set(device, { setting: "", line, isFinal: false });
      return;
    }
    this.#refused.delete(device);
    this.#save(this.#all.filter((other) => other !== one));
    await this.#tell();
    this.#around.poke();
  }

  async #tell(): Promise<void> {
    this.#untold = (await this.#options.takeOvers?.services.reload()) ?? [];
  }

  #refuse({ device, setting }: Due, line: string, isFinal: boolean): void {
    if (this.#refused.get(device)?.line !== line) this.#options.log("take-over", { error: line });
    this.#refused.set(device, { setting, line, isFinal });
  }

  /** False if the disk refuses it: then nothing may be taken over. */
  #save(all: readonly TakeOver[]): boolean {
    try {
      this.#options.takeOvers?.save(all);
    } catch (error) {
      const { detail }: Problem = problemOf(error);
      this.#options.log("take-over", { error: detail });
      if (all.length > this.#all.length) return false;
    }
    this.#all = all;
    return true;
  }
}

/** Asks at least once, until the time is over or the agent stops. */
async function isReached(
  { reached }: Pick<Surroundings, "reached">,
  clock: Clock,
  forMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const endMs = clock.monotonicMs() + forMs;
  do {
    const waitMs = forMs === 0 ? ANSWER_MS : Math.min(ANSWER_MS, Math.max(ASK_MS, endMs - clock.monotonicMs()));
    if (await Promise.race([reached(), clock.sleep(waitMs).then(() => false)])) return true;
    await clock.sleep(ASK_MS, signal);
  } while (!signal.aborted && clock.monotonicMs() < endMs);
  return false;
}

function isInUse({ kernel }: TakeOverOptions, device: string): boolean {
  const use = kernel.hostUse(device);
  return use !== undefined && use.addresses.length + use.routes.length > 0;
}

type Place = Pick<Due, "bridge" | "parent">;

function recordOf(
  { kernel }: TakeOverOptions,
  { bridge, parent }: Place,
  use: HostUse,
  isConfirmed: boolean,
): TakeOver {
  return { parent, bridge, use, bootId: kernel.facts().bootId, isConfirmed };
}

function undoneText({ device, bridge }: Due, refusal: Refusal | undefined, timeoutMs: number): string {
  const why =
    refusal === undefined
      ? `the server was not reached by ${bridge} within ${timeoutMs / 1000} s, so it was undone`
      : `the kernel refused it (${refusal.message})`;
  const fix = "find out why, then withdraw --take-over and give it again, or restart the agent";
  return `device ${device} is not taken over: ${why}; ${fix}`;
}

/**
 * What a start does first, before the server is looked for: take-overs that were not confirmed when the agent ended are
 * undone. Those of another boot are void. Gives those that stay.
 */
export async function undoUnconfirmed(
  saved: readonly TakeOver[],
  { kernel, log }: Pick<TakeOverOptions, "kernel" | "log">,
): Promise<readonly TakeOver[]> {
  const { bootId } = kernel.facts();
  const left: TakeOver[] = [];
  for (const one of saved.filter((each) => each.bootId === bootId)) {
    const { bridge, use } = one;
    if (one.isConfirmed) {
      left.push(one);
      continue;
    }
    const refusal = await kernel.giveBack({ use, bridge, isSure: false });
    log("take-over undone", {
      device: use.device,
      bridge,
      why: "the agent ended before the server was reached",
      refusal,
    });
    if (refusal !== undefined && refusal.class !== "missing") left.push(one);
  }
  return left;
}
