// From options to a client: finds the place and shows the token. The client is loaded only by verbs that send a
// request.
import type { AgentClient } from "../../client/agent.ts";
import type { LoginClient } from "../../client/logins.ts";
import type { ServerClient } from "../../client/server.ts";
import type { Io } from "../io.ts";
import { type AgentOptions, agentSocket, agentSockets, locateServer, type RemoteOptions } from "./locate.ts";

export type { AgentClient, ServerClient };

export async function connect(io: Io, options: RemoteOptions): Promise<ServerClient> {
  const place = await locateServer(io, options);
  const { serverClient } = await import("../../client/server.ts");
  return serverClient(place);
}

/** For what concerns logins and tokens. */
export async function connectLogins(io: Io, options: RemoteOptions): Promise<LoginClient> {
  const place = await locateServer(io, options);
  const { loginClient } = await import("../../client/logins.ts");
  return loginClient(place);
}

/** The one agent that the options mean. */
export async function connectAgent(io: Io, options: AgentOptions): Promise<AgentClient> {
  const socket = await agentSocket(io, options);
  const { agentClient } = await import("../../client/agent.ts");
  return agentClient(socket);
}

/** All agents that the options leave to choose from. */
export async function connectAgents(io: Io, options: AgentOptions): Promise<readonly AgentClient[]> {
  if (options.host !== undefined || options.agentSocket !== undefined) return [await connectAgent(io, options)];
  const sockets = await agentSockets(io, options);
  const { agentClient } = await import("../../client/agent.ts");
  if (sockets.size === 0) return [await connectAgent(io, options)];
  return [...sockets.values()].map(agentClient);
}
