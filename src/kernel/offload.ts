// Checksum offload of a device: with it off (ETHTOOL_STXCSUM), the kernel writes checksums as packets enter the device.
// With it on, as devices are created, the last device writes them: for a veth, after everything that filters has
// looked. Set by ioctl, because ethtool over netlink came with 5.6. Any socket of the namespace will do: ethtool itself
// uses a netlink socket where there is no IPv4.
import { SystemError } from "./errno.ts";
import * as libc from "./libc.ts";
import type { Space } from "./namespaces.ts";

const ETHTOOL_GTXCSUM = 0x16;
const ETHTOOL_STXCSUM = 0x17;
const ETHTOOL_SGRO = 0x2c;

/** Whether the kernel writes checksums as packets enter. False for a device that is gone. */
export function makesChecksums({ socket }: Space, device: string): boolean {
  try {
    return libc.ethtool(socket.fd, device, ETHTOOL_GTXCSUM) === 0;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
}

/** Throws SystemError if the device, or the kernel, refuses. */
export function setMakesChecksums({ socket }: Space, device: string, isMade: boolean): void {
  libc.ethtool(socket.fd, device, ETHTOOL_STXCSUM, isMade ? 0 : 1);
}

/**
 * Whether a veth puts single packets together again (GRO), as after checksums were written. That regains a part of the
 * cost (from 5.13 on); without it, traffic is only slower.
 */
export function setGathers({ socket }: Space, device: string, gathers: boolean): void {
  try {
    libc.ethtool(socket.fd, device, ETHTOOL_SGRO, gathers ? 1 : 0);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}
