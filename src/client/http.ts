// JSON over HTTP to a server or an agent: over TCP, TLS or a unix socket, with connections kept alive. Every failure
// becomes a Fault: the problem that the other side sent, or what to do when there is no answer. The CLI loads this file
// before its first line of output, so it imports only node:http and the table of faults.
import type {
  Agent,
  ClientRequest,
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeaders,
  RequestOptions,
} from "node:http";
import { urlToHttpOptions } from "node:url";
import { Fault, faultOf, type Problem, type Reason } from "../model/fault.ts";
import { codeOf, faultFrom } from "./failures.ts";
import type { Shown, Trust } from "./tls.ts";
import { socketPathOf } from "./url.ts";

/** The other side. */
export type Peer = {
  /** `http://host:port`, `https://…`, or `unix:/path/of.sock`. */
  readonly url: string;
  /** As in "cannot reach the server". */
  readonly name: string;
  /** What to do when it does not answer. */
  readonly fix: string;
  /** For `https://`: whom to trust, and what to show. Asked for each time that connections are opened anew. */
  readonly tls?: () => { readonly trust: Trust; readonly shown?: Shown };
};

export type Call = {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With its query, percent-encoded. */
  readonly path: string;
  readonly token?: string | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long the other side may be silent: by default 30 s for `request`, 60 s for `lines`. */
  readonly timeoutMs?: number;
};

/** `body` is undefined when the answer has none. */
type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: unknown };

/** What is sent after the end is dropped: the sender has been told, or will be in a moment. */
export type Talk = { send(value: unknown): void; close(): void };

export type HttpClient = {
  /** The answer if it is a success (2xx); otherwise rejects with the Fault that the problem names. */
  request(call: Call): Promise<Answer>;
  /**
   * The answer as newline-delimited JSON, each value as it arrives; ends with the signal, or when the other side ends
   * it. Empty lines are signs of life. Throws Fault `timeout` after `timeoutMs` of silence.
   */
  lines(call: Call, signal: AbortSignal): AsyncIterable<unknown>;
  /**
   * A call whose body and answer both continue, as newline-delimited JSON; `timeoutMs` is for the head of the answer.
   * Each value is passed to `heard`. `ended` gets the reason once when nothing more comes, unless this side closed the
   * call.
   */
  talk(call: Call, heard: (value: unknown) => void, ended: (fault: Fault) => void): Promise<Talk>;
  /** Closes idle connections. */
  close(): void;
  /** The next call opens a connection anew; calls in progress continue on theirs. */
  renew(): void;
};

// Not `import`: that reads every export of node:http, and some load a WebSocket client: 30 ms instead of 4 (Node 24).
const { Agent: HttpAgent, request: httpRequest } = process.getBuiltinModule("node:http");

const TIMEOUT_MS = 30_000;
const SILENCE_MS = 60_000;
const KEEP_ALIVE_MS = 15_000;

/** Connects only at the first call. Throws a Fault if the address cannot be valid. */
export function httpClient(peer: Peer): HttpClient {
  const base = addressOf(peer);
  let line: Promise<Line> | undefined;
  const connect = () => {
    if (line !== undefined) return line;
    const opened = lineTo(peer, base);
    // What the server shows, or this side, may be another the next time.
    opened.catch(() => (line === opened ? (line = undefined) : undefined));
    return (line = opened);
  };
  return {
    request: async (call) => requestOver(connect, peer, call),
    lines: (call, signal) => linesOver(connect, peer, call, signal),
    talk: async (call, heard, ended) => {
      const opened = await connect().catch((error: unknown) => {
        throw faultFrom(error, peer, call);
      });
      return talkOver(opened, call, { heard, ended });
    },
    close() {
      void line?.then(
        ({ agent }) => agent.destroy(),
        () => undefined,
      );
      line = undefined;
    },
    renew() {
      line = undefined;
    },
  };
}

/** `T` is what docs/api.md promises of the path. */
export type Ask = <T>(method: Call["method"], path: string, more?: Omit<Call, "method" | "path">) => Promise<T>;

export function askWith(http: HttpClient, tokenNow: () => string | undefined = () => undefined): Ask {
  return async <T>(...[method, path, more]: Parameters<Ask>) => {
    const token = tokenNow();
    const call = { method, path, ...(token === undefined ? {} : { token }), ...more };
    return (await http.request(call)).body as T;
  };
}

