// What others have in the host's own namespace and networks there meet: a device with the name of a network's bridge,
// and filters that drop what workloads of these networks send. Weft changes neither. A network whose bridge another
// program has is left out, rules included, and a person is told.
import { isInHost } from "../../datapath/world/placement.ts";
import { type KernelState, keyOf } from "../../datapath/state/state.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { namesHost } from "../../model/carrying.ts";
import type { Clock } from "../../model/clock.ts";
import { bridgesOf } from "../../model/device.ts";
import type { Network, Snapshot } from "../../model/resource.ts";

/** How long what was found of filters is used. */
const FRESH_MS = 30_000;

export type HostNamespaceOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "linkNames" | "forwardFilters">;
  readonly clock: Clock;
};

export class HostNamespace {
  readonly #options: HostNamespaceOptions;
  #taken: readonly string[] = [];
  #filtered: { readonly of: string; readonly atMs: number; readonly lines: readonly string[] } | undefined;

  constructor(options: HostNamespaceOptions) {
    this.#options = options;
  }

  get conditions(): readonly string[] {
    return [...this.#taken, ...(this.#filtered?.lines ?? [])];
  }

  /** The snapshot without networks whose bridge is a device of another program here. `actual`: what is ours. */
  buildable(snapshot: Snapshot, actual: KernelState): Snapshot {
    const { host, kernel } = this.#options;
    const here = networksHere(snapshot, host);
    if (here.length === 0) {
      this.#taken = [];
      this.#filtered = undefined;
      return snapshot;
    }
    const links = new Set(kernel.linkNames("host"));
    const isTaken = (name: string) => links.has(name) && !actual.has(bridgeKey(name));
    const out = new Map(
      here.flatMap((one) =>
        bridgesOf(one)
          .filter(isTaken)
          .map((bridge) => [one.name, bridge]),
      ),
    );
    this.#taken = [...out].map(([name, bridge]) => takenText(name, bridge));
    this.#lookAtFilters(here.filter(({ name }) => !out.has(name)));
    return out.size === 0 ? snapshot : without(snapshot, host, out);
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

/** The networks of the VRF in the host's own namespace that this host has. */
function networksHere({ vrfs, networks, endpoints }: Snapshot, host: string): readonly Network[] {
  const vrf = vrfs.find(isInHost)?.name;
  if (vrf === undefined) return [];
  const used = new Set(endpoints.filter(({ spec }) => spec.host === host).map(({ spec }) => spec.network));
  return networks.filter(({ name, spec }) => {
    return spec.vrf === vrf && spec.reservedFrom === undefined && (used.has(name) || namesHost(spec, host));
  });
}

function bridgeKey(name: string): string {
  return keyOf({ kind: "bridge", ns: "host", name, mtu: 0, mac: "", alias: "" });
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

function takenText(network: string, bridge: string): string {
  return (
    `network ${network} is not on this host: its bridge would be ${bridge}, which is a device of another program ` +
    `(ip -d link show ${bridge}); rename that, or give the network another bridge`
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
