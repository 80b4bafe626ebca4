// `weft quota`: how much users and groups of users may own, and how much they do.
import type { Command } from "commander";
import { defined } from "../../model/defined.ts";
import { formatRate, rateOf } from "../../model/qos.ts";
import type { OwnedQuota } from "../../model/quota.ts";
import type { Cli } from "../context.ts";
import { connect, type ServerClient } from "../input/connect.ts";
import {
  reading,
  repeated,
  wholeNumber,
  wordOf,
  writing,
  type Lists,
  type ReadOptions,
  type Texts,
  type WriteOptions,
} from "../input/options.ts";
import { misuse } from "../output/error.ts";
import { printList } from "../output/format.ts";
import { edit, noChange } from "../resource/verbs.ts";

const COUNTS = ["networks", "reservations", "endpoints", "leases"] as const;
/** Of these a row is shown only where a quota says something. */
const SHARED = ["vrfs", "securityGroups", "templates"] as const;
type Flags = Texts<(typeof COUNTS)[number] | (typeof SHARED)[number] | "bandwidth"> & Lists<"leasesIn">;
const WHOSE = { user: "user", group: "usergroup" } as const;
type Whose = keyof typeof WHOSE;

export function register(noun: Command, cli: Cli): void {
  const set = noun
    .command("set")
    .argument("<whose>", "user, or group (of users)")
    .argument("<name>", "the user's or group's name")
    .description("Set what a user or group of users may own at most. What is owned already stays.")
    .option("--networks <n>", "networks, without reservations, or none: no limit")
    .option("--reservations <n>", "reservations, or none")
    .option("--vrfs <n>", "routing domains, or none")
    .option("--security-groups <n>", "security groups, or none")
    .option("--templates <n>", "templates, or none")
    .option("--endpoints <n>", "endpoints, or none")
    .option("--leases <n>", "leases in all networks together, or none")
    .option("--leases-in <network=n>", "leases in one network, or NETWORK=none; repeatable", repeated)
    .option("--bandwidth <rate>", "limits of its endpoints together, in each direction, like 1gbit; or none")
    .addHelpText("after", "\nExample:\n  weft quota set user ann --networks 5 --leases 200 --leases-in lab=20");
  writing(set).action(cli.verb(setQuota));
  const show = noun
    .command("show")
    .argument("[whose]", "user, or group (of users)")
    .argument("[name]", "only this one's")
    .description("Show what users and groups own, and what they may own.");
  reading(show).action(cli.verb(showQuotas));
}

async function setQuota(cli: Cli, whose: string, name: string, options: Flags & WriteOptions): Promise<void> {
  const given = wordOf(whose, "<whose>", "a user or a group", Object.keys(WHOSE) as Whose[]) ?? "user";
  const { networks, reservations, endpoints, leases, leasesIn, bandwidth } = options;
  const { vrfs, securityGroups, templates } = options;
  if (
    (vrfs ??
      securityGroups ??
      templates ??
      networks ??
      reservations ??
      endpoints ??
      leases ??
      leasesIn ??
      bandwidth) === undefined
  )
    throw noChange("quota", "set");
  await edit(cli, options, {
    kind: WHOSE[given],
    name,
    what: `quota of ${given} ${name}`,
    change: ({ spec: { quota, ...spec } }) => ({ ...spec, quota: changed(quota ?? {}, options) }),
    done: ({ revision, spec }) => `quota of ${given} ${name} set at revision ${revision}: ${quotaText(spec.quota)}\n`,
  });
}

function changed(before: OwnedQuota, flags: Flags): OwnedQuota {
  const counts = [...COUNTS, ...SHARED].map((field) => {
    const option = field === "securityGroups" ? "security-groups" : field;
    return [field, numberOr(flags[field], `--${option}`, before[field])];
  });
  const { bandwidth = before.bandwidth?.toString() } = flags;
  const named = (flags.leasesIn ?? []).map(leasesInOf);
  const kept = (before.leasesIn ?? []).filter((one) => !named.some(({ network }) => network === one.network));
  const leasesIn = [
    ...kept,
    ...named.flatMap(({ network, leases }) => (leases === undefined ? [] : [{ network, leases }])),
  ];
  return defined({
    ...Object.fromEntries(counts),
    leasesIn: leasesIn.length === 0 ? undefined : leasesIn.sort((a, b) => (a.network < b.network ? -1 : 1)),
    bandwidth: flags.bandwidth === undefined ? before.bandwidth : rateIn(bandwidth ?? "none"),
  });
}

