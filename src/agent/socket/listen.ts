// The agent's sockets: a unix socket for workloads, and optionally a TCP address that only answers questions. On the
// unix socket most requests need no node:http (fastParser.ts), because an attach has a budget of a millisecond.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Server } from "node:net";
import { listenPrivately, makeWay } from "../../client/socket.ts";
import { Fault } from "../../model/fault.ts";
import { fastServer } from "./fastParser.ts";
import { type LocalApi, problemAnswer } from "./localApi.ts";

export type ApiServer = { readonly close: () => Promise<void> };

/** Listens on a unix socket. Replaces one on which nothing listens; if a second agent does, rejects with `in-use`. */
export async function listenOnSocket(path: string, api: LocalApi): Promise<ApiServer> {
  await makeWay(path, "agent");
  const http = createServer((request, response) => void answer(request, response, api));
  const { server, end } = fastServer(api, http);
  await listenPrivately(server, path);
  return closing(server, end);
}

/** Listens on a TCP address. */
export async function listenOnAddress(host: string, port: number, api: LocalApi): Promise<ApiServer> {
  const server = createServer((request, response) => void answer(request, response, api));
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

async function answer(request: IncomingMessage, response: ServerResponse, api: LocalApi): Promise<void> {
  const { method = "", url = "/" } = request;
  const { status, type, body } = await read(request).then((whole) => api({ method, url, body: whole }), problemAnswer);
  const headers = { "content-type": type, "content-length": Buffer.byteLength(body) };
  if (request.complete) return void response.writeHead(status, status === 204 ? {} : headers).end(body);
  // The client goes on sending a body that is not read: the connection ends as soon as it could have read the answer.
  response.writeHead(status, { ...headers, connection: "close" }).end(body, () => request.destroy());
}

/** A CNI request may carry the results of several plugins. */
const BODY_BYTES_MAX = 1 << 20;

function read(request: IncomingMessage): Promise<Buffer> {
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
