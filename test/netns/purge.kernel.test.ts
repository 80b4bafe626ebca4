// What `weft purge` removes from a host, and what it says of the rest.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, run, until } from "./lab/cluster.ts";

const WEFT = join(import.meta.dirname, "../../bin/weft");

describe("purge", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(1);
  /** Not in the state directory. */
  const directory = join(cluster.folder, "net.d");

  before(async () => {
    await cluster.open();
    const spec = { ipam: "local", cni: "portmap", subnets: [{ cidr: "10.85.0.0/16", hostPrefix: 24 }] };
    assert.equal((await cluster.api("PUT", "/v1/networks/kept", { spec })).status, 201);
    await cluster.converged();
    await cluster.attach("h1", "kept", "somebody");
    const kept = join(cluster.cniDir("h1"), "weft-kept.conflist");
    await until("the file is kept", async () => existsSync(kept));
    assert.match(readFileSync(kept, "utf8"), /"type": "portmap"/);
    mkdirSync(directory);
    copyFileSync(kept, join(directory, "weft-kept.conflist"));
  });
  after(() => cluster.close());

  test("kept CNI files go, others stay; the forwarding that stays is said", async () => {
    const theirs = join(directory, "weft-theirs.conflist");
    writeFileSync(theirs, "{}");
    await cluster.kill("h1", "SIGTERM");
    const state = join(cluster.folder, "h1");
    const { code, stderr } = await run(
      "nsenter",
      `--net=/run/netns/${cluster.netnsOf("h1")}`,
      WEFT,
      "purge",
      "--yes",
      `--state-dir=${state}`,
      `--socket=${join(state, "agent.sock")}`,
      `--netns-prefix=${cluster.netnsOf("h1")}-`,
      `--cni-dir=${directory}`,
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, /removed \d+ kernel objects, .*weft-kept\.conflist/);
    assert.match(stderr, /ip_forward stays 1.*sysctl -w/);
    assert.deepEqual(readdirSync(directory), ["weft-theirs.conflist"]);
    // The directory that --cni-dir did not name is not the agent's state.
    assert.deepEqual(readdirSync(state), ["net.d"]);
    const left = (await run("ip", "-n", cluster.netnsOf("h1"), "-o", "link")).stdout;
    assert.doesNotMatch(left, /wu-|weft:/);
    const spaces = readdirSync("/run/netns").filter((name) => name.startsWith(`${cluster.netnsOf("h1")}-`));
    assert.deepEqual(spaces, []);
  });
});
