// Token files and the server always agree, whatever was there first.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Fault } from "../model/fault.ts";
import { listenAddress } from "./surroundings.ts";
import { settleToken, type TokenKeeper, type TokenRole } from "./tokens.ts";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "weft-tokens-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** What the server accepts now, by role. */
function keeper(accepted: Map<TokenRole, string>): TokenKeeper {
  return {
    hasToken: (role) => accepted.has(role),
    setToken: async (role, token) => void accepted.set(role, token),
    newToken: () => `new-${"x".repeat(32)}-${accepted.size}`,
  };
}

test("a first start makes a token that only its owner can read", async (t) => {
  const accepted = new Map<TokenRole, string>();
  const file = await settleToken(keeper(accepted), "admin", folder(t));
  assert.equal(readFileSync(file, "utf8").trim(), accepted.get("admin"));
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test("a later start changes nothing", async (t) => {
  const accepted = new Map<TokenRole, string>();
  const directory = folder(t);
  const file = await settleToken(keeper(accepted), "join", directory);
  const before = readFileSync(file, "utf8");
  await settleToken(keeper(accepted), "join", directory);
  assert.equal(readFileSync(file, "utf8"), before);
  assert.equal(accepted.get("join"), before.trim());
});

test("a removed file gets a new token, and the old one is worth nothing", async (t) => {
  const accepted = new Map<TokenRole, string>([["admin", "old"]]);
  const file = await settleToken(keeper(accepted), "admin", folder(t));
  assert.notEqual(accepted.get("admin"), "old");
  assert.equal(readFileSync(file, "utf8").trim(), accepted.get("admin"));
});

test("a file that was there before the first start is taken; one without a token is refused", async (t) => {
  const accepted = new Map<TokenRole, string>();
  const directory = folder(t);
  writeFileSync(join(directory, "join.token"), `${"p".repeat(32)}\n`);
  await settleToken(keeper(accepted), "join", directory);
  assert.equal(accepted.get("join"), "p".repeat(32));
  writeFileSync(join(directory, "admin.token"), "short\n");
  await assert.rejects(settleToken(keeper(accepted), "admin", directory), Fault);
  assert.equal(accepted.has("admin"), false);
});

test("addresses to listen on", () => {
  assert.deepEqual(listenAddress("127.0.0.1:7474", ""), { host: "127.0.0.1", port: 7474 });
  assert.deepEqual(listenAddress("[::1]:80", ""), { host: "::1", port: 80 });
  assert.deepEqual(listenAddress(":80", ""), { host: "::", port: 80 });
  for (const wrong of ["", "7474", "host:", "host:99999", "::1:80", "[::1]"]) {
    assert.throws(() => listenAddress(wrong, "--listen"), Fault, wrong);
  }
});
