// The agent's doors by their answers: which requests reach what, over a kept connection as over one that comes whole in
// a packet, and what the socket for questions does not do.
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { Agent as Connections, request } from "node:http";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import type { AttachRequest, HostReport } from "../../../../src/model/status.ts";
import { type ApiServer, listenOnAddress, listenOnSocket } from "../../../../src/agent/socket/listen.ts";
import { type LocalApiOptions, localApi, type Route } from "../../../../src/agent/socket/localApi.ts";

type Answer = { readonly status: number; readonly type: string; readonly body: string };
type Asked = { readonly method: string; readonly path: string; readonly body?: string };
type Where = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** As any HTTP client asks, which keeps its connections: in several packets, and with `chunked` in pieces. */
function ask(where: Where, { method, path, body }: Asked, isChunked = false): Promise<Answer> {
  const agent = new Connections({ keepAlive: true });
  return new Promise<Answer>((resolve, reject) => {
    const headers = body === undefined || isChunked ? {} : { "content-length": Buffer.byteLength(body) };
    const outgoing = request({ ...where, method, path, headers, agent }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => void chunks.push(chunk));
      incoming.on("end", () => {
        const { statusCode = 0, headers: told } = incoming;
        resolve({ status: statusCode, type: told["content-type"] ?? "", body: Buffer.concat(chunks).toString() });
      });
    }).on("error", reject);
    outgoing.flushHeaders();
    outgoing.end(body);
  }).finally(() => agent.destroy());
}

