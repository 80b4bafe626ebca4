// `weft network join`, `leave` and `members`: which workloads are in a network, and how far their hosts are with that.
import type { Command } from "commander";
import { defined } from "../../model/defined.ts";
import { type Endpoint, type Snapshot, membershipName } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { count } from "../io.ts";
import { reading, writing, type ReadOptions, type WriteOptions } from "../input/options.ts";
import { inOrder, printList, type Column } from "../output/format.ts";
import { pendingAt, waitUntil } from "../change/wait.ts";

export function registerMembers(noun: Command, cli: Cli): void {
  const join = noun
    .command("join <network>")
    .argument("<workload>", "as given to weft attach --workload")
    .description("Give every instance of a workload, present and future, an interface in a network.");
  writing(join.option("--user <user>", WHOSE)).action(cli.verb(joinNetwork));
  const leave = noun
    .command("leave <network> <workload>")
    .description("Remove the interfaces that join made; those attached by hand stay.");
  writing(leave.option("--user <user>", WHOSE)).action(cli.verb(leaveNetwork));
  const members = noun
    .command("members <name>")
    .description("List the interfaces in a network, and whether a membership or a person made them.");
  reading(members).action(cli.verb(listMembers));
}

const WHOSE = "whose workload it is (default: yours; for an administrator, one that no user owns)";

type Options = WriteOptions & { readonly user?: string };

/** One interface in the network, or one that an instance still lacks. */
type Member = {
  readonly workload: string;
  readonly instance: string;
  readonly host: string;
  readonly endpoint: string;
  readonly addresses: readonly string[];
  readonly by: "membership" | "hand";
  readonly state: "attached" | "joining" | "leaving" | "no instance";
};

const COLUMNS: readonly Column<Member>[] = [
  { header: "WORKLOAD", of: (m) => m.workload },
  { header: "INSTANCE", of: (m) => m.instance },
  { header: "HOST", of: (m) => m.host },
  { header: "ENDPOINT", of: (m) => m.endpoint },
  { header: "ADDRESSES", of: (m) => m.addresses.join(", ") },
  { header: "BY", of: (m) => m.by },
  { header: "STATE", of: (m) => (m.state === "attached" ? m.state : { text: m.state, tone: "warn" }) },
];

/** All members of the network, and those that are still to join. */
function membersOf(snapshot: Snapshot, network: string): Member[] {
  const memberships = snapshot.memberships.filter(({ spec }) => spec.network === network);
  const wanted = new Set(memberships.map(({ name }) => name));
  const attached = snapshot.endpoints
    .filter(({ spec }) => spec.network === network)
    .map((endpoint): Member => {
      const { workload = "", joined, detaching, owner, host, addresses } = endpoint.spec;
      const isWanted = wanted.has(membershipName({ network, workload, ...defined({ user: endpoint.access?.owner }) }));
      const isLeaving = detaching === true || (joined === true && !isWanted);
      return {
        workload,
        instance: owner,
        host,
        endpoint: endpoint.name,
        addresses,
        by: joined === true ? "membership" : "hand",
        state: isLeaving ? "leaving" : "attached",
      };
    });
  const lacking = memberships.flatMap(({ spec: { workload, user } }): Member[] => {
    const none = { workload, endpoint: "", addresses: [], by: "membership" as const };
    const instances = instancesOf(snapshot, workload, user);
    if (instances.length === 0) return [{ ...none, instance: "", host: "", state: "no instance" }];
    const lack = lackOf(snapshot, network, instances);
    return lack.map(({ owner: instance, host }) => ({ ...none, instance, host, state: "joining" }));
  });
  return inOrder([...attached, ...lacking], (m) => `${m.workload} ${m.instance} ${m.host} ${m.endpoint}`);
}

type Instance = Endpoint["spec"];
function instancesOf(snapshot: Snapshot, workload: string, user: string | undefined): Instance[] {
  const own = snapshot.endpoints.filter(({ spec, access }) => spec.workload === workload && access?.owner === user);
  return [...new Map(own.map(({ spec }) => [instanceKey(spec), spec])).values()];
}

function lackOf(snapshot: Snapshot, network: string, instances: readonly Instance[]): Instance[] {
  const there = snapshot.endpoints.filter(({ spec }) => spec.network === network).map(({ spec }) => instanceKey(spec));
  const places = new Set(there);
  return instances.filter((instance) => !places.has(instanceKey(instance)));
}

function instanceKey({ host, owner, netns }: Instance): string {
  return `${host} ${owner} ${netns}`;
}

async function joinNetwork(cli: Cli, network: string, workload: string, options: Options): Promise<void> {
  const server = await connect(cli.io, options);
  const { user } = (await server.join({ network, workload, ...defined({ user: options.user }) })).spec;
  const instances = instancesOf(await server.snapshot(), workload, user);
  await waitUntil(cli.io, options.wait, async () => {
    const snapshot = await server.snapshot();
    const missing = lackOf(snapshot, network, instancesOf(snapshot, workload, user));
    if (missing.length > 0) {
      const conditions = (await server.status()).hosts.flatMap((host) => host.status?.conditions ?? []);
      const text = `waiting for ${count(missing.length, "instance")} of ${workload} to join ${network}`;
      return { text, missing: missing.map(({ owner, host }) => whyNot(`${owner} on ${host}`, owner, conditions)) };
    }
    // Peers have to know of it, too.
    const joined = snapshot.endpoints.filter(({ spec }) => spec.network === network).map(({ revision }) => revision);
    return pendingAt(await server.status(), Math.max(0, ...joined));
  });
  cli.io.err(
    instances.length === 0
      ? `workload ${workload} joins network ${network}; it has no instance yet\n`
      : `workload ${workload} joins network ${network} with ${count(instances.length, "instance")}\n`,
  );
}

function whyNot(whose: string, owner: string, conditions: readonly string[]): string {
  const why = conditions.find((line) => line.startsWith(`${owner} joins `));
  return why === undefined ? whose : `${whose} (${why})`;
}

async function leaveNetwork(cli: Cli, network: string, workload: string, options: Options): Promise<void> {
  const server = await connect(cli.io, options);
  const { memberships } = await server.snapshot();
  const all = memberships.filter(({ spec }) => spec.network === network && spec.workload === workload);
  // Of several it is the one that no user owns.
  const only = all.length === 1 ? all[0]?.spec.user : undefined;
  const user = options.user ?? only;
  const { revision } = await server.remove("membership", membershipName({ network, workload, ...defined({ user }) }));
  await waitUntil(cli.io, options.wait, async () => {
    const { endpoints } = await server.snapshot();
    const left = endpoints.filter(
      ({ spec, access }) =>
        spec.network === network && spec.workload === workload && spec.joined === true && access?.owner === user,
    );
    if (left.length === 0) return pendingAt(await server.status(), revision);
    const text = `waiting for ${count(left.length, "instance")} of ${workload} to leave ${network}`;
    return { text, missing: left.map((each) => `${each.name} on ${each.spec.host}`) };
  });
  cli.io.err(`workload ${workload} leaves network ${network}\n`);
}

async function listMembers(cli: Cli, network: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [snapshot] = await Promise.all([server.snapshot(), server.get("network", network)]);
  const listing = { columns: COLUMNS, name: (m: Member) => m.endpoint, empty: `Network ${network} has no members.` };
  await printList(cli.io, options, listing, membersOf(snapshot, network));
}
