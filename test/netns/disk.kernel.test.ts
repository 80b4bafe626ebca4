// Agents as processes on real disks: a full one under the state directory, one directory for two agents, and agents
// that the server refuses.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { type Answer, BOTH_DATAPATHS, call, Cluster, type Json, must, type Ran, run, until } from "./lab/cluster.ts";
import { agreed } from "./lab/inventory.ts";

const WEFT = join(import.meta.dirname, "../../bin/weft");

describe("an agent and its disk", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(1);
  const state = join(cluster.folder, "h1");
  const filler = join(state, "filler");
  before(async () => {
    mkdirSync(state);
    await must("mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "weft-test", state);
    await cluster.open();
    for (const [name, spec] of Object.entries(BOTH_DATAPATHS))
      assert.equal((await cluster.api("PUT", `/v1/networks/${name}`, { spec })).status, 201);
    await cluster.converged();
  });
  afterEach(() => free());
  after(async () => {
    await cluster.kill("h1");
    await run("umount", "-l", state);
    await cluster.close();
  });

  const ask = (method: string, path: string, body?: unknown): Promise<Answer> =>
    call(cluster.agentSocket("h1"), method, path, body);
  const attach = (network: string, netns: string, owner: string) =>
    ask("POST", "/v1/attachments", { network, netns: `/run/netns/${netns}`, owner });
  const listed = async () => (await ask("GET", "/v1/attachments")).body.items.map((item: Json) => item.endpoint);
  /** Until not one byte more fits. */
  function fill(): void {
    let size = 1 << 18;
    for (let n = 0; size >= 1; n++) {
      try {
        writeFileSync(`${filler}${n}`, Buffer.alloc(size), { flag: "a" });
      } catch {
        size >>= 1;
      }
    }
  }
  const free = () => run("sh", "-c", `rm -f ${filler}*`);
  /** Another agent, run until it ends. */
  function agent(host: string, dir: string, flags: Readonly<Record<string, string>> = {}): Promise<Ran> {
    const args = cluster.agentArgs(host, dir).map((word, i, all) => flags[all[i - 1] ?? ""] ?? word);
    return run("nsenter", `--net=/run/netns/${cluster.netnsOf("h1")}`, WEFT, ...args);
  }

  test("what a full disk cannot keep is refused and leaves nothing; the rest stays, over kill -9", async () => {
    const a = await cluster.attach("h1", "routed", "a");
    const b = await cluster.attach("h1", "switched", "b");
    await cluster.converged();
    fill();
    // The last page of the journal has room for some records.
    const told = [a.endpoint, b.endpoint];
    let leases: readonly string[] = [];
    const refused = new Set<string>();
    for (let n = 0; n < 30 && refused.size < 4; n++) {
      const netns = await cluster.addWorkloadNetns(`late${n}`);
      const { status, body } = await attach(n % 2 === 0 ? "routed" : "switched", netns, `late${n}`);
      if (status === 201) {
        told.push(body.endpoint);
        continue;
      }
      assert.deepEqual([status, body.reason], [503, "unavailable"], JSON.stringify(body));
      assert.match(body.detail, /ENOSPC|no space/);
      assert.doesNotMatch(await must("ip", "-n", netns, "-o", "link"), /eth0/);
      refused.add(netns);
    }
    assert.equal(refused.size, 4);
    assert.equal((await ask("DELETE", `/v1/attachments/${a.endpoint}`)).status, 503);
    // Whose attach was refused, nobody has: neither the server nor the kernel.
    await until("the server has leases of what is attached, and no others", async () => {
      leases = (await cluster.api("GET", "/v1/endpoints")).body.items.map((item: Json) => item.name).toSorted();
      return leases.join() === told.toSorted().join();
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${leases.join()}\n${told.join()}\n${cluster.log("h1").slice(-3000)}`);
    });
    await cluster.kill("h1");
    await cluster.startAgent("h1");
    await cluster.converged();
    assert.deepEqual((await listed()).toSorted(), told.toSorted());
    for (const one of [a, b]) await cluster.reaches(one, one === a ? "10.8.0.1" : "10.7.0.1", 3);
    await until(
      "it is told",
      async () => {
        const { hosts } = await cluster.status();
        return hosts[0]?.status?.conditions.some((line) => line.includes("ENOSPC")) === true;
      },
      40_000,
    );
    await free();
    const [netns = ""] = refused;
    assert.equal((await attach("routed", netns, "another")).status, 201);
    assert.equal((await ask("DELETE", `/v1/attachments/${a.endpoint}`)).status, 204);
    await agreed(cluster, "h1");
  });

  test("while another directory covers its own, an agent attaches nothing, and says so", async () => {
    const view = join(cluster.folder, "view");
    mkdirSync(view);
    await must("mount", "--bind", state, view);
    const told = async (wanted: boolean) => {
      const { hosts } = await cluster.status();
      return hosts[0]?.status?.conditions.some((line) => line.includes("was removed, moved or replaced")) === wanted;
    };
    const netns = await cluster.addWorkloadNetns("covered");
    const body = { network: "routed", netns: `/run/netns/${netns}`, owner: "covered" };
    try {
      await must("mount", "-t", "tmpfs", "weft-test", state);
      const refused = await call(join(view, "agent.sock"), "POST", "/v1/attachments", body);
      assert.deepEqual([refused.status, refused.body.reason], [503, "unavailable"], JSON.stringify(refused.body));
      assert.match(refused.body.detail, /ESTALE/);
      assert.doesNotMatch(await must("ip", "-n", netns, "-o", "link"), /eth0/);
      assert.deepEqual(readdirSync(state), [], "what another agent may have is left alone");
      await until("it is told", () => told(true), 45_000);
    } finally {
      await run("umount", "-l", state);
      await run("umount", "-l", view);
    }
    assert.equal((await ask("POST", "/v1/attachments", body)).status, 201);
    await until("it is told no more", () => told(false), 45_000);
    assert.equal((await ask("DELETE", "/v1/attachments/covered.eth0")).status, 204);
  });

  test("two agents cannot have one state directory; the first is not disturbed", async () => {
    const second = await agent("h1", state, { "--socket": join(cluster.folder, "second.sock") });
    assert.equal(second.code, 4, second.stderr);
    assert.match(second.stderr, /another process uses this state directory/);
    assert.equal((await ask("GET", "/livez")).status, 200);
    const purge = await run(WEFT, "purge", "--state-dir", state, "--socket", join(cluster.folder, "no.sock"), "--yes");
    assert.equal(purge.code, 4, purge.stderr);
  });

  test("an agent to whom the server says no ends, with a code that says why, and leaves no socket", async () => {
    const tokens = { wrong: "w".repeat(40), empty: "", short: "x\n" };
    for (const [name, token] of Object.entries(tokens)) {
      const dir = join(cluster.folder, name);
      mkdirSync(dir);
      writeFileSync(join(dir, "join"), token);
      const flags = { "--join-token-file": join(dir, "join"), "--underlay": cluster.underlayOf("h1") };
      const { code, stderr } = await agent("new", dir, flags);
      assert.equal(code, 5, `${name}: ${stderr}`);
      assert.doesNotMatch(stderr, /EBADF|this is a bug/, name);
      assert(!existsSync(join(dir, "agent.sock")), name);
    }
    const claimed = await agent("h1", join(cluster.folder, "claimed"));
    assert.equal(claimed.code, 4, claimed.stderr);
    assert.match(claimed.stderr, /host-claimed/);
    assert.doesNotMatch(claimed.stderr, /EBADF|this is a bug/);
  });

  test("a deleted host lets go and serves on; started again without a join token, its agent ends", async () => {
    assert.equal((await cluster.api("DELETE", "/v1/hosts/h1?force=true")).status, 200);
    await until("it says so", async () => (await ask("GET", "/v1/status")).body.conditions.join().includes("h1"));
    assert.equal((await ask("GET", "/livez")).status, 200);
    await cluster.kill("h1", "SIGTERM");
    assert.doesNotMatch(cluster.log("h1"), /EBADF|this is a bug/);
    const none = join(cluster.folder, "none");
    rmSync(none, { force: true });
    const { code, stderr } = await agent("h1", state, { "--join-token-file": none });
    assert.equal(code, 5, stderr);
    assert.match(stderr, /host-deleted/);
    assert.doesNotMatch(stderr, /EBADF|this is a bug/);
    assert(!existsSync(cluster.agentSocket("h1")));
  });
});
