// Connections on a real listener: those that say nothing end, those that last do not, and one address has a share.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type AddressInfo, type Socket, connect } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { CONNECTION_BOUNDS, timesOf } from "../../../src/main/connections.ts";
import { TlsListener } from "../../../src/main/tlsListener.ts";
import { newCa, serverCertificate } from "../../../src/tls/certifier.ts";

const DAY_MS = 86_400_000;

/** A listener with these bounds; its requests stay open. */
async function listening(
  bounds: Partial<typeof CONNECTION_BOUNDS>,
  run: (port: number, told: string[]) => Promise<void>,
) {
  const nowMs = Date.now();
  const life = { fromMs: nowMs - DAY_MS, toMs: nowMs + DAY_MS };
  const ca = await newCa("connections", life);
  const told: string[] = [];
  const listener = await TlsListener.open({
    clock: { nowMs: () => nowMs, monotonicMs: () => 0, sleep: async () => {} },
    log: (message, values) => told.push(`${message} ${String(values?.["origin"])}`),
    address: "127.0.0.1",
    authority: {
      bundle: ca.certificate,
      onChange: () => {},
      serverCertificate: async (key, names) => ({
        chain: await serverCertificate(key, names, ca, life),
        untilMs: life.toMs,
      }),
    },
    bounds: { ...CONNECTION_BOUNDS, ...bounds },
    files: { read: () => "" },
  });
  const answers: ServerResponse[] = [];
  const server = listener.serve((request, response) => {
    answers.push(response);
    response.writeHead(200).flushHeaders();
    request.on("data", (chunk) => response.write(chunk));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await run((server.address() as AddressInfo).port, told);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function tlsTo(port: number) {
  const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
  socket.on("error", () => {});
  return socket;
}

const closed = (socket: Socket) => new Promise((resolve) => socket.once("close", resolve));

test("a server without a time for whole requests has one for heads and handshakes", () => {
  assert.deepEqual(timesOf(CONNECTION_BOUNDS), {
    requestTimeout: 0,
    headersTimeout: 30_000,
    handshakeTimeout: 30_000,
    connectionsCheckingInterval: 5000,
  });
});

test("connections that say nothing end, before and after the handshake; one whose request lasts does not", async () => {
  await listening({ silentMs: 300 }, async (port) => {
    const lasting = tlsTo(port);
    lasting.write("POST /v1/claims HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\n1\n\r\n");
    await once(lasting, "data");
    const silent = connect(port, "127.0.0.1").on("error", () => {});
    const half = tlsTo(port);
    half.write("GET /v1/networks HTTP/1.1\r\nhost:");
    const quiet = tlsTo(port);
    for (const socket of [silent, half, quiet]) socket.resume();
    await Promise.all([silent, half, quiet].map((socket: Socket) => once(socket, "close")));
    assert.equal(lasting.destroyed, false);
    const echoed = once(lasting, "data");
    lasting.write("2\r\n2\n\r\n");
    assert.match(String((await echoed)[0]), /2\n/);
    lasting.destroy();
  });
});

test("one address has so many connections; the next ends, is told of once, and room comes back", async () => {
  await listening({ fromOne: 2 }, async (port, told) => {
    const [first, second] = [tlsTo(port), tlsTo(port)];
    await Promise.all([once(first, "secureConnect"), once(second, "secureConnect")]);
    for (let i = 0; i < 3; i++) await closed(tlsTo(port));
    assert.deepEqual(told, ["too many connections 127.0.0.1"]);
    first.destroy();
    for (;;) {
      const again = tlsTo(port);
      const what = await Promise.race([
        once(again, "secureConnect").then(
          () => "open",
          () => "closed",
        ),
        closed(again).then(() => "closed"),
      ]);
      again.destroy();
      if (what === "open") break;
    }
    second.destroy();
  });
});
