// `weft lease history`: who had an address, from when to when.
import type { Command } from "commander";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { checkFilter } from "../input/names.ts";
import type { LeaseRecord } from "../../model/lease.ts";
import { withOutput, withServer, type ReadOptions } from "../input/options.ts";
import { printList, type Column } from "../output/format.ts";
import { periodOf, timeText } from "./time.ts";

type HistoryOptions = ReadOptions & { readonly network?: string; readonly at?: string };

/** As many as the server gives in one answer. */
const LIMIT = 1000;

export function registerHistory(noun: Command, cli: Cli): void {
  const history = noun
    .command("history")
    .argument("<address>", "an IP address, or a MAC for leases without an address")
    .description("List the owners of an address, newest first.")
    .option("--network <name>", "only in this network")
    .option("--at <time>", 'only the owner at this time: "2026-11-24 15:00", 2026-11-24, tuesday, yesterday, "2h ago"')
    .addHelpText("after", "\nExample:\n  weft lease history 10.1.2.3 --at tuesday");
  withOutput(withServer(history)).action(
    cli.verb((address: string, options: HistoryOptions) => showHistory(cli, address, options)),
  );
}

const COLUMNS: readonly Column<LeaseRecord>[] = [
  { header: "FROM", of: (r) => timeText(r.fromMs) },
  { header: "UNTIL", of: (r) => (r.untilMs === undefined ? { text: "now", tone: "good" } : timeText(r.untilMs)) },
  { header: "NETWORK", of: (r) => r.network },
  { header: "OWNER", of: (r) => r.owner },
  { header: "HOST", of: (r) => r.host },
  { header: "INTERFACE", of: (r) => r.ifname, wide: true },
  { header: "MAC", of: (r) => r.mac, wide: true },
];

async function showHistory(cli: Cli, address: string, options: HistoryOptions): Promise<void> {
  const period = options.at === undefined ? {} : periodOf(options.at, cli.io.clock.nowMs(), "--at");
  const server = await connect(cli.io, options);
  const records = await server.leaseHistory({
    address,
    limit: LIMIT,
    ...(options.network === undefined ? {} : { network: options.network }),
    ...period,
  });
  // A network that is gone has its history, too.
  if (records.length === 0) await checkFilter(server, options);
  await printList(
    cli.io,
    options,
    {
      columns: COLUMNS,
      name: (r) => `endpoint/${r.endpoint}`,
      empty: `No owner of ${address} is known${options.at === undefined ? "" : " at that time"}.`,
    },
    records,
  );
}
