// Networks of driver `bridge`: what they cross, and who else is there. A physical network's frames without a tag, and a
// bridge that hosts have already, are of one network alone, or of any number of islands: by their MACs these know
// their own.
import { bridgeOfOthers, sharedBridge } from "../../../model/bridges.ts";
import { defined } from "../../../model/defined.ts";
import { type Driver, DRIVERS, isPhysical } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput } from "../../../model/input.ts";
import { unknownFault } from "../../../model/kinds.ts";
import type { Endpoint, Network, NetworkSpec } from "../../../model/resource.ts";
import { type View, UNTAGGED, get, vlanKey } from "../../state/view.ts";
import { reservationsUnder, segmentOwnerOf } from "../contents.ts";
import { macFault } from "../address/addresses.ts";

/** What the network has of a physical network, and whether it is an island. */
export function bridgePart(view: View, name: string, input: NetworkInput): Pick<NetworkSpec, "parent" | "isolated"> {
  const { parent, vlan, outerVlan, placement } = input;
  const isolated = input.isolated === true ? true : undefined;
  if (vlan !== undefined || outerVlan !== undefined)
    throw new Fault("request-invalid", {
      what: "a network with driver bridge has no VLAN",
      where: vlan === undefined ? "spec.outerVlan" : "spec.vlan",
      why: "frames cross its bridge as they are",
      fix: "leave it out, or set driver to vlan",
    });
  if (isolated === true) checkIsland(input);
  if (parent === undefined) return defined({ isolated });
  if (placement === "own")
    throw new Fault("unsupported", {
      what: "a bridge with a physical network cannot be in a namespace of its own",
      where: "spec.placement",
      why: "the device that leads there is in the hosts' own",
      fix: "leave placement out, or set driver to vlan",
    });
  if (get(view, "physicalnetwork", parent) === undefined) throw unknownFault("physicalnetwork", parent, "spec.parent");
  const owner = view.vlanOwners.get(vlanKey(parent, undefined, UNTAGGED));
  if (owner !== undefined && owner !== `network/${name}`) throw taken(parent, owner);
  return defined({ parent, isolated });
}

function taken(parent: string, owner: string): Fault {
  return new Fault("vlan-taken", {
    what: `the frames without a tag of physical network "${parent}" belong to ${owner}`,
    where: "spec.parent",
    why: "two networks would be on one segment",
    fix: "choose another physical network, or a VLAN of this one (driver vlan); or make all of them islands (isolated)",
  });
}

/** What an island cannot have. */
function checkIsland({ parent, bridge, spoofing, subnets = [], ranges = [], stp, forwardDelay }: NetworkInput): void {
  const refuse = (field: string, what: string, why: string, fix: string): never => {
    throw new Fault("request-invalid", { what, where: `spec.${field}`, why, fix });
  };
  if ((parent === undefined) === (bridge === undefined))
    refuse(
      "isolated",
      "an island has either a parent or a bridge",
      "it is what it shares with other islands",
      "name one: the physical network that they cross, or a bridge that hosts have already",
    );
  if (spoofing?.mac === true)
    refuse(
      "spoofing",
      "workloads of an island cannot have any MAC",
      "its frames are known by the MACs of its endpoints",
      "set spoofing.mac to false; endpoints may have allowed addresses with MACs of their own",
    );
  const gateways = [...subnets, ...ranges].flatMap(({ gateway }) => gateway ?? []);
  const gateway = gateways.find((each) => each !== "none");
  if (gateway !== undefined)
    refuse(
      "subnets",
      `an island cannot have gateway ${gateway}`,
      "nothing outside reaches its endpoints",
      "set the gateway to none (--gateway none), or give a router an endpoint",
    );
  if (parent !== undefined && (stp === true || forwardDelay !== undefined))
    refuse(
      stp === true ? "stp" : "forwardDelay",
      "islands have no spanning tree",
      "they share a bridge that has one way out",
      stp === true ? "set stp to false (--no-stp)" : "leave it out (--forward-delay auto)",
    );
}

export function ofBridgeAlone(driver: Driver): Fault {
  return new Fault("request-invalid", {
    what: `a network with driver ${driver} cannot be an island`,
    where: "spec.isolated",
    why: "nothing of its segment is shared with other networks",
    fix: "set isolated to false (--no-isolated), or driver to bridge",
  });
}

