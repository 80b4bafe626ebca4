// A second underlay, beside the cluster's own: a bridge in the namespace of the wire, to which hosts have eth2.
import { must } from "./cluster.ts";

type End = { readonly netns: string; readonly port: string; readonly lan: string };

/** Gives a namespace eth2, up, whose far end is a port of the bridge `lan` in the namespace `wire`. */
export async function addSecond(wire: string, { netns, port, lan }: End, address?: string): Promise<void> {
  const pair = `link add eth2 netns ${netns} type veth peer name ${port} netns ${wire}`;
  await must("ip", ...pair.split(" "));
  await must("ip", "-n", wire, "link", "set", port, "master", lan, "up");
  await must("ip", "-n", netns, "link", "set", "eth2", "up");
  if (address !== undefined) await must("ip", "-n", netns, "addr", "add", `${address}/24`, "dev", "eth2");
}