/** The same in one packet. */
async function askWhole(socketPath: string, { method, path, body = "" }: Asked): Promise<Answer> {
  const socket = connect(socketPath);
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  socket.write(`${method} ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  await once(socket, "close");
  const [head = "", rest = ""] = text.split("\r\n\r\n");
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]);
  return { status, type: /content-type: (.*)/.exec(head)?.[1] ?? "", body: rest };
}

const folder = mkdtempSync(join(tmpdir(), "weft-doors-"));
const path = join(folder, "run", "agent.sock");
after(() => rmSync(folder, { recursive: true }));

const asked: string[] = [];
const report = { revision: 7, host: "h1" } as HostReport;
const attacher = {
  attach: async (wish: AttachRequest) => {
    asked.push(`attach ${JSON.stringify(wish)}`);
    if (wish.network === "refused") throw new Fault("name-taken", { what: "taken", fix: "another" });
    if (wish.network === "broken") throw new TypeError("a bug");
    return { endpoint: "web.eth0" };
  },
  detach: async (name: string) => {
    asked.push(`detach ${name}`);
    if (name === "busy") throw new Fault("in-use", { what: "busy", fix: "wait" });
  },
  list: () => [{ endpoint: "a" }],
  queues: () => [{ endpoint: "b" }],
  counters: () => [{ endpoint: "c" }],
};
const page = (path: string, type: string, body: string | Promise<string>): Route => ({
  method: "GET",
  path,
  answer: async () => ({ status: 200, type, body: await body }),
});
const pages: readonly Route[] = [
  page("/metrics", "text/plain; x=1", "page ü"),
  page("/later", "text/html", Promise.resolve("later")),
  page("/v1/hatch", "text/html", "a page beside a hatch"),
];
const hatches: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/hatch",
    answer: async (body) => ({ status: 202, type: "application/json", body: `hatch ${body.toString()}` }),
  },
  {
    method: "POST",
    path: "/v1/broken",
    answer: () => Promise.reject(new Fault("in-use", { what: "shut", fix: "wait" })),
  },
];
const questions: LocalApiOptions = { report: () => report, routes: pages };
const endpoints = { attacher, inspection: attacher } as unknown as LocalApiOptions["endpoints"] & object;
const everything = localApi({ ...questions, routes: [...pages, ...hatches], endpoints });
const none = localApi({ ...questions, routes: [], endpoints });
const JSON_TYPE = "application/json";
const PROBLEM = "application/problem+json";
const WISH = JSON.stringify({ network: "blue", netns: "/run/netns/web" });

/** What each request is answered; a body that is an object is compared by what it has. */
type Expected = readonly [
  method: string,
  path: string,
  body: string | undefined,
  status: number,
  type: string,
  said: unknown,
];
const QUESTIONS: readonly Expected[] = [
  ["GET", "/livez", undefined, 200, JSON_TYPE, { status: "ok" }],
  ["GET", "/livez?a=/b", undefined, 200, JSON_TYPE, { status: "ok" }],
  ["GET", "/readyz", undefined, 200, JSON_TYPE, { status: "ok", revision: 7 }],
  ["GET", "/v1/status", undefined, 200, JSON_TYPE, report],
  ["GET", "/metrics", undefined, 200, "text/plain; x=1", "page ü"],
  ["GET", "/metrics?x", undefined, 200, "text/plain; x=1", "page ü"],
  ["GET", "/later", undefined, 200, "text/html", "later"],
  ["GET", "/", undefined, 404, PROBLEM, { type: "urn:weft:problem:not-found" }],
  ["POST", "/livez", "", 404, PROBLEM, { type: "urn:weft:problem:not-found" }],
  ["POST", "/readyz", "", 404, PROBLEM, { type: "urn:weft:problem:not-found" }],
  ["POST", "/v1/status", "", 404, PROBLEM, { type: "urn:weft:problem:not-found" }],
  ["POST", "/metrics", "", 404, PROBLEM, { type: "urn:weft:problem:not-found" }],
  ["DELETE", "/livez", undefined, 404, PROBLEM, { type: "urn:weft:problem:not-found" }],
];
const VERBS: readonly Expected[] = [
  ["POST", "/v1/attachments", WISH, 201, JSON_TYPE, { endpoint: "web.eth0" }],
  ["POST", "/v1/attachments?x=1", WISH, 201, JSON_TYPE, { endpoint: "web.eth0" }],
  ["POST", "/v1/attachments", WISH.replace("blue", "refused"), 409, PROBLEM, { type: "urn:weft:problem:name-taken" }],
  ["POST", "/v1/attachments", WISH.replace("blue", "broken"), 500, PROBLEM, { type: "urn:weft:problem:internal" }],
  ["POST", "/v1/attachments", "{", 400, PROBLEM, { type: "urn:weft:problem:request-invalid" }],
  ["POST", "/v1/attachments", "", 400, PROBLEM, { type: "urn:weft:problem:request-invalid" }],
  ["POST", "/v1/attachments", "{}", 400, PROBLEM, { type: "urn:weft:problem:request-invalid" }],
  ["GET", "/v1/attachments", undefined, 200, JSON_TYPE, { items: [{ endpoint: "a" }] }],
  ["GET", "/v1/queues", undefined, 200, JSON_TYPE, { items: [{ endpoint: "b" }] }],
  ["GET", "/v1/counters", undefined, 200, JSON_TYPE, { items: [{ endpoint: "c" }] }],
  ["DELETE", "/v1/attachments/web.eth0", undefined, 204, "", ""],
  ["DELETE", "/v1/attachments/we%62.eth0?x", undefined, 204, "", ""],
  ["DELETE", "/v1/attachments/%zz", undefined, 400, PROBLEM, { type: "urn:weft:problem:request-invalid" }],
  ["DELETE", "/v1/attachments/busy", undefined, 409, PROBLEM, { type: "urn:weft:problem:in-use" }],
  ["POST", "/v1/hatch", "text", 202, JSON_TYPE, "hatch text"],
  ["POST", "/v1/broken", "text", 409, PROBLEM, { type: "urn:weft:problem:in-use" }],
];
const NEITHER: readonly Expected[] = [
  ["POST", "/v1/queues", "", 404, PROBLEM, { type: "urn:weft:problem:not-found" }],
  ["POST", "/v1/counters", "", 404, PROBLEM, { type: "urn:weft:problem:not-found" }],
  ["GET", "/v1/attachments/web.eth0", undefined, 404, PROBLEM, { type: "urn:weft:problem:not-found" }],
  ["DELETE", "/v1/attachments", undefined, 404, PROBLEM, { type: "urn:weft:problem:not-found" }],
  ["GET", "/v1/hatch", undefined, 200, "text/html", "a page beside a hatch"],
  ["DELETE", "/v1/hatch", undefined, 404, PROBLEM, { type: "urn:weft:problem:not-found" }],
];

function check(told: Answer, [method, url, , status, type, said]: Expected): void {
  const what = `${method} ${url}: ${told.body}`;
  assert.deepEqual([told.status, told.type], [status, type], what);
  if (typeof said === "string") return assert.equal(told.body, said, what);
  const body = JSON.parse(told.body) as Record<string, unknown>;
  assert.deepEqual({ ...body, ...(said as object) }, body, what);
}

describe("the socket for workloads", { timeout: 60_000 }, () => {
  let server: ApiServer;
  before(async () => {
    server = await listenOnSocket(path, everything);
  });
  after(() => server.close());
  beforeEach(() => void asked.splice(0));

  test("answers each request, however it comes", async () => {
    for (const expected of [...QUESTIONS, ...VERBS, ...NEITHER]) {
      const [method, url, body] = expected;
      const one = { method, path: url, ...(body === undefined ? {} : { body }) };
      check(await ask({ socketPath: path }, one), expected);
      check(await ask({ socketPath: path }, one, true), expected);
      check(await askWhole(path, one), expected);
    }
  });

  test("hands over what is asked, and nothing else", async () => {
    await ask({ socketPath: path }, { method: "POST", path: "/v1/attachments", body: WISH });
    await ask({ socketPath: path }, { method: "DELETE", path: "/v1/attachments/we%62%2Feth0" });
    await ask({ socketPath: path }, { method: "GET", path: "/v1/attachments" });
    assert.deepEqual(asked, [`attach ${WISH}`, "detach web/eth0"]);
  });

  test("takes a request of a megabyte, and not of a byte more", async () => {
    const sized = (bytes: number) => ({ method: "POST", path: "/v1/hatch", body: "x".repeat(bytes) });
    assert.equal((await ask({ socketPath: path }, sized(2 ** 20))).status, 202);
    assert.equal((await ask({ socketPath: path }, sized(2 ** 20), true)).body.length, 2 ** 20 + "hatch ".length);
    for (const isChunked of [true, false])
      await ask({ socketPath: path }, sized(2 ** 20 + 1), isChunked).then(
        ({ status, type, body }) => {
          assert.deepEqual([status, type], [400, PROBLEM]);
          assert.match(body, /more than 1048576 bytes/);
        },
        // It is cut off before it could read why.
        (error: NodeJS.ErrnoException) => assert.match(error.code ?? "", /^(EPIPE|ECONNRESET)$/),
      );
  });

  test("is not ready before a snapshot is in the kernel", async () => {
    Object.assign(report, { revision: 0 });
    check(await ask({ socketPath: path }, { method: "GET", path: "/readyz" }), [
      "GET",
      "/readyz",
      undefined,
      503,
      PROBLEM,
      { type: "urn:weft:problem:not-synced" },
    ]);
    Object.assign(report, { revision: 7 });
  });

  test("is for its own user alone, and for one agent: a second one is refused", async () => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await assert.rejects(listenOnSocket(path, none), { reason: "in-use" });
    assert.equal((await ask({ socketPath: path }, { method: "GET", path: "/livez" })).status, 200);
  });
});

describe("a socket that opens and closes", { timeout: 60_000 }, () => {
  test("makes its folder, takes the place of a socket that nobody answers, and ends what is open", async () => {
    const deep = join(folder, "a", "b", "agent.sock");
    const old = process.umask(0o022);
    try {
      const first = await listenOnSocket(deep, none);
      assert.equal(statSync(dirname(deep)).mode & 0o777, 0o755);
      const silent = connect(deep);
      silent.on("error", () => undefined);
      await once(silent, "connect");
      const closed = once(silent, "close");
      await first.close();
      await closed;
    } finally {
      process.umask(old);
    }
    mkdirSync(dirname(deep), { recursive: true });
    // As a killed process leaves it: a server that ends removes the name that it was given.
    const killed = createServer().listen(`${deep}.first`);
    await once(killed, "listening");
    renameSync(`${deep}.first`, deep);
    killed.close();
    chmodSync(deep, 0o777);
    const second = await listenOnSocket(deep, none);
    assert.equal(statSync(deep).mode & 0o777, 0o600);
    assert.equal((await ask({ socketPath: deep }, { method: "GET", path: "/livez" })).status, 200);
    await second.close();
    await assert.rejects(ask({ socketPath: deep }, { method: "GET", path: "/livez" }));
  });

  test("says why it cannot be opened", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    await assert.rejects(listenOnSocket(join(file, "agent.sock"), none), /ENOTDIR|EEXIST/);
    await assert.rejects(listenOnSocket(join(folder, `${"x".repeat(200)}.sock`), none));
    const taken: Server = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { readonly port: number };
    await assert.rejects(listenOnAddress("127.0.0.1", port, localApi({ ...questions, routes: [] })), /EADDRINUSE/);
    taken.close();
  });
});

test("the socket for questions answers them, and does nothing", { timeout: 60_000 }, async () => {
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port } = free.address() as { readonly port: number };
  free.close();
  await once(free, "close");
  const server = await listenOnAddress("127.0.0.1", port, localApi(questions));
  const where = { host: "127.0.0.1", port };
  asked.splice(0);
  for (const expected of QUESTIONS) {
    const [method, url, body] = expected;
    check(await ask(where, { method, path: url, ...(body === undefined ? {} : { body }) }), expected);
  }
  for (const [method, url, body] of VERBS) {
    const told = await ask(where, { method, path: url, ...(body === undefined ? {} : { body }) });
    assert.deepEqual([told.status, told.type], [404, PROBLEM], `${method} ${url}`);
  }
  assert.deepEqual(asked, []);
  const silent = connect(port, "127.0.0.1");
  silent.on("error", () => undefined);
  await once(silent, "connect");
  const closed = once(silent, "close");
  await server.close();
  await closed;
  await assert.rejects(ask(where, { method: "GET", path: "/livez" }));
});
