// Networks by Open vSwitch, with packets: two hosts, each with a database and a switch of its own, with the datapath of
// ovs-vswitchd or the kernel's. On a physical network with VLANs, on a bridge that is there, and in tunnels: the same
// filters, groups and limits hold as everywhere. Rows of others stay as they are, daemons may be killed, and nothing is
// left.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../../runner/machine.ts";
import { Cluster, call, must, packetsAt, run, until, type Workload } from "./cluster.ts";
import { setChecksums } from "./interface.ts";
import { OpenVswitch, ovsObstacle } from "./openVswitch.ts";
import { dial, Listener } from "./tcp.ts";

/** Others are in the hosts' own namespace. */
const OWN = ["--driver", "ovs", "--placement", "own"];
const SUBNETS = (n: number) => ["--subnet", `10.${n}.0.0/24`, "--subnet", `fd0${n}::/64`];

/** As Open vSwitch calls it: that of ovs-vswitchd, or the kernel's. */
type Datapath = "netdev" | "system";

/**
 * Each host has Open vSwitch with another's bridge `br-ex`, which leads to a wire by `eth2`, and `eth1` on that wire.
 * The datapath of ovs-vswitchd sends tunnels only from a bridge of its own, so the underlay address is on one.
 */
class OvsCluster extends Cluster {
  readonly #datapath: Datapath;
  readonly switches = new Map(this.hosts.map((host) => [host, new OpenVswitch(this.netnsOf(host))]));

  constructor(datapath: Datapath) {
    super(2);
    this.#datapath = datapath;
  }

  switchOf(host: string): OpenVswitch {
    return this.switches.get(host) ?? assert.fail(host);
  }

  override async addHost(host: string): Promise<void> {
    await super.addHost(host);
    const [netns, ovs] = [this.netnsOf(host), this.switchOf(host)];
    this.ovsdb.set(host, ovs.socket);
    await run("ip", "-n", this.wire, "link", "add", "dc", "type", "bridge");
    await must("ip", "-n", this.wire, "link", "set", "dc", "up");
    for (const device of ["eth1", "eth2"]) {
      const end = `${host}-${device}`;
      const peer = ["peer", "name", end, "netns", this.wire];
      await must("ip", "link", "add", device, "netns", netns, "type", "veth", ...peer);
      await must("ip", "-n", this.wire, "link", "set", end, "master", "dc", "up");
      await must("ip", "-n", netns, "link", "set", device, "up");
      // What is read from a veth by a program has its checksum, or never gets one.
      setChecksums(this.wire, end, "off");
    }
    ovs.startDatabase();
    ovs.startSwitch();
    this.#addBridge(ovs, "br-ex", "eth2");
    if (this.#datapath === "netdev") await this.#moveUnderlay(host, ovs);
  }

  #addBridge(ovs: OpenVswitch, name: string, device: string): void {
    ovs.vsctl("add-br", name, "--", "set", "bridge", name, `datapath_type=${this.#datapath}`);
    ovs.vsctl("add-port", name, device);
  }

  async #moveUnderlay(host: string, ovs: OpenVswitch): Promise<void> {
    const netns = this.netnsOf(host);
    setChecksums(this.wire, host, "off");
    await must("ip", "-n", netns, "address", "flush", "dev", "eth0");
    this.#addBridge(ovs, "br-phy", "eth0");
    for (const words of [
      ["link", "set", "br-phy", "up"],
      ["address", "add", `${this.underlayOf(host)}/24`, "dev", "br-phy"],
      ["route", "add", "default", "via", "172.31.77.1"],
    ])
      await must("ip", "-n", netns, ...words);
  }

  override async close(): Promise<void> {
    await super.close();
    for (const ovs of this.switches.values()) ovs.close();
  }
}

export function ovsTests(datapath: Datapath): void {
  const skip = whyNoKernelTests() ?? ovsObstacle() ?? false;
  void describe(`networks by Open vSwitch, datapath ${datapath}`, { skip, timeout: 112_000 }, () => declare(datapath));
}

