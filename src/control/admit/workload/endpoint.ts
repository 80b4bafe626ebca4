// Endpoints. In a global network the server chooses address and MAC in the commit that makes the endpoint. In a local
// network the host's agent has chosen them from its block, and the server checks. A claim is idempotent by the
// endpoint's name, so an agent may repeat it when the answer was lost.
import { isDeepStrictEqual } from "node:util";
import { type Ip, formatIp, macValue, parseIp, parseMac } from "../../../model/address.ts";
import { defined } from "../../../model/defined.ts";
import { drainedFault, Fault } from "../../../model/fault.ts";
import type { EndpointClaim, EndpointPatch } from "../../../model/input.ts";
import { someLabels } from "../../../model/labels.ts";
import { allHostAddresses, hostMac } from "../../../model/carrying.ts";
import { checkInside, isOutside } from "../../../model/cluster.ts";
import type { Endpoint, Host, Network } from "../../../model/resource.ts";
import { AUTO_NETWORK } from "../../../model/selection.ts";
import { checkEndpointName, qualifiedName } from "../../../model/endpointName.ts";
import { checkAble } from "../../../model/lacking.ts";
import { endpointName } from "../../../model/resource.ts";
import { NEW_MODE } from "../../../model/rights.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, get } from "../../state/view.ts";
import type { Viewer, Write } from "../../write.ts";
import { type AttachRequest, gatewayMac, localAddresses, macFault, noSlice } from "../address/addresses.ts";
import { reservationChain, segmentOwnerOf } from "../contents.ts";
import { dropBlocksOutside } from "../host/cluster.ts";
import { checkEnabled, existing, within } from "../context.ts";
import { macsOf } from "../address/derivedMac.ts";
import { endLease } from "../address/freed.ts";
import { type Lease, globalLease, unknownRange } from "../address/lease.ts";
import { parseQos, patched } from "../../../model/qos.ts";
import { checkEndpointHost, levelsIn } from "./qos.ts";
import { checkIslands, holderBeside } from "../network/bridge.ts";
import { checkBothWays } from "../network/convert.ts";
import { checkCarries } from "../network/carries.ts";
import { lastMeeting, refusalOf } from "../address/obstacle.ts";
import { checkQuota, checkTenant, leasesOfTenant } from "../address/quota.ts";
import { policyFields } from "../group/group.ts";
import { vouchedUser } from "./membership.ts";
import { attachEach, attachSelected } from "./selected.ts";

/** The endpoint of a claim: as it is, brought up to date, or made. */
function attach(draft: Draft, claim: EndpointClaim, by: Viewer): Endpoint {
  const { view } = draft;
  const name = nameIn(view, claim);
  checkHost(claim, by);
  const host = existing(view, "host", claim.host, "host");
  const network = existing(view, "network", claim.network, "network");
  if (!claim.netns.startsWith("/") || claim.netns.includes("\0")) {
    throw new Fault("request-invalid", {
      what: `"${claim.netns}" is not an absolute path`,
      where: "netns",
      fix: "give the path of a network namespace, like /var/run/netns/web",
    });
  }
  const request: AttachRequest = { draft, network, claim, name, index: view.networks.get(network.name) };
  const old = get(view, "endpoint", name);
  if (old !== undefined) return again(request, old);
  if (claim.tenant !== undefined) checkTenant(claim.tenant, "tenant");
  for (const each of reservationChain(view, network))
    checkEnabled(each, "network", each === network ? undefined : `network "${network.name}" is reserved from it`);
  const segment = segmentOwnerOf(view, network);
  checkTakes(host, segment, by);
  checkCarries(segment, host);
  const isGlobal = network.spec.ipam === "global";
  if (!isGlobal && claim.range !== undefined) throw unknownRange(network, claim.range);
  if (isGlobal && claim.slice !== undefined) throw noSlice(network, claim.slice);
  const qos = patched(undefined, parseQos(claim.qos ?? {}, "qos"));
  const lease: Lease = isGlobal ? globalLease(request) : { ips: localAddresses(request) };
  const own = defined({ qos, range: lease.range });
  // A local network's endpoint is attached already, by an agent that knows its own kernel.
  if (isGlobal) {
    checkEndpointHost(host, levelsIn(view, network, own));
    checkAble(host, network);
    checkBothWays(view, host, segment);
  }
  const mac = lease.mac ?? macOf(request, lease.ips);
  const policy = policyFields(view, claim);
  checkIslands(view, network, { mac, ...policy });
  const before = leasesOfTenant(view, network.name, claim.tenant);
  const { owner, ifname, netns, slice, workload, joined, defaultRoute, tenant } = claim;
  const endpoint = draft.put("endpoint", name, {
    network: network.name,
    host: claim.host,
    owner,
    ifname,
    netns,
    mac,
    addresses: lease.ips.map(formatIp),
    ...own,
    ...(slice === undefined ? {} : { slice }),
    ...(workload === undefined ? {} : { workload }),
    ...(joined === true ? { joined } : {}),
    ...(defaultRoute === undefined ? {} : { defaultRoute }),
    ...(tenant === undefined ? {} : { tenant }),
    ...policy,
    ...defined({ labels: someLabels(claim.labels) }),
  });
  checkQuota(view, network, tenant, before);
  return draft.asking?.role === "user" ? endpoint : ofInstance(draft, endpoint, claim);
}

