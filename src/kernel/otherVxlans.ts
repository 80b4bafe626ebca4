// VXLAN devices of other programs in the host's namespace. Devices with one UDP port share a socket (vxlan_find_sock),
// so what the host lets in on the port concerns all of them.
import type { Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { allLinks } from "./netlink/link.ts";
import { type Layout, fill } from "./netlink/wire.ts";
import { isOurs } from "./ownership.ts";

type OtherVxlan = { readonly name: string; readonly port: number };

export function otherVxlansIn({ socket }: Space): readonly OtherVxlan[] {
  return socket
    .list(allLinks, (link) => link.kind === "vxlan" && !isOurs(link))
    .map(({ name, data }) => ({ name, ...fill({ port: 0 }, PORT, data) }));
}

const PORT: Layout<{ readonly port: number }> = {
  [k.IFLA_VXLAN_PORT]: ["port", (bytes, start) => bytes.readUInt16BE(start)],
};
