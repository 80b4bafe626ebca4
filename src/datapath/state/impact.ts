// Which workloads would lose packets by a list of operations: what a plan shows before it is applied.
import type { Endpoint, Network, Snapshot } from "../../model/resource.ts";
import { bridgesOf, deviceName } from "../../model/device.ts";
import { type KernelObject, isTunnel, leadsTo } from "../kinds.ts";
import type { PortOfBridge } from "../kinds/links.ts";
import type { Ns } from "../kinds/kind.ts";
import { nsOfNamed } from "../world/placement.ts";
import { portName } from "./names.ts";
import { withoutReservations } from "../world/reservations.ts";
import { type LinkObject, type Op, isLink } from "./state.ts";

/**
 * Names of the host's endpoints that would lose packets: their port, bridge, tunnel, gateway or namespace goes away or
 * is made anew. Entries and routes are replaced without a gap, so they hurt no traffic.
 */
export function endpointsHit(ops: readonly Op[], snapshot: Snapshot, host: string): string[] {
  const plain = withoutReservations(snapshot);
  const networks = new Map(plain.networks.map((network) => [network.name, network]));
  const local = plain.endpoints.filter(({ spec }) => spec.host === host);
  const places = local.map((endpoint) => {
    const network = networks.get(endpoint.spec.network);
    return placeOf(endpoint, network, nsOfNamed(plain.vrfs, network?.spec.vrf ?? ""));
  });
  const hit = new Set<string>();
  const made = new Set(ops.flatMap(({ op, object }) => (op === "add" && isLink(object) ? [placeText(object)] : [])));
  for (const { op, object } of ops) {
    // A tunnel to one peer that is not made anew: the peer is not there any more.
    const isOfGonePeer = leadsTo(object.kind) === "peer" && isLink(object) && !made.has(placeText(object));
    const isHit = op === "remove" && !isOfGonePeer ? hitBy(object) : undefined;
    if (isHit !== undefined) for (const place of places) if (isHit(place)) hit.add(place.name);
  }
  return [...hit].sort();
}

function placeText({ ns, name }: LinkObject): string {
  return `${ns} ${name}`;
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
    case "veth":
      return ({ port }) => port === object.name;
    case "bridge":
      return (place) => has(place, object.name);
    case "address":
      return (place) => (place.spec.netns === object.ns && place.spec.ifname === object.dev) || has(place, object.dev);
    default:
      return undefined;
  }
}
