// Checks one endpoint on one host: does everything that server, journal and kernel name exist, and do they agree?
import { type Ip, cidrOf, contains, ipOf } from "../../model/address.ts";
import type { JournalEntry, KernelPort, Order } from "../../model/check.ts";
import { prefixesOf } from "../../model/carrying.ts";
import { indexOfIp, planOf } from "../../ipam/range.ts";
import type { Endpoint, Network } from "../../model/resource.ts";
import {
  type Act,
  type CheckContext,
  type Judgement,
  type Seen,
  type Verdict,
  judgement,
  leaseSays,
} from "./judgement.ts";

export function judgeEndpoint(seen: Seen, context: CheckContext): Judgement[] {
  return verdictsOn(seen, context)
    .filter((verdict) => verdict !== undefined)
    .map((verdict) => judgement(seen, context, verdict));
}

function verdictsOn(seen: Seen, context: CheckContext): readonly (Verdict | undefined)[] {
  const { host, lease, entry, port } = seen;
  if (lease !== undefined && !context.hosts.has(host)) {
    const remedy = "the server lets go of the lease: there is no such host";
    return [{ rule: "host-gone", remedy, act: release(lease) }];
  }
  if (!context.checked.has(host)) return [outside(seen, context)];
  if (entry === undefined) return [unknownToHost(seen)];
  const existence = missing(seen, entry, context);
  if (existence !== undefined) return [existence];
  return [
    lease === undefined ? unknownToServer(seen, entry, context) : leaseDiffers(seen, lease, entry, context),
    port === undefined ? undefined : kernelDiffers(seen, entry, port, context),
    outside(seen, context),
  ];
}

function unknownToHost({ host, lease, port }: Seen): Verdict | undefined {
  if (lease !== undefined && port === undefined)
    return { rule: "unknown-to-host", remedy: "the server lets go of the lease", act: release(lease) };
  const act = order(host, { do: "settle" });
  if (lease === undefined) return port && { rule: "port-unknown", remedy: "the agent removes the port", act };
  const remedy = "the agent takes the endpoint into its journal again: its port is there";
  return { rule: "unknown-to-host", remedy, act };
}

/** The journal has the endpoint: do its namespace, port and network exist? */
function missing({ host, port }: Seen, entry: JournalEntry, context: CheckContext): Verdict | undefined {
  const { endpoint, addresses } = entry;
  const remedy = "the agent detaches it and frees its addresses";
  const detach = (alive: boolean) => ({ remedy, act: order(host, { do: "detach", endpoint, addresses, alive }) });
  if (entry.state === "detaching") return { rule: "detach-unfinished", ...detach(false) };
  if (!context.networks.has(entry.network)) return { rule: "network-gone", ...detach(true) };
  if (!entry.alive) return { rule: "workload-gone", ...detach(false) };
  if (port !== undefined) return undefined;
  return { rule: "port-missing", remedy: "the agent makes the port again", act: order(host, { do: "settle" }) };
}

function unknownToServer({ host, endpoint }: Seen, entry: JournalEntry, context: CheckContext): Verdict {
  const elsewhere = context.leases.get(endpoint);
  // In a local network two hosts may each have an endpoint of one name, with addresses of their own.
  const isOther = !isGlobal(entry.network, context) && !isSameSet(elsewhere?.spec.addresses ?? [], entry.addresses);
  if (elsewhere !== undefined && !isOther) {
    const remedy = `detach it on the host where it does not belong: weft detach ${endpoint} --host ${host}`;
    return { rule: "wrong-host", remedy, also: leaseSays(elsewhere) };
  }
  const rule = "unknown-to-server";
  if (!isGlobal(entry.network, context))
    return { rule, remedy: "the agent tells the server", act: order(host, { do: "tell", endpoint }) };
  const remedy = "the agent detaches it: in a global network the server's word counts";
  return { rule, remedy, act: order(host, { do: "settle" }) };
}

function leaseDiffers(seen: Seen, lease: Endpoint, entry: JournalEntry, context: CheckContext): Verdict | undefined {
  const { host, endpoint } = seen;
  const { network, netns, mac, addresses } = lease.spec;
  const isSame =
    network === entry.network && netns === entry.netns && mac === entry.mac && isSameSet(addresses, entry.addresses);
  if (isSame) return undefined;
  const rule = "lease-differs";
  if (!isGlobal(entry.network, context)) {
    const remedy = "the agent tells the server what its journal says";
    return { rule, remedy, act: order(host, { do: "tell", endpoint }) };
  }
  const remedy = "the agent takes what the server says into its journal and kernel";
  return { rule, remedy, act: order(host, { do: "take", endpoint }) };
}

function kernelDiffers(
  { host }: Seen,
  entry: JournalEntry,
  port: KernelPort,
  context: CheckContext,
): Verdict | undefined {
  const isSame =
    port.vrf === context.networks.get(entry.network)?.spec.vrf &&
    (port.far === undefined || (port.far.mac === entry.mac && isItsOwn(port.far.addresses, entry.addresses)));
  if (isSame) return undefined;
  return { rule: "kernel-differs", remedy: "the agent sets the kernel right", act: order(host, { do: "settle" }) };
}

/** If Weft gave an interface no address, any address on it is the workload's. */
function isItsOwn(there: readonly string[], given: readonly string[]): boolean {
  return given.length === 0 || isSameSet(there, given);
}

/** An address outside the network, or in a local network outside the host's block. */
function outside(seen: Seen, context: CheckContext): Verdict | undefined {
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
  return { rule: "outside", remedy: `detach it and attach it again, so that it gets an address of ${place}` };
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

function order(host: string, order: Order): Act {
  return { do: "order", host, order };
}

function isGlobal(network: string, context: CheckContext): boolean {
  return context.networks.get(network)?.spec.ipam === "global";
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text) => b.includes(text));
}
