// From a local request to a claim (what the endpoint is to be: owner, interface, wishes), and from an endpoint to the
// answer. Pure.
import { endpointMtu, portOn } from "../../datapath/network/endpoint.ts";
import type { Veth } from "../../datapath/kinds/links.ts";
import type { EndpointClaim } from "../../model/input.ts";
import { checkName } from "../../model/parse.ts";
import type { Endpoint } from "../../model/resource.ts";
import type { AttachRequest, Attachment } from "../../model/status.ts";
import type { Compiled } from "./compile.ts";
import type { NetworkContext } from "./networkContext.ts";

/** A request with the parts of the endpoint's name. */
export type NamedRequest = AttachRequest & { readonly owner: string; readonly ifname: string };

/** The request with owner and interface filled in: by default, the namespace's file name and `eth0`. */
export function named(request: AttachRequest): NamedRequest {
  return { ...request, owner: request.owner ?? ownerOf(request.netns), ifname: request.ifname ?? "eth0" };
}

/** The owner if the request names none: the file name of the namespace, or `pid-N` for that of a process. */
export function ownerOf(netns: string): string {
  const pid = /^\/proc\/(\d+)\/ns\/net$/.exec(netns)?.[1];
  return checkName("endpoint", pid === undefined ? (netns.split("/").at(-1) ?? "") : `pid-${pid}`, "owner");
}

/** `joined`: it is made for a membership. */
export function claimOf(request: NamedRequest, host: string, joined: boolean): EndpointClaim {
  const { network, owner, ifname, netns, addresses, mac, range, slice, workload, tenant, defaultRoute, qos } = request;
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

/** The answer to an attach. */
export function attachmentOf(
  { mtu, segmentOwner }: Pick<NetworkContext, "mtu" | "segmentOwner">,
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
    dns: layout?.dns ?? segmentOwner.spec.dns ?? [],
  };
}

/** The same for an endpoint whose network is not known. */
export function withoutNetwork({ name, spec }: Endpoint): Attachment {
  return { endpoint: name, spec, mtu: 0, routes: [], interfaceAddresses: [], gateways: [], dns: [] };
}

/** The pair of an endpoint whose addresses are not known yet; the far end's MAC is empty unless the claim has one. */
export function speculativePort({ vrf, segments, mtu }: NetworkContext, claim: EndpointClaim, name: string) {
  const { ifname, netns, mac } = claim;
  const [segment] = segments;
  return segment === undefined
    ? undefined
    : portOn({ name, spec: { ifname, netns, mac: mac ?? "" } }, vrf.name, segment, mtu);
}

export function bridgeKey({ ns, master }: Veth): string {
  return `bridge ${ns} ${master}`;
}
