// Hosts: which machine may claim a name, what a host gets when it joins, and what is released when it is removed.
// Identity is the host's own token, never its address: a machine that comes back with another address and the right
// token is the same host.
import { type Ip, contains, formatIp, parseCidr, parseIp } from "../../../model/address.ts";
import { defined } from "../../../model/defined.ts";
import { isPhysical } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { HostClaim, HostSettings } from "../../../model/input.ts";
import { type Labels, someLabels } from "../../../model/labels.ts";
import { checkName } from "../../../model/parse.ts";
import { type DeviceFacts, NO_DEVICE, checkLeads, checkOnce, isDeviceName } from "../../../model/physical.ts";
import type { Host } from "../../../model/resource.ts";
import type { Draft } from "../../state/draft.ts";
import { UPLINK_CIDRS } from "../../../model/uplink.ts";
import { NOT_UNICAST } from "../numbers.ts";
import { type View, get, hostsInOrder, residentsOf } from "../../state/view.ts";
import type { Delete, Identity } from "../../write.ts";
import { alignClusters } from "./cluster.ts";
import { alignVrf } from "../network/allocate.ts";
import { hostDeviceOwner } from "../network/devices.ts";
import { cidrsOf, existing, refuseWhile } from "../context.ts";
import { alignHostAddresses, networksWithHosts } from "../address/hostAddress.ts";
import { endLease } from "../address/freed.ts";
import { endMoves } from "../workload/migrate.ts";

/** Makes or updates a host: tunnel endpoints in every VRF with local networks, a block of each enabled one. */
export function joinHost(draft: Draft, claim: HostClaim, by: Identity): Host {
  const name = checkName("host", claim.host, "name");
  const { view } = draft;
  const old = get(view, "host", name);
  if (by.role === "host" ? by.host !== name : old !== undefined) throw claimed(name);
  const underlay = parseIp(claim.underlay, "underlay");
  checkUnderlay(view, name, underlay);
  const order = old?.spec.order ?? 1 + Math.max(0, ...[...view.host.values()].map((host) => host.spec.order));
  const { underlayMtu, underlayDevice, slices, shaping, features, lacks, physical = [] } = claim;
  const { drained, physicalSet, labels } = old?.spec ?? {};
  checkOnce(physical, "physical");
  const told = {
    underlayDevice,
    slices,
    shaping,
    features,
    lacks,
    physical: someOf(physical),
    physicalSet,
    devices: someOf(devicesOf(claim, old)),
  };
  const host = draft.put("host", name, {
    underlay: formatIp(underlay),
    underlayMtu,
    ...defined({ ...told, order, drained, labels }),
  });
  // It can only come in, and a join is never refused because of a network.
  alignClusters(draft, true);
  // Also for a host that is known: it gets what it lacked, when something has become free.
  for (const vrf of view.vrf.keys()) alignVrf(draft, vrf, [host]);
  for (const network of networksWithHosts(view)) alignHostAddresses(draft, network);
  return host;
}

