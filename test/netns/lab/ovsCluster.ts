// A cluster whose hosts have Open vSwitch, each a database and a switch of its own, with the datapath of ovs-vswitchd
// or the kernel's.
import assert from "node:assert/strict";
import { Cluster, type Workload, must, run } from "./cluster.ts";
import { setChecksums } from "./interface.ts";
import { SERVER_IP } from "./layout.ts";
import { oldEnough, OpenVswitch } from "./openVswitch.ts";

/** As Open vSwitch calls it: that of ovs-vswitchd, or the kernel's. */
export type Datapath = "netdev" | "system";

/**
 * Each host has Open vSwitch with another's bridge `br-ex`, which leads to a wire by `eth2`, and `eth1` on that wire.
 * The datapath of ovs-vswitchd sends tunnels only from a bridge of its own, so the underlay address is on one.
 */
export class OvsCluster extends Cluster {
  readonly #datapath: Datapath;
  readonly #later: readonly string[];
  readonly switches = new Map(this.hosts.map((host) => [host, new OpenVswitch(this.netnsOf(host))]));

  /** `family` is that of the underlay; hosts of `later` have no Open vSwitch until install(). */
  constructor(datapath: Datapath, family: 4 | 6 = 4, later: readonly string[] = []) {
    super(2, [], family);
    this.#datapath = datapath;
    this.#later = later;
  }

  switchOf(host: string): OpenVswitch {
    return this.switches.get(host) ?? assert.fail(host);
  }

  override async addHost(host: string): Promise<void> {
    await super.addHost(host);
    const netns = this.netnsOf(host);
    this.ovsdb.set(host, this.switchOf(host).socket);
    // It does not learn: it knows no VLANs, and networks on two of them with the same addresses have the same MACs.
    await run("ip", "-n", this.wire, "link", "add", "dc", "type", "bridge", "ageing_time", "0");
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
    if (this.#later.includes(host)) return;
    await this.install(host);
    await this.#furnish(host);
  }

  /** As its package does: with nothing in it. */
  async install(host: string): Promise<void> {
    await oldEnough();
    this.switchOf(host).startDatabase();
    this.switchOf(host).startSwitch();
  }

  async #furnish(host: string): Promise<void> {
    const ovs = this.switchOf(host);
    this.#addBridge(ovs, "br-ex", "eth2");
    if (this.#datapath === "netdev") await this.moveUnderlay(host);
  }

  #addBridge(ovs: OpenVswitch, name: string, device: string): void {
    ovs.vsctl("add-br", name, "--", "set", "bridge", name, `datapath_type=${this.#datapath}`);
    ovs.vsctl("add-port", name, device);
  }

  /** Onto a bridge of Open vSwitch. */
  async moveUnderlay(host: string): Promise<void> {
    const ovs = this.switchOf(host);
    const netns = this.netnsOf(host);
    setChecksums(this.wire, host, "off");
    await must("ip", "-n", netns, "address", "flush", "dev", "eth0");
    this.#addBridge(ovs, "br-phy", "eth0");
    for (const words of [
      ["link", "set", "br-phy", "up"],
      ["address", "add", `172.31.77.${10 + Number(host.slice(1))}/24`, "dev", "br-phy"],
      ...(this.family === 6 ? [["address", "add", `${this.underlayOf(host)}/64`, "dev", "br-phy", "nodad"]] : []),
      ["route", "add", "default", "via", SERVER_IP],
    ])
      await must("ip", "-n", netns, ...words);
  }

  /** The host's database is lost while its switch runs; others make what they need in the new one. */
  async forget(host: string): Promise<void> {
    const ovs = this.switchOf(host);
    ovs.signal("ovsdb-server", "SIGKILL");
    ovs.forget();
    ovs.startDatabase();
    await this.#furnish(host);
  }

  /** Says what the switches have if it fails. */
  override reaches(from: Workload | string, to: string, count = 1): Promise<true> {
    return super.reaches(from, to, count).catch((error: unknown) => {
      const shown = this.hosts.map((host) => `${host}: ${this.switchOf(host).vsctl("show")}\n${this.log(host)}`);
      throw new Error(`${String(error)}\n${shown.join("\n")}`);
    });
  }

  override async close(): Promise<void> {
    await super.close();
    for (const ovs of this.switches.values()) ovs.close();
  }
}
