// "It exists" is never taken for success: this looks what is there. What is exactly the object asked for is no refusal;
// anything else is one that names what stands in the way.
import type { ObjectOf } from "../datapath/state.ts";
import { EEXIST, refusalOf } from "./errno.ts";
import type { Refusal } from "./kernel.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { allAddresses, allRoutes, readAddress, readRoute } from "./netlink/entry.ts";
import { linkByName, readLink } from "./netlink/link.ts";
import { isOurRoute } from "./ownership.ts";
import { type SteppedOp, describeLink } from "./steps.ts";

/** undefined: what is there is what was asked for. `said` are the kernel's words, often none. */
export function explainExists(namespaces: Namespaces, space: Space, op: SteppedOp, said: string): Refusal | undefined {
  const { object } = op;
  switch (object.kind) {
    case "address":
      return explainAddress(space, object);
    case "route":
      return explainRoute(space, object);
    case "bridge":
    case "vxlan":
    case "veth": {
      const near = linkText(namespaces, object.ns, object.name);
      const far = object.kind === "veth" ? linkText(namespaces, object.peer.ns, object.peer.name) : "";
      return refusalOf(EEXIST, [said, near, far].filter((text) => text !== "").join("; "));
    }
    case "neighbour":
    case "fdb":
    case "bridge-fdb":
      return refusalOf(EEXIST, said);
  }
}

function linkText(namespaces: Namespaces, ns: ObjectOf<"veth">["ns"], name: string): string {
  const link = namespaces.use(ns, (space) => space.socket.ask(k.RTM_GETLINK, (w) => linkByName(w, name), readLink));
  return link === undefined ? "" : describeLink(link, ns);
}

function explainAddress(space: Space, o: ObjectOf<"address">): Refusal | undefined {
  const index = space.indexes.get(o.dev);
  const ip = o.cidr.slice(0, o.cidr.indexOf("/"));
  const [there] = space.socket.list(k.RTM_GETADDR, allAddresses, (message) => {
    const found = readAddress(message);
    return found.index === index && found.ip === ip ? `${found.ip}/${found.length}` : undefined;
  });
  return there === o.cidr ? undefined : refusalOf(EEXIST, there === undefined ? "" : `${o.dev} has ${there}`);
}

function explainRoute(space: Space, o: ObjectOf<"route">): Refusal | undefined {
  const there = space.socket.list(
    k.RTM_GETROUTE,
    (w) => allRoutes(w, 0),
    (message) => {
      const found = readRoute(message);
      return found.dst === o.dst && found.table === k.RT_TABLE_MAIN ? found : undefined;
    },
  );
  const isSame = there.some(
    (found) =>
      isOurRoute(found) &&
      found.index === space.indexes.get(o.dev) &&
      found.via === (o.via ?? "") &&
      found.onlink === o.onlink &&
      found.src === (o.src ?? ""),
  );
  const texts = there.map((found) => `${found.dst} via ${found.via || "no gateway"} protocol ${found.protocol}`);
  return isSame ? undefined : refusalOf(EEXIST, `there is ${texts.join(", ")}`);
}
