// What the host has by itself, without Weft's: addresses and routes, for overlap checks and for the tunnel's source
// address; and the neighbours by which it reaches others.
import { readFileSync } from "node:fs";
import type { ObjectOf } from "../datapath/kinds.ts";
import { PORT_PRIORITY } from "../datapath/kinds/entries.ts";
import { WEFT_PROTOCOL } from "../datapath/kinds/kind.ts";
import { keyOf } from "../datapath/state/state.ts";
import { type Cidr, cidrOf, contains, interfaceOf, ipOf } from "../model/address.ts";
import type { DeviceFacts } from "../model/physical.ts";
import type { HostFacts } from "./kernel.ts";
import type { Space } from "./namespaces.ts";
import { IFAPROT_KERNEL_RA } from "./netlink/constants.ts";
import { type AddressInfo, type RouteInfo, allAddresses, allNeighbours, allRoutes, routeTo } from "./netlink/entry.ts";
import * as k from "./netlink/constants.ts";
import { type LinkInfo, allLinks, linkByIndex, linkByName } from "./netlink/link.ts";
import { type Layout, fill, flagAt, u32At } from "./netlink/wire.ts";
import { isManagedByOthers, isOurs } from "./ownership.ts";

/**
 * Loopback and link-local: every host has them, so they cannot conflict. Multicast: no unicast network can be in it.
 */
