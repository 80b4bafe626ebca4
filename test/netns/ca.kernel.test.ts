// The line between agents and server: nothing on it can be read, and a rotation of the CA loses no agent, also with a
// restart of the server in the middle and a host that was away.
import assert from "node:assert/strict";
import { copyFileSync, readdirSync, readFileSync, statSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { BOTH_DATAPATHS, Cluster, call, packetsAt, until } from "./lab/cluster.ts";
import { chosenVersion, payloadsIn } from "./lab/tcpPayloads.ts";

const HOSTS = ["h1", "h2", "h3", "h4", "h5"];

/** Without their pins: those are no secret. */
function joinTokensIn(folder: string): readonly string[] {
  const files = [join(folder, "server", "join.token"), join(folder, "h5.token")];
  return files.map((file) =>
    readFileSync(file, "utf8")
      .trim()
      .replace(/\.[^.]*$/, ""),
  );
}

/** The lines of a key in PEM, without those that every key has. */
function keyLines(file: string): readonly string[] {
  const { key } = JSON.parse(readFileSync(file, "utf8")) as { key: string };
  return key.split("\n").filter((line) => line.length > 32 && !line.startsWith("-----"));
}

function textOf(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ socketPath, path: "/metrics" }, (response) => {
      assert.equal(response.statusCode, 200);
      text(response).then(resolve, reject);
    }).on("error", reject);
  });
}

describe("TLS between five hosts and their server", () => {
  const cluster = new Cluster(5, ["--suspect-after", "6s"]);
  before(() => cluster.open());
  after(() => cluster.close());

  const ca = async () => (await cluster.api("GET", "/v1/ca")).body as { pin: string; missing?: string[] };

  const uids = async () => {
    const { items } = (await cluster.api("GET", "/v1/hosts")).body as { items: { name: string; uid: string }[] };
    return items.map(({ name, uid }) => `${name} ${uid}`).sort();
  };

  test("neither tokens nor HTTP can be read on the wire, and every connection is of TLS 1.3", async () => {
    const seen = await packetsAt(cluster.wire, "lan", "-x -s0 ip and tcp port 7474", async () => {
      await cluster.api("PUT", "/v1/networks/blue", { spec: BOTH_DATAPATHS.switched });
      await cluster.kill("h1");
      await cluster.startAgent("h1");
      await cluster.converged();
    });
    const sent = payloadsIn(seen);
    const bytes = Buffer.concat(sent.map((one) => one.bytes)).toString("latin1");
    assert.ok(bytes.length > 10_000, seen);
    assert.doesNotMatch(bytes, /Bearer|\/v1\/|HTTP\/1|weft-history/i);
    const versions = sent.flatMap((one) => (one.port === 7474 ? [chosenVersion(one.bytes)] : [])).filter(Boolean);
    assert.ok(versions.length > 0, "the agent that was started has connected");
    assert.deepEqual([...new Set(versions)], ["0304"]);
  });

  test("the CA is rotated: hosts renew, one that was away too, and the old CA is dropped", async () => {
    const first = (await ca()).pin;
    const hosts = await uids();
    assert.equal(hosts.length, 5);
    await cluster.kill("h5");
    const rotated = await cluster.weft("ca", "rotate");
    assert.equal(rotated.code, 0, rotated.stderr);
    assert.notEqual((await ca()).pin, first);
    await cluster.kill("server");
    await cluster.startServer();
    await until("all but the one that is away have renewed", async () => (await ca()).missing?.join() === "h5", 40_000);
    const refused = await cluster.weft("ca", "drop");
    assert.match(refused.stderr, /host h5/);
    await cluster.startAgent("h5");
    await until("all have renewed", async () => (await ca()).missing?.length === 0, 40_000);
    const dropped = await cluster.weft("ca", "drop");
    assert.equal(dropped.code, 0, dropped.stderr);
    await cluster.converged();
    const { endpoint } = await cluster.attach("h5", "blue", "web");
    assert.equal(endpoint, "web.eth0");
    for (const host of HOSTS) assert.equal((await call(cluster.agentSocket(host), "GET", "/readyz")).status, 200, host);
    assert.deepEqual(await uids(), hosts, "the same hosts");
  });

  test("hosts that were away until the CA was dropped return, with a new join token or without a restart", async () => {
    const [current, own] = [join(cluster.folder, "server", "join.token"), join(cluster.folder, "h5.token")];
    copyFileSync(current, own);
    cluster.joinTokens.set("h5", own);
    await cluster.kill("h5");
    const asleep = cluster.pidOf("h4") ?? assert.fail("no agent of h4");
    process.kill(asleep, "SIGSTOP");
    assert.equal((await cluster.weft("ca", "rotate")).code, 0);
    await until("others have renewed", async () => (await ca()).missing?.join() === "h4,h5", 40_000);
    const dropped = await cluster.weft("ca", "drop", "--force", "--yes");
    assert.equal(dropped.code, 0, dropped.stderr);
    process.kill(asleep, "SIGCONT");
    await cluster.startAgent("h5");
    await until(
      "h4 is back",
      async () => (await call(cluster.agentSocket("h4"), "GET", "/readyz")).status === 200,
      40_000,
    );
    // Neither its certificate nor its token are of this CA. It goes on trying both.
    await until("h5 has tried both", () => Promise.resolve(/pin/.test(cluster.log("h5").slice(-4000))), 40_000);
    assert.notEqual((await call(cluster.agentSocket("h5"), "GET", "/readyz")).status, 200);
    copyFileSync(current, own);
    await until(
      "h5 is back",
      async () => (await call(cluster.agentSocket("h5"), "GET", "/readyz")).status === 200,
      40_000,
    );
    assert.equal(cluster.pidOf("h4"), asleep);
    await cluster.api("PUT", "/v1/networks/green", {
      spec: { ...BOTH_DATAPATHS.switched, subnets: [{ cidr: "10.99.0.0/16" }] },
    });
    await cluster.converged();
    for (const host of ["h4", "h5"]) await cluster.attach(host, "blue", `back-${host}`);
  });

  test("keys and tokens are in no log, no arguments or environment, and no metric of agents and server", async () => {
    const secrets = [cluster.token(), ...joinTokensIn(cluster.folder)];
    for (const host of HOSTS) secrets.push(...keyLines(join(cluster.folder, host, "identity.json")));
    assert.ok(secrets.length > 2 + HOSTS.length && secrets.every((secret) => secret.length >= 32));
    const seen: Record<string, string> = { "the server's metrics": await textOf(cluster.serverSocket) };
    for (const name of ["server", ...HOSTS]) {
      const pid = cluster.pidOf(name) ?? assert.fail(`${name} is dead`);
      seen[`the log of ${name}`] = cluster.log(name);
      for (const file of ["cmdline", "environ"])
        seen[`${file} of ${name}`] = readFileSync(`/proc/${pid}/${file}`, "utf8");
    }
    for (const host of HOSTS) seen[`the metrics of ${host}`] = await textOf(cluster.agentSocket(host));
    for (const [where, content] of Object.entries(seen)) {
      assert.ok(content.length > 0, where);
      assert.ok(!content.includes("PRIVATE KEY") && !secrets.some((secret) => content.includes(secret)), where);
    }
    for (const host of HOSTS)
      for (const file of readdirSync(join(cluster.folder, host)).filter((name) => name.endsWith(".json")))
        assert.equal(statSync(join(cluster.folder, host, file)).mode & 0o077, 0, `others may read ${file} of ${host}`);
  });
});
