// How frames of a network cross between hosts, in flags and in words: driver, physical network, VLAN.
import type { Command } from "commander";
import { defined } from "../../model/defined.ts";
import { DRIVERS, DRIVER_NAMES, OVS_TUNNELS, isPhysical, tunnelText } from "../../model/driver.ts";
import type { NetworkInput } from "../../model/input.ts";
import type { Network, Snapshot } from "../../model/resource.ts";
import { deviceFor, factsOf, usesOf } from "../../model/physical.ts";
import {
  listOrNone,
  type Lists,
  repeated,
  type Switches,
  type Texts,
  unless,
  wholeNumber,
  wordOf,
} from "../input/options.ts";

export type WayFlags = Texts<"driver" | "parent" | "vlan" | "outerVlan" | "tunnel"> &
  Lists<"trunk"> &
  Switches<"isolated">;

export function wayFlags(command: Command): Command {
  return command
    .option("--driver <name>", `how frames cross between hosts: ${DRIVER_NAMES.join(", ")} (default: vxlan)`)
    .option(
      "--parent <name>",
      "driver vlan, bridge, ovs, or peers multicast: the physical network that its packets cross, or none",
    )
    .option(
      "--tunnel <name>",
      `driver ovs: ${OVS_TUNNELS.join(", ")}, or auto: none with --parent or --bridge, else vxlan (default)`,
    )
    .option(
      "--trunk <ids>",
      "driver ovs: further VLANs that pass with their tag, like 100-199, or none; repeatable",
      repeated,
    )
    .option(
      "--vlan <id>",
      "driver vlan, ovs: its VLAN, or none (default: the lowest free one of the physical network's range)",
    )
    .option("--isolated", "driver bridge: an island, which shares its parent or bridge with other islands")
    .option("--no-isolated", "alone on its parent or bridge (default)")
    .option("--outer-vlan <id>", "driver vlan: a second VLAN around it (802.1ad), or none (default)");
}

/** A Fault `request-invalid` for a driver that there is not, or an id that is no number. */
export function wayDraft({
  driver,
  parent,
  vlan,
  outerVlan,
  tunnel,
  trunk,
  isolated,
}: WayFlags): Partial<NetworkInput> {
  return defined({
    driver: wordOf(driver, "--driver", "a driver", DRIVER_NAMES),
    parent: unless(parent, "none"),
    vlan: wholeNumber(unless(vlan, "none"), "--vlan", 100),
    outerVlan: wholeNumber(unless(outerVlan, "none"), "--outer-vlan", 100),
    tunnel: wordOf(unless(tunnel, "auto"), "--tunnel", "a tunnel", OVS_TUNNELS),
    trunks: trunk && listOrNone(trunk, "--trunk"),
    isolated,
  });
}

/** The way of a network, in the fields that `weft network show` prints. */
export function wayText({ spec }: Network, port: number | undefined): [string, string | undefined][] {
  const { driver, parent, trunks } = spec;
  const tunnel = port === undefined ? undefined : tunnelText(spec, port);
  return [
    isPhysical(spec) ? ["Driver", `${DRIVERS[driver].title} (${protocolText(spec)})`] : ["Tunnel", tunnel],
    ["Physical network", parent],
    ["Isolated", spec.isolated === true ? "an island among those that share its way out" : undefined],
    ["VLAN", vlanText(spec)],
    ["Trunks", trunks?.join(", ")],
  ];
}

/** Of the frames that cross a physical network. */
function protocolText({ driver, outerVlan }: Network["spec"]): string {
  return outerVlan === undefined ? DRIVERS[driver].protocol : "802.1Q inside 802.1ad";
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
            ...(facts.onBridge === undefined ? [] : [`its bridge has the host's own: ${facts.onBridge.join(", ")}`]),
            ...(usesOf(facts).length === 0 ? [] : [`the host's own: ${usesOf(facts).join(", ")}`]),
          ].join(", ");
    return [[name, device, state] as const];
  });
}
