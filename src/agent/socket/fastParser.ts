// Answers requests that arrive whole in one packet, as nearly all do on a unix socket, without node:http: an attach
// takes 4 % less time without its objects for a connection, a request and a response (docs/decisions/0016). It accepts
// only requests that can be read in one way. Every other connection goes to node:http as if nothing had been read.
import { STATUS_CODES, type Server as HttpServer } from "node:http";
import { type Server, type Socket, createServer } from "node:net";
import type { Answer, LocalApi, LocalRequest } from "./localApi.ts";

/** A connection that is silent for so long is closed, as node:http does. */
const SILENCE_MS = 60_000;

/** A server that answers one request per connection by `api`, or hands the connection to `http`. `end` closes all. */
export function fastServer(api: LocalApi, http: HttpServer): { readonly server: Server; readonly end: () => void } {
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
      if (request === undefined) return handOver(socket, packet, http);
      socket.setTimeout(0, stop);
      void api(request).then((answer) => {
        socket.write(textOf(answer));
        socket.destroySoon();
      });
    });
  });
  const end = () => {
    for (const socket of open) socket.destroy();
  };
  return { server, end };
}

function handOver(socket: Socket, packet: Buffer, http: HttpServer): void {
  // The stream flows, so the packet is read before later ones, which node:http reads past the stream.
  socket.unshift(packet);
  http.emit("connection", socket);
}

const FIRST_LINE = /^(GET|POST|DELETE) (\/[\x21-\x7e]*) HTTP\/1\.1$/;
const FIELD = /^([!-9;-~]+):[\t ]*([\x20-\x7e]*?)[\t ]*$/;
const UNUSUAL = new Set(["transfer-encoding", "expect", "upgrade", "connection"]);

/** The request, if the packet is exactly one that can be read in one way; otherwise undefined. */
export function parseRequest(packet: Buffer): LocalRequest | undefined {
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
