// A network of Weft as files of a host: the plan, the comments at the top of each file, and what the files lack.
import type { Network, Snapshot, Vrf } from "../model/resource.ts";
import { Fault } from "../model/fault.ts";
import { FORMATS, type Format, WRITERS } from "./formats.ts";
import { networkPlan } from "./kernelPlan.ts";
import type { Written } from "./writing.ts";

/**
 * The files of a network on a host. A Fault `unsupported` if files cannot say its driver, `network-unknown` if the host
 * can have no part of it.
 */
export function exportNetwork(snapshot: Snapshot, network: Network, host: string, format: Format): Written {
  const { name, spec } = network;
  if (!WRITTEN_DRIVERS.has(spec.driver)) {
    throw new Fault("unsupported", {
      what: `network "${name}" cannot be written as ${format}`,
      where: `network/${name}`,
      why: `files of ${FORMATS.join(", ")} cannot say what the driver ${spec.driver} does`,
      fix: "change the driver first, or keep the network in Weft",
    });
  }
  const plan = networkPlan(snapshot, network, host);
  if (plan.links.length === 0) {
    throw new Fault("network-unknown", {
      what: `host "${host}" has no part of network "${name}"`,
      where: `host/${host}`,
      why: spec.ipam === "local" ? "it has no block of the network" : "its hosts do not include it",
      fix: "choose another host",
    });
  }
  const vrf = snapshot.vrfs.find((one) => one.name === spec.vrf);
  return WRITERS[format]({ plan, name, header: headerOf(network, vrf, host, snapshot.revision) });
}

const WRITTEN_DRIVERS: ReadonlySet<string> = new Set(["vxlan", "gre", "vlan", "bridge"]);

function headerOf({ name, spec }: Network, vrf: Vrf | undefined, host: string, revision: number): readonly string[] {
  const isOwn = vrf?.spec.placement !== "host";
  const isRouted = spec.ipam === "local" || spec.subnets.some(({ gateway }) => gateway !== "none");
  return [
    `Network ${name} on host ${host}, as Weft had it at revision ${revision}.`,
    "This brings it up without Weft's agent, also after a reboot. While an agent has the network, it must not be used.",
    "Not in it: endpoints, security groups, spoofing filters, limits, masquerading. Everything in the network reaches",
    "everything else, and the host.",
    ...(isOwn ? ["Weft has it in a namespace of its own; here it is in the host's."] : []),
    ...(isRouted ? ["The host has to forward packets between it and others: net.ipv4.ip_forward=1."] : []),
  ];
}
