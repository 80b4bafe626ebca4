// Token files and the server always agree, whatever was there first.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FaultyFiles } from "../files/faulty.ts";
import { realFiles } from "../../../src/files/real.ts";
import { Fault } from "../../../src/model/fault.ts";
import { listenAddress } from "../../../src/main/surroundings.ts";
import { keepingJoinToken, syncToken, type TokenKeeper, type TokenRole } from "../../../src/main/tokens.ts";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "weft-tokens-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

let made = 0;

/** What the server accepts now, by role. */
function keeper(accepted: Map<TokenRole, string>): TokenKeeper {
  return {
    hasToken: (role) => accepted.has(role),
    identify: (token) => {
      for (const [role, one] of accepted) if (one === token) return { role };
      throw new Fault("token-wrong", { what: "nobody has this token", fix: "use another" });
    },
    setToken: async (role, token) => void accepted.set(role, token),
    newToken: () => `new-${"x".repeat(32)}-${++made}`,
  };
}

test("a file that cannot be read ends no server that knows its token, and says why where there is none", async (t) => {
  const directory = folder(t);
  mkdirSync(join(directory, "admin.token"));
  const known = new Map<TokenRole, string>([["admin", "a".repeat(40)]]);
  const { said } = await syncToken(keeper(known), "admin", directory, realFiles);
  assert.match(said ?? "", /cannot be read.*EISDIR.*the earlier token is still valid/);
  assert.equal(known.get("admin"), "a".repeat(40));
  const none = syncToken(keeper(new Map()), "admin", directory, realFiles);
  await assert.rejects(none, (error) => error instanceof Fault && error.reason === "unavailable");
});

