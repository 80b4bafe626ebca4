// `weft network range`: a network's address ranges in flags and in a table. A change reads the network, changes one
// range and writes it back at the revision it read, so that two people cannot undo each other.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import { leaseAt, planOf, indexOfIp, indexOfMac } from "../../ipam/range.ts";
import { formatIp, formatMac, ipOf, macValue } from "../../model/address.ts";
import { Fault } from "../../model/fault.ts";
import { labelsText } from "../../model/labels.ts";
import type { AddressRange, RangeInput } from "../../model/range.ts";
import type { Network } from "../../model/resource.ts";
import { parseSelector, selects } from "../../model/selector.ts";
import type { Cli } from "../context.ts";
import { type LimitFlags, limitFlags, qosOf, shortLimits } from "../endpoint/limit.ts";
import { confirm } from "../input/confirm.ts";
import { connect, type ServerClient } from "../input/connect.ts";
import { mergedLabels, newLabels, withLabels } from "../input/labels.ts";
import {
  listing,
  repeated,
  wholeNumber,
  withForce,
  writing,
  type ListOptions,
  type Lists,
  type SureOptions,
  type Texts,
  type WriteOptions,
} from "../input/options.ts";
import { misuse } from "../output/error.ts";
import { printList, type Column } from "../output/format.ts";
import { edit } from "../resource/verbs.ts";

type RangeFlags = LimitFlags &
  Texts<"type" | "size" | "mac" | "mtu" | "gateway" | "gateway6"> &
  Texts<"first" | "first6" | "prefixLength" | "prefix" | "ula"> &
  Lists<"dns" | "securityGroup" | "label">;
type ChangeOptions = RangeFlags & WriteOptions & SureOptions;

const TYPES = ["ip4", "ip6", "ip6-static", "ip4-6", "ip4-6-static", "ether"] as const;

export function registerRanges(noun: Command, cli: Cli): void {
  const list = noun.command("list <network>").alias("ls").description("List a network's address ranges.");
  listing(list).action(cli.verb(listRanges));

  const add = noun
    .command("add <network> <name>")
    .description("Add an address range. A network with ranges gives leases only from its ranges.")
    .option("--type <type>", `${TYPES.join(", ")} (default: follows from the other options)`)
    .option("--first <address>", "first IPv4 address")
    .option("--first6 <address>", "first static IPv6 address")
    .option("--prefix-length <length>", "static IPv6 without --size: the range ends with the prefix of this length")
    .option("--prefix <cidr>", "SLAAC: a /64 in which addresses are made")
    .option("--ula <cidr>", "SLAAC: a /64 of unique local addresses")
    .option("--mac <mac>", "first MAC");
  overrides(add).addHelpText(
    "after",
    `
Examples:
  weft network range add blue web --first 10.7.0.100 --size 50 --gateway 10.7.0.254
  weft network range add blue six --prefix fd00:7::/64 --size 1000
  weft network range add lab frames --size 16`,
  );
  writing(add).action(cli.verb(addRange));

  const resize = noun
    .command("resize <network> <name>")
    .description("Change the size of a range, or the settings of its leases.");
  withForce(overrides(resize), "even if leases or holds are outside the new size; hosts detach them");
  writing(resize).action(cli.verb(resizeRange));

  const remove = noun.command("remove <network> <name>").alias("rm").description("Remove a range.");
  writing(withForce(remove, "even if it has leases or holds; hosts detach them")).action(cli.verb(removeRange));
}

function overrides(command: Command): Command {
  return withLabels(limitFlags(command, "none"))
    .option("--size <n>", "number of leases")
    .option("--gateway <address>", "IPv4 gateway of its leases, or none")
    .option("--gateway6 <address>", "IPv6 gateway of its leases, or none")
    .option("--dns <address>", "name server of its leases; repeatable", repeated)
    .option("--mtu <bytes>", "MTU of its leases, at most the network's")
    .option("--security-group <name>", "security group of its leases; repeatable", repeated);
}

