// What the agent asks of the server when a workload asks it for an interface.
import type { EndpointClaim } from "../client/transport.ts";
import { checkName } from "../model/parse.ts";
import type { AttachRequest } from "../model/status.ts";

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
  const { network, netns, addresses, mac, range, slice, workload, tenant } = request;
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
    ...(tenant === undefined ? {} : { tenant }),
    ...(joined ? { joined } : {}),
  };
}