function declare(datapath: Datapath): void {
  const cluster = new OvsCluster(datapath);
  const made = new Map<string, Workload>();
  const listeners: Listener[] = [];
  let ports = 5310;
  const of = (name: string) => made.get(name) ?? assert.fail(`${name} is not attached`);
  const addresses = (name: string) => of(name).addresses;
  const v4 = (name: string) => addresses(name).find((ip) => !ip.includes(":")) ?? "";
  const ovs = (host: string) => cluster.switchOf(host);

  async function weft(...args: readonly string[]): Promise<void> {
    const { code, stderr } = await cluster.weft(...args);
    assert.equal(code, 0, stderr);
  }
  const inside = (name: string, ...argv: readonly string[]) => run("ip", "netns", "exec", of(name).netns, ...argv);

  async function bothReach(from: string, to: string): Promise<void> {
    for (const ip of addresses(to)) await cluster.reaches(of(from), ip, 3);
  }
  /** The largest packets, and a stream of them. */
  async function carriesMtu(from: string, to: string, mtu: number): Promise<void> {
    const large = ["ping", "-n", "-q", "-c", "3", "-i", "0.05", "-W", "1", "-M", "do", "-s", String(mtu - 28), v4(to)];
    await until("the largest packet passes", async () => (await inside(from, ...large)).code === 0);
    const port = String(++ports);
    const server = inside(to, "timeout", "20", "iperf3", "-s", "-1", "-p", port);
    await until("iperf3 listens", async () => (await inside(to, "ss", "-Hltn", `sport = :${port}`)).stdout !== "");
    const sent = await inside(from, "timeout", "15", "iperf3", "-c", v4(to), "-p", port, "-n", "8M");
    assert.equal(sent.code, 0, sent.stdout + sent.stderr);
    await server;
    assert.match((await inside(from, "ip", "-o", "link", "show", "eth0")).stdout, new RegExp(` mtu ${mtu} `));
  }

  before(async () => {
    await cluster.open();
    await weft("physical", "create", "dc", "--vlans", "100-109");
    for (const host of cluster.hosts) await weft("host", "set", host, "--physical", "dc=eth1");
    await weft("network", "create", "lan", ...OWN, "--parent", "dc", ...SUBNETS(7));
    await weft("network", "create", "lab", ...OWN, "--parent", "dc", "--vrf", "lan", ...SUBNETS(8));
    await weft("network", "create", "old", ...OWN, "--bridge", "br-ex", "--vlan", "33", ...SUBNETS(9));
    await weft("network", "create", "vx", ...OWN, ...SUBNETS(5));
    await weft("network", "create", "gr", "--driver", "ovs", "--tunnel", "gre", ...SUBNETS(6));
    await cluster.converged();
    for (const [name, host, network] of [
      ["a", "h1", "lan"],
      ["b", "h2", "lan"],
      ["c", "h1", "lan"],
      ["d", "h2", "lab"],
      ["e", "h1", "vx"],
      ["f", "h2", "vx"],
      ["g", "h1", "gr"],
      ["h", "h2", "gr"],
      ["i", "h1", "old"],
      ["j", "h2", "old"],
    ] as const)
      made.set(name, await cluster.attach(host, network, name));
    await cluster.converged();
  });
  after(async () => {
    for (const listener of listeners) listener.close();
    await cluster.close();
  });

  test("a VLAN of a physical network: both families, one host and across, the largest packets, tagged", async () => {
    await bothReach("a", "b");
    await bothReach("b", "a");
    await bothReach("a", "c");
    await carriesMtu("a", "b", 1500);
    const seen = await packetsAt(cluster.wire, "dc", "-e icmp or vlan", () => bothReach("a", "b"));
    assert.match(seen, /vlan 100,.*ICMP echo request/);
  });

  test("a VLAN of a bridge that is there", async () => {
    await bothReach("i", "j");
    await carriesMtu("j", "i", 1500);
    for (const ip of addresses("i")) assert.equal(await cluster.pings(of("a"), ip), false);
  });

  test("another VLAN of it is another segment", async () => {
    for (const ip of addresses("d")) assert.equal(await cluster.pings(of("a"), ip), false);
    // As if it were there.
    await must("ip", "-n", of("d").netns, "address", "add", "10.7.0.99/24", "dev", "eth0");
    assert.equal(await cluster.pings(of("a"), "10.7.0.99"), false);
    await must("ip", "-n", of("d").netns, "address", "delete", "10.7.0.99/24", "dev", "eth0");
  });

  test("tunnels of VXLAN and GRE: both families, the largest packets, and no way from one to the other", async () => {
    for (const [from, to, mtu] of [
      ["e", "f", 1450],
      ["g", "h", 1458],
    ] as const) {
      await bothReach(from, to);
      await bothReach(to, from);
      await carriesMtu(from, to, mtu);
    }
    for (const ip of addresses("h")) assert.equal(await cluster.pings(of("e"), ip), false);
    assert.match(ovs("h1").vsctl("get", "interface", "wt" + vni("vx") + "-2", "options"), /dst_port="4790"/);
  });
  const vni = (name: string) =>
    /wob(\d+)/.exec(
      ovs("h1").vsctl("--bare", "--columns=name", "find", "bridge", `external_ids:weft="network:${name}"`),
    )?.[1] ?? "";

  test("groups allow and refuse, across hosts", async () => {
    const rules = [
      { direction: "in", action: "allow", protocol: "tcp", ports: [80] },
      { direction: "out", action: "allow", protocol: "all" },
    ];
    assert.equal((await cluster.api("PUT", "/v1/securitygroups/web", { spec: { rules } })).status, 201);
    made.set("shut", await cluster.attach("h2", "lan", "shut", { securityGroups: ["web"] }));
    for (const port of [80, 81]) listeners.push(await Listener.in(of("shut").netns, port, "shut"));
    for (const ip of addresses("shut"))
      await until("port 80 is open", async () => (await dial(of("a").netns, ip, 80)) !== "");
    for (const ip of addresses("shut")) assert.equal(await dial(of("a").netns, ip, 81), "");
    assert.equal(await cluster.pings(of("a"), v4("shut")), false);
    await cluster.reaches(of("shut"), v4("a"), 2);
  });

  test("what a workload makes up is dropped where it sends it", async () => {
    await must("ip", "-n", of("a").netns, "address", "add", "10.7.0.77/24", "dev", "eth0");
    const seen = await packetsAt(cluster.wire, "dc", "host 10.7.0.77 or vlan and host 10.7.0.77", async () => {
      await inside("a", "ping", "-n", "-q", "-c", "2", "-W", "1", "-I", "10.7.0.77", v4("b"));
      await must("ip", "-n", of("a").netns, "link", "set", "eth0", "address", "02:00:00:00:00:99");
      await inside("a", "ping", "-n", "-q", "-c", "1", "-W", "1", v4("b"));
    });
    assert.equal(seen, "");
    await must("ip", "-n", of("a").netns, "link", "set", "eth0", "address", of("a").mac);
    // A round may have removed it.
    await run("ip", "-n", of("a").netns, "address", "delete", "10.7.0.77/24", "dev", "eth0");
    await bothReach("a", "b");
  });

  test("a limit holds across hosts", async () => {
    made.set("slow", await cluster.attach("h2", "lan", "slow", { qos: { inbound: { average: "20mbit" } } }));
    await bothReach("a", "slow");
    const server = run("ip", "netns", "exec", of("slow").netns, "timeout", "10", "iperf3", "-s", "-1", "-p", "5301");
    await until("iperf3 listens", async () => (await inside("slow", "ss", "-Hltn", "sport = :5301")).stdout !== "");
    const { stdout } = await inside("a", "iperf3", "-J", "-c", v4("slow"), "-p", "5301", "-t", "2", "-O", "1");
    await server;
    const mbit = JSON.parse(stdout).end.sum_received.bits_per_second / 1e6;
    assert(mbit > 12 && mbit < 22, `${mbit} Mbit/s`);
  });

  test("del-port by another is repaired; rows of others stay as they are", async () => {
    const foreign = () => ovs("h1").vsctl("--columns=name,external_ids,tag,trunks", "list", "port", "br-ex", "eth2");
    const was = foreign();
    const found = ovs("h1").vsctl("--bare", "--columns=name", "find", "port", 'external_ids:weft="network:lan"');
    const port = found.trim();
    ovs("h1").vsctl("del-port", port);
    await until("it is back", async () => ovs("h1").vsctl("list-ports", "wop-dc").split("\n").includes(port));
    await bothReach("a", "b");
    ovs("h1").vsctl("set", "port", port, "tag=105");
    await until("its tag is back", async () => ovs("h1").vsctl("get", "port", port, "tag") === "100");
    await bothReach("a", "b");
    assert.equal(foreign(), was);
  });

  test("daemons that are killed: told, other networks are unaffected, and all passes after their start", async () => {
    await weft("network", "create", "plain", "--subnet", "10.4.0.0/24");
    // The underlay of this host is a bridge of the daemon's, so only what stays on the host can go on.
    made.set("p", await cluster.attach("h1", "plain", "p"));
    made.set("q", await cluster.attach("h1", "plain", "q"));
    await cluster.reaches(of("p"), v4("q"));
    ovs("h1").signal("ovs-vswitchd", "SIGKILL");
    assert(await cluster.pings(of("p"), v4("q")));
    assert(await cluster.pings(of("a"), v4("c")), "frames of one host never get to Open vSwitch");
    const agent = async () => JSON.stringify((await call(cluster.agentSocket("h1"), "GET", "/v1/status")).body);
    await until("the agent says so", async () => (await agent()).includes("ovs-vswitchd does not run"));
    ovs("h1").startSwitch();
    await bothReach("a", "b");
    await bothReach("e", "f");
    ovs("h1").signal("ovsdb-server", "SIGKILL");
    await until("the agent says so", async () => (await agent()).includes("cannot be reached"));
    assert(await cluster.pings(of("a"), v4("c")));
    ovs("h1").startDatabase();
    await cluster.converged();
    await bothReach("a", "b");
  });

  test("removed, nothing is left", async () => {
    await weft("network", "delete", "lan", "lab", "old", "vx", "gr", "--force", "--yes");
    await cluster.converged();
    for (const host of cluster.hosts) {
      await until("no bridge of ours", async () => !/^wo/m.test(ovs(host).vsctl("list-br")));
      assert.equal(ovs(host).vsctl("list-ports", "br-ex"), "eth2");
      await until("no device of ours", async () => {
        const links = await must("ip", "-n", cluster.netnsOf(host), "-br", "link");
        return !/^w[op]/m.test(links);
      });
    }
    assert.doesNotMatch(await must("ip", "netns", "list"), new RegExp(`${cluster.netnsOf("h2")}-`));
  });
}
