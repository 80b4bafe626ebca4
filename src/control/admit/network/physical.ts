// Networks on physical networks: the parent of each, its VLAN, and the devices of hosts that carry it. A VLAN of a
// physical network has one network, given or chosen: two would be one segment, whatever their drivers.
import { defined } from "../../../model/defined.ts";
import { type Driver, DRIVERS, isPhysical, type Way } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput } from "../../../model/input.ts";
import { unknownFault } from "../../../model/kinds.ts";
import type { Network, NetworkSpec, PhysicalNetwork } from "../../../model/resource.ts";
import { parseVlans } from "../../../model/vlan.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, get, vlanKey } from "../../state/view.ts";
import type { Delete } from "../../write.ts";
import { existing, refuseWhile } from "../context.ts";
import { bridgePart } from "./bridge.ts";

type OnPhysical = Pick<NetworkSpec, "parent" | "vlan" | "outerVlan" | "isolated">;
const FIELDS = ["parent", "vlan", "outerVlan"] as const;

/** What the network has of a physical network, with the VLAN that is chosen where none is given; {} for tunnels. */
export function physicalPart(view: View, name: string, input: NetworkInput, way: Way): OnPhysical {
  const { driver } = way;
  if (!isPhysical(way))
    return isToGroup(input, driver) ? groupParent(view, input, driver) : withoutPhysical(input, driver);
  refuseRouting(input, driver);
  if (driver === "bridge") return bridgePart(view, name, input);
  const { parent: wanted, outerVlan } = input;
  if (wanted === undefined)
    throw new Fault("request-invalid", {
      what: `a network with driver ${driver} has no parent`,
      where: "spec.parent",
      why: "its frames cross a physical network",
      fix: "name one; see `weft physical list`",
    });
  const parent = get(view, "physicalnetwork", wanted);
  if (parent === undefined) throw unknownFault("physicalnetwork", wanted, "spec.parent");
  const old = get(view, "network", name)?.spec;
  const known = old?.parent === wanted && old.outerVlan === outerVlan ? old.vlan : undefined;
  const vlan = chooseVlan(view, parent, { name, outer: outerVlan, vlan: input.vlan ?? known });
  return defined({ parent: wanted, vlan, outerVlan });
}

/** On a segment whose gateway is outside, no host routes. */
export function refuseRouting(input: NetworkInput, driver: Driver): void {
  if (input.ipam === "local" || input.subnets?.some(({ hostPrefix }) => hostPrefix !== undefined) === true)
    throw new Fault("unsupported", {
      what: `a local network cannot have driver ${driver}`,
      where: "spec.ipam",
      why: "its hosts would be routers on the segment, and the gateway there is a machine outside",
      fix: "set ipam to global, without hostPrefix; or take driver vxlan",
    });
  if (input.masquerade === true)
    throw new Fault("unsupported", {
      what: `a network with driver ${driver} does not masquerade`,
      where: "spec.masquerade",
      why: "its gateway is a machine outside, and no host",
      fix: "set masquerade to false (--no-masquerade), and let the gateway translate addresses",
    });
}

function isToGroup({ peers }: NetworkInput, driver: Driver): boolean {
  return peers === "multicast" && DRIVERS[driver].hasGroups === true;
}

/** A group may be reached by the device that leads to a physical network, in tunnels. */
function groupParent(view: View, input: NetworkInput, driver: Driver): OnPhysical {
  const { parent, ...others } = input;
  withoutPhysical(others, driver);
  if (parent === undefined) return {};
  if (get(view, "physicalnetwork", parent) === undefined) throw unknownFault("physicalnetwork", parent, "spec.parent");
  if (others.underlayDevice === undefined) return { parent };
  throw new Fault("request-invalid", {
    what: "a network has both an underlayDevice and a parent",
    where: "spec.underlayDevice",
    why: "each says by which device the group is reached",
    fix: "leave one of them out",
  });
}

function withoutPhysical(input: NetworkInput, driver: Driver): OnPhysical {
  const field = FIELDS.find((each) => input[each] !== undefined);
  if (field === undefined) return {};
  throw new Fault("request-invalid", {
    what: `a network with driver ${driver} has no ${field}`,
    where: `spec.${field}`,
    why: `${DRIVERS[driver].title} crosses the hosts' underlay, and no physical network`,
    fix: "leave it out, or set driver to vlan",
  });
}

type Wish = { readonly name: string; readonly outer: number | undefined; readonly vlan: number | undefined };

/** The VLAN asked for, unless another network has it; else the lowest free one of the physical network's range. */
function chooseVlan(view: View, parent: PhysicalNetwork, { name, outer, vlan: wanted }: Wish): number {
  const where = "spec.vlan";
  const ownerOf = (vlan: number) => {
    const owner = view.vlanOwners.get(vlanKey(parent.name, outer, vlan));
    return owner === `network/${name}` ? undefined : owner;
  };
  const inside = outer === undefined ? "" : ` inside VLAN ${outer}`;
  if (wanted !== undefined) {
    const owner = ownerOf(wanted);
    if (owner === undefined) return wanted;
    throw new Fault("vlan-taken", {
      what: `VLAN ${wanted}${inside} of physical network "${parent.name}" belongs to ${owner}`,
      where,
      why: "two networks would be on one segment",
      fix: "choose another, or leave it out",
    });
  }
  const { vlans } = parent.spec;
  if (vlans === undefined)
    throw new Fault("vlan-invalid", {
      what: `network "${name}" has no VLAN`,
      where,
      why: `physical network "${parent.name}" has no range to choose one from`,
      fix: `give one, or a range to the physical network: weft physical create ${parent.name} --vlans 100-199`,
    });
  for (const { first, last } of vlans.flatMap((text) => parseVlans(text, "vlans")))
    for (let vlan = first; vlan <= last; vlan++) if (ownerOf(vlan) === undefined) return vlan;
  throw new Fault("exhausted", {
    what: `no VLAN of ${vlans.join(", ")}${inside} is free in physical network "${parent.name}"`,
    where,
    fix: "give one outside of the range, extend the range, or delete networks",
  });
}

/** An outer VLAN is one device of a host, so what is inside it has one namespace. */
export function checkOuter(view: View, name: string, { parent, outerVlan, vrf }: NetworkSpec): void {
  if (outerVlan === undefined) return;
  const other = [...view.network.values()].find(
    (each) =>
      each.name !== name && each.spec.parent === parent && each.spec.outerVlan === outerVlan && each.spec.vrf !== vrf,
  );
  if (other === undefined) return;
  throw new Fault("unsupported", {
    what: `outer VLAN ${outerVlan} of physical network "${parent}" cannot be in VRF "${vrf}"`,
    where: "spec.outerVlan",
    why: `network "${other.name}" has it in VRF "${other.spec.vrf}"`,
    fix: `choose another, or put the network into VRF "${other.spec.vrf}"`,
  });
}

/** Removes a physical network; with `force` the networks that are on it, too. */
export function deletePhysical(draft: Draft, { name, force }: Delete, removeNetwork: (network: Network) => void): void {
  const { view } = draft;
  existing(view, "physicalnetwork", name);
  const networks = [...view.network.values()].filter(({ spec }) => spec.parent === name);
  if (force !== true)
    refuseWhile(
      networks.map((network) => network.name),
      {
        what: `physical network "${name}" has networks`,
        why: "their frames cross it",
        fix: "delete them first, or use force to delete all of them with their endpoints",
      },
    );
  for (const network of networks) removeNetwork(network);
  draft.remove("physicalnetwork", name);
}
