// Typed calls to an agent's unix socket, for `weft attach` and other programs on the agent's host.
import type { AttachRequest, Attachment, EndpointCounters, HostReport, QueueCounters } from "../model/status.ts";
import { askWith, httpClient, itemsAt } from "./http.ts";

export type AgentClient = ReturnType<typeof agentClient>;

/** Calls to the agent that listens on the unix socket at `path`. */
export function agentClient(path: string) {
  const http = httpClient({
    url: `unix:${path}`,
    name: "the agent",
    fix: "check that it runs (`weft agent`), that this is its socket (--agent-socket), and that you are root",
  });
  const ask = askWith(http);
  return {
    /** Idempotent by (owner, ifname). Answers when the port is in the kernel, with its policy. */
    attach: (body: AttachRequest) => ask<Attachment>("POST", "/v1/attachments", { body }),
    attachments: () => itemsAt<Attachment>(ask, "/v1/attachments"),
    /** Succeeds also if nothing of that name is attached. */
    detach: (endpoint: string) => ask<unknown>("DELETE", `/v1/attachments/${encodeURIComponent(endpoint)}`),
    /** What passed the queues that limit the host's endpoints. */
    queues: () => itemsAt<QueueCounters>(ask, "/v1/queues"),
    status: () => ask<HostReport>("GET", "/v1/status"),
    /** Packets and drops of the host's endpoints. */
    counters: () => itemsAt<EndpointCounters>(ask, "/v1/counters"),
    close: () => http.close(),
  };
}
