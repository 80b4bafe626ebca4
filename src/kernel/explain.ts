// "It exists" is never taken for success: this looks what is there. What is exactly the object asked for is no refusal;
// anything else is one that names what stands in the way. A list of operations may meet thousands of such entries, so
// the tables are read once for it.
import { isDeepStrictEqual } from "node:util";
import type { ObjectOf } from "../datapath/kinds.ts";
import { WEFT_ROUTE_METRIC } from "../datapath/kinds/route.ts";
import { EEXIST, refusalOf } from "./errno.ts";
import type { Refusal } from "./kernel.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import {
  type AddressInfo,
  addressesOfLink,
  allRoutes,
  readAddress,
  readRoute,
  type RouteInfo,
} from "./netlink/entry.ts";
import { linkByName, readLink } from "./netlink/link.ts";
import type { NetlinkSocket } from "./netlink/socket.ts";
import { isOurRoute, WORKLOAD_MOST } from "./ownership.ts";
import { describeLink, queueOf, type SteppedOp } from "./steps.ts";

/** What is in one namespace, as far as somebody asked. */
export class Existing {
  readonly #namespaces: Namespaces;
  #addresses: ReadonlyMap<string, AddressInfo[]> = new Map();
  #routes: ReadonlyMap<string, RouteInfo[]> = new Map();

  constructor(namespaces: Namespaces) {
    this.#namespaces = namespaces;
  }

  /** undefined: what is there is what was asked for. `said` are the kernel's words, often none. */
  explain(space: Space, op: SteppedOp, said: string): Refusal | undefined {
    const { object } = op;
    switch (object.kind) {
      case "address":
        return this.#explainAddress(space, object);
      case "route":
        return this.#explainRoute(space, object);
      case "bridge":
      case "vxlan":
      case "veth":
      case "ifb": {
        const near = linkText(this.#namespaces, object.ns, object.name);
        const far = object.kind === "veth" ? linkText(this.#namespaces, object.peer.ns, object.peer.name) : "";
        return refusalOf(EEXIST, [said, near, far].filter((text) => text !== "").join("; "));
      }
      case "tbf":
        return explainQueue(space, object);
      case "redirect":
      case "neighbour":
      case "hop":
      case "fdb":
      case "bridge-fdb":
        return refusalOf(EEXIST, said);
    }
  }

  #explainAddress(space: Space, o: ObjectOf<"address">): Refusal | undefined {
    const ip = o.cidr.slice(0, o.cidr.indexOf("/"));
    const isHere = (found: AddressInfo) => found.index === space.indexes.get(o.dev);
    if (this.#addresses.get(ip)?.some(isHere) !== true) {
      const index = space.indexes.get(o.dev) ?? 0;
      const all = listIn(space)(k.RTM_GETADDR, (w) => addressesOfLink(w, index, undefined), readAddress);
      this.#addresses = Map.groupBy(all, (found) => found.ip);
    }
    const there = this.#addresses.get(ip)?.find(isHere);
    if (there === undefined) return refusalOf(EEXIST);
    const cidr = `${there.ip}/${there.length}`;
    return cidr === o.cidr ? undefined : refusalOf(EEXIST, `${o.dev} has ${cidr}`);
  }

  #explainRoute(space: Space, o: ObjectOf<"route">): Refusal | undefined {
    if (!this.#routes.has(o.dst)) {
      const all = listIn(space)(k.RTM_GETROUTE, (w) => allRoutes(w, 0), readRoute);
      this.#routes = Map.groupBy(
        all.filter((found) => found.table === k.RT_TABLE_MAIN),
        (found) => found.dst,
      );
    }
    const there = (this.#routes.get(o.dst) ?? []).filter((found) => found.metric === (o.metric ?? WEFT_ROUTE_METRIC));
    if (there.some((found) => isThis(found, o, space))) return undefined;
    const texts = there.map((found) => `${found.dst} via ${found.via || "no gateway"} protocol ${found.protocol}`);
    return refusalOf(EEXIST, `there is ${texts.join(", ")}`);
  }
}

/** In a workload's namespace there may be more than anybody reads, and it may not stand still. */
function listIn({ ns, socket }: Space): NetlinkSocket["list"] {
  return (type, body, read) =>
    ns.startsWith("/") ? socket.listAny(type, body, read, WORKLOAD_MOST) : socket.list(type, body, read);
}

function explainQueue(space: Space, o: ObjectOf<"tbf">): Refusal | undefined {
  const { kind: _, ns: __, dev, ...wanted } = o;
  const there = queueOf(space, space.indexes.get(dev) ?? 0);
  if (there?.isOurTbf === true && isDeepStrictEqual(there.tbf, wanted)) return undefined;
  return refusalOf(EEXIST, `${dev} has a queue that is ${there?.isOurTbf === true ? "another of ours" : "not ours"}`);
}

function isThis(found: RouteInfo, o: ObjectOf<"route">, space: Space): boolean {
  const isSame = found.via === (o.via ?? "") && found.src === (o.src ?? "") && found.onlink === o.onlink;
  const isSameMetric = found.metric === (o.metric ?? WEFT_ROUTE_METRIC);
  return isSame && isSameMetric && isOurRoute(found) && found.index === space.indexes.get(o.dev);
}

function linkText(namespaces: Namespaces, ns: ObjectOf<"veth">["ns"], name: string): string {
  const link = namespaces.use(ns, (space) => space.socket.ask(k.RTM_GETLINK, (w) => linkByName(w, name), readLink));
  return link === undefined ? "" : describeLink(link, ns);
}
