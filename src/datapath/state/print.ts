// Kernel state and operations as the `ip`, `bridge` and `nft` lines that would do the same by hand: what a plan shows,
// what goldens hold, and how a user learns what Weft did. Never executed.
import {
  AGEING,
  FDB_MAX,
  FLOOD_MAC,
  GROUPS_SEEN,
  type KernelObject,
  type KernelState,
  type Macs,
  type Ns,
  REDIRECT_PRIORITY,
  TBF_HANDLES,
  type ObjectOf,
  type Op,
  type Tbf,
  WEFT_ROUTE_METRIC,
  WEFT_ROUTE_PROTOCOL,
  isLink,
  unreachable,
} from "./state.ts";
import { diff } from "./diff.ts";

/** A whole state, as what would build it from nothing. */
export function printState(state: KernelState): string[] {
  const ops = diff(new Map(), state);
  return ops
    .map((op) => ({ op, lines: printOp(op) }))
    .sort((a, b) => compareText(sortKey(a.op), sortKey(b.op)))
    .flatMap(({ lines }) => lines);
}

export function printOps(ops: readonly Op[]): string[] {
  return ops.flatMap(printOp);
}

/** In order of dependency first, then by text, so that a golden does not depend on the order of the snapshot. */
function sortKey(op: Op): string {
  const order = [
    "netns",
    "sysctl",
    "nft",
    "element",
    "bridge",
    "vxlan",
    "veth",
    "ifb",
    "tbf",
    "redirect",
    "address",
    "neighbour",
    "hop",
    "fdb",
    "bridge-fdb",
    "route",
  ];
  return `${String(order.indexOf(op.object.kind)).padStart(2, "0")} ${printOp(op).join(" ")}`;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The lines of one operation. */
export function printOp(op: Op): string[] {
  switch (op.op) {
    case "add":
      return printAdd(op.object);
    case "remove":
      return [printRemove(op.object)];
    case "set":
      return printSet(op.from, op.object);
    default:
      return unreachable(op);
  }
}

function printAdd(o: KernelObject): string[] {
  switch (o.kind) {
    case "netns":
      return [`ip netns add ${nsName(o.ns)}`];
    case "sysctl":
      return [`${inNs(o.ns)}sysctl -w net.${o.key.replaceAll("/", ".")}=${o.value}`];
    case "nft":
      return [
        ...tableLines(`${inNs(o.ns)}nft -f - <<< 'table inet weft {`, o.body, o.bridge === undefined ? "}'" : "}"),
        ...(o.bridge === undefined ? [] : tableLines("table bridge weft {", o.bridge, "}'")),
      ];
    case "element":
      return [`${inNs(o.ns)}nft add element ${elementText(o)}`];
    case "bridge":
      return [
        `${ip(o.ns)} link add ${o.name} address ${o.mac} mtu ${o.mtu} type bridge` +
          ` ageing_time ${ageingOf(o)} mcast_snooping 0 no_linklocal_learn 1 fdb_max_learned ${FDB_MAX}`,
        linkUp(o.ns, o.name, o.alias),
      ];
    case "vxlan":
      return [
        `ip link add ${o.name}${o.ns === "host" ? "" : ` netns ${nsName(o.ns)}`} address ${o.mac} mtu ${o.mtu}` +
          ` type vxlan id ${o.vni} local ${o.local} dstport ${o.port} nolearning`,
        ...(o.master === undefined
          ? []
          : [
              `${ip(o.ns)} link set ${o.name} master ${o.master}`,
              `${bridge(o.ns)} link set dev ${o.name} ${learningOf(o)} neigh_suppress ${suppression(o)}`,
            ]),
        linkUp(o.ns, o.name, o.alias),
      ];
    case "veth":
      return [
        `${ip(o.ns)} link add ${o.name} address ${o.mac} mtu ${o.mtu}` +
          (o.master === undefined ? "" : ` master ${o.master}`) +
          ` type veth peer name ${o.peer.name} netns ${nsName(o.peer.ns)} address ${o.peer.mac} mtu ${o.peer.mtu}`,
        linkUp(o.ns, o.name, o.alias),
        ...(o.master === undefined
          ? []
          : [`${ip(o.ns)} link set ${o.name} type bridge_slave ${learningOf(o)} group_fwd_mask ${groupsOf(o)}`]),
        ...(o.makesChecksums === true ? [checksums(o)] : []),
        `${ip(o.peer.ns)} link set ${o.peer.name} up`,
      ];
    case "ifb":
      return [`${ip(o.ns)} link add ${o.name} address ${o.mac} mtu ${o.mtu} type ifb`, linkUp(o.ns, o.name, o.alias)];
    case "tbf":
      return [`${tc(o.ns)} qdisc add dev ${o.dev} root handle ${TBF_HANDLES[0].toString(16)}: ${tbfText(o)}`];
    case "redirect":
      return [
        `${tc(o.ns)} qdisc add dev ${o.dev} ingress`,
        `${tc(o.ns)} filter add dev ${o.dev} parent ffff: protocol all prio ${REDIRECT_PRIORITY}` +
          ` u32 match u32 0 0 action mirred egress redirect dev ${o.to}`,
      ];
    case "address":
      return [`${ip(o.ns)} address add ${o.cidr} dev ${o.dev}${o.cidr.includes(":") ? " nodad" : ""}`];
    case "route":
      return [`${ip(o.ns)} route add ${routeText(o)}`];
    case "neighbour":
      return [`${ip(o.ns)} neigh replace ${o.ip} lladdr ${o.mac} dev ${o.dev} nud permanent`];
    case "hop":
      return [`ip neigh add ${o.ip} dev ${o.dev} managed extern_learn # protocol ${WEFT_ROUTE_PROTOCOL}`];
    case "fdb":
      return [`${bridge(o.ns)} fdb ${verbOf(o)} ${o.mac} dev ${o.dev} dst ${o.dst} self permanent`];
    case "bridge-fdb":
      return [`${bridge(o.ns)} fdb replace ${o.mac} dev ${o.dev} master static sticky`];
    default:
      return unreachable(o);
  }
}

/** The flood list is a set. */
function verbOf({ mac }: ObjectOf<"fdb">): string {
  return mac === FLOOD_MAC ? "append" : "replace";
}

function printRemove(o: KernelObject): string {
  switch (o.kind) {
    case "netns":
      return `ip netns delete ${nsName(o.ns)}`;
    case "sysctl":
      return `# ${inNs(o.ns)}sysctl net.${o.key.replaceAll("/", ".")} stays as it is`;
    case "nft":
      return `${inNs(o.ns)}nft delete table inet weft`;
    case "element":
      return `${inNs(o.ns)}nft delete element ${elementText(o)}`;
    case "bridge":
    case "vxlan":
    case "veth":
    case "ifb":
      return `${ip(o.ns)} link delete ${o.name}`;
    case "tbf":
      return `${tc(o.ns)} qdisc delete dev ${o.dev} root`;
    case "redirect":
      return `${tc(o.ns)} qdisc delete dev ${o.dev} ingress`;
    case "address":
      return `${ip(o.ns)} address delete ${o.cidr} dev ${o.dev}`;
    case "route":
      return `${ip(o.ns)} route delete ${routeText(o)}`;
    case "hop":
    case "neighbour":
      return `${ip(o.ns)} neigh delete ${o.ip} dev ${o.dev}`;
    case "fdb":
      return `${bridge(o.ns)} fdb delete ${o.mac} dev ${o.dev} dst ${o.dst} self`;
    case "bridge-fdb":
      return `${bridge(o.ns)} fdb delete ${o.mac} dev ${o.dev} master`;
    default:
      return unreachable(o);
  }
}

function tableLines(first: string, body: string, last: string): string[] {
  return [
    first,
    ...body
      .trimEnd()
      .split("\n")
      .map((line) => `  ${line}`),
    last,
  ];
}

function elementText({ set, key, value }: ObjectOf<"element">): string {
  return `bridge weft ${set} { ${key}${value === undefined ? "" : ` : 0x${value}`} }`;
}

/** Links are changed field by field; everything else is replaced by the same words that add it. */
function printSet(from: KernelObject, to: KernelObject): string[] {
  // A map has one value for a key: the old one goes first, in the same transaction.
  if (to.kind === "element") return [printRemove(from), ...printAdd(to)];
  if (to.kind === "route") return [`${ip(to.ns)} route replace ${routeText(to)}`];
  if (to.kind === "tbf") return printAdd(to).map((line) => line.replace(" add ", " change "));
  if (to.kind === "redirect") return [printRemove(from), ...printAdd(to)];
  if (!isLink(to)) return printAdd(to);
  const before = linkFields(from);
  const changed = linkFields(to).filter(([field, value]) => before.find(([other]) => other === field)?.[1] !== value);
  const lines = changed
    .filter(([field]) => !field.startsWith("peer "))
    .map(([field, value]) => `${ip(to.ns)} link set ${to.name} ${field} ${value}`);
  const far = changed.filter(([field]) => field.startsWith("peer "));
  if (to.kind === "vxlan" && from.kind === "vxlan" && from.floodsArp !== to.floodsArp)
    lines.push(`${bridge(to.ns)} link set dev ${to.name} neigh_suppress ${suppression(to)}`);
  if (to.kind === "veth" && from.kind === "veth" && from.makesChecksums !== to.makesChecksums)
    lines.push(checksums(to));
  return to.kind === "veth"
    ? [
        ...lines,
        ...far.map(([field, value]) => `${ip(to.peer.ns)} link set ${to.peer.name} ${field.slice(5)} ${value}`),
      ]
    : lines;
}

function linkFields(o: KernelObject): [string, string][] {
  if (!isLink(o)) return [];
  const fields: [string, string][] = [
    ["mtu", String(o.mtu)],
    ["address", o.mac],
    ["alias", o.alias],
  ];
  if ("master" in o && o.master !== undefined) fields.push(["master", o.master]);
  if ((o.kind === "veth" || o.kind === "vxlan") && o.master !== undefined)
    fields.push(["type bridge_slave", learningOf(o)]);
  if (o.kind === "veth" && o.master !== undefined)
    fields.push(["type bridge_slave group_fwd_mask", String(groupsOf(o))]);
  if (o.kind === "bridge") fields.push(["type bridge ageing_time", String(ageingOf(o))]);
  if (o.kind === "veth") fields.push(["peer mtu", String(o.peer.mtu)], ["peer address", o.peer.mac]);
  return fields;
}

/** Off: nothing behind the device has to write them. */
function checksums({ ns, name, makesChecksums }: ObjectOf<"veth">): string {
  return `${inNs(ns)}ethtool -K ${name} tx ${makesChecksums === true ? "off" : "on"}`;
}

function suppression({ floodsArp }: ObjectOf<"vxlan">): string {
  return floodsArp === true ? "off" : "on";
}

/** In hundredths of a second, as `ip` takes it. */
function ageingOf({ forgets }: ObjectOf<"bridge">): number {
  return 100 * (forgets === true ? AGEING.forgets : AGEING.keeps);
}

function learningOf({ macs }: { readonly macs?: Macs }): string {
  return `learning ${macs === undefined ? "off" : "on"} flood ${macs === "flooded" ? "on" : "off"}`;
}

function groupsOf({ macs }: { readonly macs?: Macs }): number {
  return macs === "flooded" ? 0 : GROUPS_SEEN;
}

function routeText(o: Extract<KernelObject, { kind: "route" }>): string {
  const via = o.via === undefined ? "" : ` via ${o.via}`;
  const dst = o.dst === "0.0.0.0/0" ? "default" : o.dst;
  const how = `${o.onlink ? " onlink" : ""}${o.src === undefined ? "" : ` src ${o.src}`}`;
  return `${dst}${via} dev ${o.dev}${how} proto ${WEFT_ROUTE_PROTOCOL} metric ${o.metric ?? WEFT_ROUTE_METRIC}`;
}

/** `tc` writes rates in bits per second and sizes in bytes. */
function tbfText({ rate, burst, limit, peak }: Tbf): string {
  const more = peak === undefined ? "" : ` peakrate ${peak.rate * 8}bit mtu ${peak.burst}`;
  return `tbf rate ${rate * 8}bit burst ${burst} limit ${limit}${more}`;
}

function linkUp(ns: Ns, name: string, alias: string): string {
  return `${ip(ns)} link set ${name} alias ${alias} up`;
}
function ip(ns: Ns): string {
  return ns === "host" ? "ip" : `ip -n ${nsName(ns)}`;
}
function bridge(ns: Ns): string {
  return ns === "host" ? "bridge" : `bridge -n ${nsName(ns)}`;
}
function tc(ns: Ns): string {
  return ns === "host" ? "tc" : `tc -n ${nsName(ns)}`;
}
function inNs(ns: Ns): string {
  return ns === "host" ? "" : `ip netns exec ${nsName(ns)} `;
}
/** As `ip netns` lists it; a workload's by its path unless it is one of those. */
function nsName(ns: Ns): string {
  if (ns.startsWith("vrf:")) return `weft-${ns.slice(4)}`;
  return ns.startsWith("/run/netns/") ? ns.slice("/run/netns/".length) : ns;
}