/** A list that the API gives in one page. */
export async function itemsAt<T>(ask: Ask, path: string): Promise<readonly T[]> {
  return (await ask<{ readonly items: readonly T[] }>("GET", path)).items;
}

type Line = {
  readonly peer: Peer;
  readonly base: RequestOptions;
  readonly agent: Agent;
  readonly open: typeof httpRequest;
};

function addressOf({ url }: Peer): RequestOptions {
  const socketPath = socketPathOf(url, "--server");
  if (socketPath !== undefined) return { socketPath, protocol: "http:", host: "localhost" };
  const parsed = new URL(url);
  // Takes the brackets off an IPv6 address.
  const { hostname, port } = urlToHttpOptions(parsed);
  return { protocol: parsed.protocol, hostname, port, path: parsed.pathname.replace(/\/$/, "") };
}

/** TLS is loaded only when it is used. */
async function lineTo(peer: Peer, base: RequestOptions): Promise<Line> {
  const options = { keepAlive: true, scheduling: "lifo" } as const;
  if (base.protocol !== "https:") return { peer, base, agent: new HttpAgent(options), open: httpRequest };
  const [{ tlsAgent }, { request }] = await Promise.all([import("./tls.ts"), import("node:https")]);
  const { trust = {}, shown } = peer.tls?.() ?? {};
  const place = { host: base.hostname ?? "", port: Number(base.port) || 443, url: peer.url };
  return { peer, base, agent: await tlsAgent(place, trust, shown), open: request };
}

async function requestOver(connect: () => Promise<Line>, peer: Peer, call: Call): Promise<Answer> {
  const cut = new AbortController();
  try {
    const line = await connect();
    const response = await send(line, { timeoutMs: TIMEOUT_MS, ...call }, cut);
    const text = await textOf(response);
    const status = response.statusCode ?? 0;
    if (status >= 400) throw refusalOf(line.peer, call, response, text);
    return { status, headers: response.headers, body: text === "" ? undefined : jsonOf(line.peer, text) };
  } catch (error) {
    throw faultFrom(cut.signal.reason ?? error, peer, call);
  }
}

async function* linesOver(
  connect: () => Promise<Line>,
  peer: Peer,
  call: Call,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  const cut = new AbortController();
  const stop = () => cut.abort();
  signal.addEventListener("abort", stop);
  try {
    signal.throwIfAborted();
    const response = await send(await connect(), { timeoutMs: SILENCE_MS, ...call }, cut);
    if ((response.statusCode ?? 0) >= 400) throw refusalOf(peer, call, response, await textOf(response));
    for await (const text of splitLines(response)) yield jsonOf(peer, text);
  } catch (error) {
    if (!signal.aborted) throw faultFrom(cut.signal.reason ?? error, peer, call);
  } finally {
    signal.removeEventListener("abort", stop);
    cut.abort();
  }
}

type Listener = { readonly heard: (value: unknown) => void; readonly ended: (fault: Fault) => void };

async function talkOver(line: Line, call: Call, { heard, ended }: Listener): Promise<Talk> {
  const { peer } = line;
  const asked = { timeoutMs: TIMEOUT_MS, ...call };
  const request = requestFor(line, asked, { "content-type": "application/x-ndjson" });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  // The end is reported first to the caller that waits for the head of the answer, later to `ended`.
  let tell: ((fault: Fault) => void) | undefined = reject;
  const stop = (error: unknown) => {
    tell?.(faultFrom(error, peer, call));
    tell = undefined;
    request.destroy();
  };
  request.on("timeout", () => stop(silence(peer, asked)));
  request.on("error", stop);
  request.on("response", resolve);
  request.flushHeaders();
  const response = await promise;
  if ((response.statusCode ?? 0) >= 400) {
    tell = undefined;
    const text = await textOf(response).catch(() => "");
    request.destroy();
    throw refusalOf(peer, call, response, text);
  }
  tell = ended;
  // Two claims may be far apart, so silence means nothing; the kernels find out whether the other side is alive.
  request.setTimeout(0);
  response.socket.setKeepAlive(true, KEEP_ALIVE_MS);
  const take = linesIn((text) => {
    if (tell !== undefined) heard(jsonOf(peer, text));
  });
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    try {
      take(chunk);
    } catch (error) {
      stop(error);
    }
  });
  response.on("close", () => stop(new Error("the other side has ended the exchange")));
  return {
    send(value) {
      request.write(`${JSON.stringify(value)}\n`);
      // Now, and not at the end of this turn as node would: the caller may continue with slow work.
      request.socket?.uncork();
    },
    close() {
      tell = undefined;
      request.destroy();
    },
  };
}

