// Memberships of this host in multicast groups that no device of its own keeps: a socket for each, in the host's
// namespace. A datagram to a group goes to every socket of its port if the host is in the group by any socket
// (IP_MULTICAST_ALL), so tunnels receive by them.
import { ipOf } from "../model/address.ts";
import { refuse } from "./errno.ts";
import type { GroupMembership } from "./kernel.ts";
import * as libc from "./libc.ts";
import type { Namespaces } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { linkByName } from "./netlink/link.ts";
import { socketAddress } from "./socketAddress.ts";

export class GroupMemberships {
  readonly #namespaces: Namespaces;
  readonly #sockets = new Map<string, number>();

  constructor(namespaces: Namespaces) {
    this.#namespaces = namespaces;
  }

  /** The host is in these groups from now on, and in no other by this. Throws Refused if it cannot join one. */
  hold(wanted: readonly GroupMembership[]): void {
    const keys = new Set(wanted.map(keyOfMembership));
    for (const [key, fd] of this.#sockets) {
      if (keys.has(key)) continue;
      libc.close(fd);
      this.#sockets.delete(key);
    }
    for (const membership of wanted) {
      const key = keyOfMembership(membership);
      if (!this.#sockets.has(key)) this.#sockets.set(key, this.#join(membership));
    }
  }

  #join({ group, device }: GroupMembership): number {
    const ip = ipOf(group);
    const link = this.#namespaces.host.socket.ask(linkByName(device));
    if (ip === undefined || link === undefined) return refuse("missing", `this host has no device ${device}`);
    const [domain, level] = ip.family === 4 ? [k.AF_INET, k.IPPROTO_IP] : [k.AF_INET6, k.IPPROTO_IPV6];
    const fd = this.#namespaces.within(this.#namespaces.host.fd, () => libc.socket(domain, k.SOCK_DGRAM_CLOEXEC, 0));
    try {
      libc.joinGroup(fd, level, link.index, socketAddress(ip));
      return fd;
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }
}

function keyOfMembership({ group, device }: GroupMembership): string {
  return `${group} ${device}`;
}
