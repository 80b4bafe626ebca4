// Networks that may take over what other programs made for them in the host's namespace (`takeOver`): bridge, tunnel or
// VLAN device, and the host's addresses on the bridge. The kernel marks them as ours where they stand, and a round then
// changes what differs, like drift. Nothing is taken over while packets would be lost by it.
import { compile } from "../../datapath/compile.ts";
import { isLink, keyOf, type KernelState } from "../../datapath/state/state.ts";
import type { KernelObject } from "../../datapath/kinds.ts";
import { alias } from "../../datapath/state/names.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { isOnHost } from "../../model/carrying.ts";
import type { Clock } from "../../model/clock.ts";
import { networkBridge } from "../../model/device.ts";
import { tunnelEnd } from "../../model/multicast.ts";
import type { Network, Snapshot } from "../../model/resource.ts";

export type InheritanceOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "inherit">;
  readonly clock: Clock;
};

/** How long hosts have to tell of the device that a tunnel crosses by: filters let in only those that are known. */
const PATIENCE_MS = 10_000;

export class Inheritance {
  readonly #options: InheritanceOptions;
  /** Why devices of others stay as they are, by network. */
  #reasons = new Map<string, string>();
  /** Since when networks wait for other hosts. */
  #waitingSinceMs: number | undefined;

  constructor(options: InheritanceOptions) {
    this.#options = options;
  }

  /** Of networks with devices of others here: takes these over. True if anything was, so that it has to be observed. */
  run(networks: readonly Network[], snapshot: Snapshot): boolean {
    this.#reasons = new Map();
    const strangers = this.#strangers(networks, snapshot);
    if (networks.length === 0) return false;
    const desired = [...compile(snapshot, this.#options.host).values()];
    let isDone = false;
    for (const network of networks) {
      const wanted = desired.filter((object) => isOf(network, object));
      const reason = strangers ?? reasonToWait(network, wanted);
      const { taken, differs } = reason === undefined ? this.#options.kernel.inherit(wanted) : NOTHING;
      isDone ||= taken.length > 0;
      if (reason !== undefined) this.#reasons.set(network.name, reason);
      else if (differs.length > 0) this.#reasons.set(network.name, differs.join("; "));
    }
    return isDone;
  }

  /** Why the devices of a network stay another program's, for people. */
  reason(network: string): string | undefined {
    return this.#reasons.get(network);
  }

  /** All wait for all: the filters that come with the first are for the tunnel port of all. */
  #strangers(networks: readonly Network[], snapshot: Snapshot): string | undefined {
    const hosts = new Set(networks.flatMap((network) => strangersOf(network, snapshot)));
    if (hosts.size === 0) {
      this.#waitingSinceMs = undefined;
      return undefined;
    }
    const nowMs = this.#options.clock.monotonicMs();
    this.#waitingSinceMs ??= nowMs;
    if (nowMs - this.#waitingSinceMs >= PATIENCE_MS) return undefined;
    return `filters would drop what ${[...hosts].join(", ")} sends, whose address towards a group is not known yet`;
  }
}

/** The kernel is asked for all or nothing, so all has to be known. */
function reasonToWait({ spec }: Network, wanted: readonly KernelObject[]): string | undefined {
  const isWhole = spec.driver === "bridge" || wanted.some(({ kind }) => kind === "vxlan" || kind === "vlan");
  return isWhole ? undefined : "the device that it crosses by is not known yet";
}

const NOTHING = { taken: [], differs: [] } as const;

/** Of the network's devices and the host's addresses on them. */
function isOf(network: Network, object: KernelObject): boolean {
  if (object.ns !== "host") return false;
  if (object.kind === "address") return object.dev === networkBridge(network);
  return isLink(object) && object.kind !== "veth" && object.alias === alias("network", network.name);
}

/** Other hosts that have the network, and have not told where their tunnels end. */
function strangersOf({ spec }: Network, { hosts }: Snapshot): readonly string[] {
  if (spec.driver !== "vxlan") return [];
  const members = hosts.filter((host) => isOnHost(spec, host));
  return members.filter((host) => tunnelEnd(spec, host.spec) === undefined).map(({ name }) => name);
}

/**
 * What is desired, with the MACs that bridges and devices of these networks have: other hosts know them, and a bridge
 * that changed its own would lose what they send.
 */
export function withFormerMacs(desired: KernelState, actual: KernelState, networks: readonly Network[]): KernelState {
  if (networks.length === 0) return desired;
  const kept = new Map(desired);
  for (const object of desired.values()) {
    if (!isLink(object) || !networks.some((network) => isOf(network, object))) continue;
    const there = actual.get(keyOf(object));
    if (there !== undefined && isLink(there)) kept.set(keyOf(object), { ...object, mac: there.mac });
  }
  return kept;
}
