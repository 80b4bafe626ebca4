// `weft endpoint`: attachments of workloads, wherever they are.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import { labelsText } from "../../model/labels.ts";
import { DIRECTIONS, limited } from "../../model/qos.ts";
import type { Endpoint } from "../../model/resource.ts";
import type { EndpointCounters } from "../../model/status.ts";
import { waitFor } from "../change/wait.ts";
import type { Cli } from "../context.ts";
import { overriddenText } from "../group/rule.ts";
import { confirm } from "../input/confirm.ts";
import { type AgentClient, connect, connectAgent, type ServerClient } from "../input/connect.ts";
import { checkFilter, forEachName } from "../input/names.ts";
import {
  listing,
  listOrNone,
  reading,
  repeated,
  withForce,
  writing,
  type ListOptions,
  type ReadOptions,
  type Lists,
  type SureOptions,
  type WriteOptions,
} from "../input/options.ts";
import { mergedLabels, withLabels } from "../input/labels.ts";
import { registerRights } from "../resource/rights.ts";
import { isSame, sameText } from "../output/changes.ts";
import { misuse } from "../output/error.ts";
import { byName, fields, printList, printOne, type Column } from "../output/format.ts";
import { allowedOf } from "./attach.ts";
import { countersText, type LimitFlags, limitFlags, limitText, qosOf, shortLimits } from "./limit.ts";

type Filter = { readonly network?: string; readonly host?: string };

export function register(noun: Command, cli: Cli): void {
  registerRights(noun, cli, "endpoint");
  const list = noun
    .command("list")
    .alias("ls")
    .description("List endpoints.")
    .option("--network <name>", "only in this network")
    .option("--host <name>", "only on this host");
  listing(list).action(cli.verb(listEndpoints));
  const show = noun
    .command("show")
    .argument("<name>", "the endpoint (web1.eth0), or its owner (web1)")
    .description("Show an endpoint: its addresses, limits and traffic.");
  reading(show).action(cli.verb(showEndpoint));
  const set = noun
    .command("set")
    .argument("<name>", "the endpoint (web1.eth0), or its owner (web1)")
    .description("Change an attached endpoint: its limits, labels, own security groups, additional addresses.")
    .option("--sg <name>", "replace its own security groups, or none; repeatable", repeated)
    .option("--allow-address <ip[,mac]>", "replace its additional addresses, or none; repeatable", repeated)
    .addHelpText(
      "after",
      `
Examples:
  weft endpoint set web --inbound avg=10mbit
  weft endpoint set web --outbound inherit      # the limit of its network
  weft endpoint set web --sg web --sg ssh`,
    );
  withLabels(set);
  writing(limitFlags(set, "none, or inherit")).action(cli.verb(setEndpoint));
  const remove = noun
    .command("delete <name...>")
    .alias("rm")
    .description("Tell the hosts to detach endpoints; their workloads lose the interfaces.");
  writing(withForce(remove, "remove the record at once, even if the host does not answer")).action(
    cli.verb(forEachName(deleteEndpoint)),
  );
}

const COLUMNS: readonly Column<Endpoint>[] = [
  { header: "NAME", of: (e) => e.name },
  { header: "NETWORK", of: (e) => e.spec.network },
  { header: "HOST", of: (e) => e.spec.host },
  { header: "ADDRESSES", of: (e) => e.spec.addresses.join(", ") },
  { header: "MAC", of: (e) => e.spec.mac },
  { header: "STATE", of: (e) => (e.spec.detaching === true ? { text: "detaching", tone: "warn" } : "attached") },
  { header: "WORKLOAD", of: (e) => e.spec.workload ?? "", wide: true },
  { header: "LIMITS", of: (e) => shortLimits(e.spec.qos), wide: true },
  { header: "SLICE", of: (e) => e.spec.slice ?? "", wide: true },
  { header: "NETNS", of: (e) => e.spec.netns, wide: true },
  { header: "LABELS", of: (e) => labelsText(e.spec.labels), wide: true },
];

async function listEndpoints(cli: Cli, options: ListOptions & Filter): Promise<void> {
  const server = await connect(cli.io, options);
  await checkFilter(server, options);
  const rows = (await server.list("endpoint", options.selector))
    .filter(({ spec }) => (options.network ?? spec.network) === spec.network)
    .filter(({ spec }) => (options.host ?? spec.host) === spec.host);
  const listing = { columns: COLUMNS, name: (e: Endpoint) => `endpoint/${e.name}`, empty: "No endpoints." };
  await printList(cli.io, options, listing, byName(rows));
}

