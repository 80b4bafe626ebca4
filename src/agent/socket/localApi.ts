// The agent's doors as HTTP: a unix socket for workloads (mode 0600: whoever may open it may attach), and optionally a
// TCP address that only answers questions. Plain node:http, and less where that is enough (fastParser.ts), because an
// attach has a budget of a millisecond.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Server } from "node:net";
import { listenPrivately, makeWay } from "../../client/socket.ts";
import { Fault, problemOf } from "../../model/fault.ts";
import { parseAttach } from "../../model/parse.ts";
import type { Agent } from "../agent.ts";
import type { Door } from "../endpoint/attach.ts";
import { type Answer, type ParsedRequest, fastServer } from "./fastParser.ts";

/** A page that main adds: the DC/OS view, metrics. GET only. */
export type Page = { readonly path: string; readonly type: string; readonly body: () => string | Promise<string> };

/** A further way in that main adds: any POST to its path, whole. */
export type Route = { readonly path: string; readonly answer: (body: Buffer) => Promise<RouteAnswer> };
export type RouteAnswer = { readonly status: number; readonly body: string };

export type ApiServer = { readonly close: () => Promise<void> };

/** Listens on a unix socket; a stale one is replaced, one that answers is a second agent and refused. */
export async function listenOnSocket(
  path: string,
  agent: Agent,
  door: Door,
  pages: readonly Page[],
  hatches: readonly Route[],
): Promise<ApiServer> {
  await makeWay(path, "agent");
  const tell = (request: ParsedRequest) => told(request, agent, door, pages, hatches);
  const other = createServer((request, response) => void answer(request, response, tell));
  const { server, end } = fastServer(tell, other);
  await listenPrivately(server, path);
  return closing(server, end);
}

/** Listens on `host:port` for questions only: health, metrics, the DC/OS view. */
export async function listenReadOnly(
  host: string,
  port: number,
  agent: Agent,
  pages: readonly Page[],
): Promise<ApiServer> {
  const tell = (request: ParsedRequest) => told(request, agent, undefined, pages, []);
  const server = createServer((request, response) => void answer(request, response, tell));
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  return closing(server, () => server.closeAllConnections());
}

/** `end` closes what is open. */
function closing(server: Server, end: () => void): ApiServer {
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        end();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  tell: (asked: ParsedRequest) => Promise<Answer>,
): Promise<void> {
  const { method = "", url = "/" } = request;
  const { status, type, body } = await read(request).then(
    (text) => tell({ method, url, body: text }),
    (error: unknown) => toldOf(error),
  );
  const headers = { "content-type": type, "content-length": Buffer.byteLength(body) };
  if (request.complete) return void response.writeHead(status, status === 204 ? {} : headers).end(body);
  // Who goes on sending what nobody reads is cut off as soon as he could have read why.
  response.writeHead(status, { ...headers, connection: "close" }).end(body, () => request.destroy());
}

/** Never rejects: what goes wrong is told as a problem. */
async function told(
  { method, url, body }: ParsedRequest,
  agent: Agent,
  door: Door | undefined,
  pages: readonly Page[],
  hatches: readonly Route[],
): Promise<Answer> {
  try {
    const path = url.split("?")[0] ?? "/";
    const page = method === "GET" ? pages.find((p) => p.path === path) : undefined;
    if (page !== undefined) return { status: 200, type: page.type, body: await page.body() };
    const hatch = method === "POST" ? hatches.find((one) => one.path === path) : undefined;
    if (hatch !== undefined) return { type: "application/json", ...(await hatch.answer(body)) };
    const result = door === undefined ? question(method, path, agent) : await verb(method, path, body, agent, door);
    const text = result.body === undefined ? "" : JSON.stringify(result.body);
    return { status: result.status, type: "application/json", body: text };
  } catch (error) {
    return toldOf(error);
  }
}

function toldOf(error: unknown): Answer {
  const problem = problemOf(error);
  return { status: problem.status, type: "application/problem+json", body: JSON.stringify(problem) };
}

type Outcome = { readonly status: number; readonly body?: unknown };

function question(method: string, path: string, agent: Agent): Outcome {
  if (method === "GET" && path === "/livez") return { status: 200, body: { status: "ok" } };
  if (method === "GET" && path === "/readyz") {
    if (agent.report.revision > 0) return { status: 200, body: { status: "ok", revision: agent.report.revision } };
    throw new Fault("not-synced", {
      what: "no snapshot is in the kernel yet",
      fix: "wait for the first round; see the agent's log",
    });
  }
  if (method === "GET" && path === "/v1/status") return { status: 200, body: agent.report };
  throw new Fault("not-found", { what: `there is no ${method} ${path} here`, fix: "see docs/api.md" });
}

async function verb(method: string, path: string, body: Buffer, agent: Agent, door: Door): Promise<Outcome> {
  if (path === "/v1/attachments" && method === "POST")
    return { status: 201, body: await door.attach(parseAttach(jsonIn(body))) };
  if (path === "/v1/attachments" && method === "GET") return { status: 200, body: { items: door.list() } };
  if (path === "/v1/queues" && method === "GET") return { status: 200, body: { items: door.queues() } };
  if (path === "/v1/counters" && method === "GET") return { status: 200, body: { items: door.counters() } };
  if (path.startsWith("/v1/attachments/") && method === "DELETE") {
    await door.detach(nameIn(path.slice("/v1/attachments/".length)));
    return { status: 204 };
  }
  return question(method, path, agent);
}

/** A CNI request may carry what several plugins have answered before it. */
const BODY_BYTES_MAX = 1 << 20;

function read(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= BODY_BYTES_MAX) return void chunks.push(chunk);
      // What comes after is not even looked at: nobody has shown that he may send anything.
      chunks.length = 0;
      request.pause().removeAllListeners("data");
      reject(tooLarge());
    });
    request.on("error", reject);
    request.on("end", () => resolve(Buffer.concat(chunks)));
  });
}

function jsonIn(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch (cause) {
    throw notJson(cause);
  }
}

function nameIn(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new Fault("request-invalid", {
      what: `"${encoded}" is no name`,
      where: "path",
      why: "a % in a path is followed by two hexadecimal digits of UTF-8",
      fix: "write a % of the name as %25",
    });
  }
}

function tooLarge(): Fault {
  return new Fault("request-invalid", {
    what: "the request is too large",
    why: `more than ${BODY_BYTES_MAX} bytes`,
    fix: "send one attachment at a time",
  });
}

function notJson(cause: unknown): Fault {
  return new Fault("request-invalid", {
    what: "the body is not JSON",
    why: String(cause instanceof Error ? cause.message : cause),
    fix: "send a JSON object",
  });
}