type Row = { readonly range: AddressRange; readonly used: number };
const COLUMNS: readonly Column<Row>[] = [
  { header: "NAME", of: ({ range }) => range.name },
  { header: "TYPE", of: ({ range }) => range.type },
  { header: "FIRST", of: ({ range }) => endText(range, "first") },
  { header: "LAST", of: ({ range }) => endText(range, "last") },
  { header: "SIZE", of: ({ range }) => String(planOf(range).size) },
  { header: "USED", of: ({ used }) => String(used) },
  { header: "MAC", of: ({ range }) => macText(range), wide: true },
  { header: "GATEWAY", of: ({ range: r }) => [r.gateway, r.gateway6].filter(Boolean).join(", "), wide: true },
  { header: "DNS", of: ({ range }) => (range.dns ?? []).join(", "), wide: true },
  { header: "MTU", of: ({ range }) => String(range.mtu ?? ""), wide: true },
  { header: "LIMITS", of: ({ range }) => shortLimits(range.qos), wide: true },
  { header: "GROUPS", of: ({ range }) => (range.securityGroups ?? []).join(", "), wide: true },
  { header: "LABELS", of: ({ range }) => labelsText(range.labels), wide: true },
];

function endText(range: AddressRange, end: "first" | "last"): string {
  const plan = planOf(range);
  const { ips, mac } = leaseAt(plan, end === "first" ? 0n : plan.size - 1n);
  return ips.length === 0 && mac !== undefined ? formatMac(mac) : ips.map(formatIp).join(", ");
}

/** Where a range is, in a few words. */
export function rangeText(range: AddressRange): string {
  const [first, last] = [endText(range, "first"), endText(range, "last")];
  return first === last ? first : `${first} to ${last}`;
}

function macText(range: AddressRange): string {
  const { mac } = leaseAt(planOf(range), 0n);
  return mac === undefined ? "of the address" : formatMac(mac);
}

async function listRanges(cli: Cli, name: string, options: ListOptions): Promise<void> {
  const selector = parseSelector(options.selector ?? "", "--selector");
  const server = await connect(cli.io, options);
  const [network, endpoints] = await Promise.all([server.get("network", name), server.list("endpoint")]);
  const used = Map.groupBy(
    endpoints.filter(({ spec }) => spec.network === name),
    ({ spec }) => spec.range ?? "",
  );
  await printList(
    cli.io,
    options,
    {
      columns: COLUMNS,
      whole: ({ range }) => range,
      name: ({ range }) => range.name,
      empty: `Network ${name} has no ranges: all of its subnets are given.`,
    },
    (network.spec.ranges ?? [])
      .filter(({ labels = {} }) => selects(selector, labels))
      .map((range) => ({ range, used: used.get(range.name)?.length ?? 0 })),
  );
}

async function addRange(cli: Cli, network: string, name: string, options: ChangeOptions): Promise<void> {
  const labels = newLabels(options.label ?? []);
  const range = { name, ...startOf(options), ...changesOf(options), labels, type: options.type ?? typeOf(options) };
  await edit(cli, options, {
    ...rangeIn(network, name),
    change: ({ spec }) => ({ ...spec, ranges: [...(spec.ranges ?? []), range] }),
    done({ revision }, { spec }) {
      const only = spec.ranges === undefined ? `; from now on network ${network} gives only what is in ranges` : "";
      return `range ${name} of network ${network} added at revision ${revision}${only}\n`;
    },
  });
}

