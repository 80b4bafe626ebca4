// `weft network reserve` and `quota`: pieces of a network for tenants, and what they may have at most.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import type { Network, Snapshot } from "../../model/resource.ts";
import { waitFor } from "../change/wait.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import {
  reading,
  requiredOption,
  wholeNumber,
  withWait,
  writing,
  type ReadOptions,
  type Texts,
  type WriteOptions,
} from "../input/options.ts";
import { count } from "../io.ts";
import { misuse } from "../output/error.ts";
import { byName, type Column, printList } from "../output/format.ts";
import { table } from "../output/table.ts";
import { edit } from "../resource/verbs.ts";
import { rangeText } from "./range.ts";

type ReserveOptions = WriteOptions & Texts<"range" | "first" | "mac" | "tenant"> & { readonly size: string };

export function registerReservations(noun: Command, cli: Cli): void {
  const reserve = noun.command("reserve");
  requiredOption(reserve, "--size <n>", "number of leases")
    .argument("<parent>", "a global network, or a reservation")
    .argument("<name>", "the reservation; if it exists, it gets one more piece")
    .description("Reserve a contiguous piece of a network: a network of its own, for a tenant, on the same segment.")
    .option("--range <name>", "only from this range of the parent")
    .option("--first <address>", "first address of the piece (default: the lowest free piece)")
    .option("--mac <mac>", "first MAC of the piece, instead of --first")
    .option("--tenant <name>", "tenant whose quota the piece counts against")
    .addHelpText(
      "after",
      `
Examples:
  weft network reserve blue acme --size 64 --tenant acme
  weft network reserve blue acme --size 16 --first 10.7.0.128
  weft network range remove acme piece-2     # returns a piece
  weft network delete acme                   # returns all of it`,
    );
  writing(reserve).action(cli.verb(reservePiece));

  const quota = noun
    .command("quota <network>")
    .argument("[tenant=leases...]", "most leases of a tenant; none removes the quota")
    .description("Show or set the quota of each tenant: leases it may reserve, and attach with --tenant.")
    .addHelpText("after", "\nExample:\n  weft network quota blue acme=100 zen=20 old=none");
  withWait(reading(quota)).action(
    cli.verb((_, network: string, wanted: readonly string[], options: ReadOptions & WriteOptions) =>
      wanted.length === 0 ? showQuotas(cli, network, options) : setQuotas(cli, network, wanted, options),
    ),
  );
}

async function reservePiece(cli: Cli, parent: string, name: string, options: ReserveOptions): Promise<void> {
  const { size: text, range, first, mac, tenant } = options;
  const size = wholeNumber(text, "--size") ?? 0;
  if (first !== undefined && mac !== undefined)
    throw misuse(
      "--mac",
      "both --first and --mac are given",
      "give one of them: a lease's address and MAC go together",
    );
  const server = await connect(cli.io, options);
  const reservation = await server.reserve(parent, { name, size, ...defined({ range, first: first ?? mac, tenant }) });
  await waitFor(cli.io, options.wait, reservation.revision, server);
  const pieces = reservation.spec.ranges ?? [];
  const added = pieces.at(-1);
  const whole = pieces.length === 1 ? "" : `; ${name} has ${count(pieces.length, "piece")} now`;
  cli.io.err(
    `${added === undefined ? "nothing" : rangeText(added)} of network ${parent} reserved as ${name} ` +
      `at revision ${reservation.revision}${whole}\n`,
  );
}

type Row = { readonly tenant: string; readonly used: number; readonly limit: number | undefined };
const COLUMNS: readonly Column<Row>[] = [
  { header: "TENANT", of: ({ tenant }) => tenant },
  { header: "USED", of: ({ used }) => String(used) },
  {
    header: "QUOTA",
    of: ({ used, limit = Number.POSITIVE_INFINITY }) =>
      used > limit ? { text: String(limit), tone: "bad" } : Number.isFinite(limit) ? String(limit) : "",
  },
];

