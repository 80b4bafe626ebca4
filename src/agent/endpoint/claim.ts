// What a workload's door asks, as what is claimed from the server or from this host's block: who it belongs to, under
// which interface name; and what the door answers. Pure.
import { endpointMtu, portOn } from "../../datapath/network/endpoint.ts";
import type { EndpointLayout } from "../../datapath/world/layout.ts";
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Veth } from "../../datapath/kinds/veth.ts";
import type { EndpointClaim } from "../../model/input.ts";
import { checkName } from "../../model/parse.ts";
import type { Endpoint } from "../../model/resource.ts";
import type { AttachRequest, Attachment } from "../../model/status.ts";
import type { NetworkContext } from "./networkContext.ts";

/** A namespace is named after whoever made it; that of a process after the process. */
export function ownerOf(netns: string): string {
  const pid = /^\/proc\/(\d+)\/ns\/net$/.exec(netns)?.[1];
  return checkName("endpoint", pid === undefined ? (netns.split("/").at(-1) ?? "") : `pid-${pid}`, "owner");
}

export function claimOf(
  request: AttachRequest,
  host: string,
  owner: string,
  ifname: string,
  joined: boolean,
): EndpointClaim {
  const { network, netns, addresses, mac, range, slice, workload, tenant, defaultRoute, qos } = request;
  const { securityGroups, allowedAddresses } = request;
  return {
    network,
    host,
    owner,
    ifname,
    netns,
    ...(addresses === undefined ? {} : { addresses }),
    ...(mac === undefined ? {} : { mac }),
    ...(range === undefined ? {} : { range }),
    ...(slice === undefined ? {} : { slice }),
    ...(workload === undefined ? {} : { workload }),
    ...(joined ? { joined } : {}),
    ...(defaultRoute === undefined ? {} : { defaultRoute }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(qos === undefined ? {} : { qos }),
    ...(securityGroups === undefined ? {} : { securityGroups }),
    ...(allowedAddresses === undefined ? {} : { allowedAddresses }),
  };
}

/** What an endpoint is in the kernel: nothing, if no segment of this host holds its addresses. */
export type Compiled = { readonly layout: EndpointLayout | undefined; readonly objects: readonly KernelObject[] };

/** What an attach answers. */
export function attachmentOf(
  { mtu, root }: Pick<NetworkContext, "mtu" | "root">,
  endpoint: Endpoint,
  { layout, objects }: Compiled,
): Attachment {
  return {
    endpoint: endpoint.name,
    spec: endpoint.spec,
    mtu: layout === undefined ? mtu : endpointMtu(layout, mtu),
    routes: objects.flatMap((object) => (object.kind === "route" ? [`${object.dst} via ${object.via}`] : [])),
    interfaceAddresses: layout?.addresses ?? [],
    gateways: layout?.gateways.map((gateway) => gateway.ip) ?? [],
    dns: layout?.dns ?? root.spec.dns ?? [],
  };
}

/** What is known of an attachment when its network is not. */
export function withoutNetwork({ name, spec }: Endpoint): Attachment {
  return { endpoint: name, spec, mtu: 0, routes: [], interfaceAddresses: [], gateways: [], dns: [] };
}

/** What the pair of an endpoint is before its addresses are known: all but the far end's MAC, if nobody chose one. */
export function speculativePort(
  { vrf, segments, mtu }: NetworkContext,
  { ifname, netns, mac }: EndpointClaim,
  name: string,
) {
  const [segment] = segments;
  return segment === undefined
    ? undefined
    : portOn({ name, spec: { ifname, netns, mac: mac ?? "" } }, vrf.name, segment, mtu);
}

export function bridgeKey({ ns, master }: Veth): string {
  return `bridge ${ns} ${master}`;
}
