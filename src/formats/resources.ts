// Turns link plans of hosts into Weft's resources: a network for each segment, in the hosts' own namespace, with the
// addresses that hosts have there; the physical networks that it needs; and the tunnel port of that namespace. Pure.
// Several hosts' files, at once or one after the other, make one network.
import { isDeepStrictEqual } from "node:util";
import { FORWARD_DELAY } from "../datapath/kinds/links.ts";
import { familyOf } from "../model/address.ts";
import { ALL_HOSTS, HOST_VRF, allHostAddresses } from "../model/carrying.ts";
import { defined } from "../model/defined.ts";
import { deviceName } from "../model/device.ts";
import type { ApplyItem } from "../model/input.ts";
import { DRIVERS } from "../model/driver.ts";
import { TUNNEL_PORT } from "../model/limits.ts";
import { physicalOf } from "../model/physical.ts";
import type { HostAddress, Network, Snapshot } from "../model/resource.ts";
import { type LinkPlan, type Position, saidAt } from "./plan.ts";
import { type Reading, note, positionText, problem } from "./reading.ts";
import { networkPlan } from "./kernelPlan.ts";
import { networkText } from "./routes.ts";
import type { Draft, NetworkItem, Said, Spec, UnsaidField } from "./said.ts";
import { type Segment, segmentsOf } from "./segments.ts";
import { type TakeOverOfHost, givenDevice, takeOversOf } from "./takeOver.ts";

/** What files say of a host; without a name, of any host. `lacks`: what their format cannot say. */
export type HostFiles = {
  readonly host?: string | undefined;
  readonly plan: LinkPlan;
  readonly lacks?: readonly UnsaidField[];
};
/** Which device of a host leads to a physical network. */
type DeviceOfHost = { readonly host: string; readonly name: string; readonly device: string };
export type Imported = {
  readonly resources: readonly ApplyItem[];
  /** Where the files say it, as `FILE:LINE` of each host, by `network/mgmt`. */
  readonly places: ReadonlyMap<string, readonly string[]>;
  readonly devices: readonly DeviceOfHost[];
  /** What hosts will take over, if they are to. */
  readonly takeOvers: readonly TakeOverOfHost[];
};
/** What the files say that is there already, and what the server has. `takesOver`: hosts are to take devices over. */
export type Before = { readonly snapshot: Snapshot; readonly takesOver?: boolean };

export function resourcesOf(
  files: readonly HostFiles[],
  { snapshot: before, takesOver = false }: Before,
  reading: Reading,
): Imported {
  const drafts = new Map<string, Draft>();
  for (const { host, plan, lacks = [] } of files)
    for (const segment of segmentsOf(plan, reading)) {
      const name = networkName(segment.name);
      const draft = drafts.get(name) ?? { name, said: [] };
      drafts.set(name, draft);
      draft.said.push({ host, segment, lacks });
    }
  const devices: DeviceOfHost[] = [];
  const networks = [...drafts.values()].flatMap((draft) => networkOf(draft, before, reading, devices) ?? []);
  const takeOvers = takesOver ? networks.flatMap((network) => takeOversOf(network, drafts, reading)) : [];
  const put = networks.map((one) =>
    takeOvers.some(({ network }) => network === one.name) ? { ...one, spec: { ...one.spec, takeOver: true } } : one,
  );
  const parents = [...new Set(networks.flatMap(({ spec }) => spec.parent ?? []))];
  const there = new Set(before.physicalNetworks?.map(({ name }) => name));
  const physical = parents
    .filter((name) => !there.has(name))
    .map((name) => ({ kind: "physicalnetwork", name, spec: {} }));
  const port = portOf([...drafts.values()], before, reading);
  // Kinds are those of apply.
  const resources = [...port, ...physical, ...put] as unknown as readonly ApplyItem[];
  return { resources, places: placesOf(networks, drafts), devices, takeOvers };
}

/** A physical network is where the networks are that need it. */
function placesOf(
  networks: readonly NetworkItem[],
  drafts: ReadonlyMap<string, Draft>,
): ReadonlyMap<string, readonly string[]> {
  const places = new Map<string, readonly string[]>();
  for (const { name, spec } of networks) {
    const said = (drafts.get(name)?.said ?? []).map(({ segment }) => positionText(segment.at));
    const { parent } = spec;
    places.set(`network/${name}`, said);
    if (parent !== undefined)
      places.set(`physicalnetwork/${parent}`, [...(places.get(`physicalnetwork/${parent}`) ?? []), ...said]);
  }
  return places;
}

const RESERVED_NAMES = new Set(["host", "bridge", "default", "none"]);

