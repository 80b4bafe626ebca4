// Endpoints, entries, resources and snapshots as tests of the agent need them.
import {
  emptySnapshot,
  type Endpoint,
  type EndpointSpec,
  membershipName,
  type Move,
  moveName,
  type Network,
  type Resource,
  type Snapshot,
} from "../../../src/model/resource.ts";
import type { Entry } from "../../../src/agent/journal/journal.ts";

/** Of snapshotWith(); endpoints are from an older one. */
export const REVISION = 10;

/** Any resource: tests say of its spec what matters. */
export function make(kind: string, name: string, spec: object): Resource {
  return { kind, name, uid: `uid-${name}`, revision: 1, spec } as Resource;
}

/** A VRF as the server numbers it. */
export function vrf(name: string, index: number): Resource {
  const vteps = { vtepSubnets: ["198.18.0.0/20"], vtepMacOui: "70:b3:d5" };
  return make("vrf", name, { index, vni: 4096 + index, tunnelPort: 4789, ...vteps, hostAccess: false });
}

/** Host `hN`. */
export function hostNumber(order: number): Resource {
  return make("host", `h${order}`, { underlay: `192.0.2.${order}`, underlayMtu: 1500, order });
}

/** An endpoint of host h1, with one address in the local network `near`. */
export function endpoint(owner: string, more: Partial<EndpointSpec> = {}, revision = 3): Endpoint {
  const spec = {
    network: "near",
    host: "h1",
    owner,
    ifname: "eth0",
    netns: `/run/netns/${owner}`,
    mac: "02:00:00:00:00:02",
    addresses: ["10.2.1.2"],
    ...more,
  };
  return { kind: "endpoint", name: `${owner}.${spec.ifname}`, uid: `uid-${owner}`, revision, spec };
}

/** An attached endpoint as the journal has it. */
export function entry(one: Endpoint, more: Partial<Entry> = {}): Entry {
  return {
    endpoint: one,
    netnsId: `id of ${one.spec.netns}`,
    bootId: "b",
    networkUid: `uid-${one.spec.network}`,
    state: "attached",
    ...more,
  };
}

export const entriesOf = (...entries: readonly Entry[]) => new Map(entries.map((one) => [one.endpoint.name, one]));

/** `near` is local, `wide` global. */
export function snapshotWith(...endpoints: readonly Endpoint[]): Snapshot {
  const networks = [make("network", "near", { ipam: "local" }), make("network", "wide", { ipam: "global" })];
  return { ...emptySnapshot("c"), revision: REVISION, networks: networks as unknown as Network[], endpoints };
}

export const DETACHING = { state: "detaching" } as const;
export const WEB = endpoint("web");
/** The same name in the global network. */
export const WIDE = endpoint("web", { network: "wide" });

/** An endpoint by its name, in a workload's namespace `/n/OWNER`. */
export function entryNamed(
  name: string,
  network: string,
  more: Partial<EndpointSpec> = {},
  state: Entry["state"] = "attached",
): Entry {
  const [owner = "", ifname = ""] = name.split(".");
  const spec = { netns: `/n/${owner}`, mac: "", addresses: [`address of ${name}`], ...more };
  return entry(endpoint(owner, { network, ifname, ...spec }, 1), { netnsId: "1", state });
}

/** An entry of the journal's own tests, of network `n`, host `h` and boot `boot`. */
export function journalEntry(name: string, more: Partial<Entry> = {}, spec: Partial<EndpointSpec> = {}): Entry {
  const where = { network: "n", host: "h", mac: "02:00:00:00:00:01", addresses: [`10.0.0.${name.charCodeAt(0)}`] };
  const { networkUid: _, ...rest } = entry({ ...endpoint(name, { ...where, ...spec }, 1), name, uid: name });
  return { ...rest, netnsId: `4:${name}`, bootId: "boot", ...more };
}

export function localNetwork(name: string): Resource {
  const spec = { driver: "vxlan", ipam: "local", vrf: name, subnets: [], masquerade: true, enabled: true };
  return make("network", name, spec);
}

export function membership(network: string, workload: string, user?: string): Resource {
  const spec = { network, workload, ...(user === undefined ? {} : { user }) };
  return make("membership", membershipName(spec), spec);
}

/** A pending move of an endpoint of host h1 from network `a` to `b`. */
export function move(name: string, more: Partial<Move["spec"]> = {}): Resource {
  const [owner = ""] = name.split(".");
  const { migration = "m" } = more;
  const spec = { migration, endpoint: name, host: "h1", owner, from: "a", to: "b", state: "pending" };
  return make("move", moveName(migration, name), { ...spec, oldAddresses: [], ...more });
}
