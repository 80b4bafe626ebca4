// Rackspace's recipe with Weft: a bridge and a VXLAN device with a group in the hosts' own namespace, an address of
// each host on the bridge, and a machine that was set up by hand and stays so.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, run, until, type Json, type Workload } from "./lab/cluster.ts";
import { dial, Listener } from "./lab/tcp.ts";
import { addSecond } from "./lab/second.ts";

const OLD = { underlay: "172.31.78.99", address: "172.29.239.99" };
/** The recipe's own words, but for what the host is called. */
const RECIPE = ["id", "236", "group", "239.0.0.236", "dev", "eth2", "ttl", "5", "dstport", "4789"];

describe("a segment in the hosts' own namespace, by multicast", {
  skip: whyNoKernelTests() ?? false,
}, () => {
  const cluster = new Cluster(2);
  const old = `${cluster.id}-old`;
  const listeners: Listener[] = [];
  const second = (host: string) => cluster.underlayOf(host).replace(".77.", ".78.");
  const addressOf = (host: string) => `172.29.236.${10 + Number(host.slice(1))}`;
  const addSecondTo = (netns: string, port: string, address: string) =>
    addSecond(cluster.wire, { netns, port, lan: "lan2" }, address);
  const weft = async (...words: readonly string[]) => {
    const { code, stdout, stderr } = await cluster.weft(...words);
    assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
    return stdout;
  };
  const vxlanOf = async (netns: string, name: string): Promise<Json> =>
    JSON.parse(await must("ip", "-n", netns, "-d", "-j", "link", "show", name))[0];
  let web: Workload;

  before(async () => {
    await cluster.open();
    await must("ip", "-n", cluster.wire, "link", "add", "lan2", "type", "bridge");
    await must("ip", "-n", cluster.wire, "link", "set", "lan2", "up");
    for (const host of cluster.hosts) await addSecondTo(cluster.netnsOf(host), `s${host}`, second(host));
    await must("ip", "netns", "add", old);
    await addSecondTo(old, "sold", OLD.underlay);
    for (const words of [
      ["link", "add", "encap-236", "type", "vxlan", ...RECIPE],
      ["link", "add", "br-mgmt", "type", "bridge"],
      ["link", "set", "encap-236", "master", "br-mgmt", "up"],
      ["addr", "add", `${OLD.address}/22`, "dev", "br-mgmt"],
      ["link", "set", "br-mgmt", "up"],
    ])
      await must("ip", "-n", old, ...words);
    await weft("physical", "create", "encap");
    for (const host of cluster.hosts) await weft("host", "set", host, "--physical", "encap=eth2");
    const addresses = cluster.hosts.flatMap((host) => ["--host-address", `${host}=${addressOf(host)}/22`]);
    const made =
      "network create mgmt --ipam global --placement host --bridge br-mgmt --subnet 172.29.236.0/22 --gateway none " +
      "--vni 236 --hosts * --peers multicast --group 239.0.0.236 --ttl 5 --parent encap --outsider";
    await weft(...made.split(" "), OLD.underlay, ...addresses);
    await cluster.converged();
  });
  after(async () => {
    for (const listener of listeners) listener.close();
    await cluster.close();
  });

  test("hosts reach each other and the old machine by their addresses on the bridge", async () => {
    const [h1, h2] = [cluster.netnsOf("h1"), cluster.netnsOf("h2")];
    await cluster.reaches(h1, addressOf("h2"), 3);
    await cluster.reaches(h1, OLD.address, 3);
    await cluster.reaches(old, addressOf("h1"), 3);
    await cluster.reaches(old, addressOf("h2"), 3);
    const text = "x".repeat(100_000);
    listeners.push(await Listener.in(h2, 5000, text));
    for (const from of [h1, old]) assert((await dial(from, addressOf("h2"), 5000)).startsWith(text), from);
  });

  test("the device is the recipe's, with the source address that filters know and a bound on learning", async () => {
    const words = ({ linkinfo: { info_data: data }, mtu }: Json) => ({ ...data, mtu });
    const [own, theirs] = [
      words(await vxlanOf(cluster.netnsOf("h1"), "wx236")),
      words(await vxlanOf(old, "encap-236")),
    ];
    const differ = Object.keys({ ...own, ...theirs }).filter(
      (key) => JSON.stringify(own[key]) !== JSON.stringify(theirs[key]),
    );
    assert.deepEqual(differ.sort(), ["limit", "local"]);
    assert.equal(own.local, second("h1"));
  });

  test("a workload on the bridge is one more machine of the segment", async () => {
    web = await cluster.attach("h1", "mgmt", "web");
    const [address = ""] = web.addresses;
    for (const from of [cluster.netnsOf("h2"), cluster.netnsOf("h1"), old]) await cluster.reaches(from, address, 2);
    for (const to of [OLD.address, addressOf("h2")]) await cluster.reaches(web, to, 2);
    // A limit holds: in a second not more passes than it lets.
    await weft("endpoint", "set", web.endpoint, "--outbound", "avg=400kbit");
    listeners.push(await Listener.in(web.netns, 5001, "y".repeat(120_000)));
    await until("what passes in a second is limited", async () => {
      const { length } = await dial(cluster.netnsOf("h2"), address, 5001);
      return length > 1_000 && length < 100_000;
    });
    assert.equal(
      (await run("ip", "netns", "exec", web.netns, "ping", "-nqc1", "-W1", "172.31.78.12")).code === 0,
      false,
    );
  });

  test("the group is delivered, and nothing is left when the network goes", async () => {
    await until("the group is delivered", async () => {
      const { groups = [] }: Json = (await cluster.api("GET", "/v1/status")).body;
      return groups.length === 1 && groups[0].pairs === 1 && groups[0].proven === 1;
    });
    await weft("network", "delete", "mgmt", "--force", "--yes");
    await cluster.converged();
    for (const host of cluster.hosts) {
      await until("the devices are gone", async () => {
        const { stdout } = await run("ip", "-n", cluster.netnsOf(host), "-br", "link");
        return !/wx236|br-mgmt/.test(stdout);
      });
      const groups = await must("ip", "-n", cluster.netnsOf(host), "maddr", "show", "dev", "eth2");
      assert(!groups.includes("239.0.0.236"));
    }
  });
});