/** `mgmt` of `br-mgmt`, `encap-mgmt` or `vxlan-mgmt`. */
function networkName(device: string): string {
  const name = device.replace(/^(br|wb|encap|vxlan|vlan)[-_]/, "").replaceAll(/[^a-zA-Z0-9._-]/g, "-");
  return RESERVED_NAMES.has(name) || !/^[a-zA-Z0-9]/.test(name) ? `net-${name}` : name;
}

function networkOf(draft: Draft, before: Snapshot, reading: Reading, devices: DeviceOfHost[]): NetworkItem | undefined {
  const { name, said } = draft;
  const [first, ...others] = said;
  if (first === undefined) return undefined;
  const { driver } = first.segment.way;
  if (!Object.hasOwn(DRIVERS, driver))
    return note(reading, first.segment.at, first.segment.name, `Weft has no driver "${driver}" for it: not imported`);
  const old = before.networks.find((network) => network.name === name)?.spec as OldSpec | undefined;
  const parent = old?.parent ?? parentOf(said, before) ?? deviceIn(first.segment);
  const wanted = commonOf(first.segment, draft, parent, reading);
  for (const other of others) {
    const mine = commonOf(other.segment, draft, parent, reading);
    const fields = differences(mine, wanted, other.lacks);
    const there = (field: Field) => `${shownValue(wanted, field)} at ${positionText(fieldAt(first.segment, field))}`;
    if (fields.length > 0) return contradict(other.segment, { name, spec: mine }, { fields, there }, reading);
  }
  const kept = old === undefined ? NOBODY : otherHosts(old, hostsIn(draft));
  const fields = old === undefined || !isShared(kept) ? [] : differences(wanted, old, first.lacks);
  const there = (field: Field) => `${shownValue(old ?? {}, field)} on the server`;
  if (fields.length > 0) return contradict(first.segment, { name, spec: wanted }, { fields, there }, reading);
  for (const one of said) sayHost(one, before, reading);
  for (const { host, segment } of said) {
    const device = deviceIn(segment);
    const isNew = !devices.some((one) => one.host === host && one.name === parent && one.device === device);
    if (host !== undefined && parent !== undefined && device !== undefined && isNew)
      devices.push({ host, name: parent, device });
  }
  const size = sizeOf(draft, before);
  const ranges = wanted.subnets?.length === 0 ? { ranges: old?.ranges ?? [ETHER] } : {};
  const named = givenDevice(draft, old, reading);
  const spec = { ...old, ...wanted, ...size, ...ranges, ...named, ...hostsOf(said, wanted, kept, reading) };
  return { kind: "network", name, spec };
}

/** The MTU that the files give; none for what Weft chooses by itself already: exported files have all MTUs. */
function sizeOf({ name, said }: Draft, before: Snapshot): Pick<Spec, "mtu"> {
  const sizes = said.flatMap(({ segment }) => segment.mtu ?? []);
  if (sizes.length === 0) return {};
  const mtu = Math.min(...sizes);
  const old = before.networks.find((network) => network.name === name);
  const [host] = said.flatMap((one) => one.host ?? []);
  if (old === undefined || old.spec.mtu !== undefined || host === undefined) return { mtu };
  const bridge = networkPlan(before, old, host).links.find(({ kind }) => kind === "bridge");
  return bridge?.mtu === mtu ? {} : { mtu };
}

/** A network of the server; \`parent\` is of drivers that this file need not know. */
type OldSpec = Network["spec"] & { readonly parent?: string };

/** Says each field with both values: where it is in this file, and what `there` says of the other. */
function contradict(
  segment: Segment,
  { name, spec }: { readonly name: string; readonly spec: Spec },
  { fields, there }: { readonly fields: readonly Field[]; readonly there: (field: Field) => string },
  reading: Reading,
): undefined {
  for (const field of fields) {
    const why = `it is ${shownValue(spec, field)} here, and ${there(field)}`;
    problem(reading, fieldAt(segment, field), `${field} of network ${name} differs`, why);
  }
}

function fieldAt(segment: Segment, field: Field): Position {
  const [address] = segment.addresses;
  if (field === "bridge") return segment.at;
  return saidAt(segment, field === "subnets" && address !== undefined ? `addresses ${address}` : SAID_BY[field]);
}

type Field = keyof typeof SAID_BY;

/** The fields in which two sayings of one network differ; what a format cannot say is no difference. */
function differences(a: Partial<Spec>, b: Partial<Spec>, lacks: readonly UnsaidField[]): readonly Field[] {
  const hasDelay = a.stp === true || b.stp === true;
  const unsaid = new Set<Field>([...lacks, ...(hasDelay ? [] : ["forwardDelay" as const])]);
  const isOther = (field: Field) => !isDeepStrictEqual(valueOf(a, field), valueOf(b, field));
  const fields = (Object.keys(SAID_BY) as readonly Field[]).filter((field) => !unsaid.has(field) && isOther(field));
  // Another driver has other fields.
  return fields.includes("driver") ? ["driver"] : fields;
}

