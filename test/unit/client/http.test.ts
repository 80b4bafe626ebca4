// The client against real sockets: what arrives, and what a person is told when nothing does.
import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createRawServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, test } from "node:test";
import { text } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import { Fault, problemOf, type Reason } from "../../../src/model/fault.ts";
import { type HttpClient, httpClient } from "../../../src/client/http.ts";

const directory = mkdtempSync(join(tmpdir(), "weft-http-"));
const servers: Server[] = [];
const clients: HttpClient[] = [];
after(() => {
  for (const client of clients) client.close();
  for (const server of servers) server.close();
  rmSync(directory, { recursive: true, force: true });
});

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

async function listening(server: Server, at: string | number = 0): Promise<string> {
  servers.push(server);
  server.unref();
  await once(typeof at === "number" ? server.listen(at, "127.0.0.1") : server.listen(at), "listening");
  return typeof at === "number" ? `http://127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${at}`;
}
async function serving(handler: Handler, at?: string | number): Promise<HttpClient> {
  return to(
    await listening(
      createServer((request, response) => void handler(request, response)),
      at,
    ),
  );
}
function to(url: string): HttpClient {
  const client = httpClient({ url, name: "the server", fix: "start it" });
  clients.push(client);
  return client;
}
function fault(reason: Reason, pattern = /./): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.reason === reason && pattern.test(error.message);
}
const json = (response: ServerResponse, status: number, body: unknown, type = "application/json") =>
  response.writeHead(status, { "content-type": type }).end(JSON.stringify(body));
const get = { method: "GET", path: "/v1/x" } as const;

test("a socket may be named from where the process runs", async () => {
  await serving((_request, response) => json(response, 200, "there"), join(directory, "near.sock"));
  const url = `unix:${relative(process.cwd(), join(directory, "near.sock"))}`;
  assert.equal((await to(url).request(get)).body, "there");
});

test("asks with method, path, token and body, and gives back the answer", async () => {
  const client = await serving(async (request, response) => {
    const { authorization, "if-match": ifMatch, "content-type": type, "content-length": length } = request.headers;
    const { method, url } = request;
    json(response, 201, { method, url, authorization, ifMatch, type, length, body: await text(request) });
  });
  const answer = await client.request({
    method: "PUT",
    path: "/v1/networks/a%2Fb?x=1",
    token: "t",
    body: { spec: "ü" },
    headers: { "if-match": '"7"' },
  });
  assert.equal(answer.status, 201);
  assert.deepEqual(answer.body, {
    method: "PUT",
    url: "/v1/networks/a%2Fb?x=1",
    authorization: "Bearer t",
    ifMatch: '"7"',
    type: "application/json",
    length: "13",
    body: '{"spec":"ü"}',
  });
});

test("speaks over a unix socket, and gives an empty answer as nothing", async () => {
  const client = await serving((_, response) => response.writeHead(204).end(), join(directory, "a.sock"));
  assert.deepEqual(await client.request(get).then(({ status, body }) => [status, body]), [204, undefined]);
});

test("keeps the path of an address behind a proxy", async () => {
  const url = await listening(createServer((request, response) => json(response, 200, request.url)));
  assert.equal((await to(`${url}/weft/`).request(get)).body, "/weft/v1/x");
});

test("uses one connection for calls in a row, and another when the server has closed it", async () => {
  const ports = new Set<number | undefined>();
  const server = createServer((request, response) => {
    ports.add(request.socket.remotePort);
    json(response, 200, {});
  });
  const client = to(await listening(server));
  for (let i = 0; i < 3; i++) await client.request(get);
  assert.equal(ports.size, 1);
  server.closeAllConnections();
  await client.request({ ...get, method: "POST", body: {} });
  assert.equal(ports.size, 2);
});

test("a call over a kept connection that is reset is repeated, unless it depends on what is there", async () => {
  for (const [headers, expected] of [
    [undefined, 3],
    [{ "if-match": '"7"' }, 2],
  ] as const) {
    let heard = 0;
    const server = createServer((request, response) => {
      heard++;
      // What it was asked second has arrived, and nobody is told.
      if (heard === 2) request.socket.resetAndDestroy();
      else json(response, 200, {});
    });
    const client = to(await listening(server));
    await client.request(get);
    const call = { ...get, method: "PUT", body: {}, ...(headers === undefined ? {} : { headers }) } as const;
    const again = client.request(call);
    if (headers === undefined) await again;
    else await assert.rejects(again, fault("unavailable"));
    assert.equal(heard, expected);
  }
});