async function resizeRange(cli: Cli, network: string, name: string, options: ChangeOptions): Promise<void> {
  const changes = changesOf(options);
  const { label } = options;
  if (Object.keys(changes).length === 0 && label === undefined)
    throw new Fault("request-invalid", { what: "no change is given", fix: "give --size, or another option of --help" });
  await edit(cli, options, {
    ...rangeIn(network, name, options),
    async change(before, server) {
      const old = rangeOf(before, name);
      const size = changes.size ?? old.size;
      if (options.force === true && size !== undefined && size < planOf(old).size)
        await confirm(
          cli.io,
          `making range ${name} smaller by force`,
          await lostBy(server, before, old, size),
          options.yes,
        );
      // A direction that is not given stays.
      const qos = changes.qos === undefined ? {} : { qos: { ...old.qos, ...changes.qos } };
      const labels = label === undefined ? {} : { labels: mergedLabels(old.labels, label) };
      const after = { ...old, ...changes, ...qos, ...labels };
      const ranges = before.spec.ranges?.map((each) => (each === old ? after : each));
      return { ...before.spec, ranges };
    },
    done: ({ revision }) => `range ${name} of network ${network} changed at revision ${revision}\n`,
  });
}

async function removeRange(cli: Cli, network: string, name: string, options: ChangeOptions): Promise<void> {
  await edit(cli, options, {
    ...rangeIn(network, name, options),
    async change(before, server) {
      const old = rangeOf(before, name);
      if (options.force === true)
        await confirm(cli.io, `removing range ${name} by force`, await lostBy(server, before, old, 0), options.yes);
      const { ranges = [], ...spec } = before.spec;
      return ranges.length === 1 ? spec : { ...spec, ranges: ranges.filter((each) => each !== old) };
    },
    done({ spec, revision }) {
      const all = spec.ranges === undefined ? `; from now on network ${network} gives all of its subnets` : "";
      return `range ${name} of network ${network} removed at revision ${revision}${all}\n`;
    },
  });
}

/** What edit() changes: the network, and of it one range. */
function rangeIn(network: string, range: string, { force = false }: SureOptions = {}) {
  return { kind: "network", name: network, what: `range ${range} of network ${network}`, force } as const;
}

function rangeOf(network: Network, name: string): AddressRange {
  const range = network.spec.ranges?.find((each) => each.name === name);
  if (range !== undefined) return range;
  throw new Fault("range-unknown", {
    what: `network "${network.name}" has no address range "${name}"`,
    where: `network/${network.name}`,
    fix: `see weft network range list ${network.name}`,
  });
}

/** The endpoints with a lease of the range that it would not have with `size` leases, a line each. */
async function lostBy(server: ServerClient, network: Network, range: AddressRange, size: number): Promise<string[]> {
  const plan = planOf(range);
  return (await server.list("endpoint")).flatMap(({ name, spec }) => {
    if (spec.network !== network.name || spec.range !== range.name) return [];
    const ip = ipOf(spec.addresses[0] ?? "");
    const index = ip === undefined ? indexOfMac(plan, macValue(spec.mac)) : indexOfIp(plan, ip);
    if (index !== undefined && index < BigInt(size)) return [];
    return [`endpoint ${name} on ${spec.host} (${[...spec.addresses, spec.mac].join(", ")})`];
  });
}

function typeOf({ first, first6, prefix, ula }: RangeFlags): AddressRange["type"] {
  const isSlaac = prefix !== undefined || ula !== undefined;
  if (first !== undefined) return first6 !== undefined ? "ip4-6-static" : isSlaac ? "ip4-6" : "ip4";
  return first6 !== undefined ? "ip6-static" : isSlaac ? "ip6" : "ether";
}

/** IPv6 has room for sizes that other whole numbers of the CLI never have. */
function sizeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw misuse("--size", `"${text}" is not a size`, "write it like --size 50; static IPv6 may leave it out");
}

/** Where the range begins, in each family, or in MACs. */
function startOf({ first, first6, prefix, ula, mac, ...flags }: RangeFlags): Partial<AddressRange> {
  const prefixLength = wholeNumber(flags.prefixLength, "--prefix-length");
  return defined({ first, first6, prefixLength, prefix, ula, mac });
}

function changesOf({
  gateway,
  gateway6,
  dns,
  securityGroup: securityGroups,
  ...flags
}: RangeFlags): Partial<RangeInput> {
  const size = sizeOf(flags.size);
  const mtu = wholeNumber(flags.mtu, "--mtu");
  return defined({ size, gateway, gateway6, dns, mtu, qos: qosOf(flags), securityGroups });
}
