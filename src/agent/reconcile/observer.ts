// When to read the kernel, and how much of it. Reading a workload's namespace takes 0.25 ms and a host may have a
// thousand, so they are read only by a full observation: at the start, once a period, after a refusal, and on request.
// A partial observation reads the host's and the VRFs' namespaces. If the near end of a veth pair is unchanged and has
// a carrier, its far end is up and has not moved, and what depends on that is taken from the last observation. If one
// near end differs, everything is read.
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Veth } from "../../datapath/kinds/links.ts";
import { portName } from "../../datapath/state/names.ts";
import { deviceOf, type KernelState, keyOf } from "../../datapath/state/state.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { nearOf } from "./knownState.ts";

export type ObserverOptions = {
  readonly kernel: Kernel;
  readonly journal: Pick<Journal, "entries">;
  readonly clock: Clock;
  /** A full observation is due when the last one is older than this. */
  readonly fullEveryMs: number;
  /** Asks for a round. */
  readonly poke: () => void;
};

/** From a kernel event to the observation: drift is repaired within this and a round. */
const EVENTS_MS = 50;
/** The same if the agent itself may have caused the event: attaches in a row must not cause an observation each. */
const ECHO_MS = 1_000;

export class Observer {
  readonly #options: ObserverOptions;
  #isRequested = true;
  #isFullRequested = true;
  #fullAtMs = 0;
  #changedAtMs = Number.NEGATIVE_INFINITY;
  #isEchoAwaited = false;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  /** The agent itself has changed the kernel; events that follow are probably its own. */
  changed(): void {
    this.#changedAtMs = this.#options.clock.monotonicMs();
  }

  /** Handles a kernel event: requests an observation, later if the agent has just made a change itself. */
  async event(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const eventAtMs = clock.monotonicMs();
    await clock.sleep(EVENTS_MS, signal);
    if (this.#changedAtMs < eventAtMs - EVENTS_MS) return this.#request();
    if (this.#isEchoAwaited) return;
    this.#isEchoAwaited = true;
    // Not awaited: the next event may be drift, and must be handled meanwhile.
    void clock.sleep(ECHO_MS, signal).then(() => {
      this.#isEchoAwaited = false;
      this.#request();
    });
  }

  #request(): void {
    this.#isRequested = true;
    this.#options.poke();
  }

  /** The next observation is a full one. */
  requestFull(): void {
    this.#isFullRequested = true;
  }

  get isDue(): boolean {
    return this.#isRequested || this.#isFullDue;
  }

  get #isFullDue(): boolean {
    const { clock, fullEveryMs } = this.#options;
    return this.#isFullRequested || clock.monotonicMs() - this.#fullAtMs >= fullEveryMs;
  }

  /**
   * Answers all requests until now. `known` is what the kernel is known to hold. `changed` gives, at the end, the near
   * ends of pairs that attaches and detaches have changed meanwhile: these stay as they were read (see merged()).
   */
  async observe(known: KernelState, changed: () => ReadonlySet<string>): Promise<KernelState> {
    const { kernel, journal, clock } = this.#options;
    const isFull = this.#isFullDue;
    if (isFull) this.#fullAtMs = clock.monotonicMs();
    this.#isRequested = false;
    this.#isFullRequested = false;
    const entries = [...journal.entries.values()];
    // Attaches record their changes in `known` while the kernel is read.
    const before: KernelState = new Map(isFull ? [] : known);
    const unknown = new Set(unknownNamespaces(entries, before));
    const read = await kernel.observe([...unknown]);
    return completed(read, before, unknown, changed()) ?? kernel.observe([...new Set(entries.map(workloadOf))]);
  }
}

function workloadOf({ endpoint }: Entry): Ns {
  return endpoint.spec.netns as Ns;
}

/** Paths of namespaces in which the pair of some endpoint is not known: these must be read, by any of their paths. */
function unknownNamespaces(entries: readonly Entry[], known: KernelState): Ns[] {
  const pairs = new Map<string, Veth>();
  for (const object of known.values()) if (object.kind === "veth") pairs.set(object.name, object);
  const unknown = new Set<string>();
  for (const { endpoint, netnsId } of entries) {
    const { netns, ifname } = endpoint.spec;
    const far = pairs.get(portName(endpoint.name))?.peer;
    if (far?.ns !== netns || far.name !== ifname) unknown.add(netnsId);
  }
  return entries.filter(({ netnsId }) => unknown.has(netnsId)).map(workloadOf);
}

/** A partial observation, completed with what was known of the rest; undefined if a near end says that it changed. */
export function completed(
  observed: KernelState,
  known: KernelState,
  read: ReadonlySet<Ns>,
  changed: ReadonlySet<string>,
): KernelState | undefined {
  const nears = new Map<string, Veth>();
  for (const object of observed.values()) if (object.kind === "veth") nears.set(nearOf(object), object);
  const whole = new Map(observed);
  const unreadEnds = new Set<string>();
  for (const object of known.values()) {
    if (object.kind !== "veth" || !isPath(object.peer.ns) || read.has(object.peer.ns) || changed.has(nearOf(object)))
      continue;
    const near = nears.get(nearOf(object));
    if (near === undefined || isPath(near.peer.ns) || !isSameNear(near, object)) return undefined;
    whole.delete(keyOf(near));
    whole.set(keyOf(object), object);
    unreadEnds.add(`${object.peer.ns} ${object.peer.name}`);
  }
  for (const [key, object] of known) if (isOn(object, unreadEnds)) whole.set(key, object);
  return whole;
}

/** An observation that does not know where a far end is says `/` for its namespace. */
function isPath(ns: Ns): boolean {
  return ns.length > 1 && ns.startsWith("/");
}

function isOn(object: KernelObject, ends: ReadonlySet<string>): boolean {
  const dev = deviceOf(object);
  return dev !== undefined && ends.has(`${object.ns} ${dev}`);
}

function isSameNear(a: Veth, b: Veth): boolean {
  return a.mtu === b.mtu && a.mac === b.mac && a.alias === b.alias && a.master === b.master;
}
