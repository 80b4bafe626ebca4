// A physical network: a switch in a namespace of its own, which hosts and machines without an agent are plugged into.
import { must } from "./cluster.ts";

export class Segment {
  readonly netns: string;

  constructor(netns: string) {
    this.netns = netns;
  }

  async open(): Promise<void> {
    await must("ip", "netns", "add", this.netns);
    await must("ip", "-n", this.netns, "link", "add", "sw", "up", "type", "bridge");
  }

  /** One more machine on the switch, by this device of its own. */
  async plug(netns: string, dev: string, port: string): Promise<void> {
    await must("ip", "link", "add", dev, "netns", netns, "type", "veth", "peer", "name", port, "netns", this.netns);
    await must("ip", "-n", this.netns, "link", "set", port, "master", "sw", "up");
    await must("ip", "-n", netns, "link", "set", dev, "up");
  }

  /** A machine without an agent, by eth0. */
  async machine(netns: string, ...addresses: readonly string[]): Promise<void> {
    await must("ip", "netns", "add", netns);
    await this.plug(netns, "eth0", netns.slice(-10));
    for (const address of addresses)
      await must(
        "ip",
        "-n",
        netns,
        "address",
        "add",
        address,
        "dev",
        "eth0",
        ...(address.includes(":") ? ["nodad"] : []),
      );
  }
}
