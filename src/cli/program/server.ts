// `weft server`: its flags. What they start is put together in main.ts.
import type { Command } from "commander";
import type { Cli, Flags } from "../context.ts";

export function register(command: Command, cli: Cli): void {
  command
    .option("--listen <host:port>", "address of the API, for agents and users (default: 127.0.0.1:7474)")
    .option("--data-dir <dir>", "directory of the database and the tokens (default: /var/lib/weft/server)")
    .option("--socket <path>", "unix socket for root on this machine, or none (default: /run/weft/server.sock)")
    .option("--suspect-after <span>", "a host that does not report for this long is suspect (default: 30s)")
    .option("--lost-after <span>", "and after this long lost; it keeps everything (default: 5m)")
    .option("--reclaim-after <span>", "and after this long reclaimed, unless many are silent at once (default: never)")
    .option("--new-network-groups <names>", "security groups of new networks that name none (default: none)")
    .addHelpText(
      "after",
      "\nEach option can also be set in the environment (WEFT_LISTEN, WEFT_DATA_DIR …) and in /etc/weft/server.yaml.",
    )
    .action(cli.verb((flags: Flags) => cli.programs.server(flags)));
}
