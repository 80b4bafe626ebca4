// Who writes checksums into what is sent through a device: the kernel as the packet goes in (ETHTOOL_STXCSUM off), or
// whoever has it last, a veth's other end with all that it filters having looked before (on, as devices are born).
// Asked by ioctl, because ethtool over netlink came with 5.6. Any socket of the namespace serves: ethtool itself takes
// one of netlink where there is no IPv4.
import { SystemError } from "./errno.ts";
import * as libc from "./libc.ts";
import type { Space } from "./namespaces.ts";

const ETHTOOL_GTXCSUM = 0x16;
const ETHTOOL_STXCSUM = 0x17;
const ETHTOOL_SGRO = 0x2c;

/** Whether the kernel writes them as packets go in. A device that is gone does not. */
export function makesChecksums({ socket }: Space, device: string): boolean {
  try {
    return libc.ethtool(socket.fd, device, ETHTOOL_GTXCSUM) === 0;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
}

/** Throws SystemError where the device, or the kernel, refuses. */
export function setMakesChecksums({ socket }: Space, device: string, isMade: boolean): void {
  libc.ethtool(socket.fd, device, ETHTOOL_STXCSUM, isMade ? 0 : 1);
}

/**
 * Whether a veth puts packets together again that come in one by one, as from where checksums are made: it gives back
 * a part of what that costs (from 5.13 on). Refused, it is only slower.
 */
export function setGathers({ socket }: Space, device: string, gathers: boolean): void {
  try {
    libc.ethtool(socket.fd, device, ETHTOOL_SGRO, gathers ? 1 : 0);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}