function valueOf(spec: Partial<Spec>, field: Field): string | number | boolean | readonly string[] | undefined {
  if (field === "peers") return spec.peers ?? "unicast";
  if (field === "subnets") return spec.subnets?.map(({ cidr }) => cidr);
  // Without a switch in a file, the kernel has it on, as `on` and `auto` begin with.
  if (field === "offload") return spec.offload === "off" ? "off" : "auto";
  return spec[field];
}

function shownValue(spec: Partial<Spec>, field: Field): string {
  const value = valueOf(spec, field);
  if (typeof value === "object") return value.join(" ") || "none";
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value ?? (field === "stp" ? "off" : "unset"));
}

/** What is compared, and the field of a link that says it. */
const SAID_BY = {
  driver: "kind",
  vni: "vni",
  peers: "group",
  group: "group",
  ttl: "ttl",
  underlayDevice: "dev",
  parent: "dev",
  vlan: "id",
  outerVlan: "id",
  subnets: "addresses",
  bridge: "name",
  stp: "stp",
  forwardDelay: "forwardDelay",
  offload: "offload",
} as const satisfies { readonly [K in keyof Spec]?: string };

/** What is the same on all hosts of a network. */
function commonOf(segment: Segment, { name }: Draft, parent: string | undefined, reading: Reading): Spec {
  const { isBridge, stp, offload } = segment;
  const forwardDelay = delayOf(segment, reading);
  return {
    ipam: "global",
    placement: "host",
    masquerade: false,
    ...wayOf(segment),
    ...(isBridge && segment.name !== deviceName("wb", name) ? { bridge: segment.name } : {}),
    ...(parent === undefined ? {} : { parent }),
    ...(stp ? { stp } : {}),
    ...(forwardDelay === FORWARD_DELAY ? {} : { forwardDelay }),
    ...(offload === undefined ? {} : { offload }),
    subnets: subnetsOf(segment, reading).map((cidr) => ({ cidr, gateway: "none" })),
  };
}

/** What the protocol allows. Where it is off, ports forward at once, whatever the delay. */
function delayOf(segment: Segment, reading: Reading): number {
  const { name, stp, forwardDelay } = segment;
  const at = saidAt(segment, "forwardDelay");
  if (Number.isInteger(forwardDelay) && forwardDelay >= (stp ? 2 : 0) && forwardDelay <= 30) return forwardDelay;
  const text = `${name}: forward delay ${forwardDelay}`;
  if (stp) problem(reading, at, text, "with the spanning tree protocol it is 2 to 30 seconds");
  else note(reading, at, text, "without the spanning tree protocol ports forward at once: not imported");
  return FORWARD_DELAY;
}

/** Of a segment without addresses: endpoints get a MAC. */
const ETHER = { name: "any", type: "ether", size: 65_536 } as const;

function wayOf({ way }: Segment): Pick<Spec, "driver"> & Partial<Spec> {
  if (way.driver === "vxlan") {
    const { vni, group, ttl, dev: underlayDevice } = way;
    return { driver: "vxlan", vni, ...(group && { peers: "multicast", group, ...defined({ ttl, underlayDevice }) }) };
  }
  if (way.driver === "gre") return { driver: "gre", vni: way.vni };
  if (way.driver === "bridge") return { driver: "bridge" };
  return { driver: "vlan", vlan: way.vlan, ...defined({ outerVlan: way.outerVlan }) };
}

/** The host's device that leads to a physical network. That is called as the device of the first host is. */
function deviceIn({ way }: Segment): string | undefined {
  return way.driver === "vlan" || way.driver === "bridge" ? way.device : undefined;
}

/** The physical network that the device leads to already, as one of the hosts says. */
function parentOf(said: readonly Said[], { hosts }: Snapshot): string | undefined {
  const known = said.flatMap(({ host, segment }) => {
    const device = deviceIn(segment);
    const own = hosts.find(({ name }) => name === host);
    return own === undefined ? [] : physicalOf(own.spec).filter((one) => one.device === device);
  });
  return known[0]?.name;
}

/** Networks of its addresses: one per family. */
function subnetsOf(segment: Segment, reading: Reading): readonly string[] {
  const { name, addresses } = segment;
  const subnets: string[] = [];
  for (const address of addresses) {
    const at = saidAt(segment, `addresses ${address}`);
    const subnet = networkText(address) ?? address;
    if (!isOnSegment(address))
      note(reading, at, `${name}: ${address}`, "an address of one host or link is not imported");
    else if (subnets.every((one) => familyOf(one) !== familyOf(subnet))) subnets.push(subnet);
    else if (!subnets.includes(subnet))
      note(reading, at, `${name}: ${address}`, "a network has one subnet per family: not imported");
  }
  return subnets.toSorted((a, b) => familyOf(a) - familyOf(b));
}

