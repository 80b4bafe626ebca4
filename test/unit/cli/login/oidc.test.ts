// `weft login --oidc` at a server whose provider is a real one on the loopback device.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { OidcProvider } from "../../../../src/oidc/provider.ts";
import { Browser, CLIENT, openProvider } from "../../oidc/realProvider.ts";
import { CommandLine } from "../commandLine.ts";

const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now(), sleep: async () => {} };
const real = await openProvider();
const groups = new Map([["ops", "staff"]]);
const claims = { userClaim: "preferred_username", groupsClaim: "groups", scopes: "openid profile", groups };
const line = new CommandLine(new OidcProvider({ ...claims, ...real.settings }, clock));
const env = { HOME: join(line.folder, "home"), WEFT_SERVER: "", WEFT_TOKEN_FILE: "" };
const contexts = join(env.HOME, ".config/weft/contexts.json");

before(async () => {
  await line.open();
  await line.control.write({ verb: "put", kind: "usergroup", name: "staff", spec: {} });
});
after(async () => {
  await line.close();
  real.close();
});

async function logIn(user: string) {
  const login = line.start(["login", "--server", line.url, "--oidc"], { env });
  const [, url = "", code = ""] = await login.until(/^Open (\S+) and enter the code (\S+)$/m);
  await new Browser().enter(url, code, user);
  return login.ended;
}

test("a person enters the code that the command line shows, and is logged in with the provider's groups", async () => {
  const { code, stdout, stderr } = await logIn("anna");
  assert.deepEqual([code, stdout], [0, ""], stderr);
  assert.match(stderr, /logged in to unix:\S+ as anna until 20/);
  const kept = readFileSync(contexts, "utf8");
  const { token } = JSON.parse(kept).contexts[JSON.parse(kept).current];
  assert.match(token, /^weft_login_/);
  for (const secret of [token, CLIENT.secret]) assert.ok(!stderr.includes(secret));
  const who = await line.weft(["whoami"], { env });
  assert.match(who.stdout, /^Who: +user anna\nGroups: +staff\nBy: +login login-\w+$/m);
  const {
    who: by,
    credential,
    object,
  } = (await line.json<Record<string, string>[]>("audit", "list", "--verb", "login"))[0] ?? {};
  assert.deepEqual([by, credential], ["user/anna", `provider ${real.settings.issuer}`]);
  assert.match(object ?? "", /^user\/anna\/login-/);
  assert.equal((await line.weft(["logout"], { env })).code, 0);
});

test("who is in none of the groups is refused and not made; metrics say so without names", async () => {
  const before = existsSync(contexts) ? readFileSync(contexts, "utf8") : "";
  const { code, stderr } = await logIn("bob");
  assert.equal(code, 5, stderr);
  assert.match(stderr, /none of your groups/);
  assert.equal(readFileSync(contexts, "utf8"), before);
  assert.equal(line.control.revision > 0 && (await line.control.find("user", "bob", { role: "admin" })), undefined);
  const metrics = await line.metrics();
  const logins = metrics.split("\n").filter((each) => each.startsWith("weft_logins_total"));
  assert.deepEqual(logins.sort(), [
    'weft_logins_total{way="browser",result="refused"} 0',
    'weft_logins_total{way="browser",result="succeeded"} 0',
    'weft_logins_total{way="device",result="refused"} 1',
    'weft_logins_total{way="device",result="succeeded"} 1',
    'weft_logins_total{way="password",result="refused"} 0',
    'weft_logins_total{way="password",result="succeeded"} 0',
  ]);
});
