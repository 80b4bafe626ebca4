// Names that filters of a list, or options, speak of: one that is not there is told, instead of an empty list.
import { Fault } from "../../model/fault.ts";
import type { ServerClient } from "./connect.ts";

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
