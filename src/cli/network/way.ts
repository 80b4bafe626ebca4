// How frames of a network cross between hosts, in flags and in words: driver, physical network, VLAN.
import type { Command } from "commander";
import { defined } from "../../model/defined.ts";
import { DRIVERS, DRIVER_NAMES, OVS_TUNNELS, isPhysical, packetsText, tunnelText } from "../../model/driver.ts";
import type { NetworkInput } from "../../model/input.ts";
import type { Network, Snapshot } from "../../model/resource.ts";
import { deviceFor, factsOf, usesOf } from "../../model/physical.ts";
import { type Lists, repeated, type Texts, wholeNumber, wordOf } from "../input/options.ts";

export type WayFlags = Texts<"driver" | "parent" | "vlan" | "outerVlan" | "tunnel"> & Lists<"trunk">;

export function wayFlags(command: Command): Command {
  return command
    .option("--driver <name>", `how frames cross between hosts: ${DRIVER_NAMES.join(", ")} (default: vxlan)`)
    .option("--parent <name>", "driver vlan, ovs, or peers multicast: the physical network that its packets cross")
    .option(
      "--tunnel <name>",
      `driver ovs: ${OVS_TUNNELS.join(", ")} (default: none with --parent or --bridge, else vxlan)`,
    )
    .option("--trunk <ids>", "driver ovs: further VLANs that pass with their tag, like 100-199; repeatable", repeated)
    .option("--vlan <id>", "driver vlan, ovs: its VLAN (default: the lowest free one of the physical network's range)")
    .option("--outer-vlan <id>", "driver vlan: a second VLAN around it (802.1ad)");
}

/** A Fault `request-invalid` for a driver that there is not, or an id that is no number. */
export function wayDraft({ driver, parent, vlan, outerVlan, tunnel, trunk }: WayFlags): Partial<NetworkInput> {
  return defined({
    driver: wordOf(driver, "--driver", "a driver", DRIVER_NAMES),
    parent,
    vlan: wholeNumber(vlan, "--vlan", 100),
    outerVlan: wholeNumber(outerVlan, "--outer-vlan", 100),
    tunnel: wordOf(tunnel, "--tunnel", "a tunnel", OVS_TUNNELS),
    trunks: trunk,
  });
}

/** The way of a network, in the fields that `weft network show` prints. */
export function wayText({ spec }: Network, port: number | undefined): (readonly [string, string | undefined])[] {
  const { driver, parent, trunks } = spec;
  const tunnel = port === undefined ? undefined : tunnelText(spec, port);
  return [
    isPhysical(spec) ? ["Driver", `${DRIVERS[driver].title}, ${packetsText(driver, 0)}`] : ["Tunnel", tunnel],
    ["Physical network", parent],
    ["VLAN", vlanText(spec)],
    ["Trunks", trunks?.join(", ")],
  ];
}

/** `100`, `100 in 7`; nothing without one. */
export function vlanText({ vlan, outerVlan }: Network["spec"]): string | undefined {
  if (vlan === undefined) return undefined;
  return outerVlan === undefined ? String(vlan) : `${vlan} in ${outerVlan}`;
}

/** `eth1`, `eth1 (missing)`: each host's device that leads to a physical network. */
export function devicesText(parent: string, hosts: Snapshot["hosts"]): readonly (readonly [string, string, string])[] {
  return hosts.flatMap(({ name, spec }) => {
    const device = deviceFor(spec, parent);
    if (device === undefined) return [];
    const facts = factsOf(spec, device);
    const state =
      facts === undefined
        ? "missing"
        : [
            `MTU ${facts.mtu}`,
            ...(facts.down === true ? ["down"] : []),
            ...(facts.master === undefined ? [] : [`a port of ${facts.master}`]),
            ...(usesOf(facts).length === 0 ? [] : [`the host's own: ${usesOf(facts).join(", ")}`]),
          ].join(", ");
    return [[name, device, state] as const];
  });
}
