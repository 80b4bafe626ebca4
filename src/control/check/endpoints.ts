// Checks one endpoint on one host: does everything that server, journal and kernel name exist, and do they agree?
import { type Ip, cidrOf, contains, ipOf } from "../../model/address.ts";
import type { JournalEntry, KernelPort, Order } from "../../model/check.ts";
import { prefixesOf } from "../../model/membership.ts";
import { indexOfIp, planOf } from "../../ipam/range.ts";
import type { Endpoint, Network } from "../../model/resource.ts";
import { type Act, type CheckContext, type Judgement, type Seen, judgement, leaseSays } from "./judgement.ts";

export function judgeEndpoint(seen: Seen, context: CheckContext): Judgement[] {
  const { host, lease, entry, port } = seen;
  if (lease !== undefined && !context.hosts.has(host)) return [hostGone(seen, lease, context)];
  if (!context.checked.has(host)) return [outside(seen, context)].filter((one) => one !== undefined);
  if (entry === undefined) {
    if (lease !== undefined) return [unknownToHost(seen, lease, context)];
    return port === undefined ? [] : [portUnknown(seen, context)];
  }
  const existence = missing(seen, entry, context);
  if (existence !== undefined) return [existence];
  return [
    lease === undefined ? unknownToServer(seen, entry, context) : leaseDiffers(seen, lease, entry, context),
    port === undefined ? undefined : kernelDiffers(seen, entry, port, context),
    outside(seen, context),
  ].filter((one) => one !== undefined);
}

function hostGone(seen: Seen, lease: Endpoint, context: CheckContext): Judgement {
  const act = release(lease);
  return judgement("host-gone", seen, context, "the server lets go of the lease: there is no such host", act);
}

function unknownToHost(seen: Seen, lease: Endpoint, context: CheckContext): Judgement {
  if (seen.port !== undefined) {
    const text = "the agent takes the endpoint into its journal again: its port is there";
    return judgement("unknown-to-host", seen, context, text, settle(seen));
  }
  return judgement("unknown-to-host", seen, context, "the server lets go of the lease", release(lease));
}

function portUnknown(seen: Seen, context: CheckContext): Judgement {
  return judgement("port-unknown", seen, context, "the agent removes the port", settle(seen));
}

/** The journal has the endpoint: do its namespace, port and network exist? */
function missing(seen: Seen, entry: JournalEntry, context: CheckContext): Judgement | undefined {
  const { endpoint, addresses } = entry;
  const act = order(seen, { do: "detach", endpoint, addresses, alive: false });
  const text = "the agent detaches it and frees its addresses";
  if (entry.state === "detaching") return judgement("detach-unfinished", seen, context, text, act);
  if (!context.networks.has(entry.network)) {
    const also = order(seen, { do: "detach", endpoint, addresses, alive: true });
    return judgement("network-gone", seen, context, text, also);
  }
  if (!entry.alive) return judgement("workload-gone", seen, context, text, act);
  if (seen.port !== undefined) return undefined;
  return judgement("port-missing", seen, context, "the agent makes the port again", settle(seen));
}

function unknownToServer(seen: Seen, entry: JournalEntry, context: CheckContext): Judgement {
  const elsewhere = context.leases.get(seen.endpoint);
  // In a local network two hosts may each have an endpoint of one name, with addresses of their own.
  const isOther = !isGlobal(entry.network, context) && !isSameSet(elsewhere?.spec.addresses ?? [], entry.addresses);
  if (elsewhere !== undefined && !isOther) {
    const text = `detach it on the host where it does not belong: weft detach ${seen.endpoint} --host ${seen.host}`;
    const found = judgement("wrong-host", seen, context, text, undefined);
    return { ...found, finding: { ...found.finding, evidence: [...found.finding.evidence, leaseSays(elsewhere)] } };
  }
  if (isGlobal(entry.network, context)) {
    const text = "the agent detaches it: in a global network the server's word counts";
    return judgement("unknown-to-server", seen, context, text, settle(seen));
  }
  const act = order(seen, { do: "tell", endpoint: seen.endpoint });
  return judgement("unknown-to-server", seen, context, "the agent tells the server", act);
}

function leaseDiffers(seen: Seen, lease: Endpoint, entry: JournalEntry, context: CheckContext): Judgement | undefined {
  const { network, netns, mac, addresses } = lease.spec;
  const isSame =
    network === entry.network && netns === entry.netns && mac === entry.mac && isSameSet(addresses, entry.addresses);
  if (isSame) return undefined;
  return isGlobal(entry.network, context)
    ? judgement(
        "lease-differs",
        seen,
        context,
        "the agent takes what the server says into its journal and kernel",
        order(seen, { do: "take", endpoint: seen.endpoint }),
      )
    : judgement(
        "lease-differs",
        seen,
        context,
        "the agent tells the server what its journal says",
        order(seen, { do: "tell", endpoint: seen.endpoint }),
      );
}

function kernelDiffers(
  seen: Seen,
  entry: JournalEntry,
  port: KernelPort,
  context: CheckContext,
): Judgement | undefined {
  const isSame =
    port.vrf === context.networks.get(entry.network)?.spec.vrf &&
    (port.far === undefined || (port.far.mac === entry.mac && isItsOwn(port.far.addresses, entry.addresses)));
  return isSame
    ? undefined
    : judgement("kernel-differs", seen, context, "the agent sets the kernel right", settle(seen));
}

/** If Weft gave an interface no address, any address on it is the workload's. */
function isItsOwn(there: readonly string[], given: readonly string[]): boolean {
  return given.length === 0 || isSameSet(there, given);
}

/** An address outside the network, or in a local network outside the host's block. */
function outside(seen: Seen, context: CheckContext): Judgement | undefined {
  const claim = seen.lease?.spec ?? seen.entry;
  const network = context.networks.get(claim?.network ?? "");
  if (claim === undefined || network === undefined) return undefined;
  const isIn = addressesOn(network, seen.host, context);
  const isInside = claim.addresses.every((text) => {
    const ip = ipOf(text);
    return ip !== undefined && isIn(ip);
  });
  if (isInside) return undefined;
  const place = network.spec.ipam === "local" ? "its host's block" : "its network";
  const text = `detach it and attach it again, so that it gets an address of ${place}`;
  return judgement("outside", seen, context, text, undefined);
}

/** Whether a network has an address on a host; of a reservation, only addresses in its pieces. */
function addressesOn({ name, spec }: Network, host: string, context: CheckContext): (ip: Ip) => boolean {
  if (spec.reservedFrom !== undefined) {
    const plans = (spec.ranges ?? []).map(planOf);
    return (ip) => plans.some((plan) => indexOfIp(plan, ip) !== undefined);
  }
  const cidrs =
    spec.ipam === "local"
      ? (context.pieces.get(`${name} ${host}`) ?? [])
      : prefixesOf(spec).flatMap((text) => cidrOf(text) ?? []);
  return (ip) => cidrs.some((cidr) => contains(cidr, ip));
}

function release({ name, revision }: Endpoint): Act {
  return { do: "release", endpoint: name, revision };
}

function settle(seen: Seen): Act {
  return order(seen, { do: "settle" });
}

function order({ host }: Seen, order: Order): Act {
  return { do: "order", host, order };
}

function isGlobal(network: string, context: CheckContext): boolean {
  return context.networks.get(network)?.spec.ipam === "global";
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text) => b.includes(text));
}
