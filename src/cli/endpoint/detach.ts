// `weft detach`: takes a workload's interface away again, through the socket of the agent that gave it.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import type { Cli } from "../context.ts";
import { connectAgents } from "../input/connect.ts";
import type { AgentOptions } from "../input/locate.ts";
import { forEachName } from "../input/names.ts";
import { misuse } from "../output/error.ts";

export function register(command: Command, cli: Cli): void {
  command
    .argument("<name...>", "the endpoint (web1.eth0), or its owner (web1)")
    .option("--host <name>", "host of the agent, if several run on this machine")
    .option("--agent-socket <path>", "socket of the agent (default: /run/weft/agent.sock)")
    .action(cli.verb(forEachName(detach)));
}

/** Detaching what is not there is not an error for the agent; for a person who typed a name, it is. */
async function detach(cli: Cli, name: string, options: AgentOptions): Promise<void> {
  const agents = await connectAgents(cli.io, options);
  const lists = agents.map(async (agent) => (await agent.attachments()).map((each) => ({ agent, ...each })));
  const found = (await Promise.all(lists)).flat();
  const exact = found.filter(({ endpoint }) => endpoint === name);
  const matches = exact.length > 0 ? exact : found.filter(({ spec }) => spec.owner === name);
  const [only, second] = matches;
  if (only === undefined)
    throw new Fault("endpoint-unknown", {
      what: `nothing named "${name}" is attached here`,
      fix: "see weft endpoint list; an endpoint of another host is detached there, or with weft endpoint delete",
    });
  if (second !== undefined) {
    const fix = `name one of its endpoints: ${matches.map(({ endpoint }) => endpoint).join(", ")}`;
    throw misuse("<name>", `"${name}" has several interfaces`, fix);
  }
  await only.agent.detach(only.endpoint);
  cli.io.err(`endpoint ${only.endpoint} detached; ${only.spec.addresses.join(", ")} will be free in a moment\n`);
}
