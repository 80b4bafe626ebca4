// Join tokens with real agents: one use lets in one host, whose agent may start as often as it wants.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { BOTH_DATAPATHS, Cluster, run } from "./lab/cluster.ts";

const cluster = new Cluster(2);
before(() => cluster.open());
after(() => cluster.close());

/** The host as a new machine: removed at the server, and with nothing of it on its disk. */
async function renewed(host: string): Promise<void> {
  await cluster.kill(host);
  const deleted = await cluster.weft("host", "delete", host, "--force", "--yes");
  assert.equal(deleted.code, 0, deleted.stderr);
  assert.match(deleted.stderr, /can join again by the join token/);
  rmSync(join(cluster.folder, host), { recursive: true });
}

test("a token of one use lets in one host; another is refused, and told why", async () => {
  const made = await cluster.weft("host", "token", "create", "rack7", "--uses", "1");
  assert.equal(made.code, 0, made.stderr);
  const file = join(cluster.folder, "rack7.token");
  writeFileSync(file, made.stdout);
  for (const host of ["h1", "h2"]) cluster.joinTokens.set(host, file);
  for (const host of ["h2", "h1"]) await renewed(host);
  await cluster.api("PUT", "/v1/networks/blue", { spec: BOTH_DATAPATHS.switched });
  await cluster.startAgent("h2");
  await cluster.converged(["h2"]);
  // It joins again by its own key, also without its certificate: that uses nothing.
  await cluster.kill("h2");
  rmSync(join(cluster.folder, "h2", "certificate.json"));
  await cluster.startAgent("h2");
  await cluster.converged(["h2"]);
  const weft = join(import.meta.dirname, "../../bin/weft");
  const refused = await run("nsenter", `--net=/run/netns/${cluster.netnsOf("h1")}`, weft, ...cluster.agentArgs("h1"));
  assert.equal(refused.code, 5, refused.stderr);
  assert.match(refused.stderr, /the join token "rack7" lets nobody in \[token-wrong\]\n +why +it has been used once/);
  assert.ok(!refused.stderr.includes(made.stdout.trim()));
  const { body } = await cluster.api("GET", "/v1/audit?verb=join");
  const said = (body.items as { credential: string; object: string; result: string }[]).map(
    ({ credential, object, result }) => [credential, object, result].join(" "),
  );
  for (const one of ["join token rack7 host/h2 done", "join token rack7 host/h1 token-wrong"])
    assert.ok(said.includes(one), said.join("\n"));
  // The server's own file lets it in, also after its token was ended: it has another one then.
  const ended = await cluster.weft("host", "token", "delete", "default");
  assert.equal(ended.code, 0, ended.stderr);
  cluster.joinTokens.delete("h1");
  await cluster.startAgent("h1");
  await cluster.converged();
});
