// `weft demo`: the demonstration cluster. What it does is in demo/.
import type { Command } from "commander";
import type { Cli } from "../context.ts";

export function register(noun: Command, cli: Cli): void {
  noun
    .command("up")
    .description("Build it, show it, and leave it running.")
    .option("--foreground", "stay until Ctrl-C, then remove it")
    .action(
      cli.verb((options: { readonly foreground?: boolean }) =>
        cli.programs.demoUp(cli.io, options.foreground === true),
      ),
    );
  noun
    .command("down")
    .description("Remove it, and prove that nothing is left.")
    .action(cli.verb(() => cli.programs.demoDown(cli.io)));
}
