// `weft purge`: its flags. What it does is put together in main/purge.ts.
import type { Command } from "commander";
import type { Cli, PurgeFlags } from "../context.ts";

export function register(command: Command, cli: Cli): void {
  command
    .option("--state-dir <dir>", "state directory of the agent; its files are removed (default: /var/lib/weft/agent)")
    .option("--socket <path>", "socket of the agent, which must not be running (default: /run/weft/agent.sock)")
    .option("--netns-prefix <text>", "the agent's --netns-prefix (default: weft-)")
    .option("--cni-dir <dir>", "the agent's --cni-dir; the files it wrote are removed")
    .option("-y, --yes", "do not ask for confirmation")
    .addHelpText(
      "after",
      [
        "\nWorkloads lose their interfaces. It asks for confirmation first. It removes only files that the agent",
        "wrote; other files in these directories stay. The server still knows the host: see weft host delete.",
      ].join("\n"),
    )
    .action(cli.verb((flags: PurgeFlags) => cli.programs.purge(cli.io, flags)));
}