test("a first start makes a token that only its owner can read", async (t) => {
  const accepted = new Map<TokenRole, string>();
  const { file } = await syncToken(keeper(accepted), "admin", folder(t), realFiles);
  assert.equal(readFileSync(file, "utf8").trim(), accepted.get("admin"));
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test("a later start changes nothing", async (t) => {
  const accepted = new Map<TokenRole, string>();
  const directory = folder(t);
  const { file } = await syncToken(keeper(accepted), "join", directory, realFiles);
  const before = readFileSync(file, "utf8");
  await syncToken(keeper(accepted), "join", directory, realFiles);
  assert.equal(readFileSync(file, "utf8"), before);
  assert.equal(accepted.get("join"), before.trim());
});

test("a removed file gets a new token, and the old one is worth nothing", async (t) => {
  const accepted = new Map<TokenRole, string>([["admin", "old"]]);
  const { file } = await syncToken(keeper(accepted), "admin", folder(t), realFiles);
  assert.notEqual(accepted.get("admin"), "old");
  assert.equal(readFileSync(file, "utf8").trim(), accepted.get("admin"));
});

test("a file that was there before the first start is taken; one without a token is refused", async (t) => {
  const accepted = new Map<TokenRole, string>();
  const directory = folder(t);
  writeFileSync(join(directory, "join.token"), `${"p".repeat(32)}\n`);
  await syncToken(keeper(accepted), "join", directory, realFiles);
  assert.equal(accepted.get("join"), "p".repeat(32));
  writeFileSync(join(directory, "admin.token"), "short\n");
  await assert.rejects(syncToken(keeper(accepted), "admin", directory, realFiles), Fault);
  assert.equal(accepted.has("admin"), false);
});

test("a file in which a disk left no token gets a new one, and the server starts", async (t) => {
  const directory = folder(t);
  const path = join(directory, "admin.token");
  const accepted = new Map<TokenRole, string>();
  await syncToken(keeper(accepted), "admin", directory, realFiles);
  const whole = readFileSync(path);
  for (const text of [whole.subarray(0, 0), whole.subarray(0, 10), Buffer.from("\n")]) {
    writeFileSync(path, text);
    const before = accepted.get("admin");
    const { said } = await syncToken(keeper(accepted), "admin", directory, realFiles);
    assert.match(said ?? "", /new token/);
    assert.notEqual(accepted.get("admin"), before);
    assert.equal(readFileSync(path, "utf8").trim(), accepted.get("admin"));
  }
});

test("a file with another token, by a hand or a flipped bit: the file counts, and that is said", async (t) => {
  const directory = folder(t);
  const path = join(directory, "admin.token");
  const accepted = new Map<TokenRole, string>([["join", "j".repeat(40)]]);
  await syncToken(keeper(accepted), "admin", directory, realFiles);
  const flipped = readFileSync(path);
  flipped[5] = (flipped[5] ?? 0) ^ 1;
  writeFileSync(path, flipped);
  assert.match((await syncToken(keeper(accepted), "admin", directory, realFiles)).said ?? "", /another token/);
  assert.equal(accepted.get("admin"), flipped.toString().trim());
  writeFileSync(path, "j".repeat(40));
  await assert.rejects(syncToken(keeper(accepted), "admin", directory, realFiles), /role join/);
});

test("on a full disk no half of a token is left, and a server that knows its tokens starts", async (t) => {
  const directory = folder(t);
  const accepted = new Map<TokenRole, string>();
  const files = new FaultyFiles();
  Object.assign(files, { fault: "full", room: 10 });
  await assert.rejects(syncToken(keeper(accepted), "admin", directory, files), /ENOSPC/);
  assert.deepEqual([readdirSync(directory), accepted.size], [[], 0]);
  accepted.set("admin", "known".repeat(10));
  const { said } = await syncToken(keeper(accepted), "admin", directory, files);
  assert.match(said ?? "", /earlier token is still valid/);
  assert.deepEqual([readdirSync(directory), accepted.get("admin")], [[], "known".repeat(10)]);
});

test("addresses to listen on", () => {
  assert.deepEqual(listenAddress("127.0.0.1:7474", ""), { host: "127.0.0.1", port: 7474 });
  assert.deepEqual(listenAddress("[::1]:80", ""), { host: "::1", port: 80 });
  assert.deepEqual(listenAddress(":80", ""), { host: "::", port: 80 });
  for (const wrong of ["", "7474", "host:", "host:99999", "::1:80", "[::1]"]) {
    assert.throws(() => listenAddress(wrong, "--listen"), Fault, wrong);
  }
});

test("the join token follows the CA; a file that cannot be used ends no server", async (t) => {
  const directory = folder(t);
  const accepted = new Map<TokenRole, string>();
  const authority = { pin: "a".repeat(43) };
  const own = { ...keeper(accepted), authority };
  const { file } = await syncToken(own, "join", directory, realFiles);
  let heard = Promise.withResolvers<string>();
  const log = (_: string, values: object = {}) => heard.resolve(JSON.stringify(values));
  const changed = keepingJoinToken(own, directory, realFiles, log);
  rmSync(file);
  mkdirSync(file);
  accepted.clear();
  changed();
  assert.match(await heard.promise, /cannot be read/);
  rmSync(file, { recursive: true });
  heard = Promise.withResolvers();
  authority.pin = "b".repeat(43);
  changed();
  changed();
  await heard.promise;
  assert.equal(readFileSync(file, "utf8").trim(), `${accepted.get("join")}.${authority.pin}`);
});

test("a join token that a person has ended is replaced, also where the file still has it", async (t) => {
  const directory = folder(t);
  const accepted = new Map<TokenRole, string>();
  const ended = new Set<string>();
  const own = { ...keeper(accepted), joinTokens: { hasEnded: (token: string) => ended.has(token) } };
  const { file } = await syncToken(own, "join", directory, realFiles);
  const first = accepted.get("join") ?? "";
  assert.match(first, /^weft_join_/);
  ended.add(first);
  accepted.clear();
  const { said } = await syncToken(own, "join", directory, realFiles);
  assert.match(said ?? "", /was ended; the file has a new one/);
  assert.notEqual(accepted.get("join"), first);
  assert.equal(readFileSync(file, "utf8").trim(), accepted.get("join"));
  assert.equal((await syncToken(own, "join", directory, realFiles)).said, undefined);
});

test("the file does not take the value of a named token", async (t) => {
  const directory = folder(t);
  writeFileSync(join(directory, "join.token"), "n".repeat(40));
  const own: TokenKeeper = { ...keeper(new Map()), identify: () => ({ role: "join", token: "rack7" }) };
  await assert.rejects(syncToken(own, "join", directory, realFiles), /it is the token "rack7" of role join/);
});
