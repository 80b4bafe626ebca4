// Names on the command line: of a verb for several, each is done or refused by itself; of filters and options, one that
// is not there is told, instead of an empty list.
import { Fault } from "../../model/fault.ts";
import type { Cli } from "../context.ts";
import { EXIT_OK, misuse, printError } from "../output/error.ts";
import type { ServerClient } from "./connect.ts";

/** A verb that does one name after the other, also after a failure; the exit code is that of the first that failed. */
export function forEachName<Options>(work: (cli: Cli, name: string, options: Options) => Promise<void>) {
  return async (cli: Cli, names: readonly string[], options: Options): Promise<number> => {
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) throw misuse("<name>", `"${twice}" is named twice`, "give each name once");
    let exit: number = EXIT_OK;
    for (const name of names) {
      try {
        await work(cli, name, options);
      } catch (error) {
        const code = printError(cli.io, error);
        if (exit === EXIT_OK) exit = code;
        if (cli.io.signal.aborted) return exit;
      }
    }
    return exit;
  };
}

type Named = readonly { readonly name: string }[];

/** A Fault `network-unknown` or `host-unknown` for a name that nothing has. */
export function checkKnown(
  { network, host }: { readonly network?: string | undefined; readonly host?: string | undefined },
  there: { readonly networks: Named; readonly hosts: Named },
): void {
  if (network !== undefined && !there.networks.some(({ name }) => name === network)) throw unknown("network", network);
  if (host !== undefined && !there.hosts.some(({ name }) => name === host)) throw unknown("host", host);
}

/** The same, with what the server has. */
export async function checkFilter(
  server: ServerClient,
  filter: { readonly network?: string; readonly host?: string },
): Promise<void> {
  const [networks, hosts] = await Promise.all([
    filter.network === undefined ? [] : server.list("network"),
    filter.host === undefined ? [] : server.list("host"),
  ]);
  checkKnown(filter, { networks, hosts });
}

function unknown(kind: "network" | "host", name: string): Fault {
  const what = `there is no ${kind} "${name.slice(0, 80)}"`;
  return new Fault(`${kind}-unknown`, { what, where: `--${kind}`, fix: `see weft ${kind} list` });
}
