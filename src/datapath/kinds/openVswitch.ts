// What Weft has in Open vSwitch, a software switch with a database of its own (OVSDB): bridges and ports, which are
// rows with Weft's mark (`external_ids:weft`), and the devices that Open vSwitch makes of some ports.
import { MARK, defineKind } from "./kind.ts";
import { type Link, type TunnelPort, bringUp, defineLink, learningText, portFields, suppression } from "./links.ts";

/** `of` is the mark: what it is for, like `network:blue`. All of Open vSwitch is in the host's namespace. */
type Row = { readonly ns: "host"; readonly name: string; readonly of: string };

/**
 * A bridge of Open vSwitch, which learns and floods by itself. Its datapath is the kernel's if that has one, else that
 * of ovs-vswitchd.
 */
export type OvsBridge = Row & { readonly kind: "ovs-bridge" };

/** The tunnel that a port is, to one peer; `port` is of UDP. */
type OvsTunnel = {
  readonly local: string;
  readonly remote: string;
  readonly key: number;
  readonly port?: number;
};

/**
 * A port of a bridge of Open vSwitch, Weft's or another's. `internal`: a device that Open vSwitch makes; `system`: one
 * that is there; the others: a tunnel to one peer, and from no such port to another (split horizon).
 */
export type OvsPort = Row & {
  readonly kind: "ovs-port";
  readonly bridge: string;
  readonly type: "internal" | "system" | "vxlan" | "gre" | "ip6gre";
  /** Frames without a tag are of this VLAN, and only they pass unless there are `trunks`. Absent: 0, no VLAN. */
  readonly vlan?: number;
  /** Tags that pass as they are, like `100-199,300`; `all`: of a port that leads to what knows tags. */
  readonly trunks?: string;
  /** Of an internal port's device. */
  readonly mtu?: number;
  readonly tunnel?: OvsTunnel;
  /** Why it is not in use, as it was observed: never wanted. */
  readonly trouble?: string;
};

/**
 * The device of an internal port, moved to where it is a port of a bridge of the kernel's, which has the workloads'
 * ports and all filters; isolated from other such ports, as all tunnels are. It goes with its port.
 */
export type OvsDevice = Link & TunnelPort & { readonly kind: "openvswitch" };

/** The ranges of VLANs as Open vSwitch keeps them, each for itself. */
function vlansIn(trunks: string): readonly number[] {
  return trunks.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** VLANs in the shortest text, in order. */
export function rangesOf(vlans: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const vlan of vlans.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && vlan === last[1] + 1) last[1] = vlan;
    else ranges.push([vlan, vlan]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

/** How Open vSwitch is told which VLANs pass: columns of a port. */
export function vlanMode({ vlan, trunks }: Pick<OvsPort, "vlan" | "trunks">) {
  if (trunks === "all") return { mode: undefined, tag: undefined, trunks: [] };
  if (trunks === undefined) return { mode: "access", tag: vlan ?? 0, trunks: [] } as const;
  return { mode: "native-untagged", tag: vlan ?? 0, trunks: vlansIn(trunks) } as const;
}

function optionsOf({ local, remote, key, port }: OvsTunnel): Readonly<Record<string, string>> {
  const ends = { local_ip: local, remote_ip: remote, key: String(key) };
  return port === undefined ? ends : { ...ends, dst_port: String(port) };
}

/** `options` of an interface, by name. */
export function tunnelOptions({ tunnel }: OvsPort): Readonly<Record<string, string>> {
  return tunnel === undefined ? {} : optionsOf(tunnel);
}

const mark = (table: string, { name, of }: Row) => `set ${table} ${name} external_ids:${MARK}=${of}`;

/** `first` comes before what the port is set to. */
function portLine(first: string, o: OvsPort): string {
  const { mode, tag, trunks } = vlanMode(o);
  const vlans = mode === undefined ? [] : [`vlan_mode=${mode}`, `tag=${tag}`];
  const through = trunks.length === 0 ? [] : [`trunks=${trunks.join(",")}`];
  const split = o.tunnel === undefined ? [] : ["protected=true"];
  const port = [...vlans, ...through, ...split].map((column) => ` ${column}`).join("");
  const mtu = o.mtu === undefined ? "" : ` mtu_request=${o.mtu}`;
  const options = Object.entries(tunnelOptions(o)).map(([name, value]) => ` options:${name}=${value}`);
  const type = o.type === "system" ? '""' : o.type;
  return (
    `ovs-vsctl ${first} -- ${mark("port", o)}${port}` +
    ` -- ${mark("interface", o)} type=${type}${mtu}${options.join("")}`
  );
}

export const OVS_KINDS = {
  "ovs-bridge": defineKind<OvsBridge>({
    role: "alone",
    layer: 3.2,
    key: ({ name }) => `ovs-bridge ${name}`,
    add: (o) => [`ovs-vsctl add-br ${o.name} -- ${mark("bridge", o)}`],
    set: (_, o) => [`ovs-vsctl ${mark("bridge", o)}`],
    remove: ({ name }) => [`ovs-vsctl del-br ${name}`],
  }),
  "ovs-port": defineKind<OvsPort>({
    role: "alone",
    layer: 3.4,
    leadsTo: "hosts",
    key: ({ name, bridge, type }) => `ovs-port ${name} ${bridge} ${type}`,
    slot: ({ name }) => name,
    add: (o) => [portLine(`add-port ${o.bridge} ${o.name}`, o)],
    set: (_, o) => [portLine(`clear port ${o.name} tag trunks vlan_mode`, o)],
    remove: ({ bridge, name }) => [`ovs-vsctl del-port ${bridge} ${name}`],
  }),
  openvswitch: defineLink<OvsDevice>({
    layer: 4,
    leadsTo: "hosts",
    key: ({ ns, name }) => `openvswitch ${ns} ${name}`,
    fields: portFields,
    add: (o, shell) => [
      ...(o.ns === "host" ? [] : [`ip link set ${o.name} netns ${shell.name}`]),
      ...(o.master === undefined
        ? []
        : [
            `${shell.ip} link set ${o.name} master ${o.master}`,
            suppression(o, shell, `${learningText(o)} isolated on `),
          ]),
      bringUp(o, shell, `address ${o.mac} mtu ${o.mtu} `),
    ],
    setMore: (from, to, shell) => (from.floodsArp === to.floodsArp ? [] : [suppression(to, shell)]),
    remove: ({ name }, { ip }) => [`${ip} link set ${name} nomaster alias "" down`],
  }),
};
