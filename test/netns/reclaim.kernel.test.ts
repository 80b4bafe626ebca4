// How a host leaves and comes back, on the real kernel: drained, cut off, reclaimed, informed; and what a VPN that
// appears on a host causes.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { call, Cluster, must, run, until, type Json, type Workload } from "./lab/cluster.ts";

/** A host reports three times in the first of these. */
const QUICK = ["--suspect-after", "4s", "--lost-after", "6s"];
const SUBNET = { cidr: "10.9.0.0/24", hostPrefix: 26 };

describe("hosts that go and come back", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(3, QUICK);
  const stateOf = async (host: string) => (await cluster.status()).hosts.find((one) => one.host === host)?.state;
  const blockOf = async (host: string): Promise<string | undefined> =>
    (await cluster.api("GET", "/v1/blocks")).body.items.find((b: Json) => b.spec.host === host)?.spec.cidr;
  const tryAttach = async (host: string, network: string, netns: string): Promise<Json> =>
    call(cluster.agentSocket(host), "POST", "/v1/attachments", { network, netns: `/run/netns/${netns}` });
  const linksOf = async (netns: string) => (await run("ip", "-n", netns, "-br", "link")).stdout;
  const wire = (host: string, state: "up" | "down") => must("ip", "-n", cluster.wire, "link", "set", host, state);
  /** A host tells the server of its local endpoints a moment later. */
  const attachKnown = async (host: string, network: string, owner: string): Promise<Workload> => {
    const workload = await cluster.attach(host, network, owner);
    const isKnown = async () =>
      (await cluster.api("GET", "/v1/endpoints")).body.items.some((one: Json) => one.name === workload.endpoint);
    await until(`the server knows ${workload.endpoint}`, isKnown);
    return workload;
  };
  /** Whether status and network say that the network meets the VPN. */
  const vpnShown = async () => {
    const told = /network "dcos" overlaps 10\.9\.0\.64\/26, which host "h1" has itself/;
    const said = await Promise.all([cluster.weft("status"), cluster.weft("network", "show", "dcos")]);
    return said.map(({ stdout }) => told.test(stdout));
  };
  let first: Workload;
  let older: Workload;
  let stale: Workload;
  let heir: Workload;

  before(async () => {
    await cluster.open();
    const net = async (name: string, spec: object) =>
      assert.equal((await cluster.api("PUT", `/v1/networks/${name}`, { spec })).status, 201);
    await net("dcos", { subnets: [SUBNET] });
    await net("segment", { subnets: [{ cidr: "10.10.0.0/24" }], ipam: "global" });
    await cluster.converged();
    first = await cluster.attach("h1", "dcos", "first");
  });
  after(() => cluster.close());

  test("a drained host takes nothing new, also while the server is away; what it has goes on", async () => {
    older = await attachKnown("h2", "dcos", "before");
    const drained = await cluster.weft("host", "drain", "h2");
    assert.match(drained.stderr, /1 endpoint left:\n {2}before\.eth0 \(10\.9\.0\.\d+ in network dcos\)/);
    await cluster.converged();
    const netns = await cluster.addWorkloadNetns("late");
    for (const network of ["dcos", "segment"]) {
      const { status, body } = await tryAttach("h2", network, netns);
      assert.deepEqual([status, body.reason], [409, "host-drained"], network);
      assert.match(body.detail, /host "h2" takes no new endpoints: it is being drained.*weft host resume h2/);
    }
    const saved = join(cluster.folder, "h2", "snapshot.json");
    await until(
      "the agent has it on disk",
      async () => existsSync(saved) && readFileSync(saved, "utf8").includes('"drained":true'),
    );
    await cluster.kill("server");
    assert.equal((await tryAttach("h2", "dcos", netns)).body.reason, "host-drained");
    await cluster.kill("h2");
    await cluster.startAgent("h2");
    await until("the agent has its snapshot", async () => {
      const { reason } = (await tryAttach("h2", "dcos", netns)).body;
      return reason !== "not-synced" && assert.equal(reason, "host-drained") === undefined;
    });
    assert(await cluster.reaches(older, first.addresses[0] ?? ""), "what it has goes on");
    await cluster.startServer();
    await cluster.converged();
    assert.equal((await cluster.weft("host", "resume", "h2", "--wait")).code, 0);
    assert.equal((await tryAttach("h2", "dcos", netns)).status, 201);
  });

  test("a VPN that comes up on a host is a condition of the network it meets", async () => {
    const host = cluster.netnsOf("h1");
    assert.deepEqual(await vpnShown(), [false, false]);
    await must("ip", "-n", host, "link", "add", "vpn0", "type", "veth", "peer", "name", "vpn1");
    for (const dev of ["vpn0", "vpn1"]) await must("ip", "-n", host, "link", "set", dev, "up");
    await must("ip", "-n", host, "route", "add", "10.9.0.64/26", "dev", "vpn0");
    await until("the server knows", async () => (await vpnShown()).every(Boolean), 40_000);
    const refused = await cluster.weft("network", "create", "late", "--subnet", "10.9.0.96/27", "--vrf", "other");
    assert.match(refused.stderr, /10\.9\.0\.96\/27 overlaps host "h1" \(10\.9\.0\.64\/26\)/);
  });

  test("hosts that are silent or cut off are lost, and keep everything; they assign, and traffic flows", async () => {
    stale = await attachKnown("h3", "dcos", "stale");
    await cluster.converged();
    assert(await cluster.reaches(first, stale.addresses[0] ?? ""));
    assert.equal((await cluster.weft("host", "reclaim", "h3", "--yes")).code, 4, "it is ready");
    await cluster.kill("h2");
    await wire("h3", "down");
    for (const host of ["h2", "h3"])
      await until(`the server has not heard of ${host}`, async () => (await stateOf(host)) === "lost", 40_000);
    assert(await cluster.reaches(first, older.addresses[0] ?? "", 3), "nothing is taken by silence");
    await cluster.startAgent("h2");
    await until("h2 is ready again", async () => (await stateOf("h2")) === "ready");
    const beside = await cluster.attach("h3", "dcos", "beside");
    assert(await cluster.reaches(beside, stale.addresses[0] ?? ""), "inside the host");
  });

  test("a VPN that is gone is a condition no more", async () => {
    await until("the log has it", async () => /condition reason=overlap/.test(cluster.log("server")));
    await must("ip", "-n", cluster.netnsOf("h1"), "link", "delete", "vpn0");
    await until("the server knows that it is over", async () => !(await vpnShown()).some(Boolean), 60_000);
  });

  test("reclaim says what it takes, takes it, and gives it to whoever comes", async () => {
    const block = await blockOf("h3");
    const look = await cluster.weft("host", "reclaim", "h3", "--dry-run");
    assert.match(look.stdout, new RegExp(`^block ${block} of network dcos, host h3$`, "m"));
    assert.match(look.stdout, /^endpoint stale\.eth0 \(10\.9\.0\.\d+ in network dcos\)$/m);
    assert.equal(await stateOf("h3"), "lost");
    assert.equal((await cluster.weft("host", "delete", "h3", "--reclaim", "--yes")).code, 0);
    assert.equal(await stateOf("h3"), "reclaimed");
    await cluster.addHost("h4");
    await cluster.startAgent("h4");
    await cluster.converged(["h1", "h2", "h4"]);
    assert.equal(await blockOf("h4"), block);
    heir = await cluster.attach("h4", "dcos", "heir", { addresses: stale.addresses });
    assert(await cluster.reaches(first, heir.addresses[0] ?? "", 2), "the address leads to its new owner");
    assert.match(await linksOf(stale.netns), /eth0/, "the host that is cut off cannot know yet");
  });

  test("whoever comes back is told, lets go of all it had, and has new blocks; no address is twice", async () => {
    const [address = ""] = heir.addresses;
    await wire("h3", "up");
    await until("h3 was told", async () => cluster.log("h3").includes("this host is no longer"), 40_000);
    assert.match(
      cluster.log("h3"),
      /reason=host-reclaimed why="host \\"h3\\" was reclaimed at .* start its agent with a/,
    );
    await until(
      "h3 has joined anew",
      async () => cluster.log("h3").includes("this host has joined anew"),
      40_000,
    ).catch((error: unknown) => assert.fail(`${String(error)}\n${cluster.log("h3").slice(-3000)}`));
    assert.doesNotMatch(await linksOf(stale.netns), /eth0/, "the workload has lost its interface");
    await cluster.converged(["h1", "h2", "h3", "h4"]);
    const blocks = await Promise.all(["h1", "h2", "h3", "h4"].map(blockOf));
    assert.equal(new Set(blocks).size, 4, blocks.join());
    assert(await cluster.reaches(first, address, 2));
    const conditionsOf = async () =>
      (await cluster.status()).hosts.find((one) => one.host === "h3")?.status?.conditions.join("\n") ?? "";
    await until("it is told where people look", async () => (await conditionsOf()).includes(`stale.eth0 was detached`));
    assert.match(await conditionsOf(), new RegExp(`lost ${address}: host "h3" was reclaimed at \\S+; attach it again`));
    const again = await tryAttach("h3", "dcos", stale.netns);
    assert.equal(again.status, 201, JSON.stringify(again.body));
    const [renewed = ""] = again.body.spec.addresses;
    assert.notEqual(renewed, address);
    await cluster.converged(["h1", "h2", "h3", "h4"]);
    assert(await cluster.reaches(first, renewed, 2));
    const all = (await cluster.api("GET", "/v1/endpoints")).body.items.flatMap((e: Json) => e.spec.addresses);
    assert.equal(new Set(all).size, all.length);
  });

  test("a host that somebody deletes lets go and stays away, until its agent is started anew", async () => {
    const gone = await cluster.attach("h4", "segment", "gone");
    assert.equal((await cluster.weft("host", "delete", "h4")).code, 4, "it is ready and not drained");
    assert.equal((await cluster.weft("host", "delete", "h4", "--force", "--yes")).code, 0);
    await until("h4 was told", async () => cluster.log("h4").includes("reason=host-deleted"), 40_000);
    const prefix = `${cluster.netnsOf("h4")}-`;
    await until(
      "nothing of Weft is left on it",
      async () => !readdirSync("/run/netns").some((n) => n.startsWith(prefix)),
    );
    assert.doesNotMatch(await linksOf(gone.netns), /eth0/);
    const refused = await tryAttach("h4", "dcos", gone.netns);
    assert.deepEqual([refused.status, refused.body.reason], [403, "host-deleted"]);
    assert.equal(await stateOf("h4"), undefined);
    await cluster.kill("h4");
    await cluster.startAgent("h4");
    await cluster.converged(["h1", "h2", "h3", "h4"]);
    assert.equal((await tryAttach("h4", "dcos", gone.netns)).status, 201);
    await until("the log has that the VPN is gone", async () =>
      /condition ended reason=overlap/.test(cluster.log("server")),
    );
  });
});
