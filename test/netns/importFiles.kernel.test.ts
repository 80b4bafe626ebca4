// Three hosts that were set up by hand, with the published recipe for VXLAN on public clouds in their files: imported,
// each host takes over the devices that these have made, while hosts, containers and a TCP stream use them, and nothing
// is lost; and from exported files a host has the network without an agent.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { after, afterEach, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, type Json, must, run, until, type Workload } from "./lab/cluster.ts";
import { HostTools, whyNoTools } from "./lab/hostTools.ts";
import { rackspaceStanzas } from "./lab/recipe.ts";
import { addSecond } from "./lab/second.ts";
import { Traffic } from "./lab/traffic.ts";

const FLOOD = "00:00:00:00:00:00";
const WEFT = join(import.meta.dirname, "../../bin/weft");
/** How often the hosts take the devices over; each time their files make them again. */
const RUNS = Number(process.env["WEFT_TAKE_OVER_RUNS"] ?? 1);

describe("files of three hosts", {
  skip: whyNoKernelTests() ?? whyNoTools() ?? false,
}, () => {
  const cluster = new Cluster(3);
  const tools = new HostTools();
  const byHand = new Map<string, Json>();
  let traffic: Traffic;
  const number = (host: string) => Number(host.slice(1));
  const addressOf = (host: string) => `172.29.236.${10 + number(host)}`;
  const filesOf = (host: string) => `auto eth2
iface eth2 inet static
    address 172.31.78.${10 + number(host)}
    netmask 255.255.255.0

${rackspaceStanzas(`address ${addressOf(host)}`, "netmask 255.255.252.0", "offload-sg off")}
${headEnd(number(host))}`;
  const linkOf = async (host: string, name: string): Promise<Json> =>
    JSON.parse(await must("ip", "-n", cluster.netnsOf(host), "-d", "-j", "link", "show", name))[0];
  const weft = async (...words: readonly string[]) => {
    const { code, stdout, stderr } = await cluster.weft(...words);
    assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
    return stdout + stderr;
  };
  const asWorkload = (netns: string, endpoint: string, address: string): Workload => ({
    netns,
    host: endpoint,
    endpoint,
    addresses: [address],
    mac: "",
  });
  const hostAs = (host: string) => asWorkload(cluster.netnsOf(host), host, addressOf(host));

  const headEndAs = (host: string) => asWorkload(cluster.netnsOf(host), `${host} in uni`, `10.77.0.${number(host)}`);

  /** A container, as LXC attaches one to the recipe's bridge; Weft knows nothing of it. */
  const container = async (host: string): Promise<Workload> => {
    const [netns, outer] = [await cluster.addWorkloadNetns(`lxc-${host}`), cluster.netnsOf(host)];
    const address = `172.29.237.${number(host)}`;
    await must("ip", "-n", outer, ..."link add veth0 type veth peer name eth0 netns".split(" "), netns);
    await must("ip", "-n", outer, "link", "set", "veth0", "master", "br-mgmt", "up");
    await must("ip", "-n", netns, "addr", "add", `${address}/22`, "dev", "eth0");
    await must("ip", "-n", netns, "link", "set", "eth0", "up");
    return asWorkload(netns, `container at ${host}`, address);
  };
  const containers: Workload[] = [];
  const importAll = (...words: readonly string[]) =>
    weft(
      "import",
      "ifupdown",
      "--take-over",
      ...cluster.hosts.map((host) => `${host}=${join(cluster.folder, `interfaces-${host}`)}`),
      ...words,
    );

  before(async () => {
    await cluster.open();
    traffic = await Traffic.of(cluster);
    await must("ip", "-n", cluster.wire, "link", "add", "lan2", "type", "bridge");
    await must("ip", "-n", cluster.wire, "link", "set", "lan2", "up");
    for (const host of cluster.hosts) {
      const netns = cluster.netnsOf(host);
      await addSecond(cluster.wire, { netns, port: `s${host}`, lan: "lan2" });
      await tools.apply(netns, "ifupdown", [{ path: "interfaces", text: filesOf(host) }]);
      writeFileSync(join(cluster.folder, `interfaces-${host}`), filesOf(host));
      containers.push(await container(host));
    }
    for (const name of ["encap-mgmt", "br-mgmt"]) byHand.set(name, await linkOf("h1", name));
    await cluster.reaches(cluster.netnsOf("h1"), addressOf("h3"), 2);
    for (const to of ["10.77.0.2", "10.77.0.3"]) await cluster.reaches(cluster.netnsOf("h1"), to, 2);
    for (const { addresses } of containers) await cluster.reaches(cluster.netnsOf("h1"), addresses[0] ?? "");
  });
  afterEach(() => traffic.kill());
  after(async () => {
    await tools.close();
    await cluster.close();
  });

  test("a dry run says what each host will take over; without permission, nothing is", async () => {
    const said = await importAll("--dry-run");
    for (const host of cluster.hosts)
      assert.match(said, RegExp(`take-over: ${host}: br-mgmt, encap-mgmt, ${addressOf(host)}/22 \\(network mgmt\\)`));
    assert.equal((await linkOf("h1", "br-mgmt")).ifalias, undefined);
  });

  /** The hosts as they were: their devices from their files, and not Weft's. */
  const giveBack = async () => {
    await weft("network", "delete", "mgmt", "uni");
    for (const host of cluster.hosts) {
      const netns = cluster.netnsOf(host);
      for (const dev of ["encap-mgmt", "br-uni", "br-mgmt"])
        await until("it is gone", async () => (await run("ip", "-n", netns, "link", "show", dev)).code !== 0);
      await tools.apply(netns, "ifupdown", [{ path: "interfaces", text: filesOf(host).replace(/^.*?\n\n/s, "") }]);
      await must("ip", "-n", netns, "link", "set", "veth0", "master", "br-mgmt", "up");
    }
    for (const { addresses } of containers) await cluster.reaches(cluster.netnsOf("h1"), addresses[0] ?? "");
  };

  test("hosts take over the devices, one by an agent that is killed meanwhile, and no packet is lost", async () => {
    for (let i = 1; i < RUNS; i++) {
      await takeOver();
      await giveBack();
    }
    for (const name of ["encap-mgmt", "br-mgmt"]) byHand.set(name, await linkOf("h1", name));
    await takeOver();
    for (const name of ["encap-mgmt", "br-mgmt"]) {
      const [now, then] = [await linkOf("h1", name), byHand.get(name)];
      assert.deepEqual([now.ifindex, now.address, now.master], [then.ifindex, then.address, then.master], name);
    }
  });

  const takeOver = async () => {
    const [h1, h2, h3] = cluster.hosts.map(hostAs) as [Workload, Workload, Workload];
    const [c1, c2, c3] = containers as [Workload, Workload, Workload];
    for (const [a, b] of [
      [h1, h2],
      [h3, h1],
      [c1, c3],
      [c2, h1],
      [h2, c1],
    ] as const)
      await traffic.ask(a, b);
    await traffic.ask(headEndAs("h1"), headEndAs("h2"));
    await traffic.ask(headEndAs("h3"), headEndAs("h1"));
    await traffic.give(h2, h3);
    await traffic.shout(c2, "172.29.239.255", [c1, c3]);
    await setTimeout(300);
    await importAll();
    // In the middle of it, before the agent has the network on its disk.
    await until("h1 has begun", async () => (await linkOf("h1", "encap-mgmt")).ifalias !== undefined);
    await cluster.kill("h1");
    await cluster.startAgent("h1");
    for (const host of cluster.hosts)
      for (const [device, name] of [
        ["encap-mgmt", "mgmt"],
        ["vx-uni", "uni"],
      ] as const)
        await until(`${host} has it`, async () => (await linkOf(host, device)).ifalias === `weft:network:${name}`);
    await cluster.converged();
    await setTimeout(500);
    const told = await traffic.end();
    for (const [what, text] of told) assert.match(text, what.includes("echo") ? /^$/ : /[1-9]\d{2}/, what);
    if (RUNS > 1) console.log([...told].map(([what, text]) => `${what}: ${text}`).join("\n"));
  };

  test("all that `ip -d -j link` shows is the recipe's, but for what is explained (docs/import.md)", async () => {
    const differ = async (name: string) => {
      const [now, then] = [flat(await linkOf("h1", name)), flat(byHand.get(name))];
      return [...new Set([...now.keys(), ...then.keys()])].filter((key) => now.get(key) !== then.get(key)).sort();
    };
    assert.deepEqual(await differ("encap-mgmt"), ["ifalias", "linkinfo.info_data.local"]);
    assert.deepEqual(
      (await differ("br-mgmt")).filter((key) => !key.endsWith("_timer")),
      ["ifalias", "linkinfo.info_data.mcast_snooping", "linkinfo.info_data.no_linklocal_learn"],
    );
  });

  test("an endpoint is on the segment with hosts, and with containers that Weft does not know", async () => {
    const endpoint = await cluster.attach("h1", "mgmt", "web");
    await cluster.reaches(endpoint, addressOf("h3"));
    for (const { addresses } of containers) await cluster.reaches(endpoint, addresses[0] ?? "");
    await cluster.reaches(containers[1] as Workload, endpoint.addresses[0] ?? "");
  });

  test("what cannot be changed under traffic stays another's, with what differs, until it goes", async () => {
    const netns = cluster.netnsOf("h1");
    const link = (...words: readonly string[]) => must("ip", "-n", netns, "link", ...words);
    await link(..."add encap-sto type vxlan id 240 group 239.0.0.240 dev eth2 dstport 8472".split(" "));
    await link(..."add br-sto type bridge".split(" "));
    await link(..."set encap-sto master br-sto up".split(" "));
    await link(..."set br-sto up".split(" "));
    const create = "network create storage --placement host --bridge br-sto --device encap-sto --take-over --vni 240";
    const group =
      "--ipam global --subnet 10.240.0.0/16 --gateway none --peers multicast --underlay-device eth2 --hosts h1";
    await weft(...create.split(" "), ...group.split(" "));
    await until("the host says what differs", async () =>
      JSON.stringify(await cluster.status()).includes("not taken over: encap-sto has port 8472, not 4789"),
    );
    const [bridge] = JSON.parse(await must("ip", "-n", netns, "-j", "link", "show", "br-sto"));
    assert.equal(bridge.ifalias, undefined);
    await link("del", "encap-sto");
    await until("the rest is taken over", async () => {
      const [now] = JSON.parse(await must("ip", "-n", netns, "-d", "-j", "link", "show", "br-sto"));
      const made = await run("ip", "-n", netns, "-d", "link", "show", "encap-sto");
      return (
        now.ifindex === bridge.ifindex && now.ifalias === "weft:network:storage" && /dstport 4789/.test(made.stdout)
      );
    });
    await weft("network", "delete", "storage");
    await until(
      "it is Weft's to remove",
      async () => (await run("ip", "-n", netns, "link", "show", "br-sto")).code !== 0,
    );
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

/** A second network, whose broadcasts go to each of the other hosts by itself. */
function headEnd(n: number): string {
  const others = [1, 2, 3].filter((other) => other !== n);
  const flood = others.map(
    (other) => `    up bridge fdb append ${FLOOD} dev vx-uni dst 172.31.77.1${other} self permanent`,
  );
  return `auto vx-uni
iface vx-uni inet manual
    pre-up ip link add vx-uni mtu 1400 type vxlan id 77 local 172.31.77.1${n} dstport 4789
${flood.join("\n")}

auto br-uni
iface br-uni inet static
    bridge_ports vx-uni
    bridge_fd 0
    address 10.77.0.${n}/24
`;
}

/** Values by their path, as `linkinfo.info_data.port`. */
function flat(value: Json, at = ""): Map<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return new Map([[at.slice(1), JSON.stringify(value)]]);
  return new Map(Object.entries(value).flatMap(([key, inner]) => [...flat(inner, `${at}.${key}`)]));
}
