// What this kernel can do, by trying it in a namespace that is gone afterwards: a missing module cannot be told
// from one that the kernel loads on demand.
import { DIRECTIONS, type Direction } from "../model/qos.ts";
import type { Namespaces } from "./namespaces.ts";
import { newIfb } from "./kinds/links.ts";
import { addIngress, addRedirect, addTbf } from "./kinds/queues.ts";
import type { NetlinkSocket } from "./netlink/socket.ts";
import { MessageWriter } from "./netlink/wire.ts";

/** The first index of every namespace. */
const LOOPBACK = 1;
const SHAPER = 2;
const LIMIT = { rate: 1_250_000, burst: 16_000, limit: 64_000, peak: { rate: 2_500_000, burst: 2000 } };

/** Directions in which an endpoint can be limited here; see datapath/network/shaping.ts for what each takes. */
export function probeShaping(namespaces: Namespaces): readonly Direction[] {
  return namespaces.scratch((socket) => {
    const can: Readonly<Record<Direction, boolean>> = {
      inbound: accepts(socket, (w) => addTbf(w, socket.nextSeq(), LOOPBACK, LIMIT)),
      outbound: accepts(socket, (w) => {
        newIfb(w, socket.nextSeq(), { index: SHAPER, name: "probe", mac: "02:00:00:00:00:01", mtu: 1500 });
        addTbf(w, socket.nextSeq(), SHAPER, LIMIT);
        addIngress(w, socket.nextSeq(), LOOPBACK);
        addRedirect(w, socket.nextSeq(), LOOPBACK, SHAPER);
      }),
    };
    return DIRECTIONS.filter((direction) => can[direction]);
  });
}

function accepts(socket: NetlinkSocket, write: (w: MessageWriter) => void): boolean {
  const w = new MessageWriter(2048);
  write(w);
  let isAccepted = true;
  socket.transact(w, () => {
    isAccepted = false;
  });
  return isAccepted;
}