async function showEndpoint(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const endpoint = await findEndpoint(server, name);
  const { spec } = endpoint;
  const network = await server.get("network", spec.network);
  const levels = [
    ["endpoint", spec.qos],
    ["range", network.spec.ranges?.find((range) => range.name === spec.range)?.qos],
    ["network", network.spec.qos],
  ] as const;
  const isLimited = limited(levels.map(([, qos]) => qos)).length > 0;
  const queues = isLimited ? await countedOf(cli, endpoint, (agent) => agent.queues()) : undefined;
  if (isLimited && queues === undefined)
    cli.io.err(`the counters of its limits are read on its host: run this as root on ${spec.host}\n`);
  const [traffic] = (await countedOf(cli, endpoint, (agent) => agent.counters())) ?? [];
  const value = { ...endpoint, ...defined({ queues, traffic }) };
  await printOne(cli.io, options, { name: `endpoint/${endpoint.name}`, value }, () =>
    fields(cli.io, [
      ["Name", endpoint.name],
      ["Network", spec.network],
      ["Host", spec.host],
      ["Addresses", spec.addresses.join(", ")],
      ["MAC", spec.mac],
      ["Interface", spec.ifname],
      ["Namespace", spec.netns],
      ["Slice", spec.slice],
      ["Workload", spec.workload],
      ["Labels", labelsText(spec.labels) || undefined],
      ["Made by", spec.joined === true ? "a membership of its workload" : undefined],
      ...DIRECTIONS.flatMap((direction): [string, string | undefined][] => {
        const title = direction === "inbound" ? "Inbound" : "Outbound";
        const queue = queues?.find((one) => one.direction === direction);
        return [
          [title, limitText(levels, direction)],
          [`${title} so far`, queue && countersText(queue)],
        ];
      }),
      ["Security groups", spec.securityGroups?.join(", ")],
      ["May also have", spec.allowedAddresses?.map(({ address }) => address).join(", ")],
      ...trafficText(traffic),
      ["State", spec.detaching === true ? "detaching" : "attached"],
      ["Revision", String(endpoint.revision)],
    ]),
  );
}

/** What its host's agent counts of it now; undefined if that is nothing, or only root on its host may ask. */
async function countedOf<Counted extends { readonly endpoint: string }>(
  { io }: Cli,
  { name, spec }: Endpoint,
  ask: (agent: AgentClient) => Promise<readonly Counted[]>,
): Promise<readonly Counted[] | undefined> {
  try {
    const all = await ask(await connectAgent(io, { host: spec.host }));
    const counted = all.filter(({ endpoint }) => endpoint === name);
    return counted.length === 0 ? undefined : counted;
  } catch {
    return undefined;
  }
}

function trafficText(counters: EndpointCounters | undefined): [string, string][] {
  if (counters === undefined) return [];
  const { drops, ...traffic } = counters;
  const dropped = Object.entries(drops).map(([reason, packets]) => `${packets} ${reason}`);
  return [
    ["Sent", `${traffic.sentPackets} packets, ${traffic.sentBytes} bytes`],
    ["Received", `${traffic.receivedPackets} packets, ${traffic.receivedBytes} bytes`],
    ["Dropped", dropped.length === 0 ? "nothing" : dropped.join(", ")],
  ];
}

type SetFlags = LimitFlags & Lists<"sg" | "allowAddress" | "label">;

async function setEndpoint(cli: Cli, name: string, options: SetFlags & WriteOptions): Promise<void> {
  const { sg, allowAddress } = options;
  const qos = qosOf(options);
  const patch = defined({
    qos,
    securityGroups: sg && listOrNone(sg, "--sg"),
    allowedAddresses: allowAddress && listOrNone(allowAddress, "--allow-address").map(allowedOf),
  });
  if (Object.keys(patch).length === 0 && options.label === undefined) {
    const fix = "give --inbound, --outbound, --sg, --allow-address or --label";
    throw new Fault("request-invalid", { what: "no change is given", fix });
  }
  const server = await connect(cli.io, options);
  const endpoint = await findEndpoint(server, name);
  const labels = options.label && mergedLabels(endpoint.spec.labels, options.label);
  const after = await server.patchEndpoint(endpoint.name, { ...patch, ...defined({ labels }) });
  await waitFor(cli.io, options.wait, after.revision, server);
  if (isSame(endpoint, after)) return cli.io.err(sameText(`endpoint ${endpoint.name}`, after));
  const others = Object.keys({ ...patch, ...defined({ labels }) }).filter((field) => field !== "qos");
  const changed = [...Object.keys(qos ?? {}), ...others];
  cli.io.err(`endpoint ${endpoint.name} changed at revision ${after.revision}: ${changed.join(", ")}\n`);
  cli.io.err(overriddenText(after.spec.securityGroups));
}

/** By its name, or by its owner's when the owner has one interface only. */
async function findEndpoint(server: ServerClient, name: string): Promise<Endpoint> {
  const matches = (await server.list("endpoint")).filter(
    (endpoint) => endpoint.name === name || endpoint.spec.owner === name,
  );
  const [only, second] = matches;
  const exact = matches.find((endpoint) => endpoint.name === name);
  if (exact !== undefined) return exact;
  if (only === undefined)
    throw new Fault("endpoint-unknown", { what: `there is no endpoint "${name}"`, fix: "see weft endpoint list" });
  if (second === undefined) return only;
  throw misuse(
    "<name>",
    `"${name}" has several interfaces`,
    `name one of its endpoints: ${matches.map((e) => e.name).join(", ")}`,
  );
}

async function deleteEndpoint(cli: Cli, name: string, options: WriteOptions & SureOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const endpoint = await findEndpoint(server, name);
  const { ifname, owner, host, addresses } = endpoint.spec;
  const losses = [`interface ${ifname} of ${owner} on ${host} (${addresses.join(", ")})`];
  await confirm(cli.io, `deleting endpoint ${endpoint.name}`, losses, options.yes);
  const force = options.force === true;
  const { revision } = await server.remove("endpoint", endpoint.name, { force });
  await waitFor(cli.io, options.wait, revision, server);
  const outcome = force ? ` removed at revision ${revision}` : `: ${host} was asked to detach it`;
  cli.io.err(`endpoint ${endpoint.name}${outcome}\n`);
}
