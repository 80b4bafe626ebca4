// The address of a server: what is meant is named, what would be passed over is refused, the wrong protocol is told.
import assert from "node:assert/strict";
import { type Server, createServer } from "node:net";
import { after, test } from "node:test";
import { Fault } from "../../../src/model/fault.ts";
import { httpClient } from "../../../src/client/http.ts";
import { serverUrl } from "../../../src/client/url.ts";

const servers: Server[] = [];
after(() => servers.forEach((server) => server.close()));

test("an address without a scheme, or with what nobody reads, is refused with what was meant", () => {
  for (const good of [
    "https://10.0.0.1:7474",
    "https://weft.example",
    "https://[fd00::1]:7474/",
    "unix:/run/weft.sock",
  ])
    assert.equal(serverUrl(good, "--server"), good);
  for (const [bad, fix] of [
    ["10.0.0.1:7474", /did you mean https:\/\/10.0.0.1:7474\?/],
    ["localhost:7474", /did you mean https:\/\/localhost:7474\?/],
    ["[fd00::1]:7474", /did you mean https:\/\/\[fd00::1\]:7474\?/],
    ["10.0.0.1:99999", /write it like/],
    ["tcp://10.0.0.1:7474", /write it like/],
    ["/run/weft.sock", /write it like/],
    ["http://me:secret@10.0.0.1:7474", /write https:\/\/10.0.0.1:7474/],
    ["http://10.0.0.1:7474/?host=h1", /a query .*means nothing here/],
    ["http://10.0.0.1:7474", /servers speak TLS only.*write https:\/\/10.0.0.1:7474/],
    ["", /write it like/],
  ] as const)
    assert.throws(
      () => serverUrl(bad, "--server"),
      (error) => error instanceof Fault && error.detail.where === "--server" && fix.test(error.message),
      bad,
    );
});

test("what nobody reads is the reason, and the address without it what to do", () => {
  assert.throws(
    () => serverUrl("https://me@weft.example/?host=h1#x", "--server"),
    (error) => {
      assert.ok(error instanceof Fault);
      const { what, why, fix } = error.detail;
      assert.equal(what, '"https://***@weft.example/?***" is not the address of a server');
      assert.match(why ?? "", /^a user, a password, a query or a fragment means nothing here$/);
      assert.equal(fix, "write https://weft.example");
      return true;
    },
  );
});

test("an address that is refused is repeated without what may be a secret", () => {
  for (const bad of [
    "https://me:S3CRET@10.0.0.1:7474",
    "http://me:S3CRET@10.0.0.1:7474",
    "https://me:S3C/S3CRET@10.0.0.1",
    "https://me:a@S3CRET@10.0.0.1",
    "https://S3CRET@10.0.0.1",
    "me:S3CRET@10.0.0.1:7474",
    "https://10.0.0.1:7474/?token=S3CRET",
    "https://10.0.0.1:7474#S3CRET",
    "10.0.0.1?S3CRET",
  ])
    assert.throws(
      () => serverUrl(bad, "--server"),
      (error) => error instanceof Fault && !error.message.includes("S3C") && error.message.includes("10.0.0.1"),
      bad,
    );
});

/** A port that answers every connection with these bytes, and ends it. */
async function answering(bytes: Uint8Array): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(bytes));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

test("TLS to a port without it, and the other way round, are named", async () => {
  const clear = await answering(Buffer.from("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"));
  // A fatal alert, unexpected_message: what OpenSSL says to `GET /`.
  const tls = await answering(Uint8Array.of(0x15, 3, 1, 0, 2, 2, 0x0a));
  for (const [url, why] of [
    [`https://127.0.0.1:${clear}`, /speaks no TLS/],
    [`http://127.0.0.1:${tls}`, /not HTTP.*https:\/\//],
  ] as const) {
    const client = httpClient({ url, name: "the server", fix: "check the address" });
    await assert.rejects(
      client.request({ method: "GET", path: "/v1/version" }),
      (error) => error instanceof Fault && error.reason === "unavailable" && why.test(error.message),
      url,
    );
    client.close();
  }
});
