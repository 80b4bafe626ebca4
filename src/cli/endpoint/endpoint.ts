// `weft endpoint`: attachments of workloads, wherever they are.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import { DIRECTIONS, limited } from "../../model/qos.ts";
import type { QueueCounters } from "../../model/status.ts";
import type { Endpoint } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { allowedOf } from "./attach.ts";
import { isSame, sameText } from "../output/changes.ts";
import { connect, connectAgent, type ServerClient } from "../input/connect.ts";
import { forEachName } from "../input/each.ts";
import { overriddenText } from "../group/rule.ts";
import { checkFilter } from "../input/names.ts";
import { trafficOf, trafficText } from "./traffic.ts";
import { countersText, type LimitFlags, limitFlags, limitText, qosOf, shortLimits } from "./limit.ts";
import {
  listOrNone,
  withOutput,
  withServer,
  repeated,
  withForce,
  withWait,
  type ReadOptions,
  type SureOptions,
  type WriteOptions,
} from "../input/options.ts";
import { byName, fields, printList, printOne, type Column } from "../output/format.ts";
import { confirm } from "../input/confirm.ts";
import { waitFor } from "../change/wait.ts";

type Filter = { readonly network?: string; readonly host?: string };

export function register(noun: Command, cli: Cli): void {
  const list = noun
    .command("list")
    .alias("ls")
    .description("List endpoints.")
    .option("--network <name>", "only in this network")
    .option("--host <name>", "only on this host");
  withOutput(withServer(list)).action(cli.verb((options: ReadOptions & Filter) => listEndpoints(cli, options)));

  const show = noun
    .command("show")
    .argument("<name>", "the endpoint (web1.eth0), or its owner (web1)")
    .description("Show an endpoint: its addresses, limits and traffic.");
  withOutput(withServer(show)).action(
    cli.verb((name: string, options: ReadOptions) => showEndpoint(cli, name, options)),
  );

  const set = noun
    .command("set")
    .argument("<name>", "the endpoint (web1.eth0), or its owner (web1)")
    .description("Change an attached endpoint: its limits, its own security groups, its additional addresses.")
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
  withWait(withServer(limitFlags(set, "none, or inherit"))).action(
    cli.verb((name: string, options: SetFlags & WriteOptions) => setEndpoint(cli, name, options)),
  );

  const remove = noun
    .command("delete")
    .alias("rm")
    .argument("<name...>")
    .description("Tell the hosts to detach endpoints; their workloads lose the interfaces.");
  withWait(withServer(withForce(remove, "remove the record at once, even if the host does not answer"))).action(
    cli.verb((names: readonly string[], options: WriteOptions & SureOptions) =>
      forEachName(cli, names, (name) => deleteEndpoint(cli, name, options)),
    ),
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
];

async function listEndpoints(cli: Cli, options: ReadOptions & Filter): Promise<void> {
  const server = await connect(cli.io, options);
  await checkFilter(server, options);
  const rows = (await server.list("endpoint"))
    .filter((endpoint) => options.network === undefined || endpoint.spec.network === options.network)
    .filter((endpoint) => options.host === undefined || endpoint.spec.host === options.host);
  await printList(
    cli.io,
    options,
    { columns: COLUMNS, name: (e) => `endpoint/${e.name}`, empty: "No endpoints." },
    byName(rows),
  );
}

async function showEndpoint(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const endpoint = await findEndpoint(server, name);
  const network = await server.get("network", endpoint.spec.network);
  const levels = [
    ["endpoint", endpoint.spec.qos],
    ["range", network.spec.ranges?.find((range) => range.name === endpoint.spec.range)?.qos],
    ["network", network.spec.qos],
  ] as const;
  const isLimited = limited(levels.map(([, qos]) => qos)).length > 0;
  const queues = isLimited ? await queuesOf(cli, endpoint) : [];
  const traffic = await trafficOf(cli, endpoint);
  const value = {
    ...endpoint,
    ...(queues === undefined || !isLimited ? {} : { queues }),
    ...(traffic === undefined ? {} : { traffic }),
  };
  await printOne(cli.io, options, { name: `endpoint/${endpoint.name}`, value }, () =>
    fields(cli.io, [
      ["Name", endpoint.name],
      ["Network", endpoint.spec.network],
      ["Host", endpoint.spec.host],
      ["Addresses", endpoint.spec.addresses.join(", ")],
      ["MAC", endpoint.spec.mac],
      ["Interface", endpoint.spec.ifname],
      ["Namespace", endpoint.spec.netns],
      ["Slice", endpoint.spec.slice],
      ["Workload", endpoint.spec.workload],
      ["Made by", endpoint.spec.joined === true ? "a membership of its workload" : undefined],
      ...DIRECTIONS.flatMap((direction): [string, string | undefined][] => {
        const title = direction === "inbound" ? "Inbound" : "Outbound";
        const queue = queues?.find((one) => one.direction === direction);
        return [
          [title, limitText(levels, direction)],
          [`${title} so far`, queue === undefined ? undefined : countersText(queue)],
        ];
      }),
      ["Security groups", endpoint.spec.securityGroups?.join(", ")],
      ["May also have", endpoint.spec.allowedAddresses?.map(({ address }) => address).join(", ")],
      ...trafficText(traffic),
      ["State", endpoint.spec.detaching === true ? "detaching" : "attached"],
      ["Revision", String(endpoint.revision)],
    ]),
  );
}

/** As its host's agent counts now; undefined if this is not its host, or not root's shell. Says so for people. */
async function queuesOf(cli: Cli, { name, spec }: Endpoint): Promise<readonly QueueCounters[] | undefined> {
  try {
    const agent = await connectAgent(cli.io, { host: spec.host });
    const queues = (await agent.queues()).filter((queue) => queue.endpoint === name);
    if (queues.length > 0) return queues;
  } catch {
    // Said below, whichever way it is not this host's agent.
  }
  cli.io.err(`the counters of its limits are read on its host: run this as root on ${spec.host}\n`);
  return undefined;
}

type SetFlags = LimitFlags & { readonly sg?: readonly string[]; readonly allowAddress?: readonly string[] };

async function setEndpoint(cli: Cli, name: string, options: SetFlags & WriteOptions): Promise<void> {
  const { sg, allowAddress } = options;
  const qos = qosOf(options);
  const patch = {
    ...(qos === undefined ? {} : { qos }),
    ...(sg === undefined ? {} : { securityGroups: listOrNone(sg, "--sg") }),
    ...(allowAddress === undefined
      ? {}
      : { allowedAddresses: listOrNone(allowAddress, "--allow-address").map(allowedOf) }),
  };
  if (Object.keys(patch).length === 0) {
    const fix = "give --inbound, --outbound, --sg or --allow-address";
    throw new Fault("request-invalid", { what: "no change is given", fix });
  }
  const server = await connect(cli.io, options);
  const endpoint = await findEndpoint(server, name);
  const after = await server.patchEndpoint(endpoint.name, patch);
  await waitFor(cli.io, options.wait, after.revision, () => server.status());
  if (isSame(endpoint, after)) return cli.io.err(sameText(`endpoint ${endpoint.name}`, after));
  const changed = [...Object.keys(qos ?? {}), ...Object.keys(patch).filter((field) => field !== "qos")];
  cli.io.err(`endpoint ${endpoint.name} changed at revision ${after.revision}: ${changed.join(", ")}\n`);
  cli.io.err(overriddenText(after.spec.securityGroups));
}

/** By its name, or by its owner's when the owner has one interface only. */
async function findEndpoint(server: ServerClient, name: string): Promise<Endpoint> {
  const matches = (await server.list("endpoint")).filter(
    (endpoint) => endpoint.name === name || endpoint.spec.owner === name,
  );
  const exact = matches.find((endpoint) => endpoint.name === name);
  const [only, second] = matches;
  if (exact !== undefined) return exact;
  if (only === undefined)
    throw new Fault("endpoint-unknown", { what: `there is no endpoint "${name}"`, fix: "see weft endpoint list" });
  if (second === undefined) return only;
  throw new Fault("request-invalid", {
    what: `"${name}" has several interfaces`,
    where: "<name>",
    fix: `name one of its endpoints: ${matches.map((e) => e.name).join(", ")}`,
  });
}

async function deleteEndpoint(cli: Cli, name: string, options: WriteOptions & SureOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const endpoint = await findEndpoint(server, name);
  const { spec } = endpoint;
  await confirm(
    cli.io,
    `deleting endpoint ${endpoint.name}`,
    [`interface ${spec.ifname} of ${spec.owner} on ${spec.host} (${spec.addresses.join(", ")})`],
    options.yes,
  );
  const { revision } = await server.remove("endpoint", endpoint.name, { force: options.force === true });
  await waitFor(cli.io, options.wait, revision, () => server.status());
  cli.io.err(
    options.force === true
      ? `endpoint ${endpoint.name} removed at revision ${revision}\n`
      : `endpoint ${endpoint.name}: ${endpoint.spec.host} was asked to detach it\n`,
  );
}
