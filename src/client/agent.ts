// Typed calls to an agent's unix socket, for `weft attach` and other doors on the agent's host.
import type { AttachRequest, Attachment, EndpointCounters, HostReport, QueueCounters } from "../model/status.ts";
import { type Call, httpClient } from "./http.ts";

export type AgentClient = {
  /** Idempotent by (owner, ifname). Answers when the port is in the kernel, with its policy. */
  attach(request: AttachRequest): Promise<Attachment>;
  attachments(): Promise<readonly Attachment[]>;
  /** Succeeds also if nothing of that name is attached. */
  detach(endpoint: string): Promise<void>;
  /** What passed the queues that limit the host's endpoints. */
  queues(): Promise<readonly QueueCounters[]>;
  status(): Promise<HostReport>;
  /** Packets and drops of the host's endpoints. */
  counters(): Promise<readonly EndpointCounters[]>;
  close(): void;
};

/** Calls to the agent that listens on the unix socket at `path`. */
export function agentClient(path: string): AgentClient {
  const http = httpClient({
    url: `unix:${path}`,
    name: "the agent",
    fix: "check that it runs (`weft agent`), that this is its socket (--agent-socket), and that you are root",
  });
  // The generic argument is what docs/api.md promises of this path.
  const ask = async <T>(call: Call) => (await http.request(call)).body as T;
  return {
    attach: (request) => ask({ method: "POST", path: "/v1/attachments", body: request }),
    async attachments() {
      const list: { readonly items: readonly Attachment[] } = await ask({ method: "GET", path: "/v1/attachments" });
      return list.items;
    },
    async detach(endpoint) {
      await ask({ method: "DELETE", path: `/v1/attachments/${encodeURIComponent(endpoint)}` });
    },
    async queues() {
      const list: { readonly items: readonly QueueCounters[] } = await ask({ method: "GET", path: "/v1/queues" });
      return list.items;
    },
    async counters() {
      const list: { readonly items: readonly EndpointCounters[] } = await ask({ method: "GET", path: "/v1/counters" });
      return list.items;
    },
    status: () => ask({ method: "GET", path: "/v1/status" }),
    close: () => http.close(),
  };
}
