// `weft detach`: takes a workload's interface away again, through the socket of the agent that gave it.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import type { Cli } from "../context.ts";
import { connectAgents } from "../input/connect.ts";
import { forEachName } from "../input/each.ts";

type DetachOptions = { readonly host?: string; readonly agentSocket?: string };

export function register(command: Command, cli: Cli): void {
  command
    .argument("<name...>", "the endpoint (web1.eth0), or its owner (web1)")
    .option("--host <name>", "host of the agent, if several run on this machine")
    .option("--agent-socket <path>", "socket of the agent (default: /run/weft/agent.sock)")
    .action(
      cli.verb((names: readonly string[], options: DetachOptions) =>
        forEachName(cli, names, (name) => detach(cli, name, options)),
      ),
    );
}

/** Detaching what is not there is not an error for the agent; for a person who typed a name, it is. */
async function detach(cli: Cli, name: string, options: DetachOptions): Promise<void> {
  const agents = await connectAgents(cli.io, options);
  const found = (
    await Promise.all(
      agents.map(async (agent) => (await agent.attachments()).map(({ endpoint, spec }) => ({ agent, endpoint, spec }))),
    )
  ).flat();
  const exact = found.filter(({ endpoint }) => endpoint === name);
  const matches = exact.length > 0 ? exact : found.filter(({ spec }) => spec.owner === name);
  const [only, second] = matches;
  if (only === undefined)
    throw new Fault("endpoint-unknown", {
      what: `nothing named "${name}" is attached here`,
      fix: "see weft endpoint list; an endpoint of another host is detached there, or with weft endpoint delete",
    });
  if (second !== undefined) {
    throw new Fault("request-invalid", {
      what: `"${name}" has several interfaces`,
      where: "<name>",
      fix: `name one of its endpoints: ${matches.map(({ endpoint }) => endpoint).join(", ")}`,
    });
  }
  await only.agent.detach(only.endpoint);
  const { addresses } = only.spec;
  cli.io.err(`endpoint ${only.endpoint} detached; ${addresses.join(", ")} will be free in a moment\n`);
}
