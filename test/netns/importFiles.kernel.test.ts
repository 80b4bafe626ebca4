// Three hosts that were set up by hand, with the published recipe for VXLAN on public clouds in their files: imported,
// their devices taken down one by one, each host has the same network from Weft; and from exported files without it.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, type Json, must, run, until } from "./lab/cluster.ts";
import { HostTools, whyNoTools } from "./lab/hostTools.ts";
import { rackspaceStanzas } from "./lab/recipe.ts";
import { addSecond } from "./lab/second.ts";

const WEFT = join(import.meta.dirname, "../../bin/weft");

describe("files of three hosts", {
  skip: whyNoKernelTests() ?? whyNoTools() ?? false,
  timeout: 120_000,
}, () => {
  const cluster = new Cluster(3);
  const tools = new HostTools();
  const byHand = new Map<string, Json>();
  const number = (host: string) => Number(host.slice(1));
  const addressOf = (host: string) => `172.29.236.${10 + number(host)}`;
  const filesOf = (host: string) => `auto eth2
iface eth2 inet static
    address 172.31.78.${10 + number(host)}
    netmask 255.255.255.0

${rackspaceStanzas(`address ${addressOf(host)}`, "netmask 255.255.252.0", "offload-sg off")}`;
  const linkOf = async (host: string, name: string): Promise<Json> =>
    JSON.parse(await must("ip", "-n", cluster.netnsOf(host), "-d", "-j", "link", "show", name))[0];
  const weft = async (...words: readonly string[]) => {
    const { code, stdout, stderr } = await cluster.weft(...words);
    assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
    return stdout + stderr;
  };

  before(async () => {
    await cluster.open();
    await must("ip", "-n", cluster.wire, "link", "add", "lan2", "type", "bridge");
    await must("ip", "-n", cluster.wire, "link", "set", "lan2", "up");
    for (const host of cluster.hosts) {
      const netns = cluster.netnsOf(host);
      await addSecond(cluster.wire, { netns, port: `s${host}`, lan: "lan2" });
      await tools.apply(netns, "ifupdown", [{ path: "interfaces", text: filesOf(host) }]);
      writeFileSync(join(cluster.folder, `interfaces-${host}`), filesOf(host));
    }
    for (const name of ["encap-mgmt", "br-mgmt"]) byHand.set(name, await linkOf("h1", name));
    await cluster.reaches(cluster.netnsOf("h1"), addressOf("h3"), 2);
  });
  after(async () => {
    await tools.close();
    await cluster.close();
  });

  test("imported, and each host's old devices taken down: the hosts reach each other again", async () => {
    const paths = cluster.hosts.map((host) => `${host}=${join(cluster.folder, `interfaces-${host}`)}`);
    await weft("import", "ifupdown", ...paths);
    for (const host of cluster.hosts) {
      for (const name of ["br-mgmt", "encap-mgmt"]) await must("ip", "-n", cluster.netnsOf(host), "link", "del", name);
      // A device of others that goes is noticed within 30 seconds; a change of the network brings a round at once.
      await weft("network", "edit", "mgmt", "--description", `without the files of ${host}`);
      await until(`${host} has Weft's devices`, async () => {
        const { stdout } = await run("ip", "-n", cluster.netnsOf(host), "-o", "addr", "show", "br-mgmt");
        return (
          stdout.includes(addressOf(host)) &&
          (await run("ip", "-n", cluster.netnsOf(host), "link", "show", "wx236")).code === 0
        );
      });
    }
    await cluster.converged();
    for (const to of ["h2", "h3"]) await cluster.reaches(cluster.netnsOf("h1"), addressOf(to), 2);
  });

  test("the devices are the recipe's", async () => {
    const [own, theirs] = [await linkOf("h1", "wx236"), byHand.get("encap-mgmt")];
    const [data, before] = [own.linkinfo.info_data, theirs.linkinfo.info_data];
    const differ = Object.keys({ ...data, ...before }).filter(
      (key) => JSON.stringify(data[key]) !== JSON.stringify(before[key]),
    );
    // Filters know hosts by their address, and learning has an end.
    assert.deepEqual(differ.sort(), ["limit", "local"]);
    assert.deepEqual([own.mtu, own.master], [theirs.mtu, "br-mgmt"]);
    const bridge = await linkOf("h1", "br-mgmt");
    assert.deepEqual([bridge.mtu, bridge.linkinfo.info_data.stp_state], [byHand.get("br-mgmt").mtu, 0]);
  });

  test("a host that leaves keeps the network from exported files", async () => {
    const dir = join(cluster.folder, "exported");
    await weft("network", "export", "mgmt", "--as", "ifupdown", "--host", "h3", "--dir", dir);
    await weft("network", "edit", "mgmt", "--outsider", "172.31.78.13");
    await cluster.kill("h3", "SIGTERM");
    const netns = cluster.netnsOf("h3");
    const state = join(cluster.folder, "h3");
    const purge = [`--state-dir=${state}`, `--socket=${join(state, "agent.sock")}`, `--netns-prefix=${netns}-`];
    await must("nsenter", `--net=/run/netns/${netns}`, WEFT, "purge", "--yes", ...purge);
    assert.notEqual((await run("ip", "-n", netns, "link", "show", "br-mgmt")).code, 0);
    const files = readdirSync(dir).map((path) => ({ path, text: readFileSync(join(dir, path), "utf8") }));
    await tools.apply(netns, "ifupdown", files);
    for (const to of ["h1", "h2"]) await cluster.reaches(netns, addressOf(to), 2);
    await cluster.reaches(cluster.netnsOf("h1"), addressOf("h3"), 2);
  });
});
