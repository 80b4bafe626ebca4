// Each kind of secret is used rightly and wrongly with a real server process, and then is nowhere but where it belongs:
// not in the log, the arguments or environment of a process, an answer, the metrics, the audit log, or the store.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { get } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";

const WEFT = join(import.meta.dirname, "../../../bin/weft");
const folder = mkdtempSync(join(tmpdir(), "weft-secrets-"));
const data = join(folder, "data");
const socket = `unix:${join(folder, "server.sock")}`;
const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };
/** Everything that people and other processes could see. */
const seen: string[] = [];

function start(args: readonly string[]) {
  const env = { PATH: process.env["PATH"], HOME: folder, WEFT_CONFIG_DIR: folder };
  const child = spawn(WEFT, args, { env });
  running.add(child);
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) child[name].on("data", (part: Buffer) => (said[name] += part));
  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (code) => {
      running.delete(child);
      resolve({ code, ...said });
    }),
  );
  /** What every user of the machine sees of the process. */
  const look = () => {
    for (const file of ["cmdline", "environ"]) seen.push(readFileSync(`/proc/${child.pid}/${file}`, "utf8"));
  };
  return { child, said, ended, look };
}

/** Runs it, and looks at the process before it gets its input. */
async function weft(args: readonly string[], input = "", isSecret = false): Promise<Ended> {
  const { child, ended, look } = start(args);
  if (input !== "") look();
  child.stdin.end(input);
  const { code, stdout, stderr } = await ended;
  seen.push(stderr, isSecret ? "" : stdout);
  return { code, stdout, stderr };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function until(what: string, probe: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!probe()) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("secrets are nowhere but where they belong", async () => {
  const url = `https://127.0.0.1:${await freePort()}`;
  const listen = url.slice("https://".length);
  const server = start(["server", "--data-dir", data, "--socket", socket.slice(5), "--listen", listen]);
  await until("the server starts", () => server.said.stderr.includes("server started"));
  const [admin = "", joining = ""] = ["admin", "join"].map((role) =>
    readFileSync(join(data, `${role}.token`), "utf8").trim(),
  );
  const [joinSecret = "", pin = ""] = joining.split(/\.(?=[^.]*$)/);
  const [password, next, wrong] = ["correct horse battery", "another four words", "a wrong password 17"];
  const local = ["--server", socket];
  const ok = async (args: readonly string[], input?: string, isSecret = false) => {
    const ended = await weft(args, input, isSecret);
    assert.equal(ended.code, 0, `${args.join(" ")}: ${ended.stderr}`);
    return ended.stdout;
  };
  const people = "kind: usergroup\nname: staff\n---\nkind: user\nname: alice\nspec: {group: staff}\n";
  await ok(["apply", "-f", "-", ...local], people);
  await ok(["user", "passwd", "alice", "--password-file", "-", ...local], `${password}\n`);
  const login = ["login", "--server", url, "--ca-pin", pin, "--user", "alice", "--password-file", "-"];
  assert.equal((await weft(login, `${wrong}\n`)).code, 5);
  await ok(login, `${password}\n`);
  const contexts = () => readFileSync(join(folder, ".config/weft/contexts.json"), "utf8");
  const loginToken = /weft_login_[\w-]+/.exec(contexts())?.[0] ?? assert.fail("not logged in");
  await ok(["whoami"]);
  const token = (await ok(["token", "create", "ci", "--rights", "use", "--networks", "blue"], "", true)).trim();
  // As a program would get it: from a file, and from standard input.
  await ok(["context", "add", "ci", "--server", url, "--ca-pin", pin, "--token-file", "-"], `${token}\n`);
  assert.equal((await weft(["token", "create", "more", "--rights", "admin", "--context", "ci"])).code, 5);
  await ok(["context", "add", "admin", "--server", url, "--ca-pin", pin, "--token-file", "-"], `${admin}\n`);
  await ok(["network", "list", "--context", "admin"]);
  await ok(["context", "add", "join", "--server", url, "--ca-pin", pin, "--token-file", "-"], `${joinSecret}\n`);
  assert.equal((await weft(["network", "list", "--context", "join"])).code, 5);
  const guess = `weft_token_${"x".repeat(43)}`;
  await ok(["context", "add", "guess", "--server", url, "--ca-pin", pin, "--token-file", "-"], `${guess}\n`);
  assert.equal((await weft(["network", "list", "--context", "guess"])).code, 5);
  await ok(["user", "passwd", "alice", "--password-file", "-", ...local], `${next}\n`);
  await ok(["context", "list", "-o", "json"]);
  await ok(["token", "list", "--user", "alice", "-o", "json", ...local]);
  const audit = await ok(["audit", "list", "-o", "json", ...local]);
  for (const verb of ["login", "make-token", "set-password"]) assert.match(audit, new RegExp(`"verb": ?"${verb}"`));
  await ok(["user", "list", "-o", "json", ...local]);
  for (const path of ["/metrics", "/v1/snapshot", "/v1/status", "/v1/users/alice", "/openapi.json"])
    seen.push(await answerOf(path));
  server.look();
  const secrets = { password, next, wrong, loginToken, token, admin, joinSecret, guess };
  const everywhere = {
    "arguments, environments and output": seen.join("\n"),
    "the server's log": `${server.said.stdout}${server.said.stderr}`,
    ...filesIn(data),
  };
  for (const [where, content] of Object.entries(everywhere)) {
    for (const [name, secret] of Object.entries(secrets)) {
      const isIts = (name === "admin" && where === "admin.token") || (name === "joinSecret" && where === "join.token");
      assert.ok(isIts || !content.includes(secret), `${name} is in ${where}`);
    }
  }
  assert.ok(!contexts().includes(password));
  server.child.kill("SIGTERM");
  assert.equal((await server.ended).code, 0);
  assert.ok(!server.said.stderr.includes(password));
});

/** As root of the server's machine sees it. */
function answerOf(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ socketPath: socket.slice("unix:".length), path }, (response) => {
      assert.equal(response.statusCode, 200, path);
      text(response).then(resolve, reject);
    }).on("error", reject);
  });
}

/** Bytes as text, each file under its name. */
function filesIn(directory: string): Record<string, string> {
  const files = readdirSync(directory, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map(({ name, parentPath }) => [name, readFileSync(join(parentPath, name), "latin1")]),
  );
}