function devicesOf({ devices = [], moreDevices }: HostClaim, old: Host | undefined): readonly DeviceFacts[] {
  if (moreDevices !== true) return devices;
  const said = new Set(devices.map(({ name }) => name));
  const others = old?.spec.devices?.filter(({ name }) => !said.has(name)) ?? [];
  return [...devices, ...others].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Whether the host takes new endpoints from now on. Repeating it changes nothing. */
export function drainHost(draft: Draft, name: string, drained: boolean): Host {
  const host = existing(draft.view, "host", name);
  const { drained: _, ...spec } = host.spec;
  return draft.put("host", name, drained ? { ...spec, drained } : spec);
}

type Settings = { readonly host: string; readonly settings: HostSettings; readonly force: boolean };

/** What an administrator says of a host: it counts instead of what the host's agent says of the same. */
export function setHost(draft: Draft, { host: name, settings, force }: Settings): Host {
  const { physical, labels } = settings;
  const host = existing(draft.view, "host", name);
  const labelled = labels === undefined ? host : relabel(draft, host, labels);
  if (labelled !== host) alignClusters(draft, force);
  return physical === undefined ? labelled : setPhysical(draft, labelled, physical);
}

function relabel(draft: Draft, { name, spec: { labels: _, ...spec } }: Host, labels: Labels): Host {
  return draft.put("host", name, { ...spec, ...defined({ labels: someLabels(labels) }) });
}

function setPhysical(draft: Draft, host: Host, physical: NonNullable<HostSettings["physical"]>): Host {
  for (const [i, { name: network, device }] of physical.entries()) {
    const where = `physical[${i}]`;
    existing(draft.view, "physicalnetwork", network, `${where}.name`);
    if (device !== NO_DEVICE && !isDeviceName(device))
      throw new Fault("name-invalid", {
        what: `"${device}" cannot be the name of a device`,
        where: `${where}.device`,
        fix: "choose one of `ip link` on the host",
      });
    checkLeads(device, `${where}.device`, hostDeviceOwner(draft.view, device));
  }
  checkOnce(physical, "physical");
  const { physicalSet: _, ...spec } = host.spec;
  const set = draft.put("host", host.name, { ...spec, ...defined({ physicalSet: someOf(physical) }) });
  for (const network of networksWithHosts(draft.view)) alignHostAddresses(draft, network);
  return set;
}

function someOf<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** Removes a host and frees what it had; its endpoints too with `force`, else it is refused while there are any. */
export function deleteHost(draft: Draft, { name, force }: Delete): void {
  const { view } = draft;
  const endpoints = [...residentsOf(view, name)];
  if (force !== true) {
    refuseWhile(endpoints, {
      what: `host "${name}" has endpoints`,
      why: "they would lose their network",
      fix: "detach them first, or use force if the machine is gone for good",
    });
  }
  for (const endpoint of endpoints.map((each) => get(view, "endpoint", each)))
    if (endpoint !== undefined) endLease(draft, endpoint);
  for (const index of view.networks.values())
    for (const block of Object.values(index.blocks.get(name) ?? {})) draft.remove("block", block.name);
  for (const index of view.vrfs.values()) {
    const vtep = index.vteps.get(name);
    if (vtep !== undefined) draft.remove("vtep", vtep.name);
  }
  endMoves(draft, ({ spec }) => spec.host === name);
  draft.remove("host", name);
  alignClusters(draft, true);
  // What became free goes to hosts that wait for it.
  const others = hostsInOrder(view);
  for (const vrf of view.vrf.keys()) alignVrf(draft, vrf, others);
  for (const network of networksWithHosts(view)) alignHostAddresses(draft, network);
}

function claimed(name: string): Fault {
  return new Fault("host-claimed", {
    what: `host "${name}" belongs to another agent`,
    where: "name",
    why: "the claim does not carry that host's own token",
    fix: "give this host another name, or restore its token; if the other machine is gone, delete the host first",
  });
}

function checkUnderlay(view: View, name: string, underlay: Ip): void {
  const text = formatIp(underlay);
  const other = view.underlays.get(text);
  if (other !== undefined && other !== name) {
    throw new Fault("host-claimed", {
      what: `underlay address ${text} belongs to host "${other}"`,
      where: "underlay",
      why: "tunnel packets for both would arrive at one",
      fix: `correct the address, or delete host "${other}" if this is the same machine under another name`,
    });
  }
  if ([...NOT_UNICAST, ...UPLINK_CIDRS].some((range) => contains(range, underlay))) {
    throw new Fault("address-invalid", {
      what: `${text} cannot be an underlay address`,
      where: "underlay",
      why: "other hosts cannot send to it",
      fix: "give the address other hosts reach this one by",
    });
  }
  for (const network of view.network.values()) {
    // Hosts may be machines on a physical network: no packets of theirs are in its frames.
    if (isPhysical(network.spec)) continue;
    const met = cidrsOf(network).find((cidr) => contains(cidr, underlay));
    if (met !== undefined) throw inside(text, `network "${network.name}"`);
  }
  for (const vrf of view.vrf.values()) {
    if (vrf.spec.vtepSubnets.some((subnet) => contains(parseCidr(subnet, `vrf/${vrf.name}`), underlay))) {
      throw inside(text, `the VTEP subnets of VRF "${vrf.name}"`);
    }
  }
}

function inside(underlay: string, what: string): Fault {
  return new Fault("overlap", {
    what: `underlay address ${underlay} lies in ${what}`,
    where: "underlay",
    why: "tunnels would run through themselves",
    fix: "join with another address, or move the network to another range",
  });
}