function isOnSegment(address: string): boolean {
  return !/^fe80:|\/(32|128)$/.test(address);
}

/** Hosts of a network that these files do not speak of. */
type Others = { readonly hosts: readonly string[]; readonly addresses: readonly HostAddress[] };
const NOBODY: Others = { hosts: [], addresses: [] };

function hostsIn({ said }: Draft): ReadonlySet<string> {
  return new Set(said.flatMap(({ host }) => host ?? []));
}

function isShared({ hosts, addresses }: Others): boolean {
  return hosts.length > 0 || addresses.length > 0;
}

function otherHosts(old: OldSpec, spoken: ReadonlySet<string>): Others {
  return {
    hosts: (old.hosts ?? []).filter((host) => !spoken.has(host)),
    addresses: allHostAddresses(old).filter(({ host }) => !spoken.has(host)),
  };
}

function hostsOf(said: readonly Said[], { subnets = [] }: Spec, kept: Others, reading: Reading): Partial<Spec> {
  const hostAddresses = [...kept.addresses];
  const hosts = new Set(kept.hosts);
  for (const { host, segment } of said) {
    const addresses = segment.addresses.filter((address) => subnets.some(({ cidr }) => cidr === networkText(address)));
    const [address] = addresses;
    if (host === undefined && address !== undefined)
      problem(
        reading,
        saidAt(segment, `addresses ${address}`),
        `${segment.name}: ${address}`,
        "it is the address of one host: say which one with --host h1, or h1=FILE",
      );
    if (host === undefined) hosts.add(ALL_HOSTS);
    else if (addresses.length === 0) hosts.add(host);
    else hostAddresses.push(...addresses.map((address) => ({ host, address })));
  }
  return {
    ...(hosts.size === 0 ? {} : { hosts: [...hosts].sort() }),
    ...(hostAddresses.length === 0 ? {} : { hostAddresses: hostAddresses.toSorted(byHost) }),
  };
}

function byHost(a: HostAddress, b: HostAddress): number {
  return a.host < b.host ? -1 : a.host > b.host ? 1 : 0;
}

/** What the files say of tunnels that Weft decides by its own knowledge of hosts. */
function sayHost({ host, segment }: Said, before: Snapshot, reading: Reading): void {
  const { name, way } = segment;
  if (way.driver !== "vxlan" && way.driver !== "gre") return;
  const underlays = new Map(before.hosts.map((one) => [one.spec.underlay, one.name]));
  for (const remote of way.remotes)
    if (!underlays.has(remote))
      note(
        reading,
        saidAt(segment, `remotes ${remote}`),
        `${name}: ${remote}`,
        "no host of the cluster has this underlay address: tunnels lead to hosts",
      );
  const { local } = way;
  const isOther = local !== undefined && host !== undefined && underlays.get(local) !== host;
  if (isOther)
    note(
      reading,
      saidAt(segment, "local"),
      `${name}: local ${local}`,
      `it is not the underlay address of host ${host}`,
    );
  if (way.driver === "vxlan" && way.group === `239.0.0.${way.vni}`)
    note(
      reading,
      saidAt(segment, "group"),
      `${name}: group ${way.group}`,
      `its last octet is the VNI; Weft would choose the same`,
    );
}

/** One UDP port for all of the hosts' own namespace: the VRF's. */
function portOf(drafts: readonly Draft[], before: Snapshot, reading: Reading): readonly object[] {
  const tunnels = drafts.flatMap(({ said }) => said.map(({ segment }) => segment));
  const vrf = before.vrfs.find(({ spec }) => spec.placement === "host");
  // Of a network that goes on on other hosts, the port goes on, too.
  const other = before.networks.find(({ name, spec }) => {
    const draft = drafts.find((one) => one.name === name);
    const isLeft = draft === undefined || isShared(otherHosts(spec, hostsIn(draft)));
    return spec.vrf === vrf?.name && spec.driver === "vxlan" && isLeft;
  });
  let port = other === undefined ? undefined : vrf?.spec.tunnelPort;
  let first = other === undefined ? "" : `network ${other.name}`;
  for (const segment of tunnels) {
    const { name, way } = segment;
    const at = saidAt(segment, "port");
    if (way.driver !== "vxlan") continue;
    if (port !== undefined && way.port !== port)
      problem(reading, at, `${name}: port ${way.port}`, `the port of ${first} is ${port}; they share one namespace`);
    else if (port === undefined) [port, first] = [way.port, positionText(at)];
  }
  if (port === undefined || port === (vrf?.spec.tunnelPort ?? TUNNEL_PORT)) return [];
  return [{ kind: "vrf", name: vrf?.name ?? HOST_VRF, spec: { ...vrf?.spec, placement: "host", tunnelPort: port } }];
}
