// How the host's addresses and routes go from one device to another without a packet being lost: values in, steps out.
// The order is measured: what sends changes only when what receives is ready, and each route changes in one message.
//
//   take over: addresses on the bridge; the device becomes its port (all goes on by the device's routes); the
//              bridge carries; neighbours; routes by the bridge; the device's addresses go
//   give back: addresses on the device; neighbours; routes by the device; it leaves the bridge; the bridge's
//              addresses go
//
// Strict reverse-path filters (rp_filter 1) would drop packets meanwhile, as they come in by one device while the
// routes lead by the other: the filter is loose for that time. The kernel asks for the greater of a device's and that
// of all.
import * as k from "../netlink/constants.ts";
import { FOREVER_S, type HostUse, type UsedAddress, type UsedNeighbour, type UsedRoute } from "./types.ts";

const LOOSE = 2;

export type Step =
  | { readonly do: "rp-filter"; readonly device: string; readonly value: number }
  | { readonly do: "address"; readonly device: string; readonly address: UsedAddress; readonly isFinal?: true }
  | { readonly do: "no-address"; readonly device: string; readonly address: UsedAddress }
  | { readonly do: "neighbour"; readonly device: string; readonly neighbour: UsedNeighbour }
  /** In place of the one by the other device. */
  | { readonly do: "route"; readonly device: string; readonly route: UsedRoute; readonly from: number }
  | { readonly do: "no-route"; readonly device: string; readonly route: UsedRoute; readonly from: number }
  | { readonly do: "enslave"; readonly device: string; readonly bridge: string }
  | { readonly do: "free"; readonly device: string };

/**
 * Batches, one after the other: nothing of a batch is done if something of the one before was refused, and in `end`
 * what is gone already is as good as removed. Between `begin` and `change` the bridge has to be carrying.
 */
export type Move = { readonly begin: readonly Step[]; readonly change: readonly Step[]; readonly end: readonly Step[] };

/** The device becomes a port of the bridge, and what the host has on it goes onto the bridge. */
export function takeOverMove(use: HostUse, bridge: string): Move {
  const { device, addresses, neighbours, rpFilter } = use;
  return {
    begin: [
      { do: "rp-filter", device, value: LOOSE },
      { do: "rp-filter", device: bridge, value: LOOSE },
      ...addresses.map((address): Step => ({ do: "address", device: bridge, address: unlabelled(address, device) })),
      { do: "enslave", device, bridge },
    ],
    change: [
      ...neighbours.map((neighbour): Step => ({ do: "neighbour", device: bridge, neighbour })),
      ...routesTo(use, bridge),
    ],
    end: [
      ...use.connected.map((route): Step => ({ do: "no-route", device, route, from: use.index })),
      ...[...addresses].reverse().map((address): Step => ({ do: "no-address", device, address })),
      ...final(addresses, bridge, device),
      { do: "rp-filter", device: bridge, value: rpFilter },
      { do: "rp-filter", device, value: rpFilter },
    ],
  };
}

/** What the host has on the bridge goes onto the device, which is no port any more. */
export function giveBackMove(use: HostUse, device: string, rpFilter: number): Move {
  const { device: bridge, addresses, neighbours } = use;
  return {
    begin: [
      { do: "rp-filter", device: bridge, value: LOOSE },
      { do: "rp-filter", device, value: LOOSE },
      ...addresses.map((address): Step => ({ do: "address", device, address: unlabelled(address, bridge) })),
    ],
    change: [
      ...neighbours.map((neighbour): Step => ({ do: "neighbour", device, neighbour })),
      ...routesTo(use, device),
      ...use.connected.map((route): Step => ({ do: "no-route", device: bridge, route, from: use.index })),
    ],
    end: [
      { do: "free", device },
      ...[...addresses].reverse().map((address): Step => ({ do: "no-address", device: bridge, address })),
      ...final(addresses, device, bridge),
      { do: "rp-filter", device, value: rpFilter },
    ],
  };
}

/** What was saved of a device and is not there: as if the kernel had lost it. */
export function restoreMove(saved: HostUse, now: HostUse): Move {
  const has = new Set(now.addresses.map(({ cidr }) => cidr));
  const routes = new Set(now.routes.map(keyOf));
  const addresses = saved.addresses.filter(({ cidr }) => !has.has(cidr));
  return {
    begin: addresses.map((address): Step => ({ do: "address", device: saved.device, address })),
    change: routesTo({ ...saved, routes: saved.routes.filter((route) => !routes.has(keyOf(route))) }, saved.device),
    end: [...final(addresses, saved.device, ""), { do: "rp-filter", device: saved.device, value: saved.rpFilter }],
  };
}

/** First those by which the gateways of the others are reached. */
function routesTo({ routes, index }: HostUse, device: string): readonly Step[] {
  const inOrder = [...routes.filter(({ via }) => via === ""), ...routes.filter(({ via }) => via !== "")];
  return inOrder.map((route) => ({ do: "route", device, route, from: index }));
}

/** IPv6 addresses are added without detection of duplicates, as they are on the other device; then as they were. */
function final(addresses: readonly UsedAddress[], device: string, from: string): readonly Step[] {
  return addresses
    .filter(({ cidr }) => cidr.includes(":"))
    .map((address): Step => ({ do: "address", device, address: unlabelled(address, from), isFinal: true }));
}

/** A label begins with the name of its device. */
function unlabelled(address: UsedAddress, device: string): UsedAddress {
  return address.label === device || address.label.startsWith(`${device}:`) ? { ...address, label: "" } : address;
}

/** Where a route would be replaced. */
function keyOf({ table, dst, tos, metric }: UsedRoute): string {
  return `${table} ${dst} ${tos} ${metric}`;
}

/** Why what the host has cannot go to another device: a line each; none if it can. */
export function whyImmovable({ device, addresses, routes, neighbours, keepsProtocols }: HostUse): readonly string[] {
  const fixed = neighbours.filter(({ isPermanent }) => isPermanent).map(({ ip }) => ip);
  const leased = addresses.filter(isLeased).map(({ cidr }) => cidr);
  const bound = routes.filter(({ hasNexthopId }) => hasNexthopId).map(({ dst }) => dst);
  const keys = routes.map(keyOf);
  const twice = routes.filter((route, i) => route.dst.includes(".") && keys.indexOf(keyOf(route)) !== i);
  return [
    ...(keepsProtocols ? [] : ["this kernel does not tell who made an address (Linux 5.18 does)"]),
    ...(leased.length === 0
      ? []
      : [
          `a program leases ${leased.join(", ")} for ${device} (DHCP), and would renew it there: ` +
            "give the host a fixed address",
        ]),
    ...(bound.length === 0 ? [] : [`the route ${bound.join(", ")} is by a nexthop object: make it a plain route`]),
    // On a bridge of Weft's it would count as Weft's.
    ...(fixed.length === 0 ? [] : [`${fixed.join(", ")} is a permanent neighbour: remove it`]),
    ...(twice.length === 0
      ? []
      : [`there are two routes ${twice.map(({ dst }) => dst).join(", ")} with one metric: give them different ones`]),
  ];
}

/** It ends unless a program renews it. The kernel itself renews what comes from routers' advertisements. */
function isLeased({ validS, protocol }: UsedAddress): boolean {
  return validS !== FOREVER_S && protocol !== k.IFAPROT_KERNEL_RA;
}
