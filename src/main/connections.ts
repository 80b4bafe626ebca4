// How long and how many connections may be open. A claims request and a watch do not end, so no time limit is on whole
// requests; but a connection that says nothing ends, and one address cannot take all there are. Bodies that do not
// come to an end: src/api/exchanges.ts.
import type { Server } from "node:http";
import type { Socket } from "node:net";

export type ConnectionBounds = {
  /** For a handshake, and for the head of a request. */
  readonly silentMs: number;
  readonly total: number;
  /** From one IPv4 address, or one /64 of IPv6. Agents keep three each, and a site may be behind one address. */
  readonly fromOne: number;
};
export const CONNECTION_BOUNDS: ConnectionBounds = { silentMs: 30_000, total: 16_384, fromOne: 4096 };

/** For a server's options. Node takes the time for heads from that for whole requests, so it is said, too. */
export function timesOf({ silentMs }: ConnectionBounds) {
  return {
    requestTimeout: 0,
    headersTimeout: silentMs,
    handshakeTimeout: silentMs,
    connectionsCheckingInterval: Math.max(1, Math.floor(silentMs / 6)),
  };
}

/** Ends connections beyond the bounds. `onFull` is told of the address when it begins to have too many. */
export function boundConnections(server: Server, bounds: ConnectionBounds, onFull: (origin: string) => void): void {
  server.maxConnections = bounds.total;
  const open = new Map<string, { count: number; isTold: boolean }>();
  server.prependListener("connection", (socket: Socket) => {
    const origin = originOf(socket.remoteAddress);
    const found = open.get(origin) ?? { count: 0, isTold: false };
    open.set(origin, found);
    found.count++;
    socket.once("close", () => {
      if (--found.count === 0) open.delete(origin);
      else if (found.count < bounds.fromOne / 2) found.isTold = false;
    });
    if (found.count <= bounds.fromOne) return;
    socket.destroy();
    if (found.isTold) return;
    found.isTold = true;
    onFull(origin);
  });
}

function originOf(address = "unknown"): string {
  if (!address.includes(":") || address.startsWith("::ffff:")) return address;
  // The first four groups; a `::` within them stands for zeros.
  const [head = "", tail] = address.split("::");
  const groups = head.split(":").filter((group) => group !== "");
  if (tail === undefined) return `${groups.slice(0, 4).join(":")}::/64`;
  const zeros = 8 - groups.length - tail.split(":").filter((group) => group !== "").length;
  const all = [...groups, ...Array.from({ length: zeros }, () => "0"), ...tail.split(":")];
  return `${all.slice(0, 4).join(":")}::/64`;
}
