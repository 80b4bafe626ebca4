// What others have in the host's own namespace and networks there meet: a device with the name of a network's bridge,
// and filters that drop what workloads of these networks send. Weft changes neither. A network whose bridge another
// program has is left out, rules included, and a person is told.
import { isInHost } from "../../datapath/world/placement.ts";
import { type KernelState, isLink } from "../../datapath/state/state.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { bridgeOfOthers, islandsBridge } from "../../model/bridges.ts";
import { isOnHost } from "../../model/carrying.ts";
import type { Clock } from "../../model/clock.ts";
import { bridgesOf } from "../../model/device.ts";
import { devicesToTell } from "../../model/hostDevices.ts";
import { physicalOf } from "../../model/physical.ts";
import type { Network, Snapshot } from "../../model/resource.ts";
import { Inheritance, withFormerMacs } from "./inherit.ts";
import { OtherTunnels } from "./otherTunnels.ts";

/** How long what was found of filters is used. */
const FRESH_MS = 30_000;

export type HostNamespaceOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "devices" | "linkNames" | "forwardFilters" | "heed" | "inherit" | "otherVxlans">;
  readonly clock: Clock;
};

export class HostNamespace {
  readonly #options: HostNamespaceOptions;
  readonly #inheritance: Inheritance;
  readonly #otherTunnels: OtherTunnels;
  /** Links of the host's namespace, from inherit() to buildable() of one round: nothing is awaited between. */
  #links: ReadonlySet<string> | undefined;
  #taken: readonly string[] = [];
  #filtered: { readonly of: string; readonly atMs: number; readonly lines: readonly string[] } | undefined;

  constructor(options: HostNamespaceOptions) {
    this.#options = options;
    this.#inheritance = new Inheritance(options);
    this.#otherTunnels = new OtherTunnels(options);
  }

