// What DC/OS shows of its overlays, made from Weft's snapshot and the hosts' reports: the State of the overlay master
// and the AgentInfo of an overlay agent. Pure. Members of every object are in alphabetical order, as Mesos prints
// them, so that a recorded answer and ours compare as text. Schema: messages.proto of DC/OS's overlay modules, 1.8-2.2.
import { cidrOf, familyOf, formatCidr } from "../../model/address.ts";
import { defined } from "../../model/defined.ts";
import type { Block, Host, Network, Snapshot, Vrf, Vtep } from "../../model/resource.ts";
import type { HostReport } from "../../model/status.ts";
import { type Segment, segmentsOf } from "../../datapath/world/layout.ts";

type OverlayStatus = {
  readonly error?: string;
  readonly status: "STATUS_OK" | "STATUS_FAILED" | "STATUS_CONFIGURING";
};
export type AgentOverlayInfo = ReturnType<typeof overlaysOn>[number];
export type State = NonNullable<ReturnType<typeof overlayState>>;

/** The configuration in a snapshot. Blocks are indexed once: with many hosts, a search per host would be a square. */
type World = {
  readonly blocks: ReadonlyMap<string, readonly Block[]>;
  readonly vrf: Vrf;
  readonly networks: readonly Network[];
  readonly dcos: NonNullable<Vrf["spec"]["dcos"]>;
};

/**
 * What GET /overlay-master/state answers; undefined if no DC/OS configuration was imported. Statuses are by host name.
 * Hosts in the order in which they registered, overlays by name.
 */
export function overlayState(snapshot: Snapshot, statuses: ReadonlyMap<string, HostReport>) {
  const world = worldOf(snapshot);
  if (world === undefined) return undefined;
  const vteps = new Map(
    snapshot.vteps.filter((vtep) => vtep.spec.vrf === world.vrf.name).map((vtep) => [vtep.spec.host, vtep]),
  );
  const hosts = snapshot.hosts.filter((host) => vteps.has(host.name)).toSorted((a, b) => a.spec.order - b.spec.order);
  const { vtepSubnets } = world.vrf.spec;
  return {
    agents: hosts.map((host) => ({
      ip: host.spec.underlay,
      overlays: overlaysOn(world, host, vteps.get(host.name), statuses.get(host.name)),
    })),
    network: defined({
      // `enabled` was not there before DC/OS 1.11, so it is shown only when it is false.
      overlays: world.networks.map((network) => ({
        ...(network.spec.enabled ? {} : { enabled: false }),
        ...infoOf(network),
      })),
      vtep_mac_oui: world.dcos.vtepMacOui,
      vtep_mtu: world.dcos.vtepMtu,
      vtep_subnet: ofFamily(vtepSubnets, 4),
      vtep_subnet6: ofFamily(vtepSubnets, 6),
    }),
  };
}

/** What a host's agent answers at /overlay-agent/overlay; undefined if the snapshot does not have the host. */
export function agentOverlay(snapshot: Snapshot, hostName: string, status: HostReport | undefined) {
  const world = worldOf(snapshot);
  const host = snapshot.hosts.find((candidate) => candidate.name === hostName);
  if (host === undefined) return undefined;
  const vtep = snapshot.vteps.find(({ spec }) => spec.vrf === world?.vrf.name && spec.host === hostName);
  // DC/OS counts rounds until one succeeds, from zero after each registration. Weft's rounds have no such end.
  const attempts = status === undefined ? 0 : 1;
  const overlays = world === undefined ? [] : overlaysOn(world, host, vtep, status);
  return { configuration_attempts: attempts, ip: host.spec.underlay, overlays };
}

function worldOf(snapshot: Snapshot): World | undefined {
  const vrf = snapshot.vrfs
    .filter(({ spec }) => spec.dcos !== undefined)
    .toSorted((a, b) => compare(a.name, b.name))[0];
  if (vrf?.spec.dcos === undefined) return undefined;
  const networks = snapshot.networks
    .filter(({ spec }) => spec.vrf === vrf.name && spec.ipam === "local")
    .toSorted((a, b) => compare(a.name, b.name));
  return { blocks: Map.groupBy(snapshot.blocks, (block) => block.spec.host), vrf, networks, dcos: vrf.spec.dcos };
}

function overlaysOn(world: World, host: Host, vtep: Vtep | undefined, status: HostReport | undefined) {
  if (vtep === undefined) return [];
  const vxlan = vxlanOf(world, vtep);
  const blocks = world.blocks.get(host.name) ?? [];
  return world.networks.flatMap((network) => {
    const own = blocks.filter((block) => block.spec.network === network.name);
    // A network that was disabled before the host came, or that has no block left for it.
    if (own.length === 0) return [];
    const subnets = own.map((block) => block.spec.cidr);
    const segments = segmentsOf(world.vrf, network, host, own);
    const revision = Math.max(...[network, world.vrf, vtep, ...own].map((resource) => resource.revision));
    return defined({
      backend: { vxlan },
      docker_bridge: bridgeOf(segments, "docker"),
      info: infoOf(network),
      mesos_bridge: bridgeOf(segments, "mesos"),
      state: statusOf(network.name, revision, status),
      subnet: ofFamily(subnets, 4),
      subnet6: ofFamily(subnets, 6),
    });
  });
}

function vxlanOf({ vrf, dcos }: World, vtep: Vtep) {
  const withLength = (ip: string | undefined, family: 4 | 6) => {
    const subnet = cidrOf(ofFamily(vrf.spec.vtepSubnets, family) ?? "");
    return ip === undefined || subnet === undefined ? undefined : `${ip}/${subnet.length}`;
  };
  return defined({
    vni: vrf.spec.vni,
    vtep_ip: withLength(vtep.spec.ip, 4),
    vtep_ip6: withLength(vtep.spec.ip6, 6),
    vtep_mac: vtep.spec.mac,
    vtep_mtu: dcos.vtepMtu,
    vtep_name: vrf.spec.vtepName ?? `vtep${vrf.spec.vni}`,
  });
}

/**
 * The state of a network on a host, from the host's last report; DC/OS, too, does not change a state that was once
 * good.
 */
function statusOf(network: string, revision: number, status: HostReport | undefined): OverlayStatus {
  if (status === undefined) return { status: "STATUS_CONFIGURING" };
  if (status.networks.includes(network) && status.revision >= revision) return { status: "STATUS_OK" };
  if (status.errors.length > 0) return { error: status.errors.join("; "), status: "STATUS_FAILED" };
  return { status: "STATUS_CONFIGURING" };
}

/** Bridges are shown with the network of their half, not with their own address, as in DC/OS. */
function bridgeOf(segments: readonly Segment[], slice: string) {
  const segment = segments.find((candidate) => candidate.slice === slice);
  if (segment === undefined) return undefined;
  const cidrs = segment.prefixes.map((prefix) => formatCidr(prefix.cidr));
  return defined({ ip: ofFamily(cidrs, 4), ip6: ofFamily(cidrs, 6), name: segment.bridge });
}

function infoOf({ name, spec }: Network) {
  const [v4, v6] = ([4, 6] as const).map((family) =>
    spec.subnets.find(({ cidr }) => ofFamily([cidr], family) !== undefined),
  );
  return defined({ name, prefix: v4?.hostPrefix, prefix6: v6?.hostPrefix, subnet: v4?.cidr, subnet6: v6?.cidr });
}

function ofFamily(cidrs: readonly string[], family: 4 | 6): string | undefined {
  return cidrs.find((cidr) => familyOf(cidr) === family);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
