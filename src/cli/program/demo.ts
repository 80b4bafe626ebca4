// `weft demo`: the demonstration cluster. What it does is in demo/.
import type { Command } from "commander";
import type { Cli } from "../context.ts";

export function register(noun: Command, cli: Cli): void {
  noun
    .command("up")
    .description("Start the cluster, show it, and leave it running.")
    .option("--foreground", "stay in the foreground until Ctrl-C, then remove it")
    .action(
      cli.verb((options: { readonly foreground?: boolean }) =>
        cli.programs.demoUp(cli.io, options.foreground === true),
      ),
    );
  noun
    .command("down")
    .description("Remove the cluster, and check that nothing is left.")
    .action(cli.verb(() => cli.programs.demoDown(cli.io)));
}