/** The number that an option says; undefined for `none`, and what was before if it was not given. */
function numberOr(text: string | undefined, option: string, before: number | undefined): number | undefined {
  if (text === undefined) return before;
  return text === "none" ? undefined : wholeNumber(text, option, 5);
}

function leasesInOf(text: string): { readonly network: string; readonly leases: number | undefined } {
  const [network = "", most = "", ...rest] = text.split("=");
  if (network === "" || most === "" || rest.length > 0)
    throw misuse("--leases-in", `"${text}" is not a network with a number`, "write it like --leases-in lab=20");
  return { network, leases: numberOr(most, "--leases-in", undefined) };
}

function rateIn(text: string): number | undefined {
  if (text === "none") return undefined;
  const rate = rateOf(text);
  if (rate === undefined) throw misuse("--bandwidth", `"${text}" is not a rate`, "write it like --bandwidth 1gbit");
  return rate;
}

function quotaText(quota: OwnedQuota = {}): string {
  const { leasesIn = [], bandwidth, ...counts } = quota;
  const texts = [
    ...Object.entries(counts).map(([field, most]) => `${field} ${most}`),
    ...leasesIn.map(({ network, leases }) => `leases in ${network} ${leases}`),
    ...(bandwidth === undefined ? [] : [`bandwidth ${formatRate(bandwidth)}`]),
  ];
  return texts.join(", ") || "no limits";
}

type Shown = Awaited<ReturnType<ServerClient["quotas"]>>[number];
type Row = { readonly whose: string; readonly what: string; readonly used: string; readonly most: string };

/** A row for each thing that is counted; of leases in one network, where there are some or a limit. */
function rowsOf({ kind, name, quota, used }: Shown): Row[] {
  const whose = `${kind === "user" ? "user" : "group"} ${name}`;
  const row = (what: string, has: number, most: number | undefined, text: (n: number) => string = String): Row => ({
    whose,
    what,
    used: text(has),
    most: most === undefined ? "" : text(most),
  });
  const networks = new Set([...used.leasesIn, ...(quota.leasesIn ?? [])].map(({ network }) => network));
  const inNetwork = (list: OwnedQuota["leasesIn"] = [], network: string) =>
    list.find((one) => one.network === network)?.leases;
  return [
    ...COUNTS.map((field) => row(field, used[field], quota[field])),
    ...SHARED.filter((field) => quota[field] !== undefined).map((field) => row(field, used[field], quota[field])),
    ...[...networks].sort().map((network) => {
      return row(`leases in ${network}`, inNetwork(used.leasesIn, network) ?? 0, inNetwork(quota.leasesIn, network));
    }),
    row("inbound", used.inbound, quota.bandwidth, formatRate),
    row("outbound", used.outbound, quota.bandwidth, formatRate),
  ];
}

async function showQuotas(cli: Cli, whose: string | undefined, name: string | undefined, options: ReadOptions) {
  const given = wordOf(whose, "[whose]", "a user or a group", Object.keys(WHOSE) as Whose[]);
  const server = await connect(cli.io, options);
  if (given !== undefined && name !== undefined) await server.get(WHOSE[given], name);
  const all = (await server.quotas()).filter(
    (one) => (given === undefined || one.kind === WHOSE[given]) && (name ?? one.name) === one.name,
  );
  const columns = [
    { header: "WHOSE", of: (row: Row) => row.whose },
    { header: "WHAT", of: (row: Row) => row.what },
    { header: "USED", of: (row: Row) => row.used },
    { header: "MOST", of: (row: Row) => row.most },
  ];
  const listing = { columns, name: (row: Row) => `${row.whose}/${row.what}`, empty: "No quotas, and nothing owned." };
  await printList(cli.io, options, listing, all.flatMap(rowsOf));
}
