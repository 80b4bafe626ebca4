// One datagram to a multicast group, from a given device and address of the host. A socket for each: they are few.
import { type Family, ipOf } from "../model/address.ts";
import { SystemError } from "./errno.ts";
import type { GroupWay } from "./kernel.ts";
import * as libc from "./libc.ts";
import type { Namespaces } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { linkByName } from "./netlink/link.ts";
import { socketAddress } from "./socketAddress.ts";

/** Level and names of the options of a family: by which device, how far, and whether it comes back to this host. */
const OPTIONS = {
  4: [k.IPPROTO_IP, k.IP_MULTICAST_IF, k.IP_MULTICAST_TTL, k.IP_MULTICAST_LOOP],
  6: [k.IPPROTO_IPV6, k.IPV6_MULTICAST_IF, k.IPV6_MULTICAST_HOPS, k.IPV6_MULTICAST_LOOP],
} as const satisfies Record<Family, readonly number[]>;

export function sendToGroup(namespaces: Namespaces, way: GroupWay, datagram: Uint8Array): boolean {
  const [local, group] = [ipOf(way.local), ipOf(way.group)];
  const link = namespaces.host.socket.ask(linkByName(way.device));
  if (local === undefined || group === undefined || link === undefined) return false;
  const domain = local.family === 4 ? k.AF_INET : k.AF_INET6;
  const fd = namespaces.within(namespaces.host.fd, () => libc.socket(domain, k.SOCK_DGRAM_CLOEXEC, 0));
  try {
    const [level, device, hops, loop] = OPTIONS[local.family];
    // IPv4 takes the device by its address, the bytes in network order.
    const by = local.family === 6 ? link.index : socketAddress(local).readInt32LE(4);
    libc.bind(fd, socketAddress(local));
    libc.setsockopt(fd, level, device, by);
    libc.setsockopt(fd, level, hops, way.ttl);
    libc.setsockopt(fd, level, loop, 0);
    libc.sendTo(fd, datagram, socketAddress(group, way.port));
    return true;
  } catch (error) {
    // The address or the device has just gone: lost on the way, like any other.
    if (error instanceof SystemError) return false;
    throw error;
  } finally {
    libc.close(fd);
  }
}
