// Logging in with the command line: what is kept, what is shown, and that no secret has to be an argument.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
const PASSWORD = "correct horse battery";

before(async () => {
  await line.open();
  await line.control.write({ verb: "put", kind: "usergroup", name: "staff", spec: {} });
  await line.control.write({ verb: "put", kind: "user", name: "alice", spec: { group: "staff" } });
  const set = await line.weft(["user", "passwd", "alice", "--password-file", "-"], { input: `${PASSWORD}\n` });
  assert.equal(set.code, 0, set.stderr);
});
after(() => line.close());

let count = 0;
/** Somebody at a machine who has nothing but a home. */
function person() {
  const HOME = join(line.folder, `home${++count}`);
  mkdirSync(HOME);
  const env = { HOME, WEFT_SERVER: "", WEFT_TOKEN_FILE: "" };
  const file = join(HOME, ".config/weft/contexts.json");
  const weft = (args: readonly string[], input = "") => line.weft(args, { env, input });
  const login = (...more: string[]) =>
    weft(["login", "--server", line.url, "--user", "alice", "--password-file", "-", ...more], `${PASSWORD}\n`);
  return { weft, login, file };
}

test("login keeps a token that only its owner can read, and shows none; logout ends it everywhere", async () => {
  const { weft, login, file } = person();
  const { code, stdout, stderr } = await login();
  assert.equal(code, 0, stderr);
  assert.match(stderr, /logged in to unix:\S+ as alice until 20/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const { current, contexts } = JSON.parse(readFileSync(file, "utf8"));
  const { token } = contexts[current];
  assert.match(token, /^weft_login_/);
  assert.ok(!`${stdout}${stderr}`.includes(token) && !readFileSync(file, "utf8").includes(PASSWORD));
  const who = await weft(["whoami"]);
  assert.match(who.stdout, /^Who: +user alice\nGroups: +staff\nBy: +login login-\w+\nMay do: +everything$/m);
  assert.equal((await weft(["whoami", "-o", "name"])).stdout, "user/alice\n");
  assert.equal((await weft(["network", "list"])).code, 0);
  assert.match((await weft(["logout"])).stderr, /logged out/);
  assert.ok(!readFileSync(file, "utf8").includes("weft_login"));
  assert.throws(() => line.control.identify(token), /does not know/);
  assert.match((await weft(["logout"])).stderr, /not logged in/);
  // Who has logged in once need not say again where, and as whom.
  assert.equal((await weft(["login", "--password-file", "-"], PASSWORD)).code, 0);
});

test("a wrong password is 5; where none can be asked for, it says how to give it; as an argument never", async () => {
  const { weft, file } = person();
  const args = ["login", "--server", line.url, "--user", "alice"];
  const wrong = await weft([...args, "--password-file", "-"], "something else\n");
  assert.deepEqual([wrong.code, wrong.stdout], [5, ""]);
  assert.match(wrong.stderr, /do not belong together/);
  assert.match((await weft(args)).stderr, /no terminal.*\n.*--password-file -/);
  assert.equal((await weft([...args, "--password", PASSWORD])).code, 2);
  assert.match((await weft([...args, "--password-file", "/nowhere"])).stderr, /no such file/);
  assert.match((await weft(["login"])).stderr, /--server/);
  const provider = await weft(["login", "--server", line.url, "--oidc"]);
  assert.match(provider.stderr, /has no OpenID provider[\s\S]*weft login/);
  assert.match((await weft(["login", "--server", line.url, "--password-file", "-"], PASSWORD)).stderr, /--user/);
  assert.ok(!existsSync(file));
});

test("a token is printed once, alone on stdout, and works by file; a deleted one does not", async () => {
  const { weft, login } = person();
  await login();
  const made = await weft(["token", "create", "ci", "--expires", "1h", "--rights", "use", "--networks", "blue"]);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /^weft_token_[\w-]{43}\n$/);
  assert.match(made.stderr, /use of blue, until/);
  const file = join(line.folder, "ci.token");
  writeFileSync(file, made.stdout);
  const asCi = ["--server", line.url, "--token-file", file];
  assert.match((await weft(["whoami", ...asCi])).stdout, /^By: +token ci\nMay do: +use of blue$/m);
  const broader = await weft(["token", "create", "more", "--networks", "blue,green", ...asCi]);
  assert.deepEqual([broader.code, broader.stdout], [5, ""]);
  assert.equal((await weft(["token", "create", "year", "--expires", "400d"])).code, 2);
  const listed = await weft(["token", "list"]);
  assert.match(listed.stdout, /^ci +token +use of blue/m);
  assert.ok(!listed.stdout.includes(made.stdout.trim()));
  assert.equal((await weft(["token", "delete", "ci"])).code, 0);
  assert.equal((await weft(["whoami", ...asCi])).code, 5);
  assert.equal((await weft(["token", "delete", "ci"])).code, 3);
});

test("one changes one's own password with the current one, which ends one's logins", async () => {
  const { weft, login } = person();
  await login();
  const [now, next] = ["now", "next"].map((name) => join(line.folder, name));
  writeFileSync(now ?? "", `${PASSWORD}\n`);
  writeFileSync(next ?? "", "another four words\n");
  const change = (current = "", password = "") =>
    weft(["user", "passwd", "--current-password-file", current, "--password-file", password]);
  assert.equal((await change(next, next)).code, 5);
  const done = await change(now, next);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /logins of alice have ended; log in again/);
  assert.equal((await weft(["whoami"])).code, 5);
  assert.equal((await login()).code, 5);
  await line.weft(["user", "passwd", "alice", "--password-file", "-"], { input: PASSWORD });
  assert.equal((await login()).code, 0);
});
