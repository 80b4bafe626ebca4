// An exchange that goes on in both directions, over real sockets: what is heard, who is told of its end, and when.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createRawServer } from "node:net";
import { type TestContext, test } from "node:test";
import { until } from "../api/lab.ts";
import { Fault, problemOf, type Reason } from "../../../src/model/fault.ts";
import { type HttpClient, httpClient } from "../../../src/client/http.ts";

const LIMIT = { timeout: 20_000 };
const call = { method: "POST", path: "/v1/talk", token: "own" } as const;
const unexpected = () => assert.fail();
const fault = (reason: Reason) => (error: unknown) => error instanceof Fault && error.reason === reason;
const whole = { "content-type": "application/x-ndjson" };

function to(t: TestContext, port: number): HttpClient {
  const client = httpClient({ url: `http://127.0.0.1:${port}`, name: "the server", fix: "start it" });
  t.after(() => client.close());
  return client;
}

async function serving(t: TestContext, answer: (request: IncomingMessage, response: ServerResponse) => unknown) {
  const server = createServer((request, response) => {
    request.on("error", () => undefined);
    answer(request, response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return to(t, (server.address() as AddressInfo).port);
}

test("each value is heard when it is sent, in both directions, whatever lumps they come in", LIMIT, async (t) => {
  let head: IncomingMessage["headers"] | undefined;
  const client = await serving(t, (request, response) => {
    head = request.headers;
    response.writeHead(200, whole).flushHeaders();
    request.setEncoding("utf8").on("data", (lump: string) => {
      // Cut in the middle of what was said, and with signs of life between.
      response.write(`\n${lump.slice(0, 4)}`);
      setImmediate(() => response.write(lump.slice(4)));
    });
  });
  const heard: unknown[] = [];
  const talk = await client.talk(call, (value) => heard.push(value), unexpected);
  assert.deepEqual([head?.authorization, head?.["content-type"]], ["Bearer own", "application/x-ndjson"]);
  for (const value of [{ n: 1 }, { n: "zwölf 🧵" }, [3]]) {
    talk.send(value);
    const count = heard.length;
    await until("the echo", () => heard.length > count);
    assert.deepEqual(heard.at(-1), value);
  }
  talk.close();
});

test("who closes hears nothing more, not even of the end; and the other side sees it", LIMIT, async (t) => {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  const client = await serving(t, (_, response) => {
    response.writeHead(200, whole).write('{"n":1}\n');
    resolve(response);
  });
  const heard: unknown[] = [];
  const ended: unknown[] = [];
  const talk = await client.talk(
    call,
    (value) => {
      heard.push(value);
      // From within: what stands behind it in the same lump is not for anybody.
      talk.close();
    },
    (why) => ended.push(why),
  );
  const response = await promise;
  const closed = once(response, "close");
  response.write('{"n":2}\n{"n":3}\n');
  await closed;
  await until("heard", () => heard.length > 0);
  talk.send({ n: "nowhere" });
  assert.deepEqual([heard.length, ended], [1, []]);
});

test("an end that comes from there is told once: closed, reset, or something that is no JSON", LIMIT, async (t) => {
  const ends: readonly ((response: ServerResponse) => unknown)[] = [
    (response) => response.end(),
    (response) => response.socket?.resetAndDestroy(),
    (response) => response.write('<html>\n{"n":2}\n'),
  ];
  for (const end of ends) {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    const client = await serving(t, (_, response) => {
      response.writeHead(200, whole).flushHeaders();
      resolve(response);
    });
    const heard: unknown[] = [];
    const ended: unknown[] = [];
    await client.talk(
      call,
      (value) => heard.push(value),
      (why) => ended.push(why),
    );
    const response = await promise;
    const closed = response.closed ? undefined : once(response, "close");
    end(response);
    await until("the end", () => ended.length > 0);
    await closed;
    for (let turn = 0; turn < 20; turn++) await new Promise((go) => void setImmediate(go));
    assert.deepEqual([ended.length, heard], [1, []]);
    assert(fault("unavailable")(ended[0]), String(ended[0]));
  }
});

test("without a head there is no talk, and whoever asked is told why, once", LIMIT, async (t) => {
  const mute = createRawServer(() => undefined);
  const cutting = createRawServer((socket) => socket.destroy());
  const closed = createRawServer();
  const ports: number[] = [];
  for (const server of [mute, cutting, closed]) {
    await once(server.listen(0, "127.0.0.1"), "listening");
    ports.push((server.address() as AddressInfo).port);
    t.after(() => server.close());
  }
  closed.close();
  for (const [i, reason] of (["timeout", "unavailable", "unavailable"] as const).entries()) {
    const client = to(t, ports[i] ?? 0);
    await assert.rejects(client.talk({ ...call, timeoutMs: 50 }, unexpected, unexpected), fault(reason), reason);
  }
});

test("a refusal is the Fault that it was, and ends the exchange", LIMIT, async (t) => {
  const problem = problemOf(new Fault("host-reclaimed", { what: "it was lost", fix: "join anew" }));
  let isClosed = false;
  const client = await serving(t, (request, response) => {
    request.socket.on("close", () => void (isClosed = true));
    response.writeHead(problem.status, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
  });
  await assert.rejects(client.talk(call, unexpected, unexpected), fault("host-reclaimed"));
  await until("the connection is closed", () => isClosed);
});

test("a talk in which nobody says anything stays open", LIMIT, async (t) => {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  const client = await serving(t, (_, response) => {
    response.writeHead(200, whole).flushHeaders();
    resolve(response);
  });
  const heard: unknown[] = [];
  const talk = await client.talk({ ...call, timeoutMs: 30 }, (value) => heard.push(value), unexpected);
  await new Promise((go) => void setTimeout(go, 120));
  (await promise).write('{"n":1}\n');
  await until("heard", () => heard.length === 1);
  talk.close();
});