  get conditions(): readonly string[] {
    return [...this.#taken, ...(this.#filtered?.lines ?? []), ...this.#otherTunnels.conditions];
  }

  /** Takes over what networks may; true if anything was, so that the kernel has to be observed again. */
  inherit(snapshot: Snapshot, actual: KernelState): boolean {
    const here = networksHere(snapshot, this.#options.host).filter(({ spec }) => spec.takeOver === true);
    this.#links = undefined;
    if (here.length === 0) return false;
    const links = new Set(this.#options.kernel.linkNames("host"));
    const isTaken = takenIn(links, actual);
    const isDone = this.#inheritance.run(
      here.filter((network) => namesOf(network).some(isTaken)),
      snapshot,
    );
    // If anything was, the kernel is observed again, and links come and go meanwhile.
    if (!isDone) this.#links = links;
    return isDone;
  }

  /** What is desired, with the MACs that devices had before they were taken over. */
  withFormerMacs(desired: KernelState, actual: KernelState, snapshot: Snapshot): KernelState {
    const here = networksHere(snapshot, this.#options.host).filter(({ spec }) => spec.takeOver === true);
    return withFormerMacs(desired, actual, here);
  }

  /** The snapshot without networks whose bridge is a device of another program here. `actual`: what is ours. */
  buildable(snapshot: Snapshot, actual: KernelState): Snapshot {
    const { host, kernel } = this.#options;
    const known = this.#links;
    this.#links = undefined;
    const here = networksHere(snapshot, host);
    kernel.heed(awaited(snapshot, host, here));
    if (here.length === 0) {
      this.#taken = [];
      this.#filtered = undefined;
      return snapshot;
    }
    const seen = withBridges(snapshot, here, this.#options);
    const isTaken = takenIn(known ?? new Set(kernel.linkNames("host")), actual);
    const out = new Map(
      here.flatMap((one) =>
        namesOf(one)
          .filter(isTaken)
          .slice(0, 1)
          .map((name) => [one.name, name]),
      ),
    );
    this.#taken = [...out].map(([name, device]) => takenText(name, device, this.#inheritance.reason(name)));
    this.#lookAtFilters(here.filter(({ name }) => !out.has(name)));
    return out.size === 0 ? seen : without(seen, host, out);
  }

  /** Call in each round with what it desires, of all of the host's namespaces: tunnels have their sockets here. */
  lookAtTunnels(desired: KernelState, snapshot: Snapshot): void {
    this.#otherTunnels.look(desired, snapshot);
  }

  #lookAtFilters(networks: readonly Network[]): void {
    const { kernel, clock } = this.#options;
    const of = networks.map(({ name }) => name).join();
    const nowMs = clock.monotonicMs();
    if (this.#filtered?.of === of && nowMs - this.#filtered.atMs < FRESH_MS) return;
    const bridges = networks.flatMap((network) => bridgesOf(network)).sort();
    const { drops, seesFrames } = kernel.forwardFilters(bridges);
    const routed = networks
      .filter(hasGateway)
      .flatMap((network) => bridgesOf(network))
      .sort();
    const concerned = seesFrames ? bridges : routed;
    const lines = concerned.length === 0 ? [] : drops.map((chain) => droppedText(chain, concerned, seesFrames));
    this.#filtered = { of, atMs: nowMs, lines };
  }
}

/** Whether a name is that of another program's device. */
function takenIn(links: ReadonlySet<string>, actual: KernelState): (name: string) => boolean {
  const ours = new Set([...actual.values()].flatMap((one) => (isLink(one) && one.ns === "host" ? [one.name] : [])));
  return (name) => links.has(name) && !ours.has(name);
}

/** The networks of the VRF in the host's own namespace that this host has. */
function networksHere({ vrfs, networks, endpoints, hosts }: Snapshot, host: string): readonly Network[] {
  const vrf = vrfs.find(isInHost)?.name;
  if (vrf === undefined) return [];
  const own = hosts.find(({ name }) => name === host);
  const used = new Set(endpoints.filter(({ spec }) => spec.host === host).map(({ spec }) => spec.network));
  const isWanted = (spec: Network["spec"]) => own !== undefined && isOnHost(spec, own);
  return networks.filter(({ name, spec }) => {
    return spec.vrf === vrf && spec.reservedFrom === undefined && (used.has(name) || isWanted(spec));
  });
}

/** Devices of others that Weft needs, and names that it needs. */
function awaited(snapshot: Snapshot, host: string, here: readonly Network[]): readonly string[] {
  const own = snapshot.hosts.find(({ name }) => name === host);
  const physical = own === undefined ? [] : physicalOf(own.spec).map(({ device }) => device);
  return [...here.flatMap(namesOf), ...physical, ...devicesToTell(snapshot, host)];
}

/**
 * What this host's bridges of others are now: they come and go with their programs, and the server may hear of it
 * later, or be away.
 */
function withBridges(snapshot: Snapshot, here: readonly Network[], { host, kernel }: HostNamespaceOptions): Snapshot {
  const names = new Set(here.flatMap(({ spec }) => bridgeOfOthers(spec) ?? []));
  if (names.size === 0) return snapshot;
  const found = kernel.devices([...names]);
  const hosts = snapshot.hosts.map((one) => {
    if (one.name !== host) return one;
    const devices = (one.spec.devices ?? []).filter(({ name }) => !names.has(name));
    return { ...one, spec: { ...one.spec, devices: [...devices, ...found] } };
  });
  return { ...snapshot, hosts };
}

/** Devices of a network that are to be Weft's, and that others may have; the bridge first. */
function namesOf(network: Network): readonly string[] {
  const { device } = network.spec;
  const shared = islandsBridge(network.spec);
  return [...bridgesOf(network), ...[shared, device].filter((name) => name !== undefined)];
}

function without(snapshot: Snapshot, host: string, names: ReadonlyMap<string, string>): Snapshot {
  return {
    ...snapshot,
    networks: snapshot.networks.filter(({ name }) => !names.has(name)),
    endpoints: snapshot.endpoints.filter(({ spec }) => spec.host !== host || !names.has(spec.network)),
  };
}

function hasGateway({ spec }: Network): boolean {
  return spec.subnets.some(({ gateway }) => gateway !== undefined && gateway !== "none");
}

function takenText(network: string, device: string, reason: string | undefined): string {
  if (reason !== undefined)
    return `network ${network} is not on this host: ${device} is another program's and not taken over: ${reason}`;
  return (
    `network ${network} is not on this host: its device would be ${device}, which is another program's ` +
    `(ip -d link show ${device}); rename or remove that, give the network another name for it, or let hosts take it ` +
    `over (weft network edit ${network} --take-over)`
  );
}

function droppedText(chain: string, bridges: readonly string[], seesFrames: boolean): string {
  const each = seesFrames ? ", nor each other, because net.bridge.bridge-nf-call-iptables is 1" : "";
  const [first = ""] = bridges;
  return (
    `${chain} drops what none of its rules accepts, and none names ${bridges.join(", ")}: workloads there do not ` +
    `reach the outside${each}; accept them (with Docker: iptables -I DOCKER-USER -i ${first} -j ACCEPT, and with -o)`
  );
}
