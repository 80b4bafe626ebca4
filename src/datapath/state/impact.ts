// Which workloads would lose packets by a list of operations: what a plan shows before it is applied.
import type { Endpoint, Network, Snapshot } from "../../model/resource.ts";
import { bridgesOf, deviceName } from "../../model/device.ts";
import { type KernelObject, isTunnel, leadsTo } from "../kinds.ts";
import type { PortOfBridge } from "../kinds/links.ts";
import type { Ns } from "../kinds/kind.ts";
import { nsOfNamed } from "../world/placement.ts";
import { portName } from "./names.ts";
import { withoutReservations } from "../world/reservations.ts";
import { type KernelState, type LinkObject, type Op, isLink, keyOf } from "./state.ts";

/** `anew`: for about ANEW_MS (model/conversion.ts). `gone`: for as long as what it needs is not there. */
export type Loss = "anew" | "gone";

/**
 * Names of the host's endpoints that would lose packets: their port, bridge, tunnel, gateway or namespace goes away or
 * is made anew. Entries and routes are replaced without a gap, so they hurt no traffic. `before`: the kernel that the
 * operations are for; a tunnel there by which nothing is sent may go.
 */
export function lossesBy(
  ops: readonly Op[],
  snapshot: Snapshot,
  host: string,
  before: KernelState = new Map(),
): ReadonlyMap<string, Loss> {
  const plain = withoutReservations(snapshot);
  const networks = new Map(plain.networks.map((network) => [network.name, network]));
  const local = plain.endpoints.filter(({ spec }) => spec.host === host);
  const places = local.map((endpoint) => {
    const network = networks.get(endpoint.spec.network);
    return placeOf(endpoint, network, nsOfNamed(plain.vrfs, network?.spec.vrf ?? ""));
  });
  const hit = new Map<string, Loss>();
  const made = new Set(ops.flatMap(({ op, object }) => (op === "add" && isLink(object) ? [placeText(object)] : [])));
  for (const { op, object } of ops) {
    if (op !== "remove" || isIdle(object, before)) continue;
    const isAnew = isLink(object) && made.has(placeText(object));
    // A tunnel to one peer that is not made anew: the peer is not there any more.
    const isHit = leadsTo(object.kind) === "peer" && !isAnew ? undefined : hitBy(object);
    if (isHit === undefined) continue;
    for (const place of places)
      if (isHit(place) && hit.get(place.name) !== "gone") hit.set(place.name, isAnew ? "anew" : "gone");
  }
  return hit;
}

/** The names alone. */
export function endpointsHit(ops: readonly Op[], snapshot: Snapshot, host: string): string[] {
  return [...lossesBy(ops, snapshot, host).keys()].sort();
}

/** A tunnel that a conversion leaves: it is closed, or no route leads into it. */
function isIdle(object: KernelObject, before: KernelState): boolean {
  if (!isLink(object) || leadsTo(object.kind) === undefined || before.size === 0) return false;
  const { ns, name } = object;
  if ((object as PortOfBridge).master !== undefined)
    return before.has(keyOf({ kind: "element", ns, set: "closed", key: name }));
  return ![...before.values()].some((one) => one.kind === "route" && one.ns === ns && one.dev === name);
}

/** What takes the place of a link: one of its name, or another tunnel to all hosts for the same bridge or namespace. */
function placeText(link: LinkObject): string {
  const { ns, name, kind } = link;
  return leadsTo(kind) === "hosts" ? `${ns} tunnel of ${(link as PortOfBridge).master ?? "routes"}` : `${ns} ${name}`;
}

/** What an endpoint depends on: its port, the namespace of its VRF, and bridges there. */
type Place = Endpoint & { readonly port: string; readonly ns: Ns; readonly bridges: readonly string[] };

function placeOf(endpoint: Endpoint, network: Network | undefined, ns: Ns): Place {
  const { network: name, slice } = endpoint.spec;
  const slices = network?.spec.slices ?? [];
  const own = slices.filter((each) => slice === undefined || each.name === slice);
  const whole = network === undefined ? [] : bridgesOf(network);
  const bridges = slices.length === 0 ? whole : own.map(({ bridge }) => deviceName(bridge, name));
  return { ...endpoint, port: portName(endpoint.name), ns, bridges };
}

/** Whom it hurts that an object goes away; undefined if that hurts none. */
function hitBy(object: KernelObject): ((place: Place) => boolean) | undefined {
  const has = ({ ns, bridges }: Place, bridge: string) => ns === object.ns && bridges.includes(bridge);
  if (isTunnel(object.kind) && isLink(object)) {
    const { master } = object as PortOfBridge;
    return (place) => (master === undefined ? place.ns === object.ns : has(place, master));
  }
  switch (object.kind) {
    case "netns":
      return ({ ns }) => ns === object.ns;
    case "veth": {
      // Another port of the bridge leads out of it.
      const { name, master } = object;
      const isOut = master !== undefined && !object.peer.ns.startsWith("/");
      return (place) => place.port === name || (isOut && has(place, master));
    }
    case "bridge":
      return (place) => has(place, object.name);
    case "address":
      return (place) => (place.spec.netns === object.ns && place.spec.ifname === object.dev) || has(place, object.dev);
    default:
      return undefined;
  }
}
