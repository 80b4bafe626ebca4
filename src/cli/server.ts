// `weft server`: its flags. What they start is put together in main.ts.
import type { Command } from "commander";
import type { Cli, Flags } from "./cli.ts";

export function register(command: Command, cli: Cli): void {
  command
    .option("--listen <host:port>", "where agents and people reach it (127.0.0.1:7474)")
    .option("--data-dir <dir>", "its database and tokens (/var/lib/weft/server)")
    .option("--socket <path>", "unix socket for root on this machine (/run/weft/server.sock), or none")
    .addHelpText("after", "\nAlso from WEFT_LISTEN, WEFT_DATA_DIR, WEFT_SOCKET, and from /etc/weft/server.yaml.")
    .action(cli.verb((flags: Flags) => cli.programs.server(flags)));
}
