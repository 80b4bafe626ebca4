// The way to each peer, made so that it can be tried: a namespace of the agent's own with one VXLAN device per tunnel
// port, its UDP socket in the host's namespace as every tunnel's is. What the agent sends there takes exactly the way
// that workloads' packets take between the two hosts (port, source address, firewalls on both sides), and the peer's
// kernel answers it, also while the agent there is away.
//
//   namespace _paths     path4789, VNI 16777215        fd00:7765:7061:12b5::<order of this host>
//   neighbour, FDB       one of each per peer          its order -> its MAC -> its underlay address
//
// A host's order is its number in the cluster: short, and no two hosts have the same.
import { formatIp, ipOf } from "../../model/address.ts";
import { PATHS_VNI } from "../../model/paths.ts";
import type { Host, Vrf } from "../../model/resource.ts";
import { vrfMtu, vxlanMtu } from "../world/mtu.ts";
import { alias } from "../state/names.ts";
import type { KernelObject } from "../kinds.ts";
import { type World, familyOf, tunnelTo } from "../world/world.ts";

/** No VRF has such a name: it would begin with a letter. */
export const PATHS_NS = "vrf:_paths";
/** Below it a link has no IPv6 (RFC 8200, section 5). Where tunnels carry less, less is sent. */
const MTU_LEAST = 1280;

/** The way to a peer over one tunnel port. */
export type Path = {
  readonly host: string;
  readonly port: number;
  /** This host's underlay address and the peer's: with others it is another way. */
  readonly ends: string;
  /** Where to send, in the namespace; absent if there can be no tunnel. */
  readonly to?: string;
  /** The largest packet that a workload sends there. */
  readonly size: number;
};

/** The ways to all hosts that share a VRF with this one. */
export function pathsOf(world: World): readonly Path[] {
  const paths = new Map<string, Path>();
  for (const vrf of world.vrfs) {
    const size = sizeIn(world, vrf);
    const port = vrf.spec.tunnelPort;
    for (const host of world.members.get(vrf.name) ?? []) {
      if (host === world.self) continue;
      const key = `${host.name} ${port}`;
      const least = paths.get(key)?.size ?? 0;
      const way = tunnelTo(world, host.name) === undefined ? {} : { to: addressOf(port, host) };
      const ends = `${world.self.spec.underlay} ${host.spec.underlay}`;
      paths.set(key, { host: host.name, port, ends, size: Math.max(size, least), ...way });
    }
  }
  return [...paths.values()];
}

/** What the largest of the VRF's networks lets its workloads send. */
function sizeIn(world: World, vrf: Vrf): number {
  const most = vrfMtu(world, vrf);
  const asked = (world.networks.get(vrf.name) ?? []).map(({ spec }) => Math.min(spec.mtu ?? most, most));
  return asked.length === 0 ? most : Math.max(...asked);
}

export function compilePaths(world: World): KernelObject[] {
  const paths = pathsOf(world).filter(({ to }) => to !== undefined);
  if (paths.length === 0) return [];
  const { self } = world;
  const ns = PATHS_NS;
  const objects: KernelObject[] = [
    { kind: "netns", ns },
    { kind: "sysctl", ns, key: "ipv6/conf/default/accept_dad", value: "0" },
    { kind: "sysctl", ns, key: "ipv6/conf/default/accept_ra", value: "0" },
  ];
  for (const port of new Set(paths.map((path) => path.port))) {
    const dev = deviceOf(port);
    objects.push(
      {
        kind: "vxlan",
        ns,
        name: dev,
        vni: PATHS_VNI,
        local: self.spec.underlay,
        port,
        mac: macOf(self),
        mtu: Math.max(MTU_LEAST, vxlanMtu(self.spec.underlayMtu, familyOf(self.spec.underlay) ?? 4)),
        alias: alias("paths", String(port)),
      },
      { kind: "address", ns, dev, cidr: `${addressOf(port, self)}/64` },
    );
  }
  for (const { host: name, port, to } of paths) {
    const host = world.hosts.get(name);
    if (host === undefined || to === undefined) continue;
    const dev = deviceOf(port);
    objects.push(
      { kind: "neighbour", ns, dev, ip: to, mac: macOf(host) },
      { kind: "fdb", ns, dev, mac: macOf(host), dst: host.spec.underlay },
    );
  }
  return objects;
}

function deviceOf(port: number): string {
  return `path${port}`;
}

/** Known to nobody outside the namespace. */
function addressOf(port: number, { spec }: Host): string {
  const order = spec.order.toString(16).padStart(8, "0");
  const text = `fd00:7765:7061:${port.toString(16)}::${order.slice(0, 4)}:${order.slice(4)}`;
  const ip = ipOf(text);
  return ip === undefined ? text : formatIp(ip);
}

function macOf({ spec }: Host): string {
  return `0a:5a:${(spec.order.toString(16).padStart(8, "0").match(/../g) ?? []).join(":")}`;
}
