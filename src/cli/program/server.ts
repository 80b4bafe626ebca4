// `weft server`: its flags. What they start is put together in main.ts.
import type { Command } from "commander";
import type { Cli, Flags } from "../context.ts";

export function register(command: Command, cli: Cli): void {
  command
    .option("--listen <host:port>", "where agents and people reach it (127.0.0.1:7474)")
    .option("--data-dir <dir>", "its database and tokens (/var/lib/weft/server)")
    .option("--socket <path>", "unix socket for root on this machine (/run/weft/server.sock), or none")
    .option("--suspect-after <span>", "a host without a report for so long is suspect (30s)")
    .option("--lost-after <span>", "and then lost; it keeps all it has (5m)")
    .option("--reclaim-after <span>", "and what it had is taken from it, unless many are silent at once (never)")
    .option("--new-network-groups <names>", "security groups of new networks that name none, like default (none)")
    .addHelpText("after", "\nAlso from WEFT_LISTEN, WEFT_DATA_DIR and so on, and from /etc/weft/server.yaml.")
    .action(cli.verb((flags: Flags) => cli.programs.server(flags)));
}
