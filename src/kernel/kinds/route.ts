// Routes: how one is made, removed and read back. A route in the main table is ours by its protocol number.
import { WEFT_PROTOCOL } from "../../datapath/kinds/kind.ts";
import { ENTRY_KINDS, type Route, WEFT_ROUTE_METRIC } from "../../datapath/kinds/entries.ts";
import { cidrOf, contains, ipOf } from "../../model/address.ts";
import { EEXIST, refusalOf, refuse } from "../errno.ts";
import type { FakeDevice, Machine } from "../fakeMachine.ts";
import * as k from "../netlink/constants.ts";
import { type RouteInfo, allRoutes, familyNumber, interfaceIn } from "../netlink/entry.ts";
import { ipIn } from "../netlink/wire.ts";
import { isOurRoute, WORKLOAD_MOST } from "../ownership.ts";
import { FLAGS, entryKind, listIn, verbOf } from "./entry.ts";
import { ROUTE_EVENTS } from "./events.ts";
import type { OpOn } from "../../datapath/state/state.ts";
import type { Existing, Reading, StepContext } from "./kind.ts";

export const route = entryKind<Route, RouteInfo>({
  isInWorkloads: true,
  encode,
  explain,
  list,
  decode: ({ dst, via, src, onlink, metric, mtu }, on) => ({
    kind: "route",
    ...on,
    dst,
    onlink,
    ...(via === "" ? {} : { via }),
    ...(src === "" ? {} : { src }),
    ...(mtu === 0 ? {} : { mtu }),
    ...(metric === WEFT_ROUTE_METRIC ? {} : { metric }),
  }),
  events: ROUTE_EVENTS,
  fake: {
    isMarked: true,
    check,
    connects: ({ via, dst }) => (via === undefined ? cidrOf(dst) : undefined),
    // The kernel removes only what it is shown whole.
    isMeant: (there, named) => there.via === named.via,
  },
});

/**
 * A unicast route of the main table with our protocol number and metric; a removal matches both, so never another's. A
 * metric of 0 in a removal means any, and takes the least, which is the one of 0 if there is one.
 */
function encode(context: StepContext, op: OpOn<Route>): void {
  const { dev, dst, via, src, onlink, mtu, metric = WEFT_ROUTE_METRIC } = op.object;
  const verb = verbOf(op, "create");
  const { ip, length } = interfaceIn(dst);
  const index = context.indexOf(dev);
  const [gateway, source] = [via, src].map((text) => (text === undefined ? undefined : ipIn(text)));
  const w = context.begin(verb === "delete" ? k.RTM_DELROUTE : k.RTM_NEWROUTE, FLAGS[verb]);
  w.u8s(familyNumber(ip), length, 0, 0);
  // Without a gateway, IPv4 demands the scope of the link; IPv6 does not look.
  const scope = ip.family === 4 && gateway === undefined ? k.RT_SCOPE_LINK : k.RT_SCOPE_UNIVERSE;
  w.u8s(k.RT_TABLE_MAIN, WEFT_PROTOCOL, scope, k.RTN_UNICAST);
  w.u32(onlink && verb !== "delete" ? k.RTNH_F_ONLINK : 0);
  if (length > 0) w.attrIp(k.RTA_DST, ip);
  w.attrU32(k.RTA_OIF, index);
  w.attrU32(k.RTA_PRIORITY, metric);
  if (gateway !== undefined) w.attrIp(k.RTA_GATEWAY, gateway);
  if (source !== undefined) w.attrIp(k.RTA_PREFSRC, source);
  if (mtu !== undefined && verb !== "delete") w.nest(k.RTA_METRICS, () => w.attrU32(k.RTAX_MTU, mtu));
}

function explain(existing: Existing, object: Route) {
  const { space } = existing;
  const { dst, metric = WEFT_ROUTE_METRIC } = object;
  const read = () => {
    const all = listIn(space, allRoutes(0), (found) => found.table === k.RT_TABLE_MAIN);
    return Map.groupBy(all, (found) => found.dst);
  };
  const same = existing.table("routes", read, (table) => table.has(dst)).get(dst) ?? [];
  const there = same.filter((found) => found.metric === metric);
  if (there.some((found) => isThis(found, object, space.indexes.get(object.dev)))) return undefined;
  const texts = there.map((found) => `${found.dst} via ${found.via || "no gateway"} protocol ${found.protocol}`);
  return refusalOf(EEXIST, `there is ${texts.join(", ")}`);
}

function isThis(found: RouteInfo, { via = "", src = "", mtu = 0, onlink }: Route, index: number | undefined): boolean {
  const isSame = found.via === via && found.src === src && found.onlink === onlink && found.mtu === mtu;
  return isSame && isOurRoute(found) && found.index === index;
}

/** Of a workload's namespace, the last that is asked of this socket: a dump may be cut off (listAny). */
function list({ space: { socket }, isWorkload, indexes }: Reading): readonly RouteInfo[] {
  const ours = allRoutes(WEFT_PROTOCOL);
  if (!isWorkload) return socket.list(ours, isOurRoute);
  return socket.listAny(ours, (one) => isOurRoute(one) && indexes.has(one.index), WORKLOAD_MOST);
}

function check(machine: Machine, device: FakeDevice, object: Route): void {
  const space = machine.space(object.ns);
  const there = space.slots.get(ENTRY_KINDS.route.slot(object) ?? "");
  if (there?.kind === "route") {
    const isForeign = machine.device(there.ns, there.dev).foreign.has(ENTRY_KINDS.route.key(there));
    if (isForeign || !isSameRoute(there, object))
      refuse("exists", `there is ${there.dst} via ${there.via ?? "no gateway"}`);
  }
  if (object.src !== undefined && !space.locals.has(object.src))
    refuse("invalid", `${object.src} is not an address here`);
  if (object.via === undefined || object.onlink) return;
  const gateway = ipOf(object.via);
  if (gateway === undefined || ![...device.connected.values()].some((cidr) => contains(cidr, gateway)))
    refuse("invalid", "nexthop has invalid gateway");
}

function isSameRoute(a: Route, b: Route): boolean {
  return a.dev === b.dev && a.via === b.via && a.onlink === b.onlink && a.src === b.src && a.mtu === b.mtu;
}
