// A socket that only answers questions does not read what a client goes on sending.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { listenOnAddress } from "../../../../src/agent/socket/listen.ts";
import { localApi } from "../../../../src/agent/socket/localApi.ts";

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert(typeof address === "object" && address !== null);
  server.close();
  await once(server, "close");
  return address.port;
}

test("who sends a body without an end to the socket for questions is answered and cut off", {
  timeout: 20_000,
}, async (t) => {
  const port = await freePort();
  const listener = await listenOnAddress("127.0.0.1", port, localApi({ report: () => assert.fail(), routes: [] }));
  t.after(() => listener.close());
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  let answer = "";
  socket.setEncoding("latin1").on("data", (text: string) => (answer += text));
  let isClosed = false;
  const closed = new Promise<void>((resolve) =>
    socket.on("close", () => {
      isClosed = true;
      resolve();
    }),
  );
  socket.write("POST /v1/status HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
  const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
  const before = process.memoryUsage().arrayBuffers;
  let sent = 0;
  const send = () => {
    while (!isClosed && sent < 256 * 2 ** 20 && socket.write(chunk)) sent += chunk.length;
    if (!isClosed && sent < 256 * 2 ** 20) socket.once("drain", send);
  };
  send();
  await closed;
  assert(sent < 32 * 2 ** 20, `${sent} bytes were taken`);
  assert(process.memoryUsage().arrayBuffers - before < 64 * 2 ** 20);
  if (answer !== "") assert.match(answer, /^HTTP\/1\.1 400 .*request-invalid/s);
});
