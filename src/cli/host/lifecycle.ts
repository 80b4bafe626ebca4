// `weft host drain`, `resume`, `reclaim` and `delete`: how a host goes; and `accept-history`: how it goes on with a
// server that has another history. Each says before it is done what would be lost.
import type { Command } from "commander";
import type { ServerClient } from "../../client/server.ts";
import { Fault } from "../../model/fault.ts";
import type { JoinToken } from "../../model/joinToken.ts";
import { type Change, type Endpoint, type Resource, type Snapshot, resourcesIn } from "../../model/resource.ts";
import { waitFor, waitUntil } from "../change/wait.ts";
import type { Cli } from "../context.ts";
import { confirm } from "../input/confirm.ts";
import { connect } from "../input/connect.ts";
import type { RemoteOptions } from "../input/locate.ts";
import { checkKnown, forEachName } from "../input/names.ts";
import { withServer, withForce, withWaitFor, writing, type SureOptions, type WriteOptions } from "../input/options.ts";
import { count } from "../io.ts";
import { misuse } from "../output/error.ts";

type ReclaimOptions = WriteOptions & SureOptions & { readonly dryRun?: boolean };
type DeleteOptions = ReclaimOptions & { readonly reclaim?: boolean };
type AcceptOptions = RemoteOptions & { readonly yes?: boolean; readonly all?: boolean };

export function register(noun: Command, cli: Cli): void {
  const drain = noun
    .command("drain <name>")
    .description("Let the host take no new endpoints; those it has stay until they are detached.");
  withWaitFor(withServer(drain), "the host has no endpoints").action(cli.verb(drainHost));

  const resume = noun
    .command("resume <name>")
    .alias("undrain")
    .description("End a drain: the host takes new endpoints again.");
  writing(resume).action(cli.verb(resumeHost));

  const reclaim = noun
    .command("reclaim <name>")
    .description(
      "Remove a lost host and release what it had (blocks, endpoints, tunnel addresses). Its agent must join anew.",
    )
    .option("--dry-run", "only show what would be released");
  writing(withForce(reclaim, "even if the host is not lost")).action(cli.verb(reclaimHost));

  const remove = noun
    .command("delete <name...>")
    .alias("rm")
    .description("Delete hosts that are drained and empty, or do not come back.")
    .option("--reclaim", "the host is lost: release what it had, as weft host reclaim does")
    .option("--dry-run", "with --reclaim: only show what would be released");
  writing(withForce(remove, "even if the host is ready or has endpoints")).action(cli.verb(forEachName(deleteHost)));

  const accept = noun
    .command("accept-history [names...]")
    .description(
      "Let hosts follow this server although they followed another history (another-history in weft status).",
    )
    .option("--all", "every host that waits for it now")
    .option("-y, --yes", "do not ask for confirmation");
  withServer(accept).action(cli.verb(acceptHistory));
}

async function drainHost(cli: Cli, name: string, options: WriteOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const { revision } = await server.drain(name, true);
  const left = await endpointsOf(server, name);
  const rest =
    left.length === 0
      ? "it has none; it can be deleted"
      : `${count(left.length, "endpoint")} left:\n${left.map((endpoint) => `  ${endpointText(endpoint)}\n`).join("")}`;
  cli.io.err(`host ${name} takes no new endpoints (revision ${revision}); ${rest.trimEnd()}\n`);
  await waitUntil(cli.io, options.wait, async () => {
    const pending = await endpointsOf(server, name);
    if (pending.length === 0) return undefined;
    const text = `waiting for ${count(pending.length, "endpoint")} of host ${name} to be detached`;
    return { text, missing: pending.map((endpoint) => endpoint.name) };
  });
  if (options.wait !== undefined && left.length > 0) cli.io.err(`host ${name} is empty; it can be deleted\n`);
}

async function resumeHost(cli: Cli, name: string, options: WriteOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const { revision } = await server.drain(name, false);
  await waitFor(cli.io, options.wait, revision, server);
  cli.io.err(`host ${name} takes new endpoints (revision ${revision})\n`);
}

async function reclaimHost(cli: Cli, name: string, options: ReclaimOptions): Promise<void> {
  const { io } = cli;
  const server = await connect(io, options);
  const force = options.force === true;
  const [before, { changes }] = await Promise.all([server.snapshot(), server.reclaim(name, { force, dryRun: true })]);
  const lines = lossesOf(before, changes);
  if (options.dryRun === true) return io.out(lines.map((line) => `${line}\n`).join(""));
  await confirm(io, `reclaiming host ${name}`, lines, options.yes);
  const { revision } = await server.reclaim(name, { force });
  await waitFor(io, options.wait, revision, server);
  io.err(`host ${name} reclaimed at revision ${revision}: ${count(lines.length, "thing")} freed or moved\n`);
}

/** A line for each thing that goes, and for each that another host gets because of it. */
function lossesOf(before: Snapshot, changes: readonly Change[]): string[] {
  const old = new Map(resourcesIn(before).map((resource) => [`${resource.kind}/${resource.name}`, resource]));
  return changes
    .map((change) => {
      if ("put" in change) return `then ${describe(change.put)}`;
      const resource = old.get(change.remove);
      return resource === undefined ? change.remove : describe(resource);
    })
    .sort();
}

