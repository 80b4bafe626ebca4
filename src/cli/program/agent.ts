// `weft agent`: its flags. What they start is put together in main.ts.
import type { Command } from "commander";
import type { Cli, Flags } from "../context.ts";

export function register(command: Command, cli: Cli): void {
  command
    .option("--server <url>", "the server, http://HOST:PORT")
    .option("--join-token-file <file>", "file with the token that lets a new host in; needed until the host has joined")
    .option("--host <name>", "this host's name (the machine's)")
    .option("--underlay <address>", "this host's address for tunnels (the source address of the route to the server)")
    .option("--state-dir <dir>", "its token, journal and last snapshot (/var/lib/weft/agent)")
    .option("--socket <path>", "unix socket for workloads (/run/weft/agent.sock)")
    .option("--netns-prefix <text>", "begins the names of the namespaces it makes (weft-)")
    .option(
      "--cni-dir <dir>",
      "where to keep CNI configurations of networks marked for it, like /etc/cni/net.d (nowhere)",
    )
    .option("--slices <names>", "comma-separated: only these slices get bridges here (all)")
    .option("--http <host:port>", "also serve /metrics, /livez, /readyz and /overlay-agent/overlay there (no)")
    .addHelpText("after", "\nAlso from WEFT_SERVER, WEFT_STATE_DIR and so on, and from /etc/weft/agent.yaml.")
    .action(cli.verb((flags: Flags) => cli.programs.agent(flags)));
}
