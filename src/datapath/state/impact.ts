// Which workloads would lose packets by a list of operations: what a plan shows before it is applied.
import type { Endpoint, Snapshot } from "../../model/resource.ts";
import { deviceName, networkBridge } from "../../model/device.ts";
import { portName } from "./names.ts";
import { withoutReservations } from "../world/reservations.ts";
import type { Op } from "./state.ts";

/**
 * Names of the host's endpoints that would lose packets: their port, bridge, tunnel, gateway or namespace goes away or
 * is made anew. Entries and routes are replaced without a gap, so they hurt no traffic.
 */
export function endpointsHit(ops: readonly Op[], snapshot: Snapshot, host: string): string[] {
  const plain = withoutReservations(snapshot);
  const networks = new Map(plain.networks.map((network) => [network.name, network]));
  const local = plain.endpoints.filter((endpoint) => endpoint.spec.host === host);
  const hit = new Set<string>();
  const all = (isHit: (endpoint: Endpoint) => boolean) => {
    for (const endpoint of local) if (isHit(endpoint)) hit.add(endpoint.name);
  };
  const inVrf = (endpoint: Endpoint, ns: string) => `vrf:${networks.get(endpoint.spec.network)?.spec.vrf}` === ns;
  for (const { op, object } of ops) {
    if (op !== "remove") continue;
    if (object.kind === "netns") all((endpoint) => inVrf(endpoint, object.ns));
    if (object.kind === "veth") all((endpoint) => portName(endpoint.name) === object.name);
    if (object.kind === "vxlan")
      all(
        (endpoint) =>
          inVrf(endpoint, object.ns) &&
          (object.master === undefined || object.master === networkBridge(endpoint.spec.network)),
      );
    if (object.kind === "bridge")
      all((endpoint) => inVrf(endpoint, object.ns) && bridgesOf(endpoint, networks).includes(object.name));
    if (object.kind === "address")
      all(
        (endpoint) =>
          (endpoint.spec.netns === object.ns && endpoint.spec.ifname === object.dev) ||
          (inVrf(endpoint, object.ns) && bridgesOf(endpoint, networks).includes(object.dev)),
      );
  }
  return [...hit].sort();
}

function bridgesOf(endpoint: Endpoint, networks: ReadonlyMap<string, Snapshot["networks"][number]>): string[] {
  const slices = networks.get(endpoint.spec.network)?.spec.slices ?? [];
  const own = slices.filter((slice) => endpoint.spec.slice === undefined || slice.name === endpoint.spec.slice);
  return slices.length === 0
    ? [networkBridge(endpoint.spec.network)]
    : own.map((slice) => deviceName(slice.bridge, endpoint.spec.network));
}
