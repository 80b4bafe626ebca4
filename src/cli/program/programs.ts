// `weft server`, `agent`, `purge` and `demo`: their flags. What they start is put together in main.ts, main/ and demo/.
import type { Command } from "commander";
import type { Cli, Flags, PurgeFlags } from "../context.ts";
import { repeated, type Lists } from "../input/options.ts";

export function registerServer(command: Command, cli: Cli): void {
  command
    .option("--listen <host:port>", "address of the API, for agents and users (default: 127.0.0.1:7474)")
    .option("--data-dir <dir>", "directory of the database and the tokens (default: /var/lib/weft/server)")
    .option("--socket <path>", "unix socket for root on this machine, or none (default: /run/weft/server.sock)")
    .option("--tls-cert <file>", "certificate for browsers and others that know its CA, with its chain (default: none)")
    .option("--tls-key <file>", "key of this certificate; both files are read again when they change")
    .option("--certificate-life <span>", "how long certificates of hosts are valid; they renew them (default: 7d)")
    .option("--oidc-issuer <url>", "OpenID provider by which users may log in, too (default: none)")
    .option("--oidc-client-id <id>", "this server's id at the provider")
    .option("--oidc-client-secret-file <file>", "file with this server's secret at the provider (default: none)")
    .option("--oidc-redirect <url>", "where the provider sends browsers back (default: none: only the CLI logs in)")
    .option("--oidc-scopes <names>", "what is asked of the provider (default: openid profile)")
    .option("--oidc-user-claim <name>", "which claim is the user's name here (default: preferred_username)")
    .option("--oidc-groups-claim <name>", "which claim has the groups (default: groups)")
    .option(
      "--oidc-groups <theirs=ours>",
      "groups here by the provider's, separated by commas; makes users (default: none)",
    )
    .option("--suspect-after <span>", "a host that does not report for this long is suspect (default: 30s)")
    .option("--lost-after <span>", "and after this long lost; it keeps everything (default: 5m)")
    .option("--reclaim-after <span>", "and after this long reclaimed, unless many are silent at once (default: never)")
    .option("--audit-age <span>", "records of the audit log are kept for this long (default: 400d)")
    .option("--audit-size <size>", "and the log at most this large: 64MiB, 2GiB (default: 256MiB)")
    .option("--new-network-groups <names>", "security groups of new networks that name none (default: none)")
    .option(
      "--multicast-base <groups>",
      "groups of networks with multicast peers are this and the VNI (default: 239.0.0.0,ff05::)",
    )
    .addHelpText(
      "after",
      "\nEach option can also be set in the environment (WEFT_LISTEN, WEFT_DATA_DIR …) and in /etc/weft/server.yaml.",
    )
    .action(cli.verb((_, flags: Flags) => cli.programs.server(flags)));
}

export function registerAgent(command: Command, cli: Cli): void {
  command
    .option("--server <url>", "URL of the server: https://HOST:PORT")
    .option("--join-token-file <file>", "file that holds a join token: to join, and to return when it was cut off")
    .option("--ca-pin <pin>", "pin of the CA to trust until the host has joined (default: that of the join token)")
    .option("--host <name>", "name of this host (default: the hostname)")
    .option(
      "--underlay <address>",
      "this host's address for tunnels (default: source address of the route to the server)",
    )
    .option("--state-dir <dir>", "directory of key, journal and last snapshot (default: /var/lib/weft/agent)")
    .option("--socket <path>", "unix socket for attach and detach (default: /run/weft/agent.sock)")
    .option("--netns-prefix <text>", "prefix of the names of its network namespaces (default: weft-)")
    .option(
      "--cni-dir <dir>",
      "directory for the CNI configurations of networks with --cni, such as /etc/cni/net.d (default: none)",
    )
    .option(
      "--etc-dir <dir>",
      "keep files below it that tell networkd and NetworkManager to leave Weft's devices alone, such as /etc " +
        "(default: none)",
    )
    .option("--run-dir <dir>", "the same for files that end with a reboot; used with --etc-dir (default: /run)")
    .option("--ovsdb <path>", "socket of Open vSwitch's database (default: /run/openvswitch/db.sock)")
    .option("--slices <names>", "slices that get bridges on this host, separated by commas (default: all)")
    .option(
      "--physical <name=device>",
      "device of this host that leads to a physical network; repeatable (default: none)",
      repeated,
    )
    .option(
      "--take-over [yes|no]",
      "whether these devices may become ports of bridges though the host has addresses or its default route on them: " +
        "the bridge gets these (default: no)",
    )
    .option(
      "--take-over-timeout <span>",
      "a device is given back if the server is not reached for this long after it was taken over (default: 30s)",
    )
    .option(
      "--http <host:port>",
      "also serve /metrics, /livez, /readyz and /overlay-agent/overlay here (default: none)",
    )
    .addHelpText(
      "after",
      "\nEach option can also be set in the environment (WEFT_SERVER, WEFT_STATE_DIR …) and in /etc/weft/agent.yaml.",
    )
    .action(
      cli.verb((_, { physical, takeOver, ...flags }: AgentFlags) =>
        // All others are texts.
        cli.programs.agent({
          ...(flags as Flags),
          ...(physical === undefined ? {} : { physical: physical.join(",") }),
          ...(takeOver === undefined ? {} : { takeOver: takeOver === true ? "yes" : takeOver }),
        }),
      ),
    );
}

type AgentFlags = Lists<"physical"> & { readonly takeOver?: string | true } & {
  readonly [flag: string]: string | readonly string[] | true | undefined;
};

export function registerPurge(command: Command, cli: Cli): void {
  command
    .option("--state-dir <dir>", "state directory of the agent; its files are removed (default: /var/lib/weft/agent)")
    .option("--socket <path>", "socket of the agent, which must not be running (default: /run/weft/agent.sock)")
    .option("--netns-prefix <text>", "the agent's --netns-prefix (default: weft-)")
    .option("--cni-dir <dir>", "the agent's --cni-dir; the files it wrote are removed")
    .option("--etc-dir <dir>", "the agent's --etc-dir; the files it wrote are removed")
    .option("--run-dir <dir>", "the agent's --run-dir (default: /run)")
    .option("--ovsdb <path>", "the agent's --ovsdb (default: /run/openvswitch/db.sock)")
    .option("-y, --yes", "do not ask for confirmation")
    .addHelpText(
      "after",
      [
        "\nWorkloads lose their interfaces. It asks for confirmation first. It removes only files that the agent",
        "wrote; other files in these directories stay. The server still knows the host: see weft host delete.",
      ].join("\n"),
    )
    .action(cli.verb((_, flags: PurgeFlags) => cli.programs.purge(cli.io, flags)));
}

export function registerDemo(noun: Command, cli: Cli): void {
  noun
    .command("up")
    .description("Start the cluster, show it, and leave it running.")
    .option("--foreground", "stay in the foreground until Ctrl-C, then remove it")
    .action(cli.verb((_, { foreground = false }: UpOptions) => cli.programs.demoUp(cli.io, foreground)));
  noun
    .command("down")
    .description("Remove the cluster, and check that nothing is left.")
    .action(cli.verb(() => cli.programs.demoDown(cli.io)));
}

type UpOptions = { readonly foreground?: boolean };