/** What a membership or a move makes belongs to whom the instance does. */
function ofInstance(draft: Draft, endpoint: Endpoint, claim: EndpointClaim): Endpoint {
  const owner = vouchedUser(draft.view, claim)?.user;
  const group = owner === undefined ? undefined : get(draft.view, "user", owner)?.spec.group;
  return group === undefined ? endpoint : draft.grant(endpoint, { ...defined({ owner, group }), mode: NEW_MODE });
}

/** The same; of a claim that names no network, the endpoint, or the local network that its host allocates in. */
export function attachAnywhere(draft: Draft, claim: EndpointClaim, by: Viewer): Endpoint | Network {
  if (claim.network !== AUTO_NETWORK) return attach(draft, claim, by);
  checkHost(claim, by);
  // An agent registers what it has allocated as its host, and not as a user.
  const isLocalPossible = by.role === "host" && draft.asking?.role !== "user";
  return attachSelected(draft, claim, { isLocalPossible, attach: (named) => attach(draft, named, by) });
}

/** All of them or none. */
export function attachAll(draft: Draft, claims: readonly EndpointClaim[], by: Viewer): undefined {
  const names = new Set<string>();
  for (const { owner, ifname } of claims) {
    const name = endpointName(owner, ifname);
    if (names.has(name)) throw taken(name, "it is listed twice");
    names.add(name);
  }
  const options = { isLocalPossible: false, attach: (claim: EndpointClaim) => attach(draft, claim, by) };
  attachEach(draft, claims, (claim, i) =>
    within(`endpoints[${i}]`, () => {
      if (claim.network !== AUTO_NETWORK) return attach(draft, claim, by);
      checkHost(claim, by);
      return attachSelected(draft, claim, options);
    }),
  );
}

function checkHost(claim: EndpointClaim, by: Viewer): void {
  if (by.role === "host" && by.host !== claim.host) throw foreign(`an endpoint on host "${claim.host}"`, by.host);
}

/** Changes what may change while an endpoint is attached. */
export function patchEndpoint(draft: Draft, name: string, patch: EndpointPatch): Endpoint {
  const { view } = draft;
  const { qos: own, labels, ...spec } = existing(view, "endpoint", name).spec;
  const qos = patched(own, parseQos(patch.qos ?? {}, "qos"));
  const changed = { ...spec, ...defined({ qos, labels: someLabels(patch.labels ?? labels) }) };
  const network = get(view, "network", spec.network);
  const next = { ...changed, ...policyFields(view, patch) };
  if (network !== undefined) {
    checkEndpointHost(get(view, "host", spec.host), levelsIn(view, network, changed));
    if (patch.allowedAddresses !== undefined) checkIslands(view, network, next);
  }
  return draft.put("endpoint", name, next);
}

/** Removes an endpoint, or marks it so that its host does. Gone already is well for a host, unknown for a person. */
export function detach(
  draft: Draft,
  { endpoint: name, by, force }: Extract<Write, { readonly verb: "detach" }>,
): Endpoint | undefined {
  const endpoint = by.role === "host" ? get(draft.view, "endpoint", name) : existing(draft.view, "endpoint", name);
  if (endpoint === undefined) return undefined;
  if (by.role === "host" && endpoint.spec.host !== by.host)
    throw foreign(`endpoint "${name}" of host "${endpoint.spec.host}"`, by.host);
  if (by.role !== "host" && force !== true) return draft.put("endpoint", name, { ...endpoint.spec, detaching: true });
  endLease(draft, endpoint);
  const network = get(draft.view, "network", endpoint.spec.network);
  if (network !== undefined && isOutside(network.spec, endpoint.spec.host)) dropBlocksOutside(draft, network);
  return undefined;
}

