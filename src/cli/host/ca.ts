// `weft ca`: the CA that says who is a host and who the server of this cluster, and how it is rotated.
import type { Command } from "commander";
import type { CaState } from "../../model/ca.ts";
import { timeText } from "../address/time.ts";
import type { Cli } from "../context.ts";
import { confirm } from "../input/confirm.ts";
import { connect } from "../input/connect.ts";
import { type ReadOptions, type SureOptions, reading, withForce, withServer } from "../input/options.ts";
import type { RemoteOptions } from "../input/locate.ts";
import { count } from "../io.ts";
import { fields, printOne } from "../output/format.ts";

export function register(noun: Command, cli: Cli): void {
  reading(
    noun.command("show").description("Show the CA with its pin; while it is rotated, which hosts are missing."),
  ).action(
    cli.verb(async ({ io }, options: ReadOptions) => {
      const ca = await (await connect(io, options)).ca();
      await printOne(io, options, { name: "ca", value: ca }, () => fields(io, rowsOf(ca)));
    }),
  );
  withServer(
    noun
      .command("rotate")
      .description(
        "Let another CA sign from now on. Both are trusted, and hosts renew by themselves, until weft ca drop.",
      ),
  ).action(
    cli.verb(async ({ io }, options: RemoteOptions) => {
      const { pin, missing = [], joinTokens } = await (await connect(io, options)).rotateCa();
      io.err(`another CA signs from now on: pin ${pin}\n`);
      io.err(`${count(missing.length, "host")} still to renew, within seconds where they run: see weft ca show\n`);
      io.err(joinTokensText(joinTokens, "name the CA before: make others before weft ca drop"));
    }),
  );
  const drop = noun.command("drop").description("End a rotation: the CA before is trusted no more.");
  withForce(withServer(drop), "although hosts are missing: they need a join token then").action(
    cli.verb(async ({ io }, { yes, force = false, ...options }: RemoteOptions & SureOptions) => {
      const server = await connect(io, options);
      const { missing = [] } = await server.ca();
      if (force)
        await confirm(
          io,
          "dropping the CA before",
          missing.map((host) => `host ${host} is cut off`),
          yes,
        );
      const { pin, joinTokens } = await server.dropCa(force);
      io.err(`only the CA with the pin ${pin} is trusted now\n`);
      io.err(joinTokensText(joinTokens, "name a CA that was dropped, and let nobody in any more: make others"));
    }),
  );
}

function joinTokensText(names: readonly string[] = [], what: string): string {
  return names.length === 0 ? "" : `join tokens ${names.join(", ")} ${what} (weft host token create)\n`;
}

function rowsOf({ pin, sinceMs, untilMs, previous, missing, joinTokens }: CaState): [string, string | undefined][] {
  return [
    ["Pin", pin],
    ["Since", timeText(sinceMs)],
    ["Valid until", timeText(untilMs)],
    ["Before", previous === undefined ? undefined : `${previous.pin}, still trusted`],
    ["Missing", missing?.length === 0 ? "none: run weft ca drop" : missing?.join(", ")],
    ["Join tokens of others", joinTokens?.join(", ")],
  ];
}
