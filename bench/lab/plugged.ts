// A cluster whose hosts are plugged into one more switch, as into a data centre's network: with the device lan0, and
// with lan1 for Open vSwitch if each host is to have that. Both are physical networks, which have the devices' names.
import { Cluster, must } from "../../test/netns/lab/cluster.ts";
import { oldEnough, OpenVswitch } from "../../test/netns/lab/openVswitch.ts";
import { addNamespace, bridgesOnly } from "./lab.ts";

export class Plugged extends Cluster {
  readonly #devices: readonly string[];
  readonly #switches = new Map<string, OpenVswitch>();
  #switch = "";

  constructor(size: number, hasOvs: boolean) {
    super(size);
    this.#devices = hasOvs ? ["lan0", "lan1"] : ["lan0"];
  }

  ovsOf(host: string): OpenVswitch {
    const ovs = this.#switches.get(host);
    if (ovs === undefined) throw new Error(`${host} has no Open vSwitch`);
    return ovs;
  }

  override async open(): Promise<void> {
    this.#switch = await addNamespace(this, "switch");
    for (const device of this.#devices)
      await must("ip", "-n", this.#switch, "link", "add", device, "up", "type", "bridge");
    await super.open();
    for (const device of this.#devices) {
      await this.#weft("physical", "create", device);
    }
    const physical = this.#devices.flatMap((device) => ["--physical", `${device}=${device}`]);
    for (const host of this.hosts) await this.#weft("host", "set", host, ...physical);
  }

  override async addHost(host: string): Promise<void> {
    await super.addHost(host);
    const netns = this.netnsOf(host);
    await bridgesOnly(netns);
    for (const device of this.#devices) {
      const port = ["peer", "name", `${host}-${device}`, "netns", this.#switch];
      await must("ip", "link", "add", device, "netns", netns, "type", "veth", ...port);
      await must("ip", "-n", this.#switch, "link", "set", `${host}-${device}`, "master", device, "up");
      await must("ip", "-n", netns, "link", "set", device, "up");
    }
    if (this.#devices.length === 1) return;
    const ovs = new OpenVswitch(netns);
    this.#switches.set(host, ovs);
    this.ovsdb.set(host, ovs.socket);
    await oldEnough();
    ovs.startDatabase();
    ovs.startSwitch();
  }

  override async close(): Promise<void> {
    await super.close();
    for (const ovs of this.#switches.values()) ovs.close();
  }

  async #weft(...words: readonly string[]): Promise<void> {
    const { code, stderr } = await this.weft(...words);
    if (code !== 0) throw new Error(`weft ${words.join(" ")}: ${stderr}`);
  }
}
