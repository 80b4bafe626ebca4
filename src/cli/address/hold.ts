// `weft ipam hold` and `release`: keep addresses from endpoints, and give them back.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import { formatIp, macOf, parseIp } from "../../model/address.ts";
import { parseDuration } from "../../model/duration.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { requiredOption, withServer } from "../input/options.ts";
import type { RemoteOptions } from "../input/locate.ts";
import { timeText } from "./time.ts";

type HoldOptions = RemoteOptions & { readonly reason: string; readonly owner: string; readonly expires?: string };

export function registerHolds(noun: Command, cli: Cli): void {
  const hold = noun.command("hold");
  requiredOption(hold, "--reason <text>", "reason; shown to anyone who requests the address");
  requiredOption(hold, "--owner <name>", "owner of the hold")
    .argument("<network>")
    .argument("<address>", "an address, a MAC, or a span: 10.7.0.10-10.7.0.19")
    .description("Hold addresses of a global network: no endpoint gets them.")
    .option("--expires <duration>", "end the hold after 30m, 2h or 7d (default: never)")
    .addHelpText(
      "after",
      "\nExample:\n  weft ipam hold blue 10.7.0.10-10.7.0.19 --reason printers --owner ops --expires 7d",
    );
  withServer(hold).action(cli.verb(holdSpan));

  const release = noun
    .command("release <network>")
    .argument("<address>", "an address, a MAC, or a span; it may be a part of what is held")
    .description("Release held addresses.");
  withServer(release).action(cli.verb(releaseSpan));
}

async function holdSpan(cli: Cli, network: string, address: string, options: HoldOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const { reason, owner, expires } = options;
  const span = spanOf(address);
  const expiresInSeconds = expires === undefined ? undefined : Math.ceil(parseDuration(expires, "--expires") / 1000);
  const { spec } = await server.hold({ network, ...span, reason, owner, ...defined({ expiresInSeconds }) });
  const end = spec.expiresAtMs === undefined ? "until it is released" : `until ${timeText(spec.expiresAtMs)}`;
  cli.io.err(`${spanText(spec)} of network ${network} held for ${spec.owner}, ${end}\n`);
}

async function releaseSpan(cli: Cli, network: string, address: string, options: RemoteOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const span = spanOf(address);
  await server.release({ network, ...span });
  cli.io.err(`${spanText(span)} of network ${network} released\n`);
}

/** Neither addresses nor MACs have a dash in them; a Fault `address-invalid` for what is neither. */
export function spanOf(text: string): { readonly first: string; readonly last?: string } {
  const dash = text.indexOf("-");
  if (dash < 0) return { first: formatAddress(text) };
  return { first: formatAddress(text.slice(0, dash)), last: formatAddress(text.slice(dash + 1)) };
}

function formatAddress(text: string): string {
  return macOf(text) ?? formatIp(parseIp(text, "<address>"));
}

export function spanText({ first, last = first }: { readonly first: string; readonly last?: string }): string {
  return first === last ? first : `${first}-${last}`;
}
