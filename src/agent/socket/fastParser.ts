// Requests that come whole in their first packet, as nearly all do on a socket of this machine. Answered without
// node:http they take an attach 4 % less time (docs/decisions/0016), which is what its objects for a connection, a
// request and a response cost. It knows only requests that cannot be misread; every other connection gets to node:http
// as if nobody had looked.
import { STATUS_CODES, type Server as HttpServer } from "node:http";
import { type Server, type Socket, createServer } from "node:net";

/** A request with its body. */
export type ParsedRequest = { readonly method: string; readonly url: string; readonly body: Buffer };
export type Answer = { readonly status: number; readonly type: string; readonly body: string };

/** A connection that says nothing for so long is closed, as node:http does. */
const SILENCE_MS = 60_000;

/**
 * A server whose connections are answered by `answer`, which never rejects, once and then closed; or they get to
 * `other`. `end` closes all of them at once.
 */
export function fastServer(
  answer: (request: ParsedRequest) => Promise<Answer>,
  other: HttpServer,
): { readonly server: Server; readonly end: () => void } {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const stop = () => socket.destroy();
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", stop);
    socket.on("end", stop);
    socket.setTimeout(SILENCE_MS, stop);
    socket.once("data", (packet) => {
      socket.off("end", stop);
      const request = parseRequest(packet);
      if (request === undefined) return handOver(socket, packet, other);
      socket.setTimeout(0, stop);
      void answer(request).then((told) => {
        socket.write(textOf(told));
        socket.destroySoon();
      });
    });
  });
  const end = () => {
    for (const socket of open) socket.destroy();
  };
  return { server, end };
}

function handOver(socket: Socket, packet: Buffer, other: HttpServer): void {
  // It flows, so that this is read before what comes next, which node:http reads past the stream.
  socket.unshift(packet);
  other.emit("connection", socket);
}

const FIRST_LINE = /^(GET|POST|DELETE) (\/[\x21-\x7e]*) HTTP\/1\.1$/;
const FIELD = /^([!-9;-~]+):[\t ]*([\x20-\x7e]*?)[\t ]*$/;
const UNUSUAL = new Set(["transfer-encoding", "expect", "upgrade", "connection"]);

/** The request that a packet is, neither more nor less; undefined if it may be anything else. */
export function parseRequest(packet: Buffer): ParsedRequest | undefined {
  const end = packet.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...fields] = packet.toString("latin1", 0, end).split("\r\n");
  const [, method, url] = FIRST_LINE.exec(first) ?? [];
  let length = "";
  let host = false;
  for (const line of fields) {
    const [, field, value] = FIELD.exec(line) ?? [];
    if (field === undefined || value === undefined) return undefined;
    const name = field.toLowerCase();
    if (name === "host") host = true;
    else if (name === "content-length") {
      if (length !== "" || !/^\d{1,9}$/.test(value)) return undefined;
      length = value;
    } else if (UNUSUAL.has(name) && !(name === "connection" && /^(close|keep-alive)$/i.test(value))) return undefined;
  }
  if (method === undefined || url === undefined || !host || packet.length !== end + 4 + Number(length))
    return undefined;
  return { method, url, body: packet.subarray(end + 4) };
}

function textOf({ status, type, body }: Answer): string {
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\nconnection: close\r\n`;
  if (status === 204) return `${head}\r\n`;
  return `${head}content-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