const NOT_UNIQUE: readonly Cidr[] = ["127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "::1/128", "fe80::/10", "ff00::/8"]
  .map(cidrOf)
  .filter((cidr) => cidr !== undefined);

/** Interface names of a namespace. */
export function linkNames(space: Space): string[] {
  return space.socket.list(allLinks).map((link) => link.name);
}

/** Addresses and unicast routes of the host that are not on links of ours; default routes are not prefixes. */
export function factsOf({ socket }: Space): HostFacts {
  const links = socket.list(allLinks, (link) => !link.isLoopback);
  const others = links.filter((link) => !isOurs(link));
  // A bridge of ours with a device of the host's as its port may have what the host had on the device.
  const foreign = new Set(
    others.flatMap(({ index, master, priority }) => [index, ...(priority === PORT_PRIORITY ? [master] : [])]),
  );
  const isForeign = ({ index, protocol }: { readonly index: number; readonly protocol: number }) =>
    foreign.has(index) && protocol !== WEFT_PROTOCOL;
  const addresses = socket.list(allAddresses, isForeign).map(({ ip, length }) => `${ip}/${length}`);
  const isPrefix = (route: RouteInfo) => isForeign(route) && route.isUnicast && !route.dst.endsWith("/0");
  const routes = socket.list(allRoutes(0), isPrefix).map(({ dst }) => dst);
  return {
    prefixes: [...new Set([...addresses, ...routes])].filter(isUnique).sort(),
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
  };
}

/** MTU of the link that carries an address of the host. */
export function mtuOf({ socket }: Space, ip: string): number | undefined {
  const [address] = socket.list(allAddresses, (one) => one.ip === ip);
  return address === undefined ? undefined : socket.ask(linkByIndex(address.index))?.mtu;
}

export function deviceWith({ socket }: Space, ip: string): string | undefined {
  const [address] = socket.list(allAddresses, (one) => one.ip === ip);
  return address === undefined ? undefined : socket.ask(linkByIndex(address.index))?.name;
}

/** A bridge of ours; or Open vSwitch, whose database says whose port it is, and refuses what is another's. */
function isJoined(master: LinkInfo): boolean {
  return isOurs(master) || master.kind === "openvswitch";
}

/** See Kernel.devices: in the order asked for; addresses as the kernel has them, the first is a packet's source. */
export function devicesOf(
  { socket }: Space,
  names: readonly string[],
  servers: readonly string[],
): readonly DeviceFacts[] {
  const towards = servers.flatMap((text) => {
    const ip = ipOf(text);
    return (ip === undefined ? undefined : socket.ask(routeTo(ip)))?.index ?? [];
  });
  const links = names.map((name) => socket.ask(linkByName(name))).filter((link) => link !== undefined && !isOurs(link));
  return links.flatMap((link) => {
    if (link === undefined) return [];
    const { index, name, mtu, mac, isUp } = link;
    const isOn = (one: { readonly index: number }) => one.index === index;
    const addresses = socket.list(allAddresses, (one) => isOn(one) && isUnique(`${one.ip}/${one.length}`));
    const routes = socket.list(allRoutes(0), (one) => isOn(one) && one.isUnicast && one.dst.endsWith("/0"));
    const master = link.master === 0 ? undefined : socket.ask(linkByIndex(link.master));
    const isOnBridge = (one: AddressInfo) => one.index === link.master && one.protocol !== WEFT_PROTOCOL;
    const onBridge =
      link.priority === PORT_PRIORITY && master !== undefined && isOurs(master)
        ? socket.list(allAddresses, (one) => isOnBridge(one) && isUnique(`${one.ip}/${one.length}`))
        : [];
    const leased = addresses.filter(({ isPermanent, protocol }) => !isPermanent && protocol !== IFAPROT_KERNEL_RA);
    const via = routes.map((route) => (route.via === "" ? route.dst : `${route.dst} via ${route.via}`));
    return [
      {
        name,
        mtu,
        ...(mac === "" ? {} : { mac }),
        addresses: addresses.map(({ ip }) => ip),
        ...(onBridge.length === 0 || master === undefined
          ? {}
          : { onBridge: onBridge.map(({ ip }) => ip), ownBridge: { name: master.name, mtu: master.mtu } }),
        ...(leased.length === 0 ? {} : { leased: leased.map(({ ip }) => ip) }),
        ...(via.length === 0 ? {} : { defaultRoutes: via }),
        ...(towards.includes(index) ? { leadsToServer: true } : {}),
        ...(isUp ? {} : { down: true }),
        ...(master === undefined || isJoined(master) ? {} : { master: master.name }),
        ...(link.kind === "bridge" ? { bridge: settingsOf(link) } : {}),
      },
    ];
  });
}

type Settings = { readonly delay: number; readonly stp: boolean; readonly filters: boolean };
const SETTINGS: Layout<Settings> = {
  [k.IFLA_BR_FORWARD_DELAY]: ["delay", (bytes, start) => Math.round(u32At(bytes, start) / k.USER_HZ)],
  [k.IFLA_BR_STP_STATE]: ["stp", (bytes, start) => u32At(bytes, start) !== 0],
  [k.IFLA_BR_VLAN_FILTERING]: ["filters", flagAt],
};

function settingsOf({ data }: LinkInfo): NonNullable<DeviceFacts["bridge"]> {
  const { delay, stp, filters } = fill<Settings>({ delay: 0, stp: false, filters: false }, SETTINGS, data);
  return { forwardDelay: delay, ...(stp ? { stp } : {}), ...(filters ? { vlanFiltering: true } : {}) };
}

function isUnique(prefix: string): boolean {
  const spread = interfaceOf(prefix);
  return spread !== undefined && !NOT_UNIQUE.some((cidr) => contains(cidr, spread.ip));
}

type Hop = ObjectOf<"hop">;

/** See Kernel.nextHops: what the kernel's routes say now, whatever tables and rules they are in. */
export function nextHopsOf({ socket }: Space, addresses: readonly string[]): readonly Hop[] {
  const links = new Map<number, LinkInfo | undefined>();
  const linkOf = (index: number) => {
    if (!links.has(index)) links.set(index, socket.ask(linkByIndex(index)));
    return links.get(index);
  };
  const hops = new Map<string, Hop & { readonly index: number }>();
  for (const address of addresses) {
    const ip = ipOf(address);
    const route = ip === undefined ? undefined : socket.ask(routeTo(ip));
    const link = route?.isUnicast === true ? linkOf(route.index) : undefined;
    if (route === undefined || link?.hasNeighbours !== true) continue;
    const hop = { kind: "hop", ns: "host", dev: link.name, ip: route.via === "" ? address : route.via } as const;
    hops.set(keyOf(hop), { ...hop, index: link.index });
  }
  if (hops.size === 0) return [];
  const kept = socket.list(allNeighbours, isManagedByOthers);
  const managed = new Set(kept.map(({ index, ip }) => `${index} ${ip}`));
  return [...hops.values()]
    .filter(({ index, ip }) => !managed.has(`${index} ${ip}`))
    .map(({ index: _, ...hop }) => hop);
}
