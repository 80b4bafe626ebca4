// A network on a physical network: one L2 segment over its hosts, and whatever else is out there. One port of the
// bridge leads outside; frames to MACs that Weft does not know go there, and nowhere else. Where an endpoint is,
// entries say that no frame moves: behind its port if it is here, behind the port to the outside if it is on another
// host. ARP and ND cross as they are, because machines outside ask and answer as well. The gateway is one of those
// machines, and no host has it.
import { networkBridge } from "../../model/device.ts";
import { deviceFor, factsOf, whyUnfit } from "../../model/physical.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import type { KernelObject } from "../kinds.ts";
import { floodElements } from "../policy/learning.ts";
import { outsideElements, outsidePort } from "../policy/outside.ts";
import { physicalDriverOf } from "../tunnel/drivers.ts";
import { macsOf } from "../world/layout.ts";
import { nsOf } from "../world/placement.ts";
import type { World } from "../world/world.ts";

/** The port to the outside, and what is known to be behind it; all of it without a bridge. */
export function compilePhysical(world: World, vrf: Vrf, network: Network, mtu: number): KernelObject[] {
  const ns = nsOf(vrf);
  const bridge = networkBridge(network);
  const objects = physicalDriverOf(network)?.port({ ns, network, bridge, mtu, link: linkOf(world, network) }) ?? [];
  const port = outsidePort(world, network);
  if (port === undefined || objects.length === 0) return [...objects];
  const elsewhere = (world.endpoints.get(network.name) ?? []).filter(({ spec }) => spec.host !== world.self.name);
  const macs = elsewhere.map(({ spec }) => spec.mac);
  return [
    ...outsideElements(world, vrf, network),
    ...objects,
    ...(physicalDriverOf(network)?.hasForeignPort === true ? [] : macs).map(
      (mac): KernelObject => ({ kind: "bridge-fdb", ns, dev: port, mac }),
    ),
    ...floodElements(vrf, macsOf(network), port, macs),
  ];
}

/** The host's device that leads to the network's parent, if it is there and may carry the network. */
function linkOf({ self }: World, { spec: { driver, parent } }: Network) {
  const device = parent === undefined ? undefined : deviceFor(self.spec, parent);
  const facts = device === undefined ? undefined : factsOf(self.spec, device);
  return facts === undefined || whyUnfit(driver, facts) !== undefined ? undefined : facts;
}
