// Which datapath a bridge of Open vSwitch gets: the kernel's where there is one.
import * as k from "../netlink/constants.ts";
import { NetlinkSocket, type Question } from "../netlink/socket.ts";
import { type Layout, fill, textAt } from "../netlink/wire.ts";
import type { Namespaces } from "../namespaces.ts";

/** The families of generic netlink. Asking for one by its name would load its module; asking for all does not. */
const FAMILIES: Question<string> = {
  type: k.GENL_ID_CTRL,
  // struct genlmsghdr: command, version, reserved.
  write: (w) => w.u8s(k.CTRL_CMD_GETFAMILY, 1, 0, 0),
  read: (message) => fill({ name: "" }, NAMED, message, 4).name,
};
const NAMED: Layout<{ name: string }> = { [k.CTRL_ATTR_FAMILY_NAME]: ["name", textAt] };

/**
 * As Open vSwitch calls it: `system` if the kernel has a datapath for it now (a module, which Open vSwitch loads at its
 * start, or built in), else `netdev`.
 */
export function datapathIn(namespaces: Namespaces): "system" | "netdev" {
  const socket = namespaces.within(namespaces.host.fd, () => new NetlinkSocket(k.NETLINK_GENERIC));
  try {
    return socket.list(FAMILIES).includes("ovs_datapath") ? "system" : "netdev";
  } finally {
    socket.close();
  }
}
