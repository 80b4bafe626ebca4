// A verb for several names: each is done or refused by itself, and each is told.
import { Fault } from "../../model/fault.ts";
import type { Cli } from "../context.ts";
import { EXIT_OK, printError } from "../output/error.ts";

/** In the order given, also after a failure; the exit code is that of the first that failed. */
export async function forEachName(
  cli: Cli,
  names: readonly string[],
  work: (name: string) => Promise<void>,
): Promise<number> {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new Fault("request-invalid", {
      what: `"${twice}" is named twice`,
      where: "<name>",
      fix: "give each name once",
    });
  let exit: number = EXIT_OK;
  for (const name of names) {
    try {
      await work(name);
    } catch (error) {
      const code = printError(cli.io, error);
      if (exit === EXIT_OK) exit = code;
      if (cli.io.signal.aborted) return exit;
    }
  }
  return exit;
}
