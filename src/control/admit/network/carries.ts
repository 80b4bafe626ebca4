// Whether hosts' devices, and bridges that they have already, can carry a network.
import { bridgeOfOthers, whyBridgeUnfit } from "../../../model/bridges.ts";
import { Fault } from "../../../model/fault.ts";
import { deviceFor, factsOf, takeOverOn, usesOf, whyUnfitFor } from "../../../model/physical.ts";
import type { Host, Network, NetworkSpec } from "../../../model/resource.ts";
import { type View, hostsInOrder } from "../../state/view.ts";

const PLUGGED = "the network is plugged in there when a bridge of this name fits, or choose another (--bridge)";
const OWNERS = "let the owner of the bridge set it so";
const FIELDS = ["driver", "parent", "bridge", "stp", "forwardDelay"] as const;

/** Refuses a network that a host with its physical network, or its bridge, could never carry: each with the reason. */
export function checkDevices(view: View, spec: NetworkSpec, old: Network | undefined): void {
  const { parent } = spec;
  const bridge = bridgeOfOthers(spec);
  if ((parent ?? bridge) === undefined || FIELDS.every((field) => old?.spec[field] === spec[field])) return;
  const unfit = hostsInOrder(view).flatMap((host) => whyUnfitOn(host, spec) ?? []);
  if (unfit.length === 0) return;
  throw new Fault("device-unfit", {
    what:
      bridge === undefined
        ? `a device that leads to physical network "${parent}" cannot carry a network with driver ${spec.driver}`
        : `bridge ${bridge} cannot carry the network`,
    where: bridge === undefined ? "spec.parent" : "spec.bridge",
    why: unfit.join("; "),
    fix:
      bridge === undefined
        ? `name another device there: weft host set HOST --physical ${parent}=DEVICE, or ${parent}=none`
        : `Weft leaves it as it is: choose another bridge, ${asksForTree(spec)}or let its owner set it`,
  });
}

function asksForTree({ stp, forwardDelay }: NetworkSpec): string {
  return (stp ?? forwardDelay) === undefined ? "" : "ask for no spanning tree (--no-stp, --forward-delay auto), ";
}

/** Of a host that has the device or bridge, why that cannot carry the network. */
export function whyUnfitOn({ name, spec }: Host, network: NetworkSpec): string | undefined {
  const bridge = bridgeOfOthers(network);
  const device = bridge ?? (network.parent === undefined ? undefined : deviceFor(spec, network.parent));
  const facts = device === undefined ? undefined : factsOf(spec, device);
  if (facts === undefined) return undefined;
  const why = bridge === undefined ? whyUnfitFor(spec, network) : whyBridgeUnfit(network, facts);
  return why === undefined ? undefined : `${facts.bridge ? "bridge" : "device"} ${device} of host "${name}" ${why}`;
}

/** What to do on a host without a fit device or bridge for the network, as a command where there is one. */
export function deviceRemedy({ name, spec }: Host, network: NetworkSpec): string {
  const { parent, isolated, driver } = network;
  if (parent === undefined) return PLUGGED;
  const set = `weft host set ${name} --physical ${parent}`;
  const device = deviceFor(spec, parent);
  const facts = device === undefined ? undefined : factsOf(spec, device);
  const isUsed = facts !== undefined && facts.master === undefined && usesOf(facts).length > 0;
  const isNew = takeOverOn(spec, network) === undefined && (facts?.leased ?? []).length === 0;
  if (isUsed && isNew && driver === "bridge" && isolated !== true) return `to do so: ${set}=${device} --take-over`;
  return `name ${facts === undefined ? "its device" : "another device"}: ${set}=DEVICE`;
}

/** Refuses an endpoint on a host that has no way to the rest of its segment. What is missing may come. */
export function checkCarries({ name, spec }: Network, host: Host): void {
  const { parent } = spec;
  const bridge = bridgeOfOthers(spec);
  if ((parent ?? bridge) === undefined) return;
  const why = whyUnfitOn(host, spec);
  if (why === undefined && (parent === undefined || deviceFor(host.spec, parent) !== undefined)) return;
  throw new Fault("device-unfit", {
    what: `host "${host.name}" cannot carry network "${name}"`,
    where: "host",
    why: why ?? `no device of it leads to physical network "${parent}"`,
    fix: `choose another host, or ${parent === undefined ? OWNERS : deviceRemedy(host, spec)}`,
  });
}
