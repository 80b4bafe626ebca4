// `weft host accept-history`: hosts that have followed another history than the server's go on with the server's. What
// they have and the server does not know goes from them then, so it is said before.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import type { Cli } from "../context.ts";
import { type ServerClient, connect } from "../input/connect.ts";
import { count } from "../io.ts";
import { checkKnown } from "../input/names.ts";
import { withServer } from "../input/options.ts";
import type { RemoteOptions } from "../input/locate.ts";
import { confirm } from "../input/confirm.ts";

type AcceptOptions = RemoteOptions & { readonly yes?: boolean; readonly all?: boolean };

export function register(noun: Command, cli: Cli): void {
  const accept = noun
    .command("accept-history")
    .argument("[names...]")
    .description(
      "Let hosts follow this server although they followed another history (another-history in weft status).",
    )
    .option("--all", "every host that waits for it now")
    .option("-y, --yes", "do not ask for confirmation");
  withServer(accept).action(
    cli.verb((names: readonly string[], options: AcceptOptions) => acceptHistory(cli, names, options)),
  );
}

async function acceptHistory(cli: Cli, names: readonly string[], options: AcceptOptions): Promise<void> {
  if (names.length > 0 && options.all === true) {
    const fix = "give the names, or --all for every host that waits";
    throw new Fault("request-invalid", { what: "both names and --all are given", where: "--all", fix });
  }
  if (names.length === 0 && options.all !== true) {
    const fix = "name them: weft host accept-history h1 h2; or take all that wait: weft host accept-history --all";
    throw new Fault("request-invalid", { what: "no host is given", where: "[names...]", fix });
  }
  const server = await connect(cli.io, options);
  const asking = (await server.status()).conditions.filter((one) => one.reason === "another-history");
  const hosts = options.all === true ? asking.flatMap((one) => one.host ?? []) : names;
  if (hosts.length === 0) return cli.io.err("No host is waiting for accept-history.\n");
  for (const host of hosts) if (!asking.some((one) => one.host === host)) await checkAsks(server, host);
  const lines = hosts.map((host) => asking.find((one) => one.host === host)?.message ?? `host ${host}`);
  await confirm(cli.io, "Removing from these hosts everything that this server does not know", lines, options.yes);
  for (const host of hosts) await server.acceptHistory(host);
  cli.io.err(`${count(hosts.length, "host")} will follow this server within seconds; see weft status\n`);
}

/** Before anybody is asked to confirm: a host that there is not, or that follows this server already. */
async function checkAsks(server: ServerClient, host: string): Promise<void> {
  checkKnown({ host }, { networks: [], hosts: await server.list("host") });
  throw new Fault("not-found", {
    what: `host "${host}" does not wait for accept-history`,
    where: `host/${host}`,
    why: "its agent has not shown another history in the last minute",
    fix: "see weft status; an agent with another history shows it every few seconds while it runs",
  });
}
