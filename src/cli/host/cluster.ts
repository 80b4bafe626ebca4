// `weft cluster`: named sets of hosts, by their names or by labels, and the networks that are for them.
import type { Command } from "commander";
import { membersOf } from "../../model/cluster.ts";
import { defined } from "../../model/defined.ts";
import type { Host, HostCluster, Network } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { confirm } from "../input/confirm.ts";
import type { ServerClient } from "../input/connect.ts";
import {
  listOrNone,
  repeated,
  withForce,
  writing,
  type Lists,
  type SureOptions,
  type Texts,
  type WriteOptions,
} from "../input/options.ts";
import { changedNames } from "../output/changes.ts";
import { byName, fields, type Column } from "../output/format.ts";
import { create, edit, noChange, registerDelete, registerList, registerShow } from "../resource/verbs.ts";

type SpecFlags = Texts<"hostSelector" | "description"> & Lists<"host" | "removeHost">;

export function register(noun: Command, cli: Cli): void {
  registerList(noun, cli, "hostcluster", {
    about: "List clusters of hosts.",
    columns: async (server) => columnsOf(await server.list("host"), await server.list("network")),
    empty: "No clusters. Create one: weft cluster create NAME --host HOST",
  });
  registerShow(noun, cli, "hostcluster", {
    about: "Show a cluster: the hosts that are in it, and the networks that are for it.",
    text: clusterText,
  });
  const make = noun
    .command("create <name>")
    .description("Create a cluster of hosts.")
    .addHelpText(
      "after",
      `
Examples:
  weft cluster create east --host h1 --host h2
  weft cluster create east --host-selector 'rack in (r7,r8)'
  weft network create blue --subnet 10.7.0.0/16 --cluster east`,
    );
  writing(specFlags(make)).action(cli.verb(createCluster));
  const change = specFlags(noun.command("edit <name>").description("Change a cluster. Its networks follow."));
  change.option("--remove-host <name>", "take this host's name out; repeatable", repeated);
  withForce(change, "even if endpoints are on hosts that leave it; the hosts are asked to detach them");
  writing(change).action(cli.verb(editCluster));
  registerDelete(noun, cli, "hostcluster", { about: "Delete clusters that no network has." });
}

function specFlags(command: Command): Command {
  return command
    .option("--host <name>", "host that is in it; an edit adds it; none takes all names out; repeatable", repeated)
    .option("--host-selector <labels>", 'hosts with these labels are in it, now and later; "" for none')
    .option("--description <text>", "text that list and show print");
}

/** The spec with what the flags say; "" takes a text away. */
function changed(before: HostCluster["spec"], flags: SpecFlags): HostCluster["spec"] {
  const { host = [], hostSelector = before.selector, description = before.description, removeHost = [] } = flags;
  const isNone = host.join() === "none";
  const hosts = [...new Set([...(isNone ? [] : (before.hosts ?? [])), ...listOrNone(host, "--host")])];
  return defined({
    hosts: hosts.filter((one) => !removeHost.includes(one)).sort(),
    selector: hostSelector || undefined,
    description: description || undefined,
  });
}

async function createCluster(cli: Cli, name: string, options: SpecFlags & WriteOptions): Promise<void> {
  const how = { kind: "hostcluster", noun: "cluster", called: "cluster" } as const;
  const { revision } = await create(cli, options, { ...how, name, spec: changed({}, options) });
  cli.io.err(`cluster ${name} created at revision ${revision}\n`);
}

async function editCluster(cli: Cli, name: string, options: SpecFlags & SureOptions & WriteOptions): Promise<void> {
  const { host, removeHost, hostSelector, description } = options;
  if ((host ?? removeHost ?? hostSelector ?? description) === undefined) throw noChange("cluster");
  const force = options.force === true;
  await edit(cli, options, {
    kind: "hostcluster",
    name,
    force,
    async change({ spec }, server) {
      const after = changed(spec, options);
      if (force)
        await confirm(cli.io, `changing cluster ${name} by force`, await losses(server, name, after), options.yes);
      return after;
    },
    done: (after, before) => `cluster ${name} changed at revision ${after.revision}: ${changedNames(before, after)}\n`,
  });
}

/** Endpoints that hosts may be asked to detach: of its networks, on hosts that leave it. */
async function losses(server: ServerClient, name: string, after: HostCluster["spec"]): Promise<readonly string[]> {
  const { endpoints, hosts, networks } = await server.snapshot();
  const others = (await server.list("hostcluster")).filter((one) => one.name !== name);
  const left = networks.filter(({ spec }) => spec.clusters?.includes(name) === true);
  const stays = new Map(
    left.map((network) => {
      const rest = others.filter((one) => network.spec.clusters?.includes(one.name) === true).map(({ spec }) => spec);
      return [network.name, new Set([after, ...rest].flatMap((spec) => membersOf(spec, hosts)))];
    }),
  );
  const isLost = (network: string, host: string) => stays.get(network)?.has(host) === false;
  return endpoints
    .filter(({ spec }) => isLost(spec.network, spec.host))
    .map((one) => `endpoint ${one.name} on ${one.spec.host} (${one.spec.addresses.join(", ")})`);
}

const networksOf = (name: string, networks: readonly Network[]) =>
  byName(networks.filter(({ spec }) => spec.clusters?.includes(name) === true)).map((network) => network.name);

function columnsOf(hosts: readonly Host[], networks: readonly Network[]): readonly Column<HostCluster>[] {
  return [
    { header: "NAME", of: (c) => c.name },
    { header: "HOSTS", of: ({ spec }) => String(membersOf(spec, hosts).length) },
    { header: "NETWORKS", of: (c) => String(networksOf(c.name, networks).length) },
    { header: "SELECTOR", of: (c) => c.spec.selector ?? "" },
    { header: "NAMED", of: (c) => c.spec.hosts?.join(", ") ?? "", wide: true },
    { header: "DESCRIPTION", of: (c) => c.spec.description ?? "" },
  ];
}

async function clusterText({ io }: Cli, { name, spec, revision }: HostCluster, server: ServerClient): Promise<string> {
  const [hosts, networks] = await Promise.all([server.list("host"), server.list("network")]);
  return fields(io, [
    ["Name", name],
    ["Description", spec.description],
    ["Named", spec.hosts?.join(", ") || undefined],
    ["Selector", spec.selector],
    ["Hosts", membersOf(spec, byName(hosts)).join(", ") || "none"],
    ["Networks", networksOf(name, networks).join(", ") || "none"],
    ["Revision", String(revision)],
  ]);
}
