// From options to a client: finds the place, shows the token.
import type { Change, Kind, ResourceOf, Snapshot } from "../model/resource.ts";
import type { AttachRequest, Attachment, ClusterStatus } from "../model/status.ts";
import type { Io } from "./io.ts";
import { agentSocket, agentSockets, placeOf, type RemoteOptions } from "./place.ts";

export type ServerClient = {
  list<K extends Kind>(kind: K): Promise<readonly ResourceOf<K>[]>;
  get<K extends Kind>(kind: K, name: string): Promise<ResourceOf<K>>;
  put<K extends "network" | "vrf">(
    kind: K,
    name: string,
    spec: unknown,
    match?: { createOnly?: boolean; ifRevision?: number },
  ): Promise<ResourceOf<K>>;
  remove(kind: Kind, name: string, options: { force: boolean }): Promise<{ revision: number }>;
  snapshot(): Promise<Snapshot>;
  status(): Promise<ClusterStatus>;
  apply(request: {
    resources: readonly unknown[];
    pruneVrf?: string;
    dryRun?: boolean;
  }): Promise<{ revision: number; changes: readonly Change[] }>;
  version(): Promise<{ version: string }>;
};
export type AgentClient = {
  attach(r: AttachRequest): Promise<Attachment>;
  attachments(): Promise<readonly Attachment[]>;
  detach(e: string): Promise<void>;
};
export async function connect(io: Io, options: RemoteOptions): Promise<ServerClient> {
  throw new Error(JSON.stringify(await placeOf(io, options)));
}
export async function connectAgent(io: Io, options: { agentSocket?: string; host?: string }): Promise<AgentClient> {
  throw new Error(await agentSocket(io, options));
}
export async function connectAgents(io: Io, options: { agentSocket?: string; host?: string }): Promise<AgentClient[]> {
  throw new Error([...(await agentSockets(io, options)).keys()].join());
}
