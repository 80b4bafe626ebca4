// The host's own addresses and routes, without Weft's: for overlap checks and for the tunnel's source address.
import { readFileSync } from "node:fs";
import { type Cidr, cidrOf, contains, interfaceOf } from "../model/address.ts";
import type { HostFacts } from "./kernel.ts";
import type { Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { type AddressInfo, type RouteInfo, allAddresses, allRoutes, readAddress, readRoute } from "./netlink/entry.ts";
import { type LinkInfo, allLinks, readLink } from "./netlink/link.ts";
import { isOurs } from "./ownership.ts";

/**
 * Loopback and link-local: every host has them, so they cannot conflict. Multicast: no unicast network can be in it.
 */
const NOT_UNIQUE: readonly Cidr[] = ["127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "::1/128", "fe80::/10", "ff00::/8"]
  .map(cidrOf)
  .filter((cidr) => cidr !== undefined);

/** Interface names of a namespace. */
export function linkNames(space: Space): string[] {
  return linksOf(space).map((link) => link.name);
}

/** Addresses and unicast routes of the host that are not on links of ours; default routes are not prefixes. */
export function factsOf(host: Space): HostFacts {
  const foreign = new Set(
    linksOf(host)
      .filter((link) => !isOurs(link) && !link.isLoopback)
      .map((link) => link.index),
  );
  const prefixes = new Set<string>();
  for (const address of addressesOf(host)) {
    if (foreign.has(address.index)) prefixes.add(`${address.ip}/${address.length}`);
  }
  for (const route of routesOf(host)) {
    if (route.isUnicast && foreign.has(route.index) && !route.dst.endsWith("/0")) prefixes.add(route.dst);
  }
  return {
    prefixes: [...prefixes].filter(isUnique).sort(),
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
  };
}

/** MTU of the link that carries an address of the host. */
export function mtuOf(host: Space, ip: string): number | undefined {
  const index = addressesOf(host).find((address) => address.ip === ip)?.index;
  return linksOf(host).find((link) => link.index === index)?.mtu;
}

function isUnique(prefix: string): boolean {
  const spread = interfaceOf(prefix);
  return spread !== undefined && !NOT_UNIQUE.some((cidr) => contains(cidr, spread.ip));
}

function linksOf(space: Space): LinkInfo[] {
  return space.socket.list(k.RTM_GETLINK, allLinks, readLink);
}

function addressesOf(space: Space): AddressInfo[] {
  return space.socket.list(k.RTM_GETADDR, allAddresses, readAddress);
}

function routesOf(space: Space): RouteInfo[] {
  return space.socket.list(k.RTM_GETROUTE, (w) => allRoutes(w, 0), readRoute);
}
