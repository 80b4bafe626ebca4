// The command line as a whole: which nouns there are, which file knows each, and how a run ends in an exit code. Only
// the noun that was asked for is loaded, so that `weft network list` does not pay for `weft import`. Nothing in here
// knows what a verb does.
import { Command, CommanderError } from "commander";
import type { Cli, Programs } from "./context.ts";
import { dropStrayHelp, refuseRepeats, normalize } from "./input/argv.ts";
import { paint, type Io } from "./io.ts";
import { EXIT_OK, printError } from "./output/error.ts";

type Noun = {
  readonly name: string;
  readonly alias?: string;
  /** Whose command it is, if it is not called as the kind. */
  readonly kind?: string;
  readonly about: string;
  /** Ends in its own way when it is interrupted; everything else just stops. */
  readonly isOrderly?: true;
  readonly load: () => Promise<{ readonly register: (command: Command, cli: Cli) => void }>;
};

const RESOURCES = "Resources:";
const OTHER = "Other:";

/** By what the overview calls them. */
const GROUPS: Readonly<Record<string, readonly Noun[]>> = {
  [RESOURCES]: [
    {
      name: "network",
      alias: "net",
      about:
        "networks: create, list, show, edit, delete, retry, export, select, chown, chmod, lock, unlock;" +
        " range, reserve, quota; join, leave, members, " +
        "migrate, migration, conversion",
      load: () => import("./network/network.ts"),
    },
    {
      name: "endpoint",
      alias: "ep",
      about: "interfaces of workloads: list, show, set, delete, chown, chmod, lock, unlock",
      load: () => import("./endpoint/endpoint.ts"),
    },
    {
      name: "host",
      about:
        "machines with an agent: list, show, set, preflight, drain, resume, reclaim, delete, accept-history; " +
        "join tokens for new ones: token",
      load: () => import("./host/host.ts"),
    },
    {
      name: "cluster",
      kind: "hostcluster",
      about: "named sets of hosts, for networks: create, list, show, edit, delete",
      load: () => import("./host/cluster.ts"),
    },
    {
      name: "lease",
      alias: "ip",
      about: "which owner has an address, or had it: list, show, history",
      load: () => import("./address/lease.ts"),
    },
    {
      name: "ipam",
      about: "addresses: check server against hosts, map a network, hold, release",
      load: () => import("./address/ipam.ts"),
    },
    {
      name: "pool",
      about: "sources of ids and subnets for new networks: list, show, edit, delete, chown, chmod, lock, unlock",
      load: () => import("./network/pool.ts"),
    },
    {
      name: "template",
      about:
        "what new networks have in common: create, instantiate, list, show, update, clone, rename, " +
        "delete, chown, chmod, lock, unlock",
      load: () => import("./template/template.ts"),
    },
    {
      name: "acl",
      kind: "aclrule",
      about: "rules that give rights: create, list, show, edit, delete",
      load: () => import("./login/acl.ts"),
    },
    {
      name: "vrf",
      about: "routing domains: create, list, show, edit, delete, chown, chmod, lock, unlock",
      load: () => import("./network/vrf.ts"),
    },
    {
      name: "physical",
      kind: "physicalnetwork",
      about: "what devices of hosts lead to: create, list, show, edit, delete, chown, chmod, lock, unlock",
      load: () => import("./network/physical.ts"),
    },
    {
      name: "sg",
      alias: "security-group",
      kind: "securitygroup",
      about: "security groups: create, list, show, edit, delete, effective, status, commit, chown, chmod, lock, unlock",
      load: () => import("./group/group.ts"),
    },
  ],
  "Changes:": [
    {
      name: "status",
      about: "show whether every host has applied the newest revision",
      load: () => import("./change/status.ts"),
    },
    {
      name: "apply",
      about: "create and change resources from a file, all or none",
      load: () => import("./change/apply.ts"),
    },
    {
      name: "plan",
      about: "show what a file would change on each host, as ip and nft commands",
      load: () => import("./change/plan.ts"),
    },
    {
      name: "import",
      about: "create networks from files: dcos, apcera, ifupdown, netplan, networkd",
      load: () => import("./change/import.ts"),
    },
  ],
  "Workloads:": [
    {
      name: "attach",
      about: "give a process or a namespace an interface in a network",
      load: () => import("./endpoint/attach.ts"),
    },
    { name: "detach", about: "remove an interface that attach made", load: () => import("./endpoint/detach.ts") },
  ],
  "Daemons:": [
    {
      name: "server",
      isOrderly: true,
      about: "run the server: it keeps the resources and serves the API",
      load: async () => ({ register: (await import("./program/programs.ts")).registerServer }),
    },
    {
      name: "agent",
      isOrderly: true,
      about: "run the agent of this host: it configures the kernel",
      load: async () => ({ register: (await import("./program/programs.ts")).registerAgent }),
    },
    {
      name: "purge",
      isOrderly: true,
      about: "remove everything the agent made in this host's kernel",
      load: async () => ({ register: (await import("./program/programs.ts")).registerPurge }),
    },
  ],
  "Access:": [
    {
      name: "login",
      about: "log in to a cluster, and keep what that gives in a context",
      load: async () => ({ register: (await import("./login/login.ts")).registerLogin }),
    },
    {
      name: "logout",
      about: "end the login of a context",
      load: async () => ({ register: (await import("./login/login.ts")).registerLogout }),
    },
    {
      name: "whoami",
      about: "show as whom the server knows you",
      load: async () => ({ register: (await import("./login/login.ts")).registerWhoAmI }),
    },
    {
      name: "token",
      about: "credentials by name, for programs: create, list, delete",
      load: () => import("./login/token.ts"),
    },
    {
      name: "user",
      about: "users: create, list, show, edit, delete, passwd",
      load: () => import("./login/user.ts"),
    },
    {
      name: "usergroup",
      about: "groups of users: create, list, show, edit, delete",
      load: async () => ({ register: (await import("./login/user.ts")).registerGroups }),
    },
    {
      name: "quota",
      about: "how much users and groups of users may own, and do: set, show",
      load: () => import("./login/quota.ts"),
    },
    {
      name: "ca",
      about: "the CA of the cluster: show, rotate, drop",
      load: () => import("./host/ca.ts"),
    },
    {
      name: "context",
      about: "the clusters that you work with: list, use, add, remove",
      load: () => import("./login/context.ts"),
    },
    {
      name: "audit",
      about: "who asked for what: list, show, watch, export; verify that nothing was cut out",
      load: () => import("./audit/audit.ts"),
    },
  ],
  [OTHER]: [
    {
      name: "demo",
      isOrderly: true,
      about: "a cluster of three hosts in namespaces of this machine: up, down",
      load: async () => ({ register: (await import("./program/programs.ts")).registerDemo }),
    },
    {
      name: "completion",
      about: "print a script that lets your shell complete weft commands",
      load: () => import("./program/completion.ts"),
    },
    {
      name: "version",
      about: "show the version of this program and of the server",
      load: () => import("./program/version.ts"),
    },
  ],
};
const NOUNS = Object.values(GROUPS).flat();

