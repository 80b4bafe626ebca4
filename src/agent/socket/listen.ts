// The agent's sockets: a unix socket for workloads, and optionally a TCP address that only answers questions. An attach
// has a budget of a millisecond, and takes 4 % less time without node:http's objects for a connection, a request and a
// response (docs/decisions/0016). So requests that arrive whole in one packet, as nearly all do on a unix socket, are
// answered without it. Only requests that can be read in one way are; any other connection goes to node:http as if
// nothing had been read.
import * as http from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { listenPrivately, makeWay } from "../../client/socket.ts";
import { Fault } from "../../model/fault.ts";
import { type Answer, type LocalApi, type LocalRequest, problemAnswer } from "./localApi.ts";

export type ApiServer = { readonly close: () => Promise<void> };

/** Listens on a unix socket. Replaces one on which nothing listens; if a second agent does, rejects with `in-use`. */
export async function listenOnSocket(path: string, api: LocalApi): Promise<ApiServer> {
  await makeWay(path, "agent");
  const slow = http.createServer((request, response) => void answer(request, response, api));
  const { server, end } = fastServer(api, slow);
  await listenPrivately(server, path);
  return closing(server, end);
}

/** Listens on a TCP address. */
export async function listenOnAddress(host: string, port: number, api: LocalApi): Promise<ApiServer> {
  const server = http.createServer((request, response) => void answer(request, response, api));
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  return closing(server, () => server.closeAllConnections());
}

/** `end` closes open connections. */
function closing(server: Server, end: () => void): ApiServer {
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        end();
      }),
  };
}

async function answer(request: http.IncomingMessage, response: http.ServerResponse, api: LocalApi): Promise<void> {
  const { method = "", url = "/" } = request;
  const { status, type, body } = await read(request).then((whole) => api({ method, url, body: whole }), problemAnswer);
  const headers = { "content-type": type, "content-length": Buffer.byteLength(body) };
  if (request.complete) return void response.writeHead(status, status === 204 ? {} : headers).end(body);
  // The client goes on sending a body that is not read: the connection ends as soon as it could have read the answer.
  response.writeHead(status, { ...headers, connection: "close" }).end(body, () => request.destroy());
}

/** A CNI request may carry the results of several plugins. */
const BODY_BYTES_MAX = 1 << 20;

function read(request: http.IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= BODY_BYTES_MAX) return void chunks.push(chunk);
      // The rest is not read: the client has no right yet to use this process's memory.
      chunks.length = 0;
      request.pause().removeAllListeners("data");
      reject(tooLarge());
    });
    request.on("error", reject);
    request.on("end", () => resolve(Buffer.concat(chunks)));
  });
}

function tooLarge(): Fault {
  return new Fault("request-invalid", {
    what: "the request is too large",
    why: `more than ${BODY_BYTES_MAX} bytes`,
    fix: "send one attachment at a time",
  });
}

/** A connection that is silent for so long is closed, as node:http does. */
const SILENCE_MS = 60_000;

/** A server that answers one request per connection by `api`, or hands the connection to `slow`. `end` closes all. */
export function fastServer(api: LocalApi, slow: http.Server): { readonly server: Server; readonly end: () => void } {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    answerFast(socket, api, slow);
  });
  const end = () => {
    for (const socket of open) socket.destroy();
  };
  return { server, end };
}

function answerFast(socket: Socket, api: LocalApi, slow: http.Server): void {
  const stop = () => socket.destroy();
  socket.on("error", stop);
  socket.on("end", stop);
  socket.setTimeout(SILENCE_MS, stop);
  socket.once("data", (packet) => {
    socket.off("end", stop);
    const request = parseRequest(packet);
    if (request === undefined) {
      // The stream flows, so the packet is read before later ones, which node:http reads past the stream.
      socket.unshift(packet);
      slow.emit("connection", socket);
      return;
    }
    socket.setTimeout(0, stop);
    void api(request).then((answer) => {
      socket.write(textOf(answer));
      socket.destroySoon();
    });
  });
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
  const head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ""}\r\nconnection: close\r\n`;
  if (status === 204) return `${head}\r\n`;
  return `${head}content-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
