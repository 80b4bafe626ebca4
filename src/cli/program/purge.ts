// `weft purge`: its flags. What it does is put together in main/purge.ts.
import type { Command } from "commander";
import type { Cli, PurgeFlags } from "../context.ts";

export function register(command: Command, cli: Cli): void {
  command
    .option("--state-dir <dir>", "of the agent that made it: its files there go, too (/var/lib/weft/agent)")
    .option("--socket <path>", "of that agent, which must not be running (/run/weft/agent.sock)")
    .option("--netns-prefix <text>", "as the agent had it (weft-)")
    .option("--cni-dir <dir>", "where the agent kept CNI configurations: its files there go, too")
    .option("-y, --yes", "do not ask")
    .addHelpText(
      "after",
      [
        "\nWorkloads lose their interfaces. It asks before it removes anything. Only files that the agent wrote are",
        "removed; what else is in these directories stays. The server still knows the host: see weft host delete.",
      ].join("\n"),
    )
    .action(cli.verb((flags: PurgeFlags) => cli.programs.purge(cli.io, flags)));
}