/** Each tenant with a quota, or with something of the network; in the order of their names. */
function quotaRows(network: Network, snapshot: Pick<Snapshot, "networks" | "endpoints">): Row[] {
  const used = new Map<string, number>((network.spec.quotas ?? []).map(({ tenant }) => [tenant, 0]));
  const add = (tenant: string | undefined, leases: number) => {
    if (tenant !== undefined) used.set(tenant, (used.get(tenant) ?? 0) + leases);
  };
  for (const { spec } of snapshot.endpoints) if (spec.network === network.name) add(spec.tenant, 1);
  for (const each of reservationsOf(network, snapshot)) add(each.spec.tenant, leasesOf(each));
  const limits = new Map((network.spec.quotas ?? []).map(({ tenant, leases }) => [tenant, leases]));
  return [...used]
    .map(([tenant, leases]): Row => ({ tenant, used: leases, limit: limits.get(tenant) }))
    .toSorted((a, b) => (a.tenant < b.tenant ? -1 : 1));
}

function reservationsOf({ name }: Network, { networks }: Pick<Snapshot, "networks">): Network[] {
  return byName(networks.filter(({ spec }) => spec.reservedFrom === name));
}

/** Everything that is reserved from a network, directly or not. */
export function reservedUnder(networks: readonly Network[], name: string): Network[] {
  return networks
    .filter(({ spec }) => spec.reservedFrom === name)
    .flatMap((each) => [each, ...reservedUnder(networks, each.name)]);
}

function leasesOf({ spec }: Network): number {
  return (spec.ranges ?? []).reduce((sum, { size = 0 }) => sum + size, 0);
}

async function showQuotas(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [network, snapshot] = await Promise.all([server.get("network", name), server.snapshot()]);
  const empty = `No tenant has anything of network ${name}, and none has a quota.`;
  const listing = { columns: COLUMNS, name: ({ tenant }: Row) => tenant, empty };
  await printList(cli.io, options, listing, quotaRows(network, snapshot));
}

async function setQuotas(cli: Cli, name: string, wanted: readonly string[], options: WriteOptions): Promise<void> {
  const changes = wanted.map(quotaOf);
  await edit(cli, options, {
    kind: "network",
    name,
    what: `quotas of network ${name}`,
    change({ spec: { quotas = [], ...spec } }) {
      const kept = quotas.filter(({ tenant }) => !changes.some((each) => each.tenant === tenant));
      const next = [...kept, ...changes.filter(({ leases }) => leases !== undefined)];
      return next.length === 0 ? spec : { ...spec, quotas: next };
    },
    done: ({ revision }) => `quotas of network ${name} changed at revision ${revision}: ${wanted.join(" ")}\n`,
  });
}

/** The last `=` counts: names of tenants may have one. */
export function quotaOf(text: string): { readonly tenant: string; readonly leases: number | undefined } {
  const [, tenant = "", leases = ""] = /^(.+)=(0|[1-9]\d{0,8}|none)$/.exec(text) ?? [];
  if (tenant !== "") return { tenant, leases: leases === "none" ? undefined : Number(leases) };
  throw misuse("tenant=leases", `"${text}" is not a quota`, "write it like acme=100, or acme=none to lift it");
}

/** For `weft network show`: what is reserved from it, and what tenants have. */
export function reservationsText(cli: Cli, network: Network, snapshot: Snapshot): string {
  const reservations = reservationsOf(network, snapshot).map((each) => [
    each.name,
    each.spec.tenant ?? "",
    String(leasesOf(each)),
    (each.spec.ranges ?? []).map(rangeText).join(", "),
  ]);
  const quotas = quotaRows(network, snapshot).map((row) => COLUMNS.map((column) => column.of(row)));
  const headers = COLUMNS.map(({ header }) => header);
  const first = table(cli.io, ["RESERVATION", "TENANT", "LEASES", "PIECES"], reservations);
  return (
    (reservations.length === 0 ? "" : `\n${first}`) + (quotas.length === 0 ? "" : `\n${table(cli.io, headers, quotas)}`)
  );
}