/** Refuses a network that would be on one segment with another, or whose hosts would give a device to two bridges. */
export function checkTogether(view: View, name: string, spec: NetworkSpec): void {
  if (DRIVERS[spec.driver].takesDevice !== true || !isPhysical(spec)) return;
  const bridge = bridgeOfOthers(spec);
  const isTogether = (other: NetworkSpec) =>
    (bridge !== undefined && bridgeOfOthers(other) === bridge) ||
    (spec.parent !== undefined && other.parent === spec.parent && isPhysical(other));
  for (const { name: owner, spec: other } of view.network.values()) {
    if (owner === name || !isTogether(other) || DRIVERS[other.driver].takesDevice !== true) continue;
    if (spec.driver !== other.driver) throw twoBridges(spec.parent ?? "", owner, other.driver);
    if (spec.driver === "ovs" || (spec.isolated === true && other.isolated === true)) continue;
    if (spec.parent !== undefined) throw taken(spec.parent, `network/${owner}`);
    throw new Fault("vlan-taken", {
      what: `bridge ${bridge} has network "${owner}"`,
      where: "spec.bridge",
      why: "two networks would be on one segment",
      fix: "choose another bridge, or make all of them islands (isolated)",
    });
  }
}

/**
 * Refuses a network whose workloads may send tags where the tag would be another network's: driver bridge takes all
 * VLANs of a physical network as they are.
 */
export function checkTags(view: View, name: string, spec: NetworkSpec): void {
  const hasAll = ({ driver, spoofing }: NetworkSpec) => driver === "bridge" && spoofing?.tags === true;
  for (const { name: owner, spec: other } of view.network.values()) {
    if (owner === name || spec.parent === undefined || other.parent !== spec.parent) continue;
    const [all, one] = hasAll(spec) ? [name, other] : [owner, spec];
    if (!(hasAll(spec) || hasAll(other)) || !isPhysical(one) || one.driver === "bridge") continue;
    throw new Fault("vlan-taken", {
      what: `workloads of network "${all}" may send tags, and so into all VLANs of physical network "${spec.parent}"`,
      where: all === name ? "spec.spoofing" : "spec.parent",
      why: `network "${all === name ? owner : name}" is on one of them`,
      fix: "set spoofing.tags to false there, or choose another physical network",
    });
  }
}

function twoBridges(parent: string, owner: string, driver: Driver): Fault {
  return new Fault("vlan-taken", {
    what: `the devices of physical network "${parent}" are those of network "${owner}"`,
    where: "spec.parent",
    why: `they are ports of a bridge of driver ${driver}, and a device is a port of one bridge`,
    fix: "choose another physical network, or driver vlan, which leaves the devices to both",
  });
}

/**
 * Refuses MACs that an endpoint of another island has, or may have: a bridge knows one place of a MAC, and islands tell
 * by it what is theirs.
 */
export function checkIslands(view: View, network: Network, { mac, allowedAddresses }: OfMacs): void {
  const met = holderBeside(view, network, macsOf({ mac, ...defined({ allowedAddresses }) }));
  if (met !== undefined) throw macFault(network, met.mac, `${met.holder} beside it`);
}

/** Of another island on the same bridge, who has, or may have, one of these MACs. */
export function holderBeside(
  view: View,
  network: Network,
  wanted: ReadonlySet<string>,
): { readonly mac: string; readonly holder: string } | undefined {
  const owner = segmentOwnerOf(view, network);
  if (owner.spec.isolated !== true) return undefined;
  const shared = sharedBridge(owner.spec);
  for (const other of view.network.values()) {
    if (other.name === owner.name || other.spec.isolated !== true || sharedBridge(other.spec) !== shared) continue;
    for (const { name } of [other, ...reservationsUnder(view, other.name)]) {
      const index = view.networks.get(name);
      for (const mac of wanted) {
        const holder = index?.macs.get(mac)?.[0] ?? mayHave(index?.endpoints.values() ?? [], mac);
        if (holder !== undefined) return { mac, holder: `endpoint "${holder}" of network "${name}"` };
      }
    }
  }
  return undefined;
}

type OfMacs = Pick<Endpoint["spec"], "mac" | "allowedAddresses">;

function macsOf({ mac, allowedAddresses = [] }: OfMacs): ReadonlySet<string> {
  return new Set([mac, ...allowedAddresses.flatMap((allowed) => allowed.mac ?? [])]);
}

/** No index has these: few endpoints have any, and only islands ask. */
function mayHave(endpoints: Iterable<Endpoint>, mac: string): string | undefined {
  for (const { name, spec } of endpoints) if (spec.allowedAddresses?.some((one) => one.mac === mac)) return name;
  return undefined;
}
