// Contexts: which cluster is meant, and that nobody else can read what proves who somebody is.
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import {
  contextIn,
  readContexts,
  freeName,
  tokenFor,
  withContext,
  withCurrent,
  withoutContext,
  writeContexts,
} from "../../../../src/cli/login/contexts.ts";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
before(() => line.open());
after(() => line.close());

const folder = mkdtempSync(join(tmpdir(), "weft-contexts-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;
/** Of a user who has nothing yet. */
function home(): { env: Record<string, string>; file: string } {
  const HOME = join(folder, String(++count));
  mkdirSync(HOME);
  return { env: { HOME }, file: join(HOME, ".config/weft/contexts.json") };
}
const SECRET = "weft_token_0123456789abcdef";
const prod = { server: "https://prod:7474", token: SECRET, user: "alice", expiresMs: 5 };

test("the first context is the current one, until another is used or it is removed", () => {
  let all = withContext({ contexts: {} }, "prod", prod);
  all = withContext(all, "test", { server: "http://test:7474" });
  assert.deepEqual(contextIn(all), { name: "prod", context: prod });
  assert.equal(contextIn(withCurrent(all, "test"))?.name, "test");
  assert.equal(contextIn(all, "test")?.name, "test");
  assert.equal(contextIn(withoutContext(all, "prod")), undefined);
  assert.equal(contextIn(withoutContext(all, "test"))?.name, "prod");
});

test("a name that is not there is refused with those that are", () => {
  const all = withContext({ contexts: {} }, "prod", prod);
  for (const work of [() => contextIn(all, "x"), () => withCurrent(all, "x"), () => withoutContext(all, "toString")])
    assert.throws(
      work,
      (error) => error instanceof Fault && error.reason === "not-found" && /prod/.test(error.message),
    );
  assert.throws(() => withContext(all, "../x", prod), /not a name/);
  assert.throws(() => withContext(all, "", prod), /not a name/);
});

test("a server whose name another one has, at another port, gets a name of its own", () => {
  const name = (server: string, ...taken: string[]) =>
    freeName({ contexts: Object.fromEntries(taken.map((one) => [one, prod])) }, server);
  assert.equal(name("https://weft1.example:7474"), "weft1.example");
  assert.equal(name("https://weft1.example:7475", "weft1.example"), "weft1.example-7475");
  assert.equal(name("https://weft1.example", "weft1.example"), "weft1.example-2");
  assert.equal(name("https://weft1.example:7475", "weft1.example", "weft1.example-7475"), "weft1.example-2");
  assert.deepEqual([name("unix:/run/a.sock"), name("unix:/run/b.sock", "local")], ["local", "local-2"]);
});

test("a token goes only to the server that it is for", () => {
  const all = withContext({ contexts: {} }, "prod", prod);
  assert.equal(tokenFor(all, "https://prod:7474"), SECRET);
  assert.equal(tokenFor(all, "http://prod:7474"), undefined);
  assert.equal(tokenFor(all, "https://prod:74740"), undefined);
});

test("the file and its directory are its owner's alone, also when the file is replaced", async () => {
  const { env, file } = home();
  assert.deepEqual(readContexts(env), { contexts: {} });
  const all = withContext({ contexts: {} }, "prod", prod);
  for (const each of [all, withContext(all, "test", prod)]) {
    await writeContexts(env, each);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(join(file, "..")).mode & 0o777, 0o700);
    assert.deepEqual(readContexts(env), each);
  }
  const elsewhere = join(env["HOME"] ?? "", "xdg");
  await writeContexts({ ...env, XDG_CONFIG_HOME: elsewhere }, all);
  assert.ok(existsSync(join(elsewhere, "weft/contexts.json")));
  await assert.rejects(writeContexts({}, all), /HOME is not set/);
});

test("a file that others may read is refused, with what to do and without what is in it", async () => {
  const { env, file } = home();
  await writeContexts(env, withContext({ contexts: {} }, "prod", prod));
  for (const mode of [0o640, 0o604, 0o666, 0o610]) {
    chmodSync(file, mode);
    assert.throws(
      () => readContexts(env),
      (error) => {
        assert.ok(error instanceof Fault && error.reason === "forbidden");
        assert.match(error.message, new RegExp(`its mode is 0${mode.toString(8)}.*chmod 600 ${file}`));
        return !error.message.includes(SECRET);
      },
    );
  }
});

test("a damaged file is refused without showing any of it", async () => {
  const { env, file } = home();
  await writeContexts(env, { contexts: {} });
  for (const text of [`{"contexts": {"prod": ${SECRET}`, "", "null", "[]", '{"contexts": {"a": 5}}', `"${SECRET}"`]) {
    writeFileSync(file, text);
    assert.throws(
      () => readContexts(env),
      (error) => error instanceof Fault && error.reason === "request-invalid" && !error.message.includes(SECRET),
      text,
    );
  }
});

test("the commands add, list, use and remove; no command shows a token", async () => {
  const { env, file } = home();
  const weft = (args: string[], input = "") =>
    line.weft(args, { env: { ...env, WEFT_SERVER: "", WEFT_TOKEN_FILE: "" }, input });
  const added = await weft(
    ["context", "add", "here", "--server", line.url, "--token-file", "-"],
    `${"a".repeat(40)}\n`,
  );
  assert.equal(added.code, 0, added.stderr);
  await weft(["context", "add", "prod", "--server", "https://prod:7474"]);
  const { stdout } = await weft(["context", "list"]);
  assert.match(stdout, /^\* +here +unix:\S+ +- +yes$/m);
  assert.match(stdout, /^ +prod +https:\/\/prod:7474 +- +-$/m);
  assert.equal((await weft(["network", "list"])).code, 0);
  const away = await weft(["--context", "prod", "network", "list"]);
  assert.equal(away.code, 5);
  assert.match(away.stderr, /you are not logged in.*\n.*\n.*weft login/);
  await weft(["context", "use", "prod"]);
  assert.equal((await weft(["network", "list"])).code, 5);
  assert.equal((await weft(["network", "list", "--context", "here"])).code, 0);
  assert.equal((await weft(["network", "list", "--context", "here", "--server", line.url])).code, 2);
  assert.equal((await weft(["network", "list", "--server", line.url])).code, 0);
  const listed = await weft(["context", "list", "-o", "json"]);
  assert.ok(!`${listed.stdout}${stdout}${added.stderr}`.includes("aaaa"));
  assert.deepEqual(JSON.parse(listed.stdout)[1], {
    name: "prod",
    server: "https://prod:7474",
    isCurrent: true,
    hasToken: false,
  });
  // Another pin keeps the token; another server does not.
  const pin = "p".repeat(43);
  assert.equal((await weft(["context", "add", "here", "--ca-pin", pin])).code, 0);
  assert.match((await weft(["context", "list"])).stdout, /^ +here +unix:\S+ +- +yes$/m);
  await weft(["context", "add", "here", "--server", "https://other:7474"]);
  assert.match((await weft(["context", "list"])).stdout, /^ +here +https:\S+ +- +-$/m);
  assert.equal((await weft(["context", "add", "new"])).code, 2);
  await weft(["context", "remove", "prod", "here"]);
  assert.ok(!readFileSync(file, "utf8").includes("aaaa"));
  assert.equal((await weft(["context", "use", "prod"])).code, 3);
  assert.equal((await weft(["context", "add", "x", "--server", "nowhere"])).code, 2);
});