const HELP_WIDTH = 100;

/** Runs one command line (without the program's name) to its end and gives the exit code; never throws. */
export async function runCli(argv: readonly string[], io: Io, programs: Programs): Promise<number> {
  let exit = EXIT_OK;
  const cli: Cli = {
    io,
    programs,
    tree: () => programOf(cli, "all"),
    verb:
      (work) =>
      async (...args) => {
        exit = (await work(cli, ...args)) ?? EXIT_OK;
      },
  };
  try {
    const words = normalize(argv);
    const noun = nounIn(words);
    const program = await programOf(cli, noun);
    const work = program.parseAsync(dropStrayHelp(program, words), { from: "user" });
    const isOrderly = NOUNS.some((one) => one.name === noun && one.isOrderly === true);
    await (isOrderly ? work : Promise.race([work, interrupted(io.signal)]));
    return exit;
  } catch (error) {
    // Commander has already said what was wrong; its own code 1 means wrong usage.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : 2;
    return printError(io, error);
  }
}

/** Rejects when the signal aborts: a verb that waits for an answer has nothing to bring in order. */
function interrupted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(new Error("interrupted"));
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  return promise;
}

/** The command tree with the verbs of one noun; those of `all` nouns for completion, of none for the overview. */
async function programOf(cli: Cli, wanted: string | undefined): Promise<Command> {
  const program = new Command("weft")
    .description("Virtual networks that span Linux hosts, for containers, virtual machines and processes.")
    .exitOverride()
    .configureOutput({
      writeOut: cli.io.out,
      writeErr: cli.io.err,
      getOutHelpWidth: () => HELP_WIDTH,
      getErrHelpWidth: () => HELP_WIDTH,
      outputError: (text, write) => write(text.replace(/^error: /, `${paint(cli.io, "bad", "weft:")} `)),
    })
    .configureHelp({ subcommandTerm: (command) => [command.name(), ...command.aliases()].join(", ") })
    .showHelpAfterError("Run it with --help to see its arguments and options.")
    .commandsGroup(OTHER)
    .helpCommand("help [command]", "show help for a command")
    .addHelpText("after", "\nEvery command has its own help: weft network --help, weft network create --help.");
  for (const [group, nouns] of Object.entries(await groupsFor(wanted)))
    for (const noun of nouns) {
      const command = program
        .command(noun.name)
        .summary(noun.about)
        .description(`${capital(noun.about)}.`)
        .helpGroup(group);
      if (noun.alias !== undefined) command.alias(noun.alias);
      if (wanted === "all" || wanted === noun.name || wanted === noun.alias) (await noun.load()).register(command, cli);
      // A noun that was not loaded still has to look as if it had verbs, or commander would treat its name as a leaf.
      else command.allowUnknownOption();
    }
  refuseRepeats(program);
  return program;
}

/** Kinds that have no command of their own get one; the table of kinds is loaded only if none of ours is wanted. */
async function groupsFor(wanted: string | undefined): Promise<typeof GROUPS> {
  if (NOUNS.some(({ name, alias }) => wanted !== undefined && (name === wanted || alias === wanted))) return GROUPS;
  const { WRITABLE_KINDS, calledOf } = await import("../model/kinds.ts");
  const others = WRITABLE_KINDS.filter((kind) => !NOUNS.some((noun) => (noun.kind ?? noun.name) === kind));
  const made = others.map(
    (kind): Noun => ({
      name: kind,
      about: `${calledOf(kind)}s: list, show, create, delete`,
      async load() {
        const { register } = await import("./resource/noun.ts");
        return { register: (command, cli) => register(command, cli, kind) };
      },
    }),
  );
  return { ...GROUPS, [RESOURCES]: [...(GROUPS[RESOURCES] ?? []), ...made] };
}

function nounIn(argv: readonly string[]): string | undefined {
  return argv.find((word) => !word.startsWith("-"));
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
