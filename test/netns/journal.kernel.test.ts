// A host whose journal is gone, emptied, cut or damaged while its agent is dead: the agent adopts the ports in the
// kernel before it removes anything, traffic does not notice, and no address is given twice; also with the server away.
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, call, Cluster, type Json, must, until, type Workload } from "./lab/cluster.ts";
import { agreed } from "./lab/inventory.ts";
import { journalPath } from "./lab/journal.ts";
import { pinging, stopPinging } from "./lab/pinging.ts";

describe("a journal that is not whole", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const own: Workload[] = [];
  const peers = new Map<string, Workload>();
  let indexes: readonly string[] = [];

  before(async () => {
    await cluster.open();
    for (const [name, spec] of Object.entries(BOTH_DATAPATHS))
      assert.equal((await cluster.api("PUT", `/v1/networks/${name}`, { spec })).status, 201);
    await cluster.converged();
    for (const network of Object.keys(BOTH_DATAPATHS)) {
      peers.set(network, await cluster.attach("h2", network, `${network}-peer`));
      for (const n of [1, 2]) own.push(await cluster.attach("h1", network, `${network}-${n}`));
    }
    await cluster.converged();
    await agreed(cluster, "h1");
    indexes = await Promise.all(own.map(indexOf));
  });
  after(async () => {
    stopPinging();
    await cluster.close();
  });

  const indexOf = async ({ netns }: Workload) =>
    JSON.parse(await must("ip", "-n", netns, "-j", "link", "show", "eth0"))[0].ifindex as string;
  const listed = async (): Promise<readonly string[]> => {
    const { body } = await call(cluster.agentSocket("h1"), "GET", "/v1/attachments");
    return body.items.map(({ endpoint, spec }: Json) => `${endpoint} ${spec.addresses.join()} ${spec.mac}`).toSorted();
  };
  const expected = () => own.map((one) => `${one.endpoint} ${one.addresses.join()} ${one.mac}`).toSorted();

  /** Kills the agent, does `harm` to its journal, starts it again: nothing of what was attached may notice. */
  async function survives(harm: (path: string) => void): Promise<void> {
    await until("the peers answer", async () => {
      const answers = own.map((one) => cluster.pings(one, peerOf(one)));
      return !(await Promise.all(answers)).includes(false);
    });
    const pings = own.map((one) => pinging(one.netns, peerOf(one), 20));
    await cluster.kill("h1");
    harm(journalPath(cluster, "h1"));
    await cluster.startAgent("h1");
    await until("all is in the journal again", async () => (await listed()).join() === expected().join()).catch(
      async (error: unknown) => {
        throw new Error(`${String(error)}\n${(await listed()).join("\n")}\n${cluster.log("h1").slice(-3000)}`);
      },
    );
    await cluster.converged();
    const lost = await Promise.all(pings.map((stop) => stop()));
    assert.deepEqual(await Promise.all(own.map(indexOf)), indexes, "a pair was made anew");
    assert.deepEqual(
      lost,
      own.map(() => 0),
    );
    await agreed(cluster, "h1");
  }
  const peerOf = (one: Workload) => peers.get(one.endpoint.split("-")[0] ?? "")?.addresses[0] ?? assert.fail();

  test("deleted", () => survives((path) => rmSync(path)));
  test("emptied", () => survives((path) => writeFileSync(path, "")));
  test("half, at the end of a line", () =>
    survives((path) => {
      const lines = readFileSync(path, "utf8").split("\n");
      writeFileSync(path, `${lines.slice(0, 3).join("\n")}\n`);
    }));
  test("with a digit flipped in each record: named in the report", async () => {
    await survives((path) => writeFileSync(path, readFileSync(path, "utf8").replaceAll('"mac":"02', '"mac":"03')));
    const said = await until("a condition", async () => {
      const { hosts } = await cluster.status();
      return hosts.find(({ host }) => host === "h1")?.status?.conditions.find((line) => line.includes("journal"));
    });
    assert.match(said, /line \d.* is damaged/);
  });

  test("deleted with the server away: nothing is cut, and no address is given twice", async () => {
    const pings = own.map((one) => pinging(one.netns, peerOf(one), 20));
    // An agent saves it once a second. Those of the tests before may not have lived that long.
    const snapshot = join(dirname(journalPath(cluster, "h1")), "snapshot.json");
    await until("the networks are on disk", async () => readFileSync(snapshot, "utf8").includes('"name":"routed"'));
    await cluster.kill("server");
    await cluster.kill("h1");
    rmSync(journalPath(cluster, "h1"));
    await cluster.startAgent("h1");
    const netns = await cluster.addWorkloadNetns("late");
    let said = "";
    const late = await until("a local attach", async () => {
      const request = { network: "routed", netns: `/run/netns/${netns}`, owner: "late" };
      const { status, body } = await call(cluster.agentSocket("h1"), "POST", "/v1/attachments", request);
      said = JSON.stringify(body);
      return status === 201 ? (body.spec.addresses as readonly string[]) : undefined;
    }).catch((error: unknown) => assert.fail(`${String(error)}; last it said ${said}`));
    for (const { addresses } of own) for (const address of addresses) assert(!late.includes(address), address);
    await cluster.startServer();
    await until("all are known again", async () => (await listed()).length === own.length + 1);
    await cluster.converged();
    assert.deepEqual(
      await Promise.all(pings.map((stop) => stop())),
      own.map(() => 0),
    );
    assert.deepEqual(await Promise.all(own.map(indexOf)), indexes);
    assert.equal((await call(cluster.agentSocket("h1"), "DELETE", "/v1/attachments/late.eth0")).status, 204);
    await agreed(cluster, "h1");
  });
});