/** A repeated claim: a local address or a namespace may have changed; anything else makes it another endpoint. */
function again(request: AttachRequest, old: Endpoint): Endpoint {
  const { draft, network, claim } = request;
  const { spec } = old;
  const why =
    spec.host !== claim.host
      ? `it is on host "${spec.host}"`
      : spec.network !== claim.network
        ? `it is in network "${spec.network}"`
        : claim.tenant !== undefined && claim.tenant !== spec.tenant
          ? `it is of ${spec.tenant === undefined ? "no tenant" : `tenant ${spec.tenant}`}`
          : undefined;
  if (why !== undefined) throw taken(old.name, why);
  const isLocal = network.spec.ipam === "local";
  const ips = isLocal ? localAddresses(request) : undefined;
  const addresses = ips?.map(formatIp) ?? spec.addresses;
  const mac = claim.mac === undefined ? spec.mac : isLocal ? macOf(request, ips ?? []) : parseMac(claim.mac, "mac");
  const missing = (claim.addresses ?? [])
    .map((text) => formatIp(parseIp(text, "addresses")))
    .find((text) => !addresses.includes(text));
  if (missing !== undefined) throw taken(old.name, `it has ${addresses.join(", ")}, not ${missing}`);
  if (!isLocal && mac !== spec.mac) throw taken(old.name, `it has MAC ${spec.mac}, not ${mac}`);
  const slice = isLocal ? (claim.slice ?? spec.slice) : spec.slice;
  const { netns, workload = spec.workload, defaultRoute = spec.defaultRoute } = claim;
  const joined = claim.joined === true || spec.joined;
  const next = { ...spec, netns, addresses, mac, ...defined({ slice, workload, joined, defaultRoute }) };
  const isSame = isDeepStrictEqual(next, spec);
  if (!isSame && spec.detaching === true) throw taken(old.name, "it is being detached");
  return isSame ? old : draft.put("endpoint", old.name, next);
}

/** An attach to a local network is done when the server hears of it: a name that is another host's is qualified. */
function nameIn(view: View, claim: EndpointClaim): string {
  const name = checkEndpointName(claim.owner, claim.ifname);
  const qualified = qualifiedName(name, claim.host);
  if (view.endpoint.has(qualified)) return qualified;
  const { spec } = view.endpoint.get(name) ?? {};
  const isLocal = view.network.get(claim.network)?.spec.ipam === "local";
  return isLocal && spec !== undefined && spec.host !== claim.host ? qualified : name;
}

/** The requested MAC if it is free; without a request, one made from the address. */
function macOf(request: AttachRequest, ips: readonly Ip[]): string {
  const { draft, network, claim, index } = request;
  const gateway = gatewayMac(network.spec);
  if (claim.mac === undefined) {
    // Of a global network, also what ranges keep in quarantine and what is held.
    const isTaken = (mac: string) =>
      network.spec.ipam === "global"
        ? index?.blocked.mac.has(macValue(mac)) === true
        : holderOfMac(request, mac) !== undefined;
    const { view } = draft;
    for (const each of macsOf(segmentOwnerOf(view, network).spec, ips[0] ?? { family: 4, value: 0n }))
      if (each !== gateway && !isTaken(each) && holderBeside(view, network, new Set([each])) === undefined) return each;
    throw new Fault("address-taken", {
      what: `the MACs made from ${ips.map(formatIp).join(", ")} are taken`,
      where: "mac",
      fix: "give a MAC",
    });
  }
  const mac = parseMac(claim.mac, "mac");
  const host = allHostAddresses(network.spec).find(({ address }) => hostMac(address) === mac)?.host;
  const holder = mac === gateway ? "the gateway" : host === undefined ? holderOfMac(request, mac) : `host "${host}"`;
  if (holder !== undefined) throw macFault(network, mac, holder);
  const reservation = lastMeeting(index?.reserved.mac, macValue(mac))?.name;
  if (reservation !== undefined)
    throw refusalOf(draft.view, network, { text: mac, state: "reserved", reservation }, "mac");
  return mac;
}

/** A local network's segment ends at the host, so there a MAC must be unique per host only. */
function holderOfMac({ draft, network, claim, name, index }: AttachRequest, mac: string): string | undefined {
  for (const holder of index?.macs.get(mac) ?? []) {
    const there = draft.view.endpoint.get(holder)?.spec.host;
    if (holder !== name && (network.spec.ipam === "global" || there === claim.host))
      return `endpoint "${holder}" on host "${there}"`;
  }
  return undefined;
}

/**
 * A drained host takes nothing new, nor does one outside of the network's clusters. What its agent says about a local
 * network is no request but a fact: the address was given before the agent could hear of the drain, and who has it
 * must be known.
 */
function checkTakes(host: Host, network: Network, by: Viewer): void {
  if (by.role === "host" && network.spec.ipam === "local") return;
  if (host.spec.drained === true) throw drainedFault(host.name);
  checkInside(network, host.name);
}

function foreign(what: string, host: string): Fault {
  return new Fault("forbidden", {
    what: `host "${host}" cannot change ${what}`,
    why: "a host's token is for its own endpoints",
    fix: "use the other host's token, or an administrator's",
  });
}

function taken(name: string, why: string): Fault {
  return new Fault("name-taken", {
    what: `endpoint "${name}" exists`,
    where: "owner",
    why,
    fix: "choose another owner or interface name, or detach it first",
  });
}