function describe(resource: Resource): string {
  switch (resource.kind) {
    case "endpoint":
      return `endpoint ${endpointText(resource)}`;
    case "block":
      return `block ${resource.spec.cidr} of network ${resource.spec.network}, host ${resource.spec.host}`;
    case "vtep": {
      const { ip, ip6, vrf, host } = resource.spec;
      return `tunnel address ${ip ?? ip6} in VRF ${vrf}, host ${host}`;
    }
    case "freed": {
      const { network, addresses, mac } = resource.spec;
      return `quarantine of ${addresses.join(", ") || mac} in network ${network}`;
    }
    default:
      return `${resource.kind} ${resource.name}`;
  }
}

function endpointText({ name, spec }: Endpoint): string {
  return `${name} (${spec.addresses.join(", ")} in network ${spec.network})`;
}

async function endpointsOf(server: ServerClient, host: string): Promise<readonly Endpoint[]> {
  return (await server.list("endpoint")).filter((endpoint) => endpoint.spec.host === host);
}

async function deleteHost(cli: Cli, name: string, options: DeleteOptions): Promise<void> {
  if (options.reclaim === true) return reclaimHost(cli, name, options);
  if (options.dryRun === true) {
    const fix = `weft host delete ${name} --reclaim --dry-run, or see weft host show ${name}`;
    throw misuse("--dry-run", "--dry-run is for --reclaim", fix);
  }
  const server = await connect(cli.io, options);
  const [status, hosts, own] = await Promise.all([server.status(), server.list("host"), endpointsOf(server, name)]);
  const state = status.hosts.find((host) => host.host === name)?.state;
  const isDrained = hosts.some((host) => host.name === name && host.spec.drained === true);
  if (state === "ready" && !isDrained && options.force !== true) {
    throw new Fault("in-use", {
      what: `host ${name} is ready: its agent reports`,
      where: `host/${name}`,
      fix: `drain it first (weft host drain ${name} --wait), or use --force`,
    });
  }
  const losses = own.map((endpoint) => `endpoint ${endpointText(endpoint)}`);
  if (options.force === true) await confirm(cli.io, `deleting host ${name} by force`, losses, options.yes);
  const { revision } = await server.remove("host", name, { force: options.force === true });
  await waitFor(cli.io, options.wait, revision, server);
  const along = own.length === 0 ? "" : `, with ${count(own.length, "endpoint")}`;
  cli.io.err(`host ${name} deleted at revision ${revision}${along}\n`);
  cli.io.err(await returningText(server, name));
}

/** By which join tokens the machine could join again: its agent may have a copy. */
async function returningText(server: ServerClient, host: string): Promise<string> {
  const all = await server.joinTokens().catch((error: unknown) => {
    // A user may delete hosts, and see no join tokens.
    if (error instanceof Fault && error.reason === "forbidden") return [];
    throw error;
  });
  // Of a token that was used often, only the latest hosts are known.
  const mayHave = ({ state, hosts, used }: JoinToken) =>
    state === "valid" && (used > hosts.length || hosts.some((one) => one.host === host));
  const names = all.filter(mayHave).map(({ name }) => name);
  if (names.length === 0) return "";
  const which = `it can join again by ${names.length === 1 ? "the join token" : "the join tokens"} ${names.join(", ")}`;
  return `${which}, if it has kept a copy; to keep it out: weft host token delete ${names.join(" ")}\n`;
}

async function acceptHistory(cli: Cli, names: readonly string[], options: AcceptOptions): Promise<void> {
  if (names.length > 0 && options.all === true)
    throw misuse("--all", "both names and --all are given", "give the names, or --all for every host that waits");
  if (names.length === 0 && options.all !== true) {
    const fix = "name them: weft host accept-history h1 h2; or take all that wait: weft host accept-history --all";
    throw misuse("[names...]", "no host is given", fix);
  }
  const server = await connect(cli.io, options);
  const asking = (await server.status()).conditions.filter((one) => one.reason === "another-history");
  const hosts = options.all === true ? asking.flatMap((one) => one.host ?? []) : names;
  if (hosts.length === 0) return cli.io.err("No host is waiting for accept-history.\n");
  for (const host of hosts) if (!asking.some((one) => one.host === host)) await checkAsks(server, host);
  const lines = hosts.map((host) => asking.find((one) => one.host === host)?.message ?? `host ${host}`);
  await confirm(cli.io, "Removing from these hosts everything that this server does not know", lines, options.yes);
  for (const host of hosts) await server.acceptHistory(host);
  cli.io.err(`${count(hosts.length, "host")} will follow this server within seconds; see weft status\n`);
}

/** Before anybody is asked to confirm: a host that there is not, or that follows this server already. */
async function checkAsks(server: ServerClient, host: string): Promise<void> {
  checkKnown({ host }, { networks: [], hosts: await server.list("host") });
  throw new Fault("not-found", {
    what: `host "${host}" does not wait for accept-history`,
    where: `host/${host}`,
    why: "its agent has not shown another history in the last minute",
    fix: "see weft status; an agent with another history shows it every few seconds while it runs",
  });
}