test("a new connection that is reset is not tried again", async () => {
  let heard = 0;
  const client = await serving((request) => {
    heard++;
    request.socket.resetAndDestroy();
  });
  await assert.rejects(client.request(get), fault("unavailable"));
  assert.equal(heard, 1);
});

const unexpected = () => assert.fail();

test("the smallest status that is a refusal is one, for an answer, lines and a talk", async () => {
  const client = await serving((_, response) => response.writeHead(400).end());
  await assert.rejects(client.request(get), fault("internal", /answered 400/));
  await assert.rejects(collect(client.lines(get, never)), fault("internal", /answered 400/));
  const talk = client.talk({ method: "POST", path: "/v1/x" }, unexpected, unexpected);
  await assert.rejects(talk, fault("internal", /answered 400/));
});

test("a refusal without a problem means what its status says", async () => {
  for (const [status, reason] of [
    [401, "token-wrong"],
    [403, "forbidden"],
    [404, "not-found"],
    [418, "internal"],
    [500, "internal"],
    [502, "unavailable"],
    [503, "unavailable"],
    [504, "timeout"],
  ] as const) {
    const bodies = [
      ["text/html", "<h1>no</h1>"],
      // What only says that it is one.
      ["application/problem+json", "<h1>no</h1>"],
      ["application/json", JSON.stringify({ reason: "exhausted" })],
    ] as const;
    for (const [type, body] of bodies) {
      const client = await serving((_, response) => response.writeHead(status, { "content-type": type }).end(body));
      await assert.rejects(client.request(get), fault(reason, new RegExp(`answered ${status}`)), `${status} ${type}`);
    }
  }
  const problem = problemOf(new Fault("exhausted", { what: "full", fix: "wait" }));
  const client = await serving((_, response) =>
    json(response, 507, problem, "application/problem+json; charset=utf-8"),
  );
  await assert.rejects(client.request(get), fault("exhausted"));
});

test("a client that is closed lets go of its connection, and may be asked again", async () => {
  const ports: (number | undefined)[] = [];
  const closed: Promise<unknown>[] = [];
  const client = await serving((request, response) => {
    if (!ports.includes(request.socket.remotePort)) closed.push(once(request.socket, "close"));
    ports.push(request.socket.remotePort);
    json(response, 200, request.headers.accept);
  });
  assert.equal((await client.request(get)).body, "application/json");
  client.close();
  await closed[0];
  await client.request(get);
  assert.equal(new Set(ports).size, 2);
});

test("an IPv6 address stands in brackets", async (t) => {
  const server = createServer((request, response) => json(response, 200, request.headers.host));
  servers.push(server);
  server.unref();
  const listens = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(0, "::1", () => resolve(true));
  });
  if (!listens) return t.skip("this machine has no ::1");
  const { port } = server.address() as AddressInfo;
  assert.equal((await to(`http://[::1]:${port}`).request(get)).body, `[::1]:${port}`);
});

test("a problem becomes the Fault it was", async () => {
  const blockers = ["e1", "e2"];
  const sent = new Fault("in-use", { what: "network blue has endpoints", fix: "remove them", blockers, where: "blue" });
  const problem = problemOf(sent);
  const client = await serving((_, response) => json(response, problem.status, problem, "application/problem+json"));
  const received = await client.request(get).catch((error: unknown) => error);
  assert.ok(received instanceof Fault);
  assert.deepEqual([received.reason, received.detail, received.message], [sent.reason, sent.detail, sent.message]);
});

test("a refusal that is no problem, and an answer that is no JSON, say that this is not the server", async () => {
  const refusing = await serving((_, response) => response.writeHead(404).end("<h1>No</h1>"));
  await assert.rejects(refusing.request(get), fault("not-found", /\/v1\/x was answered 404.*check that the server/));
  const chatting = await serving((_, response) => response.end("<h1>Welcome</h1>"));
  await assert.rejects(chatting.request(get), fault("unavailable", /is not the server.*check the address/));
});

