// The hosts of a network, in what `weft network show` prints.
import { bridgeOfOthers } from "../../model/bridges.ts";
import { ALL_HOSTS, hostAddressesOf, isOnHost } from "../../model/carrying.ts";
import { defined } from "../../model/defined.ts";
import { isPhysical } from "../../model/driver.ts";
import { whyLeftOut } from "../../model/leftOut.ts";
import { deviceFor, factsOf } from "../../model/physical.ts";
import type { Host, Network, NetworkSpec, Snapshot, Vtep } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { byName } from "../output/format.ts";
import { type Cell, table } from "../output/table.ts";

/** Hosts that `*` does not mean. */
export function leftOutFields({ spec }: Network, { hosts }: Snapshot): [string, Cell][] {
  if (spec.hosts?.includes(ALL_HOSTS) !== true) return [];
  return byName(hosts).flatMap((host): [string, Cell][] => {
    const why = whyLeftOut(spec, host);
    return why === undefined ? [] : [["Left out", { text: `${host.name}: ${why}`, tone: "warn" }]];
  });
}

type Row = {
  readonly host: Host;
  readonly endpoints: number;
  readonly blocks: readonly string[];
  readonly vtep?: Vtep;
};

/** Of columns that are not `kept`, those are shown that have something to say of a host. */
type HostColumn = { readonly header: string; readonly of: (row: Row) => string; readonly kept?: true };

function columnsOf({ spec }: Network): readonly HostColumn[] {
  return [
    { header: "HOST", of: ({ host }) => host.name, kept: true },
    // What crosses a physical network has nothing to do with the underlay.
    { header: "UNDERLAY", of: ({ host }) => (isPhysical(spec) ? "" : host.spec.underlay) },
    { header: "DEVICE", of: ({ host }) => wayOutText(spec, host) },
    { header: "BLOCK", of: ({ blocks }) => blocks.join(", ") },
    { header: "ADDRESS", of: ({ host }) => hostAddressesOf(spec, host.name).join(", ") },
    { header: "VTEP", of: ({ vtep }) => vtep?.spec.ip ?? vtep?.spec.ip6 ?? "" },
    { header: "VTEP-MAC", of: ({ vtep }) => vtep?.spec.mac ?? "" },
    { header: "ENDPOINTS", of: ({ endpoints }) => String(endpoints), kept: true },
  ];
}

/** `eth1`, `eth1, down`: the host's device, or bridge, that leads to the physical network. */
function wayOutText(spec: NetworkSpec, host: Host): string {
  const { parent } = spec;
  const device = bridgeOfOthers(spec) ?? (parent === undefined ? undefined : deviceFor(host.spec, parent));
  if (device === undefined) return parent === undefined ? "" : "none";
  const facts = factsOf(host.spec, device);
  return `${device}${facts === undefined ? ", missing" : facts.down === true ? ", down" : ""}`;
}

/** Where the network is: each host's device, blocks, tunnel endpoint and number of endpoints. */
export function hostsText(cli: Cli, network: Network, snapshot: Snapshot): string {
  const rows = byName(snapshot.hosts).flatMap((host): Row[] => {
    const blocks = snapshot.blocks
      .filter((b) => b.spec.network === network.name && b.spec.host === host.name)
      .map((b) => b.spec.cidr)
      // IPv4 first, as subnets are listed.
      .toSorted((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
    const endpoints = snapshot.endpoints.filter(
      (e) => e.spec.network === network.name && e.spec.host === host.name,
    ).length;
    const vtep = snapshot.vteps.find((v) => v.spec.vrf === network.spec.vrf && v.spec.host === host.name);
    if (blocks.length === 0 && endpoints === 0 && !isOnHost(network.spec, host)) return [];
    return [{ host, blocks, endpoints, ...defined({ vtep }) }];
  });
  if (rows.length === 0) return "";
  const columns = columnsOf(network).filter(({ of, kept }) => kept === true || rows.some((row) => of(row) !== ""));
  const headers = columns.map(({ header }) => header);
  return `\n${table(
    cli.io,
    headers,
    rows.map((row) => columns.map(({ of }) => of(row))),
  )}`;
}

/** Hosts that carry the VRF of a network, whose least MTU is the network's. */
export function carriersOf({ spec }: Network, { hosts, networks, endpoints, vteps }: Snapshot): readonly Host[] {
  const near = networks.filter((network) => network.spec.vrf === spec.vrf);
  const names = new Set(near.map(({ name }) => name));
  const carrying = new Set([
    ...vteps.filter((vtep) => vtep.spec.vrf === spec.vrf).map((vtep) => vtep.spec.host),
    ...endpoints.filter((endpoint) => names.has(endpoint.spec.network)).map((endpoint) => endpoint.spec.host),
  ]);
  return hosts.filter((host) => carrying.has(host.name) || near.some((network) => isOnHost(network.spec, host)));
}
