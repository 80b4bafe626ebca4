// A network of Weft as files of a host: the plan, the comments at the top of each file, and what the files lack.
import { sharedBridge } from "../model/bridges.ts";
import { cleanText } from "../model/cleanText.ts";
import { isPhysical } from "../model/driver.ts";
import { isDeviceName } from "../model/physical.ts";
import type { Network, Snapshot, Vrf } from "../model/resource.ts";
import { Fault } from "../model/fault.ts";
import { FORMATS, type Format, WRITERS } from "./formats.ts";
import { networkPlan } from "./kernelPlan.ts";
import type { LinkPlan } from "./plan.ts";
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
  if (sharedBridge(spec) !== undefined) {
    throw new Fault("unsupported", {
      what: `network "${name}" cannot be written as ${format}`,
      where: `network/${name}`,
      why: "its bridge is plugged into another, and files have none of the filters that keep it apart there",
      fix: "keep the network in Weft",
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
  // Devices of the host are named by its agent, and the files are programs, or read by some.
  const odd = plan.links.find((link) => !isDeviceName(link.name));
  if (odd !== undefined) {
    throw new Fault("unsupported", {
      what: `device "${cleanText(odd.name)}" of host "${host}" cannot be written as ${format}`,
      where: `host/${host}`,
      why: "in files and scripts its name would mean something else",
      fix: "rename it on the host (ip link set DEVICE name NAME)",
    });
  }
  const vrf = snapshot.vrfs.find((one) => one.name === spec.vrf);
  const written = WRITERS[format]({ plan, name, header: headerOf(network, vrf, host, snapshot.revision) });
  return { ...written, lacks: [...written.lacks, ...wayOutLacks(network, host, plan)] };
}

/** A bridge that should lead to a physical network, and has no port that does. */
function wayOutLacks({ spec }: Network, host: string, { links }: LinkPlan): readonly string[] {
  const parent = isPhysical(spec) && "parent" in spec ? spec.parent : undefined;
  if (parent === undefined || links.some(({ master }) => master !== undefined)) return [];
  const what = `the bridge has no port: no device of host ${host} leads to physical network ${parent}`;
  return [`${what}; say which one with weft host set ${host} --physical ${parent}=DEVICE, and export again`];
}

const WRITTEN_DRIVERS: ReadonlySet<string> = new Set(["vxlan", "gre", "vlan", "bridge"]);

function headerOf({ name, spec }: Network, vrf: Vrf | undefined, host: string, revision: number): readonly string[] {
  const isOwn = vrf?.spec.placement !== "host";
  const isRouted =
    spec.ipam === "local" || (!isPhysical(spec) && spec.subnets.some(({ gateway }) => gateway !== "none"));
  return [
    `Network ${name} on host ${host}, as Weft had it at revision ${revision}.`,
    "This brings it up without Weft's agent, also after a reboot. While an agent has the network, it must not be used.",
    "Not in it: endpoints, security groups, spoofing filters, limits, masquerading. Everything in the network reaches",
    "everything else, and the host.",
    ...(isOwn ? ["Weft has it in a namespace of its own; here it is in the host's."] : []),
    ...(isRouted ? ["The host has to forward packets between it and others: net.ipv4.ip_forward=1."] : []),
  ];
}
