// `weft version`: of this program, and of the server if there is one to ask.
import type { Command } from "commander";
import { readFileSync } from "node:fs";
import { Fault } from "../../model/fault.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { withServer } from "../input/options.ts";
import type { RemoteOptions } from "../input/locate.ts";

export function register(command: Command, cli: Cli): void {
  withServer(command).option("--client", "show only the version of this program").action(cli.verb(version));
}

type VersionOptions = RemoteOptions & { readonly client?: boolean };

/** Of package.json, the one place where it is written. */
export function ownVersion(): string {
  const file = new URL("../../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { readonly version: string }).version;
}

async function version(cli: Cli, options: VersionOptions): Promise<void> {
  cli.io.out(`weft ${ownVersion()}\n`);
  if (options.client === true) return;
  try {
    const remoteVersion = await (await connect(cli.io, options)).version();
    cli.io.out(`server ${remoteVersion.version}\n`);
  } catch (error) {
    // Without a word about a server, that there is none is no failure of this question.
    if (options.server !== undefined || !(error instanceof Fault)) throw error;
    cli.io.err(`the version of the server is unknown: ${error.detail.what}\n`);
  }
}
