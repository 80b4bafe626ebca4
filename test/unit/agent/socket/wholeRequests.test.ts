// The parser of whole requests agrees with node:http on every request that it takes.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer, request } from "node:http";
import { type Socket, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { parseRequest, fastServer } from "../../../../src/agent/socket/listen.ts";

const packet = (head: string, body = "") => Buffer.from(`${head.replaceAll("\n", "\r\n")}\r\n\r\n${body}`);
const shown = (bytes: Buffer) => {
  const found = parseRequest(bytes);
  return found && `${found.method} ${found.url} ${found.body.toString()}`;
};

describe("a request in one packet", () => {
  test("is read as any server reads it", () => {
    assert.equal(shown(packet("GET /livez HTTP/1.1\nhost: agent")), "GET /livez ");
    const post = "POST /v1/attachments?x=1 HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length:  9 ";
    assert.equal(shown(packet(post, '{"a":"ü"}'.slice(0, 8) + "}")), undefined);
    assert.equal(shown(packet(post, '{"a":"b"}')), 'POST /v1/attachments?x=1 {"a":"b"}');
    assert.equal(
      shown(packet("DELETE /v1/attachments/a HTTP/1.1\nhost:\ncontent-length: 0")),
      "DELETE /v1/attachments/a ",
    );
  });

  test("is not taken for whole where there may be more to it, or less", () => {
    const heads = {
      "more is to come": "POST /x HTTP/1.1\nhost: a\ncontent-length: 5",
      "a second one follows": "GET /x HTTP/1.1\nhost: a",
      "in chunks": "POST /x HTTP/1.1\nhost: a\nTransfer-Encoding: chunked\ncontent-length: 4",
      "it waits for a word": "POST /x HTTP/1.1\nhost: a\nexpect: 100-continue\ncontent-length: 4",
      "another protocol": "GET /x HTTP/1.1\nhost: a\nConnection: Upgrade\ncontent-length: 4",
      "two lengths": "POST /x HTTP/1.1\nhost: a\ncontent-length: 4\ncontent-length: 4",
      "a length that is none": "POST /x HTTP/1.1\nhost: a\ncontent-length: 4, 4",
      "a negative length": "POST /x HTTP/1.1\nhost: a\ncontent-length: -4",
      "a folded line": "POST /x HTTP/1.1\nhost: a\n content-length: 4\ncontent-length: 4",
      "a space before the colon": "POST /x HTTP/1.1\nhost: a\ncontent-length : 4",
      "a method whose answer has no body": "HEAD /x HTTP/1.1\nhost: a\ncontent-length: 4",
      "no host": "POST /x HTTP/1.1\ncontent-length: 4",
      "an older protocol": "POST /x HTTP/1.0\nhost: a\ncontent-length: 4",
      "a whole address": "POST http://a/x HTTP/1.1\nhost: a\ncontent-length: 4",
      "a lone line feed": "POST /x HTTP/1.1\nhost: a\ny: z",
    };
    for (const [why, head] of Object.entries(heads)) assert.equal(shown(packet(head, "body")), undefined, why);
    assert.equal(parseRequest(Buffer.from("POST /x HTTP/1.1\r\nhost: a\ncontent-length: 4\r\n\r\nbody")), undefined);
    assert.equal(parseRequest(Buffer.from("GET /x HTTP/1.1\r\nhost: a\r\n")), undefined);
    assert.equal(parseRequest(Buffer.alloc(0)), undefined);
  });

  test("whatever is taken for whole, node:http reads the same way", async () => {
    const seen: string[] = [];
    const server = createHttpServer((incoming, response) => {
      let body = "";
      incoming.on("data", (chunk: Buffer) => (body += chunk.toString("latin1")));
      incoming.on("end", () => {
        seen.push(`${incoming.method} ${incoming.url} ${body}`);
        response.end();
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert(typeof address === "object" && address !== null);
    const word = fc.constantFrom(
      "host",
      "content-length",
      "Content-Length",
      "x",
      "expect",
      ":",
      " ",
      "\r\n",
      "\n",
      "4",
    );
    const field = fc.array(word, { maxLength: 5 }).map((words) => words.join(""));
    const requests = fc.record({
      fields: fc.array(field, { maxLength: 3 }),
      body: fc.constantFrom("", "body", "bodybody"),
    });
    await fc.assert(
      fc.asyncProperty(requests, async ({ fields, body }) => {
        const head = ["POST /x HTTP/1.1", "host: a", "connection: close", ...fields, "", ""];
        const text = head.join("\r\n") + body;
        const whole = parseRequest(Buffer.from(text));
        if (whole === undefined) return;
        seen.length = 0;
        const socket = connect(address.port, "127.0.0.1").on("error", () => undefined);
        socket.resume().write(text);
        await once(socket, "close");
        assert.deepEqual(seen, [`POST /x ${whole.body.toString("latin1")}`], JSON.stringify(text));
      }),
      { numRuns: 300 },
    );
    server.close();
  });
});

describe("the server", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-whole-"));
  const path = join(folder, "a.sock");
  const asked: string[] = [];
  const other = createHttpServer((incoming, response) => {
    let body = "";
    incoming.on("data", (chunk: Buffer) => (body += chunk.toString()));
    incoming.on("end", () => response.end(`other ${incoming.method} ${body}`));
  });
  const { server, end } = fastServer(async ({ method, url, body }) => {
    asked.push(url);
    if (url === "/waits") await sleep(60_000, undefined, { ref: false });
    return method === "DELETE"
      ? { status: 204, type: "", body: "" }
      : { status: 200, type: "text/plain", body: `ü${body.toString()}` };
  }, other);
  before(() => new Promise<void>((resolve) => server.listen(path, resolve)));
  after(() => rmSync(folder, { recursive: true }));

  /** What comes back for these packets, one after the other. */
  async function talk(...packets: string[]): Promise<string> {
    const socket = connect(path);
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    for (const [i, one] of packets.entries()) {
      socket.write(one);
      if (i + 1 < packets.length) await new Promise((resolve) => setImmediate(resolve));
    }
    await once(socket, "close");
    return text;
  }

  test("answers a whole request and closes", async () => {
    const text = await talk("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
    assert.equal(
      text,
      "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nühi",
    );
    assert.equal(
      await talk("DELETE /x HTTP/1.1\r\nhost: a\r\n\r\n"),
      "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
    );
  });

  test("hands over what comes in pieces, and nothing of it is lost", async () => {
    const before = asked.length;
    const text = await talk(
      "POST /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-le",
      "ngth: 4\r\n\r\nbo",
      "dy",
    );
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n[^]*other POST body/);
    assert.match(await talk("nonsense\r\n\r\n"), /^HTTP\/1\.1 400 /);
    assert.equal(asked.length, before);
  });

  test("serves a client that keeps connections, one after the other", async () => {
    for (let n = 0; n < 3; n++) {
      const text = await new Promise<string>((resolve, reject) => {
        const outgoing = request({ socketPath: path, path: "/y", method: "POST" }, (incoming) => {
          let body = "";
          incoming.on("data", (chunk: Buffer) => (body += chunk.toString())).on("end", () => resolve(body));
        }).on("error", reject);
        outgoing.end(`n${n}`);
      });
      assert.match(text, new RegExp(`^(ü|other POST )n${n}$`));
    }
  });

  test("ends what is open when it ends", async () => {
    const [waiting, silent] = [connect(path), connect(path)].map((one) => one.on("error", () => undefined)) as [
      Socket,
      Socket,
    ];
    waiting.write("GET /waits HTTP/1.1\r\nhost: a\r\n\r\n");
    silent.write("GET /half HTTP/1.1\r\n");
    while (!asked.includes("/waits")) await new Promise((resolve) => setImmediate(resolve));
    const closed = Promise.all([waiting, silent].map((one) => new Promise((resolve) => one.on("close", resolve))));
    end();
    server.close();
    await closed;
  });
});

test("whatever is usual for a client is taken for whole, and what it asks of the connection is not", () => {
  const one = (field: string) => shown(packet(`GET /x HTTP/1.1\nhost: a\n${field}`));
  for (const field of [
    "connection: close",
    "Connection: keep-alive",
    "connection: Keep-Alive",
    "accept: */*",
    "content-length: 0",
    "a!#$%&'*+.^_`|~-9: b",
    "x:",
    "x:\t tabs and spaces \t",
  ])
    assert.equal(one(field), "GET /x ", field);
  for (const field of [
    "connection: keep-alive, upgrade",
    "connection: closed",
    "connection: not-close",
    "connection:",
    "upgrade: close",
    "expect: close",
    "transfer-encoding: close",
    "content-length: ",
    "content-length: 0x0",
    "content-length: 1234567890",
    "x",
    ": b",
    "x y: b",
    "x: \u0007",
    "x: ü",
  ])
    assert.equal(one(field), undefined, field);
  for (const first of [
    "PUT /x HTTP/1.1",
    "GET x HTTP/1.1",
    "GET /x HTTP/1.1 ",
    " GET /x HTTP/1.1",
    "GET /x y HTTP/1.1",
    "GET  /x HTTP/1.1",
    "GET /x HTTP/2.0",
    "get /x HTTP/1.1",
    "GET /ü HTTP/1.1",
    "",
  ])
    assert.equal(shown(packet(`${first}\nhost: a`)), undefined, first);
  assert.equal(shown(packet("GET / HTTP/1.1\nhost: a")), "GET / ");
  assert.equal(shown(packet("GET /x HTTP/1.1\nhost: a\nhost: b")), "GET /x ");
  assert.equal(shown(packet("POST /x HTTP/1.1\nhost: a\ncontent-length: 4", "body")), "POST /x body");
  assert.equal(shown(packet("POST /x HTTP/1.1\nhost: a\ncontent-length: 6", "a\r\n\r\nb")), "POST /x a\r\n\r\nb");
});
