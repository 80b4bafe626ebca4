// `weft agent`: its flags. What they start is put together in main.ts.
import type { Command } from "commander";
import type { Cli, Flags } from "../context.ts";

export function register(command: Command, cli: Cli): void {
  command
    .option("--server <url>", "URL of the server: http://HOST:PORT")
    .option("--join-token-file <file>", "file that holds the join token; needed until the host has joined")
    .option("--host <name>", "name of this host (default: the hostname)")
    .option(
      "--underlay <address>",
      "this host's address for tunnels (default: source address of the route to the server)",
    )
    .option("--state-dir <dir>", "directory of token, journal and last snapshot (default: /var/lib/weft/agent)")
    .option("--socket <path>", "unix socket for attach and detach (default: /run/weft/agent.sock)")
    .option("--netns-prefix <text>", "prefix of the names of its network namespaces (default: weft-)")
    .option(
      "--cni-dir <dir>",
      "directory for the CNI configurations of networks with --cni, such as /etc/cni/net.d (default: none)",
    )
    .option("--slices <names>", "slices that get bridges on this host, separated by commas (default: all)")
    .option(
      "--http <host:port>",
      "also serve /metrics, /livez, /readyz and /overlay-agent/overlay here (default: none)",
    )
    .addHelpText(
      "after",
      "\nEach option can also be set in the environment (WEFT_SERVER, WEFT_STATE_DIR …) and in /etc/weft/agent.yaml.",
    )
    .action(cli.verb((flags: Flags) => cli.programs.agent(flags)));
}
