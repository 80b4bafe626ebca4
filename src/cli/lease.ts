// `weft lease`: the address book. One row per address in use: who has it, where, and out of which block it came.
import type { Command } from "commander";
import { contains, cidrOf, ipOf, type Ip } from "../model/address.ts";
import type { Endpoint, Snapshot } from "../model/resource.ts";
import type { Cli } from "./cli.ts";
import { connect } from "./connect.ts";
import { printing, remote, type ReadOptions } from "./options.ts";
import { printList, type Column } from "./output.ts";

type Filter = { readonly network?: string; readonly host?: string };
export type Lease = {
  readonly address: string;
  readonly network: string;
  readonly vrf: string;
  readonly host: string;
  readonly owner: string;
  readonly ifname: string;
  readonly mac: string;
  /** Of a local network: the host's block that it came from. */
  readonly block?: string;
};

export function register(noun: Command, cli: Cli): void {
  const list = noun
    .command("list")
    .alias("ls")
    .description("List the addresses in use and who has them.")
    .option("--network <name>", "only of this network")
    .option("--host <name>", "only on this host");
  printing(remote(list)).action(cli.verb((options: ReadOptions & Filter) => listLeases(cli, options)));
}

const COLUMNS: readonly Column<Lease>[] = [
  { header: "ADDRESS", of: (l) => l.address },
  { header: "NETWORK", of: (l) => l.network },
  { header: "HOST", of: (l) => l.host },
  { header: "OWNER", of: (l) => l.owner },
  { header: "BLOCK", of: (l) => l.block ?? "" },
  { header: "INTERFACE", of: (l) => l.ifname, wide: true },
  { header: "MAC", of: (l) => l.mac, wide: true },
  { header: "VRF", of: (l) => l.vrf, wide: true },
];

async function listLeases(cli: Cli, options: ReadOptions & Filter): Promise<void> {
  const server = await connect(cli.io, options);
  const leases = leasesOf(await server.snapshot())
    .filter((lease) => options.network === undefined || lease.network === options.network)
    .filter((lease) => options.host === undefined || lease.host === options.host);
  await printList(
    cli.io,
    options,
    { columns: COLUMNS, name: (l) => l.address, empty: "No address is in use." },
    leases,
  );
}

/** Every address of every endpoint, by network and then in order. */
export function leasesOf(snapshot: Snapshot): Lease[] {
  const vrfs = new Map(snapshot.networks.map((network) => [network.name, network.spec.vrf]));
  const blocks = Map.groupBy(snapshot.blocks, (block) => `${block.spec.network} ${block.spec.host}`);
  const leases = snapshot.endpoints.flatMap((endpoint) =>
    endpoint.spec.addresses.flatMap((address) => {
      const ip = ipOf(address);
      if (ip === undefined) return [];
      const own = blocks.get(`${endpoint.spec.network} ${endpoint.spec.host}`) ?? [];
      return [
        {
          ip,
          lease: leaseOf(
            endpoint,
            address,
            vrfs.get(endpoint.spec.network) ?? "",
            own.find((block) => isIn(ip, block.spec.cidr))?.spec.cidr,
          ),
        },
      ];
    }),
  );
  return leases
    .toSorted(
      (a, b) => compareText(a.lease.network, b.lease.network) || a.ip.family - b.ip.family || compareIp(a.ip, b.ip),
    )
    .map(({ lease }) => lease);
}

function leaseOf({ spec }: Endpoint, address: string, vrf: string, block: string | undefined): Lease {
  const { network, host, owner, ifname, mac } = spec;
  return { address, network, vrf, host, owner, ifname, mac, ...(block === undefined ? {} : { block }) };
}

function isIn(ip: Ip, block: string): boolean {
  const cidr = cidrOf(block);
  return cidr !== undefined && contains(cidr, ip);
}

function compareIp(a: Ip, b: Ip): number {
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
