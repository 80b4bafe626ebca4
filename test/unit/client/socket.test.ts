// A path on which a daemon is to listen: what is in the way, and who may connect.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Fault } from "../../../src/model/fault.ts";
import { answers, listenPrivately, makeWay } from "../../../src/client/socket.ts";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "weft-socket-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const refusal = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;

test("only a socket that nobody answers on is removed: a wrong path costs nobody a file", async (t) => {
  const path = join(folder(t), "deep", "a.sock");
  await makeWay(path, "agent");
  const server = createServer();
  t.after(() => server.close());
  await listenPrivately(server, path);
  await assert.rejects(makeWay(path, "agent"), refusal("in-use"));
  assert(await answers(path));
  const file = join(folder(t), "precious");
  const link = `${file}.link`;
  writeFileSync(file, "precious");
  symlinkSync(file, link);
  for (const wrong of [file, link, folder(t)])
    await assert.rejects(makeWay(wrong, "server"), refusal("request-invalid"), wrong);
  assert.equal(readFileSync(link, "utf8"), "precious");
});

test("a socket is its user's alone, whatever the umask", async (t) => {
  const mask = process.umask(0);
  t.after(() => process.umask(mask));
  const path = join(folder(t), "a.sock");
  const server = createServer();
  t.after(() => server.close());
  await listenPrivately(server, path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(process.umask(), 0);
});