test("says why there is no answer, and what to do", async () => {
  const closed = createRawServer();
  const url = await listening(closed);
  closed.close();
  await assert.rejects(to(url).request(get), fault("unavailable", /cannot reach the server.*nothing listens.*start/));
  const missing = to(`unix:${directory}/none.sock`);
  await assert.rejects(missing.request(get), fault("unavailable", /no such socket.*start it/));
  const cutting = await listening(createRawServer((socket) => socket.destroy()));
  await assert.rejects(to(cutting).request(get), fault("unavailable", /cut|hang up/));
  const half = await serving((_, response) => {
    response.writeHead(200, { "content-length": "100" }).write("{", () => response.destroy());
  });
  await assert.rejects(half.request(get), fault("unavailable"));
  assert.throws(() => to("server:7400"), fault("request-invalid", /https:\/\//));
  assert.throws(() => to("ftp://server"), fault("request-invalid"));
});

test("a server that says nothing is a timeout", async () => {
  const mute = to(await listening(createRawServer(() => {})));
  await assert.rejects(mute.request({ ...get, timeoutMs: 30 }), fault("timeout", /nothing came for 0.03 s/));
  const stuck = await serving((_, response) => void response.writeHead(200).write("{"));
  await assert.rejects(stuck.request({ ...get, timeoutMs: 30 }), fault("timeout"));
});

async function collect(lines: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const line of lines) all.push(line);
  return all;
}
const never = new AbortController().signal;

test("an answer is read whole, however it is cut on the way", async () => {
  const bytes = Buffer.from('{"n":"zwölf 🧵"}');
  const client = await serving(async (_, response) => {
    for (const byte of bytes) {
      response.write(Buffer.from([byte]));
      for (let turn = 0; turn < 3; turn++) await setImmediate();
    }
    response.end();
  });
  assert.deepEqual((await client.request(get)).body, { n: "zwölf 🧵" });
});

test("lines arrive whole, however they are cut on the way; a torn last one does not", async () => {
  const bytes = Buffer.from('{"n":1}\n\n{"n":"zwölf 🧵"}\n{"n":3}\n{"torn');
  const client = await serving(async (_, response) => {
    for (const byte of bytes) {
      response.write(Buffer.from([byte]));
      // Time for the byte to be read alone: 🧵 is four of them.
      for (let turn = 0; turn < 3; turn++) await setImmediate();
    }
    response.end();
  });
  assert.deepEqual(await collect(client.lines(get, never)), [{ n: 1 }, { n: "zwölf 🧵" }, { n: 3 }]);
});

test("a line arrives when it is sent, not when the answer ends", async () => {
  const client = await serving((_, response) => void response.write('{"n":1}\n'));
  for await (const line of client.lines(get, never)) {
    assert.deepEqual(line, { n: 1 });
    break;
  }
});

test("whoever asks for lines again and again with one signal leaves nothing on it", async () => {
  const client = await serving((_, response) => void response.end('{"n":1}\n'));
  const refused = await serving((_, response) => void response.writeHead(503).end());
  const { signal } = new AbortController();
  for (let n = 0; n < 3; n++) {
    assert.deepEqual(await collect(client.lines(get, signal)), [{ n: 1 }]);
    await assert.rejects(collect(refused.lines(get, signal)), fault("unavailable"));
  }
  assert.equal(getEventListeners(signal, "abort").length, 0);
});

test("lines end quietly with the signal: before, while waiting for the head, or for a line", async () => {
  const silent = await serving(() => {});
  assert.deepEqual(await collect(silent.lines(get, AbortSignal.abort())), []);
  for (const client of [silent, await serving((_, response) => void response.write('{"n":1}\n'))]) {
    const stop = new AbortController();
    const all = collect(client.lines(get, stop.signal));
    setTimeout(() => stop.abort(), 30);
    assert.ok((await all).length < 2);
  }
});

test("silence ends lines with a timeout, a sign of life puts it off", async () => {
  const client = await serving((_, response) => {
    let beats = 0;
    const timer = setInterval(() => (++beats > 8 ? clearInterval(timer) : response.write("\n")), 20);
  });
  const startMs = performance.now();
  await assert.rejects(collect(client.lines({ ...get, timeoutMs: 80 }, never)), fault("timeout"));
  assert.ok(performance.now() - startMs > 160);
  const mute = await serving(() => {});
  await assert.rejects(collect(mute.lines({ ...get, timeoutMs: 30 }, never)), fault("timeout"));
});

test("a kept connection that is reset in the middle of an answer: no second request", async () => {
  let asked = 0;
  const client = await serving((request, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    asked++;
    if (request.url === "/v1/whole") return void response.end('{"n":1}\n');
    response.write('{"n":2}\n', () => request.socket.resetAndDestroy());
  }, 0);
  const whole = { ...get, path: "/v1/whole" };
  await client.request(whole);
  await assert.rejects(client.request(get), fault("unavailable", /connection was cut/));
  await client.request(whole);
  assert.equal(asked, 3);
});

test("a cut line and a refused one are Faults", async () => {
  const cut = await serving((_, response) => void response.write('{"n":1}\n', () => response.destroy()));
  await assert.rejects(collect(cut.lines(get, never)), fault("unavailable"));
  const problem = problemOf(new Fault("compacted", { what: "too late", fix: "list again" }));
  const refused = await serving((_, response) => json(response, 410, problem, "application/problem+json"));
  await assert.rejects(collect(refused.lines(get, never)), fault("compacted"));
});
