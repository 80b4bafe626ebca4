// What an endpoint's packets came to, as its host's agent counts them now.
import type { Endpoint } from "../../model/resource.ts";
import type { EndpointCounters } from "../../model/status.ts";
import type { Cli } from "../context.ts";
import { connectAgent } from "../input/connect.ts";

/** Undefined if this is not its host, or not root's shell: only root on that host may ask. */
export async function trafficOf(cli: Cli, endpoint: Endpoint): Promise<EndpointCounters | undefined> {
  try {
    const agent = await connectAgent(cli.io, { host: endpoint.spec.host });
    return (await agent.counters()).find((one) => one.endpoint === endpoint.name);
  } catch {
    return undefined;
  }
}

export function trafficText(counters: EndpointCounters | undefined): [string, string][] {
  if (counters === undefined) return [];
  const { drops, ...traffic } = counters;
  const dropped = Object.entries(drops).map(([reason, packets]) => `${packets} ${reason}`);
  return [
    ["Sent", `${traffic.sentPackets} packets, ${traffic.sentBytes} bytes`],
    ["Received", `${traffic.receivedPackets} packets, ${traffic.receivedBytes} bytes`],
    ["Dropped", dropped.length === 0 ? "nothing" : dropped.join(", ")],
  ];
}