function requestFor(line: Line, call: Call, more: OutgoingHttpHeaders): ClientRequest {
  const headers = {
    accept: "application/json",
    ...(call.token === undefined ? {} : { authorization: `Bearer ${call.token}` }),
    ...more,
    ...call.headers,
  };
  const path = `${line.base.path ?? ""}${call.path}`;
  return line.open({ ...line.base, agent: line.agent, method: call.method, path, headers, timeout: call.timeoutMs });
}

/** Resolves when the head of the answer is there. `cut` ends the exchange at any time; silence cuts it with a Fault. */
async function send(line: Line, call: Call, cut: AbortController): Promise<IncomingMessage> {
  cut.signal.throwIfAborted();
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const ofBody =
    body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = requestFor(line, call, ofBody);
  const stop = () => request.destroy(new Error("the exchange was ended"));
  cut.signal.addEventListener("abort", stop);
  request.on("close", () => cut.signal.removeEventListener("abort", stop));
  request.on("timeout", () => cut.abort(silence(line.peer, call)));
  let isAnswered = false;
  request.on("response", (response) => {
    isAnswered = true;
    resolve(response);
  });
  request.on("error", (error) => {
    // Most likely the other side closed an idle connection just as it was used again. Calls may be repeated, except
    // those with a precondition (they carry headers): the first may have arrived.
    const isStale = request.reusedSocket && /ECONNRESET|EPIPE/.test(codeOf(error)) && call.headers === undefined;
    if (isStale && !isAnswered && !cut.signal.aborted) resolve(send(line, call, cut));
    else reject(error);
  });
  request.end(body);
  return promise;
}

/** By events: an async iterator over the body costs a call to a server on this machine a tenth of its time. */
function textOf(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => (text += chunk));
    response.on("end", () => resolve(text));
    response.on("error", reject);
  });
}

/** Whole lines only: what follows the last newline when the connection ends was cut off. */
async function* splitLines(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding("utf8");
  const lines: string[] = [];
  const take = linesIn((line) => lines.push(line));
  for await (const chunk of response) {
    take(String(chunk));
    yield* lines.splice(0);
  }
}

/** Takes text as it arrives, and returns each line that is complete and not empty. */
function linesIn(give: (line: string) => void): (chunk: string) => void {
  let rest = "";
  return (chunk) => {
    rest += chunk;
    if (!chunk.includes("\n")) return;
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") give(line);
  };
}

function jsonOf(peer: Peer, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const what = `what answers at ${peer.url} is not ${peer.name}`;
    throw new Fault("unavailable", { what, why: "its answer is not JSON", fix: "check the address" }, { cause });
  }
}

/** The Fault for a status without a problem: a proxy in between answered, or the other side is not Weft. */
const REASON_OF_STATUS: Readonly<Record<number, Reason>> = {
  401: "token-wrong",
  403: "forbidden",
  404: "not-found",
  502: "unavailable",
  503: "unavailable",
  504: "timeout",
};

function refusalOf(peer: Peer, call: Call, response: IncomingMessage, text: string): Fault {
  const problem = problemIn(response, text);
  if (problem !== undefined) return faultOf(problem);
  const status = response.statusCode ?? 0;
  return new Fault(REASON_OF_STATUS[status] ?? "internal", {
    what: `${call.method} ${call.path} was answered ${status} ${response.statusMessage ?? ""}`.trimEnd(),
    where: peer.url,
    fix: `check that ${peer.name} answers at this address, and no other program`,
  });
}

function problemIn(response: IncomingMessage, text: string): Partial<Problem> | undefined {
  if (!/^application\/problem\+json\b/.test(response.headers["content-type"] ?? "")) return undefined;
  try {
    // faultOf takes any of its members as absent, and an unknown reason as `internal`.
    return JSON.parse(text) as Partial<Problem>;
  } catch {
    return undefined;
  }
}

function silence(peer: Peer, call: Call): Fault {
  return new Fault("timeout", {
    what: `${peer.name} does not answer`,
    why: `nothing came for ${(call.timeoutMs ?? 0) / 1000} s after ${call.method} ${call.path}`,
    where: peer.url,
    fix: peer.fix,
  });
}
