// Each kind of secret is used rightly and wrongly with a real server process, and then is nowhere but where it belongs:
// not in the log, the arguments or environment of a process, an answer, the metrics, the audit log, or the store. What
// has one is a file of its owner alone. Agents are asked the same in test/netns/ca.kernel.test.ts.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { newCa } from "../../../src/tls/certifier.ts";

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
  const given = await givenFiles();
  const server = start(["server", "--data-dir", data, "--socket", socket.slice(5), "--listen", listen, ...given.args]);
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
  const hostToken = (await ok(["host", "token", "create", "rack7", "--uses", "1", ...local], "", true)).trim();
  const [namedSecret = ""] = hostToken.split(/\.(?=[^.]*$)/);
  await ok(["host", "token", "list", "-o", "json", ...local]);
  await ok(["context", "add", "named", "--server", url, "--ca-pin", pin, "--token-file", "-"], `${namedSecret}\n`);
  assert.equal((await weft(["network", "list", "--context", "named"])).code, 5);
  // A token in the place of the pin, and a login at a provider that is not there.
  for (const wrongPin of [joining, hostToken])
    assert.notEqual((await weft(["whoami", "--server", url, "--ca-pin", wrongPin])).code, 0);
  await weft(["login", "--server", url, "--ca-pin", pin, "--oidc"]);
  await askWrongly({ password, token, joinSecret });
  await ok(["ca", "rotate", ...local]);
  await ok(["ca", "show", "-o", "json", ...local]);
  await ok(["context", "list", "-o", "json"]);
  await ok(["token", "list", "--user", "alice", "-o", "json", ...local]);
  const audit = await ok(["audit", "list", "-o", "json", ...local]);
  for (const verb of ["login", "make-token", "set-password"]) assert.match(audit, new RegExp(`"verb": ?"${verb}"`));
  await ok(["user", "list", "-o", "json", ...local]);
  for (const path of ["/metrics", "/v1/snapshot", "/v1/status", "/v1/users/alice", "/v1/ca", "/openapi.json"])
    seen.push((await answerTo("GET", path)).body);
  server.look();
  const ofPeople = { password, next, wrong, loginToken, token, admin };
  const secrets = { ...ofPeople, joinSecret, namedSecret, guess, oidc: given.oidc, tlsKey: given.tlsKey };
  assert.ok(!seen.join().includes("8675309") && !seen.join().includes(password.slice(0, 10)), "a piece of a password");
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
    // The CA's own are in the store; the server's is in no file.
    assert.ok(where.startsWith("weft.db") || !content.includes("PRIVATE KEY"), `a private key is in ${where}`);
  }
  for (const secret of [password, next, wrong, given.oidc]) assert.ok(!contexts().includes(secret));
  for (const path of [data, ...pathsIn(data), join(folder, ".config/weft/contexts.json"), socket.slice(5)])
    assert.equal(statSync(path).mode & 0o077, 0, `others may open ${path}`);
  server.child.kill("SIGTERM");
  assert.equal((await server.ended).code, 0);
  assert.ok(!server.said.stderr.includes(password));
});

/** A certificate that an administrator gives, and what a provider knows the server by; with the options that say so. */
async function givenFiles() {
  const { certificate, key } = await newCa("given", { fromMs: Date.now() - 60_000, toMs: Date.now() + 3_600_000 });
  const oidc = "the-secret-of-this-client-at-the-provider";
  const files = { "given.pem": certificate, "given.key": key, "oidc.secret": `${oidc}\n` };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content, { mode: 0o600 });
  const at = (name: keyof typeof files) => join(folder, name);
  const provider = ["--oidc-issuer", "https://127.0.0.1:9", "--oidc-client-id", "weft"];
  const args = ["--tls-cert", at("given.pem"), "--tls-key", at("given.key"), ...provider];
  // One line of the key, whichever way it is wrapped.
  return { args: [...args, "--oidc-client-secret-file", at("oidc.secret")], oidc, tlsKey: key.split("\n")[1] ?? "" };
}

/** Requests in which a secret is where none belongs: answers, the log and the audit log do not repeat it. */
async function askWrongly({ password, token, joinSecret }: Readonly<Record<string, string>>): Promise<void> {
  const basic = `Basic ${Buffer.from(`alice:${password}`).toString("base64")}`;
  for (const [method, path, body, headers] of [
    ["POST", "/v1/login", `{"user": "alice", "password": "${password}"`],
    ["POST", "/v1/login", `{"user": "alice", "password": ["${password}"]}`],
    ["POST", "/v1/login", `{"user": "alice", "password": {"is": "${password}"}}`],
    ["POST", "/v1/login", `{"user": "alice", "password": ${password}}`],
    ["POST", "/v1/login", `{"user": "alice", "password": 8675309}`],
    ["POST", "/v1/login", `"${password}"`],
    ["POST", "/v1/login", password],
    ["PUT", "/v1/users/alice/password", `{"password": "${"p".repeat(2000)}${password}"}`],
    ["POST", "/v1/hosts/h9/join", `{"underlay": "${joinSecret}"`],
    ["GET", `/v1/networks?after=${token}`, ""],
    ["GET", "/v1/networks", "", { authorization: basic }],
    ["GET", "/v1/networks", "", { authorization: `Token ${token}` }],
    ["GET", "/v1/networks", "", { cookie: `token=${token}` }],
  ] as const)
    seen.push((await answerTo(method, path, body, headers)).body);
}

/** As root of the server's machine sees it. */
function answerTo(
  method: string,
  path: string,
  body = "",
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: socket.slice("unix:".length), method, path, headers }, (response) => {
      text(response).then((said) => resolve({ status: response.statusCode, body: said }), reject);
    });
    asked.on("error", reject).end(body);
  });
}

function pathsIn(directory: string): readonly string[] {
  const all = readdirSync(directory, { withFileTypes: true, recursive: true });
  return all.map(({ name, parentPath }) => join(parentPath, name));
}

/** Bytes as text, each file under its name. */
function filesIn(directory: string): Record<string, string> {
  const files = pathsIn(directory).filter((path) => statSync(path).isFile());
  return Object.fromEntries(files.map((path) => [path.slice(directory.length + 1), readFileSync(path, "latin1")]));
}
