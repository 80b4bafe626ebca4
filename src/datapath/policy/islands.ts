// Islands: networks that share a bridge, and with it a segment outside. What is plugged into the shared bridge takes
// only frames that an endpoint of its own network on another host has sent, by their source MAC; from elsewhere, and
// from the host itself, nothing comes in. Endpoints of the same host are behind the network's own bridge.
import { deviceFor } from "../../model/physical.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import { declared } from "../kinds/tables.ts";
import type { ObjectOf } from "../kinds.ts";
import { ISLAND_PREFIX } from "../tunnel/bridge.ts";
import { nsOf } from "../world/placement.ts";
import type { World } from "../world/world.ts";
import { chain } from "./tableParts.ts";

function isIsland({ spec }: Network): boolean {
  return spec.isolated === true;
}

/**
 * Who may come in by the port that leads outside: those on other hosts (`elsewhere`), and MACs that may be on any host.
 */
export function islandElements(
  world: World,
  vrf: Vrf,
  network: Network,
  { port, elsewhere }: { readonly port: string; readonly elsewhere: readonly string[] },
): readonly ObjectOf<"element">[] {
  if (!isIsland(network)) return [];
  const { parent } = network.spec;
  const device = parent === undefined ? undefined : deviceFor(world.self.spec, parent);
  const virtual = (world.endpoints.get(network.name) ?? []).flatMap(({ spec: { mac, allowedAddresses = [] } }) =>
    allowedAddresses.flatMap((allowed) => (allowed.mac === undefined || allowed.mac === mac ? [] : [allowed.mac])),
  );
  const element = (set: string, key: string) => ({ kind: "element", ns: nsOf(vrf), set, key }) as const;
  return [
    element("islands", port),
    ...(device === undefined ? [] : [element("island_parents", device)]),
    ...[...new Set([...elsewhere, ...virtual])].map((mac) => element("island_macs", `${port} . ${mac}`)),
  ];
}

/** What comes from others is no fault of anybody's, and is not counted. */
export function islandLines(networks: readonly Network[]): readonly string[] {
  return networks.some(isIsland) ? ["iifname @islands iifname . ether saddr != @island_macs drop"] : [];
}

/** On the shared bridge: nothing from one island to another of this host, nor to the host. */
export function islandChains(networks: readonly Network[]): string {
  if (!networks.some(isIsland)) return "";
  const from = `iifname "${ISLAND_PREFIX}*"`;
  return (
    ["islands", "island_macs", "island_parents"].map(declared).join("") +
    chain("between_islands", [
      "type filter hook forward priority 0; policy accept;",
      `${from} oifname "${ISLAND_PREFIX}*" drop`,
    ]) +
    chain("islands_at_host", [
      "type filter hook input priority 0; policy accept;",
      `${from} drop`,
      "iifname @island_parents drop",
    ])
  );
}
