// A look at the kernel that leaves out what nothing points to. Reading a workload's namespace takes 0.25 ms, and a host
// has a thousand: so between full looks (at the start, once a period, after a refusal, and when somebody asks) only the
// host's and the VRFs' are read. A pair whose near end is as it was, with a carrier, has its far end up and where it
// was; what hangs on that is as it was held. Where one near end differs, everything is read.
import { portName } from "../../datapath/state/names.ts";
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Veth } from "../../datapath/kinds/veth.ts";
import { type KernelState, deviceOf, keyOf } from "../../datapath/state/state.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import type { Entry, Journal } from "../journal/journal.ts";
import { nearOf } from "./knownState.ts";

export type ObserverOptions = {
  readonly kernel: Kernel;
  readonly journal: Pick<Journal, "entries">;
  readonly clock: Clock;
  /** How old the last full look may be. */
  readonly periodMs: number;
  /** Asks for a round. */
  readonly poke: () => void;
};

/** From an event of the kernel to the look: drift is repaired within this and a round. */
const EVENTS_MS = 50;
/** The same for what may be the echo of what this agent did: a host that fills up must not look all the time. */
const ECHO_MS = 1_000;

export class Observer {
  readonly #options: ObserverOptions;
  #isAsked = true;
  #isWholeAsked = true;
  #wholeAtMs = 0;
  #didAtMs = Number.NEGATIVE_INFINITY;
  #isEchoAwaited = false;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  /** This agent has changed something in the kernel, who will say so. */
  changed(): void {
    this.#didAtMs = this.#options.clock.monotonicMs();
  }

  /**
   * The kernel says that something of ours may have changed; mostly it is what an attach just did, and that is looked
   * at once for many. Resolves when more may be said.
   */
  async event(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const heardAtMs = clock.monotonicMs();
    await clock.sleep(EVENTS_MS, signal);
    if (this.#didAtMs < heardAtMs - EVENTS_MS) return this.#ask();
    if (this.#isEchoAwaited) return;
    this.#isEchoAwaited = true;
    // Not waited for: somebody else's change is to be heard meanwhile.
    void clock.sleep(ECHO_MS, signal).then(() => {
      this.#isEchoAwaited = false;
      this.#ask();
    });
  }

  #ask(): void {
    this.#isAsked = true;
    this.#options.poke();
  }

  /** What is held may not be what is there. */
  requestFull(): void {
    this.#isWholeAsked = true;
  }

  get isDue(): boolean {
    return this.#isAsked || this.#isWholeDue;
  }

  get #isWholeDue(): boolean {
    const { clock, periodMs } = this.#options;
    return this.#isWholeAsked || clock.monotonicMs() - this.#wholeAtMs >= periodMs;
  }

  /** Answers all that was asked until now; see lookAt(). */
  observe(held: KernelState, touched: () => ReadonlySet<string>): Promise<KernelState> {
    const { kernel, journal, clock } = this.#options;
    const isWhole = this.#isWholeDue;
    if (isWhole) this.#wholeAtMs = clock.monotonicMs();
    this.#isAsked = false;
    this.#isWholeAsked = false;
    return observePartially(kernel, journal.entries.values(), isWhole ? new Map() : held, touched);
  }
}

/**
 * What the kernel holds. `held` is what it is known to hold as the look begins, nothing if all is to be read. Pairs
 * that attaches and detaches change meanwhile are left as they are seen: `touched` gives them, by their near ends, when
 * the look is over (see merged()).
 */
async function observePartially(
  kernel: Kernel,
  entries: Iterable<Entry>,
  held: KernelState,
  touched: () => ReadonlySet<string>,
): Promise<KernelState> {
  const list = [...entries];
  const strangers = new Set(unknownNamespaces(list, held));
  // An attach notes in `held` what it does while the look goes on.
  const before = new Map(held);
  const look = await kernel.observe([...strangers]);
  return completed(look, before, strangers, touched()) ?? kernel.observe([...new Set(list.map(workloadOf))]);
}

function workloadOf({ endpoint }: Entry): Ns {
  return endpoint.spec.netns as Ns;
}

/** Paths of namespaces in which not every endpoint's pair is held: they have to be read, whatever path leads there. */
function unknownNamespaces(entries: readonly Entry[], held: KernelState): Ns[] {
  const pairs = new Map<string, Veth>();
  for (const object of held.values()) if (object.kind === "veth") pairs.set(object.name, object);
  const strange = new Set<string>();
  for (const { endpoint, netnsId } of entries) {
    const { netns, ifname } = endpoint.spec;
    const far = pairs.get(portName(endpoint.name))?.peer;
    if (far?.ns !== netns || far.name !== ifname) strange.add(netnsId);
  }
  return entries.filter(({ netnsId }) => strange.has(netnsId)).map(workloadOf);
}

/** The look with what it left out as that was held; undefined if a near end says that it may be otherwise. */
export function completed(
  look: KernelState,
  held: KernelState,
  read: ReadonlySet<Ns>,
  touched: ReadonlySet<string>,
): KernelState | undefined {
  const nears = new Map<string, Veth>();
  for (const object of look.values()) if (object.kind === "veth") nears.set(nearOf(object), object);
  const whole = new Map(look);
  const kept = new Set<string>();
  for (const object of held.values()) {
    if (object.kind !== "veth" || !isPath(object.peer.ns) || read.has(object.peer.ns) || touched.has(nearOf(object)))
      continue;
    const near = nears.get(nearOf(object));
    if (near === undefined || isPath(near.peer.ns) || !isSameNear(near, object)) return undefined;
    whole.delete(keyOf(near));
    whole.set(keyOf(object), object);
    kept.add(`${object.peer.ns} ${object.peer.name}`);
  }
  for (const [key, object] of held) if (isOn(object, kept)) whole.set(key, object);
  return whole;
}

/** A look that does not know a far end says `/` for its namespace. */
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
