// What Weft's ports in Open vSwitch lack that others have to bring: a bridge of another's, and a way for tunnels that
// its own datapath sends.
import { MARK } from "../../datapath/kinds/kind.ts";
import type { OvsPort } from "../../datapath/kinds/openVswitch.ts";
import type { Replica, Row } from "./replica.ts";
import { entriesIn, textsIn } from "./values.ts";

/**
 * A line for each bridge whose tunnels lead nowhere. Open vSwitch's own datapath sends them by its bridges only: the
 * way to the other host has to be by the device of one, which has the underlay's address then.
 */
export function deafTunnels(replica: Replica): readonly string[] {
  const own = [...replica.table("Bridge").values()].filter((row) => textsIn(row["datapath_type"])[0] === "netdev");
  const devices = new Set(own.flatMap((bridge) => portsOf(replica, bridge).map(nameOf)));
  return own.flatMap((bridge) => {
    const ways = new Set(portsOf(replica, bridge).flatMap((port) => wayOf(replica, port) ?? []));
    const wrong = [...ways].filter((way) => !devices.has(way));
    return wrong.length === 0 ? [] : [deafText(nameOf(bridge), entriesIn(bridge["external_ids"]).get(MARK), wrong)];
  });
}

/** The device by which a tunnel of Weft's leaves, as Open vSwitch sees it; empty if there is none. */
function wayOf(replica: Replica, port: Row): string | undefined {
  if (!entriesIn(port["external_ids"]).has(MARK)) return undefined;
  const face = replica.table("Interface").get(textsIn(port["interfaces"])[0] ?? "");
  if (face === undefined || !entriesIn(face["options"]).has("remote_ip")) return undefined;
  return entriesIn(face["status"]).get("tunnel_egress_iface") ?? "";
}

function portsOf(replica: Replica, bridge: Row): readonly Row[] {
  return textsIn(bridge["ports"])
    .map((id) => replica.table("Port").get(id))
    .filter((port) => port !== undefined);
}

function nameOf(row: Row): string {
  return textsIn(row["name"])[0] ?? "";
}

function deafText(bridge: string, of: string | undefined, ways: readonly string[]): string {
  const known = ways.filter((way) => way !== "");
  const way = known.length === 0 ? "there is no way to the others" : `the way to the others is ${known.join(", ")}`;
  const network = of?.replace("network:", "network ") ?? bridge;
  return (
    `nothing of ${network} passes between this host and others: Open vSwitch's own datapath sends tunnels only by a ` +
    `bridge of its own, and ${way}; load the kernel's datapath (modprobe openvswitch) and have the bridge made anew ` +
    `(ovs-vsctl del-br ${bridge}), or give this host's address to such a bridge (docs/openvswitch.md)`
  );
}

/** Of a port whose bridge is another's and not there. */
export function bridgelessText({ name, of, bridge }: Pick<OvsPort, "name" | "of" | "bridge">): string {
  return (
    `${of.replace("network:", "network ")} has no way out of this host: Open vSwitch has no bridge ${bridge} for its ` +
    `port ${name}; make it (ovs-vsctl add-br ${bridge}), or give the network a bridge that all its hosts have`
  );
}
